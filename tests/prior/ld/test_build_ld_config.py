"""Settings of a build that contradict each other."""

from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.prior.ld.build_ld_config import BuildLdConfig

BED = {"output": Path("o"), "bed": Path("b")}
UKB = {"output": Path("o"), "source": "ukb_npz", "ukb": Path("u")}


def test_defaults_are_usable():
    config = BuildLdConfig(**BED)
    assert (config.eps, config.var_kept, config.window, config.centre) == (1e-4, 0.995, 3e6, 1e6)
    assert BuildLdConfig(**UKB).blocks == "auto"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": Path("o")}, "source bed needs --bed"),
        ({**BED, "source": "ukb_npz"}, "source ukb_npz needs --ukb"),
        ({**BED, "ukb": Path("u")}, "--ukb has no use with source bed"),
        ({**UKB, "bed": Path("b")}, "--bed has no use with source ukb_npz"),
        ({**UKB, "min_maf": 0.01}, "have no frequencies; use --variants"),
        ({**UKB, "blocks": "windows"}, "cannot be cut from the matrices"),
        ({**BED, "n_ref": 5}, "n_ref is counted in --bed"),
        ({**BED, "blocks": "bed"}, "blocks bed needs --block_file"),
        ({**BED, "block_file": Path("f")}, "blocks auto has no use for --block_file"),
        ({**BED, "window": 10, "centre": 10}, "expected a shorter centre"),
        ({**BED, "ld_fix": "ignore"}, "ld_fix is 'ignore'; use one of error, clip, shrink"),
        ({**BED, "q_dtype": "int8"}, "use one of float16, float32"),
        ({**BED, "var_kept": 1.1}, "var_kept is 1.1; expected 0 to 1"),
        ({**BED, "max_missing": -0.1}, "max_missing is -0.1"),
        ({**BED, "min_maf": 0.6}, "expected 0 to 0.5"),
        ({**BED, "max_memory_gb": -1}, "max_memory_gb is -1"),
        ({**BED, "var_kept": 0}, "leave no LD"),
        ({**BED, "shrink": 1}, "leave no LD"),
        ({**BED, "eps": float("nan")}, "eps is nan"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        BuildLdConfig(**settings)
