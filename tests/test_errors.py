import pytest

from tfgen import errors


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.TfgenError, 1),
        (errors.UsageError, 2),
        (errors.InputFormatError, 3),
        (errors.UnsupportedInputError, 3),
        (errors.InputMismatchError, 4),
        (errors.UntrustedModelError, 4),
        (errors.OutputError, 5),
        (errors.NumericalError, 6),
        (errors.TooManyRejectsError, 7),
        (errors.InterruptedRunError, 130),
    ],
)
def test_every_kind_of_error_has_its_exit_code(kind, exit_code):
    error = kind("what, where, why")
    assert isinstance(error, errors.TfgenError)
    assert error.exit_code == exit_code
    assert str(error) == "what, where, why"


def test_an_interrupted_run_ends_with_128_plus_the_signal():
    assert errors.InterruptedRunError("stopped", 15).exit_code == 143
