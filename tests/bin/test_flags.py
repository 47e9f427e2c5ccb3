import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from absl import flags

from _flags import _RESERVED, build, define_flags


@pytest.fixture(autouse=True)
def values(monkeypatch):
    """A set of flags of its own, so that tests do not meet."""
    fresh = flags.FlagValues()
    for name in ("DEFINE", "DEFINE_boolean", "register_multi_flags_validator"):
        former = getattr(flags, name)

        def define(*arguments, former=former, **options):
            return former(*arguments, flag_values=fresh, **options)

        monkeypatch.setattr(flags, name, define)
    return fresh


@dataclass(frozen=True)
class Options:
    rate: float = 0.1
    names: tuple[str, ...] = field(default_factory=lambda: ("a", "b"))
    seed: int | None = None
    derived: int = field(default=7, init=False)
    network: Any = None


def test_fields_that_are_no_flags_are_given_to_build(values):
    define_flags(Options, skip=["network"])
    values(["x", "--rate=0.5", "--seed=3"])
    assert build(Options, values, network=print) == Options(
        rate=0.5, names=("a", "b"), seed=3, network=print
    )
    assert set(values) == {"rate", "names", "seed"}


def test_the_home_of_nobody_is_refused(values):
    @dataclass(frozen=True)
    class Places:
        path: Path = Path("a")

    define_flags(Places)
    with pytest.raises(flags.IllegalFlagValueError, match="home directory"):
        values(["x", "--path=~nobody_of_this_name/x"])


def test_lists_of_numbers(values):
    @dataclass(frozen=True)
    class Layers:
        hidden: tuple[int, ...] = (64, 32)
        weights: tuple[float, ...] = ()

    define_flags(Layers)
    values(["x", "--weights=0.5,-1"])
    assert build(Layers, values) == Layers((64, 32), (0.5, -1.0))
    assert "--hidden=64,32" in values.flags_into_string()
    with pytest.raises(flags.IllegalFlagValueError, match=r"'1.5' is not a number \(int\)"):
        values(["x", "--hidden=3,1.5"])


def test_a_flagfile_written_from_the_flags_reads_back(values, tmp_path):
    @dataclass(frozen=True)
    class Saved:
        path: Path = Path("a")
        names: tuple[str, ...] = ("b", "c")
        fast: bool = True
        rate: float = 0.25

    define_flags(Saved)
    values(["x", "--path=d", "--nofast"])
    text = values.flags_into_string()
    assert set(text.split()) == {"--path=d", "--names=b,c", "--nofast", "--rate=0.25"}
    values.unparse_flags()
    values(["x", *text.split()])
    assert build(Saved, values) == Saved(Path("d"), ("b", "c"), False, 0.25)


@pytest.mark.parametrize("kind", [dict[str, int], list[str], int | str, bytes, tuple[bytes, ...]])
def test_a_type_that_no_flag_has_is_refused(kind):
    @dataclass(frozen=True)
    class Wrong:
        value: kind  # type: ignore[valid-type]

    with pytest.raises(TypeError, match=r"Wrong\.value: no flag has the type"):
        define_flags(Wrong)


def test_a_name_that_the_logging_library_defines_later_is_refused():
    @dataclass(frozen=True)
    class Wrong:
        log_dir: str = ""

    with pytest.raises(ValueError, match=r"Wrong\.log_dir: a logging flag has this name"):
        define_flags(Wrong)


def test_the_reserved_names_are_those_of_the_logging_library():
    # In a process of its own: a module defines its flags once.
    code = "from absl import flags; old = set(flags.FLAGS); from absl import logging; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(*set(flags.FLAGS) - old)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == _RESERVED
