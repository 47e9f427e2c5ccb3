import math

import numpy as np
import pytest
from scipy.special import ndtri_exp

from tfgen.prior.sumstats.z_scores import Effects, abs_z_from_log_p, z_scores

NAN = math.nan


def effects(z=NAN, beta=NAN, se=NAN, chisq=NAN, log_p=NAN):
    return Effects(*(np.array([value], float) for value in (z, beta, se, chisq, log_p)))


def test_z_is_the_inverse_of_the_normal_tail_from_1_down_to_1e_minus_400_million():
    log_p = -np.concatenate([np.logspace(-12, 9, 2000), [649, 649.9, 650, 650.7, 651, 745, 746]])
    expected = -ndtri_exp(log_p - math.log(2))
    z = abs_z_from_log_p(log_p)
    np.testing.assert_allclose(z, expected, rtol=2e-12, atol=1e-13)


def test_the_ends_of_the_scale():
    np.testing.assert_array_equal(abs_z_from_log_p(np.array([0.0, -np.inf, NAN])), [0, np.inf, NAN])


@pytest.mark.parametrize(("p", "z"), [(0.05, 1.959963984540054), (5e-8, 5.451310437845477)])
def test_well_known_quantiles(p, z):
    # scipy.stats.norm.isf(p / 2)
    assert abs_z_from_log_p(np.array([math.log(p)]))[0] == pytest.approx(z, rel=1e-13)


@pytest.mark.parametrize(
    ("known", "z"),
    [
        ({"z": 1.5, "beta": 9.0, "se": 1.0, "chisq": 4.0, "log_p": -1.0}, 1.5),
        ({"beta": -9.0, "se": 1.0, "chisq": 4.0, "log_p": -1.0}, -2.0),
        ({"beta": -9.0, "se": 2.0, "log_p": -1.0}, -4.5),
        ({"beta": -9.0, "log_p": math.log(0.05)}, -1.959963984540054),
        ({"beta": 0.0, "se": 2.0}, 0.0),
        ({"beta": 0.0, "chisq": 0.0}, 0.0),
        ({"beta": 0.0, "log_p": 0.0}, 0.0),
        ({"z": 0.0, "beta": 3.0, "se": 1.0}, 0.0),
    ],
)
def test_the_best_source_is_taken(known, z):
    found, no_sign = z_scores(effects(**known))
    assert found[0] == pytest.approx(z, rel=1e-14)
    assert not no_sign[0]


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"beta": 1.0},
        {"se": 1.0},
        {"chisq": 4.0},
        {"log_p": -1.0},
        {"beta": 1.0, "log_p": -np.inf},
    ],
)
def test_without_a_complete_source_there_is_no_z(known):
    found, no_sign = z_scores(effects(**known))
    assert np.isnan(found[0])
    assert not no_sign[0]


@pytest.mark.parametrize("known", [{"beta": 0.0, "chisq": 4.0}, {"beta": 0.0, "log_p": -1.0}])
def test_an_effect_of_zero_gives_a_statistic_no_sign(known):
    assert z_scores(effects(**known))[1][0]


def test_an_overflow_is_infinite_not_a_warning():
    assert z_scores(effects(beta=1e300, se=1e-300))[0][0] == np.inf
