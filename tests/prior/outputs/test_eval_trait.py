import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tfgen.prior.constant_fit import ConstantPrior
from tfgen.prior.outputs.calibration import VariantFigures
from tfgen.prior.outputs.eval_trait import evaluate_trait
from tfgen.prior.outputs.held_out import TraitBlock, TraitResult
from tfgen.prior.outputs.jackknife import block_jackknife
from tfgen.prior.training.block_data import BlockSize
from tfgen.prior.training.traits import Trait

CONSTANT = ConstantPrior(0.5, 1.1, 10.0, (0.1, 0.1))


def block(number, gain, n=100, scale=1.0, k=60):
    """A block whose prior gains some nats over every baseline."""
    residuals = scale * np.random.default_rng(number).normal(size=k)
    nothing = VariantFigures(*(np.zeros(0) for _ in range(4)))
    return TraitBlock(
        block=BlockSize(f"b{number}", "22", n, k, n, 100 * number, 100 * number + 100),
        test="folds",
        fold="chr22",
        sigma=0.9,
        n_observed=n,
        k=k,
        nll=50.0,
        baselines={
            "no_effects": 50 + 3 * gain,
            "constant": 50 + gain,
            "constant_same_sigma": 50 - gain,
        },
        residuals=residuals,
        mean_f=0.4,
        observed=nothing,
        enrichment=np.zeros((2, 1)),
    )


def evaluation(*blocks):
    same = {"chr22": CONSTANT}
    return evaluate_trait(TraitResult(Trait("height", 1e3, {}, {}), blocks, same, same))


def test_gains_are_per_thousand_variants_with_their_interval():
    gains, sizes = [1.0, 1.5, 0.8, 1.2], [100, 150, 90, 110]
    found = evaluation(*(block(i, g, n) for i, (g, n) in enumerate(zip(gains, sizes, strict=True))))
    constant = found.gains[1]
    assert constant.baseline == "constant"
    assert constant.nats == pytest.approx(4.5)
    estimate, se = block_jackknife(np.array(gains), np.array(sizes))
    assert constant.per_1000.estimate == pytest.approx(1000 * estimate)
    assert constant.per_1000.se == pytest.approx(1000 * se)
    t = stats.t.ppf(0.975, 3)
    assert constant.per_1000.low == pytest.approx(1000 * (estimate - t * se), rel=1e-6)
    assert constant.bits_per_variant == pytest.approx(4.5 / 450 / np.log(2))


def test_overlapping_windows_are_deleted_in_groups():
    gains = np.random.default_rng(0).normal(1, 1, 12)
    blocks = [block(i, gain) for i, gain in enumerate(gains)]
    wide = [
        replace(b, block=replace(b.block, start=100 * i, end=100 * i + 300))
        for i, b in enumerate(blocks)
    ]
    apart, found = evaluation(*blocks), evaluation(*wide)
    assert (apart.n_groups, found.n_groups) == (12, 4)
    _, se = block_jackknife(gains, np.full(12, 100), np.arange(12) // 3)
    assert found.gains[1].per_1000.se == pytest.approx(1000 * se)
    estimate = apart.gains[1].per_1000.estimate
    assert found.gains[1].per_1000.estimate == pytest.approx(estimate)
    assert found.to_json()["n_groups"] == 4


def test_words_say_whether_a_gain_is_above_zero():
    found = evaluation(*(block(i, g) for i, g in enumerate([1.0, 1.1, 0.9, 1.0])))
    assert found.gains[1].text().startswith("gain over the constant prior: 10 nats per 1,000")
    assert found.gains[1].text().endswith("bits per variant: above zero")
    assert found.gains[2].text().endswith("bits per variant: not above zero")
    single = evaluation(block(0, 1.0))
    assert single.gains[1].text().endswith("not known to be above zero: too few blocks")
    assert json.loads(json.dumps(single.to_json()["gains"]["constant"]["above_zero"])) is False


def test_calibration_is_the_chi_square_of_all_blocks():
    found = evaluation(*(block(i, 1.0) for i in range(5)))
    chi2 = sum(b.mahalanobis for b in found.result.blocks)
    assert found.fit.k == 300
    assert found.mahalanobis_per_k == pytest.approx(chi2 / 300)
    assert found.fit.p_upper == pytest.approx(stats.chi2.sf(chi2, 300))
    tail = min(stats.chi2.sf(chi2, 300), stats.chi2.cdf(chi2, 300))
    assert found.mahalanobis_p == pytest.approx(2 * tail)
    assert found.to_json()["p"] == found.mahalanobis_p
    assert not found.is_mismatch
    assert found.flagged == ()


def test_few_rows_are_outside_of_the_range_by_chance():
    found = evaluation(block(0, 1.0, k=8, scale=1.2))
    assert not 0.9 <= found.mahalanobis_per_k <= 1.1
    assert not found.is_mismatch


def test_a_final_test_is_named():
    found = evaluation(block(0, 1.0))
    assert (found.test, found.label) == ("folds", "height")
    final = evaluation(replace(block(0, 1.0, scale=3.0), test="final"))
    assert (final.test, final.label) == ("final", "height, final test")
    assert final.mismatch_text().startswith("MISMATCH: height, final test: Mahalanobis/k is ")


def test_a_bad_block_is_flagged_and_bad_fits_are_a_mismatch():
    found = evaluation(block(0, 1.0), block(1, 1.0, scale=2.0), block(2, 1.0, scale=0.4))
    assert found.flagged == ("b1", "b2")
    assert found.is_mismatch
    assert re.match(
        r"MISMATCH: height: Mahalanobis/k is 1\.\d+ \(p \S+\), expected 0\.9 to 1\.1: ",
        found.mismatch_text(),
    )


def test_figures_are_json():
    value = json.loads(json.dumps(evaluation(block(0, 1.0), block(1, 1.2)).to_json()))
    assert value["n_blocks"] == 2
    assert value["nll_per_z"] == pytest.approx(0.5)
    assert value["folds"]["chr22"] == {
        "sigma": 0.9,
        "constant": {"f": 0.5, "sigma": 1.1},
        "constant_same_sigma": {"f": 0.5, "sigma": 1.1},
    }
