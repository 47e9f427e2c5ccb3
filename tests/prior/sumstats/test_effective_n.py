from pathlib import Path

import numpy as np
import pytest

from tfgen.errors import InputFormatError, UsageError
from tfgen.prior.sumstats.effective_n import (
    bolt_factor,
    bolt_ratios,
    case_control_n,
    constant_n,
    n_fields,
)
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.sumstats_columns import ColumnMap


def config(**settings):
    return MungeConfig(input=Path("in.txt"), output=Path("out.tsv"), **settings)


def columns(*fields):
    return ColumnMap("generic", {field: i for i, field in enumerate(fields)}, {})


def test_flags_come_before_columns_and_cases_before_n():
    assert n_fields(config(n=10), columns("N", "N_CASES", "N_CONTROLS")) == ()
    assert n_fields(config(n_cases=1, n_controls=2), columns("N")) == ()
    assert n_fields(config(), columns("N", "N_CASES", "N_CONTROLS")) == ("N_CASES", "N_CONTROLS")
    assert n_fields(config(), columns("N", "N_CASES")) == ("N",)


def test_a_missing_sample_size_is_said_with_the_remedy():
    with pytest.raises(UsageError, match="no column with the sample size; pass --n, or --n_cases"):
        n_fields(config(), columns("Z"))


def test_flags_give_one_n():
    assert constant_n(config(n=123)) == 123
    assert constant_n(config(n_cases=100, n_controls=300)) == pytest.approx(300)
    assert np.isnan(constant_n(config()))


def test_a_balanced_study_keeps_its_size():
    # 4 v (1 - v) N with v the share of cases.
    cases, controls = np.array([500.0, 100.0, 1.0]), np.array([500.0, 900.0, 1e9])
    share = cases / (cases + controls)
    expected = 4 * share * (1 - share) * (cases + controls)
    np.testing.assert_allclose(case_control_n(cases, controls), expected)


def test_only_strong_variants_tell_the_gain_of_the_mixed_model():
    mixed = np.array([60.0, 40.0, 30.0, 100.0, 50.0, np.nan])
    linear = np.array([50.0, 40.0, 10.0, 0.0, np.nan, 5.0])
    ratios = bolt_ratios(mixed, linear)
    np.testing.assert_array_equal(ratios, [1.2, 1.0, np.nan, np.nan, np.nan, np.nan])
    assert bolt_factor(ratios, "in") == pytest.approx(1.1)


def test_without_strong_variants_the_gain_is_not_made_up():
    with pytest.raises(
        InputFormatError, match="no variant has CHISQ_BOLT_LMM above 30 .*--n_eff=none"
    ):
        bolt_factor(np.array([np.nan]), "in.txt")
