from dataclasses import fields

import pytest

from tfgen.errors import UsageError
from tfgen.prior.training.fit_options import FitOptions

POSITIVE = (
    *("learning_rate", "start_sigma", "epochs", "blocks_per_step", "micro_batch", "em_epochs"),
    *("em_batch", "cg_probes", "cg_tolerance", "cg_max_iterations"),
)
NOT_NEGATIVE = (
    *("sigma_learning_rate", "warmup_steps", "clip_norm", "weight_decay", "patience", "min_gain"),
    "start_mean_f",
)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("objective", ("mll", "em", "ldsr")),
        ("solver", ("auto", "chol", "cg")),
        ("sigma", ("fixed", "trained")),
    ],
)
def test_choices(name, values):
    for value in values:
        assert getattr(FitOptions(**{name: value}), name) == value
    with pytest.raises(UsageError, match=f"{name} is 'other'; use one of {', '.join(values)}"):
        FitOptions(**{name: "other"})


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_what_must_be_above_0(name, value):
    with pytest.raises(UsageError, match=f"^{name} is {value}; expected a number above 0"):
        FitOptions(**{name: value})


@pytest.mark.parametrize("name", NOT_NEGATIVE)
def test_what_may_be_0(name):
    assert getattr(FitOptions(**{name: 0}), name) == 0
    for value in (-1, float("nan")):
        with pytest.raises(UsageError, match=f"^{name} is {value}; expected 0 or more"):
            FitOptions(**{name: value})


def test_every_number_is_checked_but_the_seed():
    numbers = {field.name for field in fields(FitOptions) if type(field.default) in (int, float)}
    assert numbers - {*POSITIVE, *NOT_NEGATIVE} == {"seed"}


def test_ld_score_regression_has_no_likelihood_of_sigma():
    with pytest.raises(UsageError, match="objective ldsr, which has no likelihood of sigma"):
        FitOptions(objective="ldsr", sigma="trained")
    assert FitOptions(objective="em", sigma="trained").sigma == "trained"


def test_every_setting_has_the_help_of_its_flag():
    for field in fields(FitOptions):
        assert field.metadata["help"].endswith("."), field.name
        assert f"{field.name}: " in FitOptions.__doc__
