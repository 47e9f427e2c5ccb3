import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import table
from tfgen.errors import NumericalError, UsageError
from tfgen.prior.outputs.snpvar import constrain, repeated_keys, snpvar
from tfgen.prior.outputs.variant_output import write_variants

VALUES = st.lists(st.floats(1e-12, 1e3), min_size=1, max_size=50)


def test_snpvar_is_the_variance_of_a_standardised_effect():
    log_f = np.log([0.5, 2.0])
    np.testing.assert_allclose(snpvar(log_f, 4000.0), [0.5 / 4000, 2.0 / 4000])


@pytest.mark.parametrize("value", [-1e4, 1e4, np.nan])
def test_what_is_no_variance_is_an_error(value):
    with pytest.raises(NumericalError, match="SNPVAR of 1 of 2 variants.* at index 1"):
        snpvar(np.array([0.0, value]), 1000.0)


@given(VALUES, st.floats(1, 1000))
def test_constrained_values_keep_sum_and_order_within_the_ratio(values, limit):
    x = np.array(values)
    found = constrain(x, limit)
    assert found.max() / found.min() <= limit * (1 + 1e-12)
    assert found.sum() == pytest.approx(x.sum(), rel=1e-9)
    order = np.argsort(x)
    assert np.all(np.diff(found[order]) >= -1e-12 * found.max())
    # The smallest are raised by a hair, for what becomes of them as text.
    large = x > x.max() / limit * (1 + 1e-6)
    ratios = found[large] / x[large]
    np.testing.assert_allclose(ratios, ratios[:1].sum())


def test_the_limit_holds_for_the_numbers_in_the_file(tmp_path):
    """Eight digits move a number by up to 5e-8 of it, in either direction."""
    rng = np.random.default_rng(0)
    path = tmp_path / "x.snpvar_constrained.gz"
    for _ in range(300):
        values = np.exp(rng.normal(-15, 4, rng.integers(2, 40)))
        write_variants(path, {"SNPVAR": constrain(values)}, {})
        with gzip.open(path, "rt") as stream:
            found = np.array([float(line) for line in stream.read().split()[1:]])
        assert found.max() / found.min() <= 100
        assert found.sum() == pytest.approx(values.sum(), rel=1e-6)
        path.unlink()


@given(VALUES)
def test_values_within_the_ratio_stay(values):
    once = constrain(np.array(values))
    np.testing.assert_allclose(constrain(once), once, rtol=1e-9)


def test_published_constrained_values_stay_as_they_are(shared_data):
    """PolyFun's own, with max / min = 100."""
    path = shared_data("gwas_ld/polyfun/gold/testrun.22.snpvar_constrained.gz")
    with gzip.open(path, "rt") as stream:
        lines = [line.split() for line in stream]
    x = np.array([float(line[lines[0].index("SNPVAR")]) for line in lines[1:]])
    assert x.max() / x.min() == pytest.approx(100, rel=1e-4)
    np.testing.assert_allclose(constrain(x), x, rtol=1e-4)


def test_a_ratio_below_one_has_no_meaning():
    with pytest.raises(UsageError, match="largest ratio is 0.5"):
        constrain(np.ones(2), 0.5)
    assert constrain(np.zeros(0)).size == 0


def test_variants_are_told_apart_as_polyfun_does():
    variants = table(
        "1:5:A:C", "1:5:C:A", "1:5:A:G", "1:6:A:C", "2:5:A:C", "1:5:A:CT", "1:5:CT:A", "1:5:A:CT"
    )
    assert repeated_keys(variants).tolist() == [1, 7]
