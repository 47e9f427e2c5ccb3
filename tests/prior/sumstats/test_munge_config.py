from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.prior.sumstats.munge_config import MungeConfig


def config(**settings):
    return MungeConfig(**{"input": Path("in.txt"), "output": Path("out.tsv.gz"), **settings})


def test_two_settings_are_enough():
    found = config()
    assert (found.min_info, found.min_maf, found.palindromic) == (0.6, 0.001, "drop")
    assert found.overrides == {}
    assert config(n=1e12).n == 1e12
    assert config(columns=("Z:zz", "N:")).overrides == {"Z": "zz", "N": ""}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "gcta"}, "format is 'gcta'; use one of auto, bolt"),
        ({"palindromic": "flip"}, "palindromic is 'flip'; use one of drop, keep, frequency"),
        ({"build": "hg19"}, "build is 'hg19'; use one of unknown, GRCh37"),
        ({"min_maf": -0.1}, "min_maf is -0.1; expected a number from 0 to 1"),
        ({"min_n_fraction": float("nan")}, "min_n_fraction is nan"),
        ({"max_rejected_fraction": 2}, "max_rejected_fraction is 2"),
        ({"min_info": -1}, "min_info is -1; expected a number from 0"),
        ({"n": 0}, "n is 0; expected a number above 0"),
        ({"n": float("inf")}, "n is inf"),
        ({"n": 1e308}, r"n is 1e\+308; expected a number above 0, at most 1e\+12"),
        ({"n_cases": 2e12, "n_controls": 5}, "n_cases is 2000000000000.0; expected .* at most 1e"),
        ({"n_cases": 5}, "n_cases and n_controls go together"),
        ({"n": 5, "n_cases": 5, "n_controls": 5}, "n and n_cases both give the sample size"),
        ({"match": "id"}, "match=id needs --panel"),
        ({"palindromic": "frequency"}, "palindromic=frequency needs --panel"),
        ({"output": Path("out.csv")}, "out.csv: unknown ending; use one of .parquet, .gz"),
        ({"columns": ("Q:x",)}, "'Q:x'; expected FIELD:column"),
    ],
)
def test_settings_without_meaning_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        config(**settings)
