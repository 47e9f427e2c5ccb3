import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from prior.study_toys import made_up, small
from tfgen.io import read_table
from tfgen.prior.outputs.jackknife import Interval
from tfgen.prior.study.study_report import (
    CLAIMS,
    Finding,
    conclusion,
    find_claims,
    find_gains,
    report_text,
    write_tables,
)

GAINS = {("mll", "mlp"): 40, ("mll", "linear"): 10, ("ldsr", "mlp"): 15, ("ldsr", "linear"): 12}


def results(folder, noise=1.0, seeds=5, **options):
    config = small(folder, seeds=seeds, mean_f=(0.2, 2.0), rates=(0.01,), **options)
    rng = np.random.default_rng(0)
    drawn = {}

    def nll(key):
        drawn[key] = GAINS[key.objective, key.arch] + noise * rng.normal()
        return 1 - drawn[key] / 1000

    return made_up(config, nll), drawn


def named(findings, name, mean_f=0.2):
    return next(x for x in findings if (x.name, x.mean_f) == (name, mean_f))


def test_intervals_are_those_of_a_paired_t_test(tmp_path):
    found, drawn = results(tmp_path)
    values = {
        model: [drawn[k] for k in drawn if (k.objective, k.arch) == model and k.setting.mean_f == 2]
        for model in GAINS
    }
    a = np.array(values["mll", "mlp"]) - values["ldsr", "mlp"]
    claim = named(find_claims(found), "A", 2.0)
    test = stats.ttest_1samp(a, 0).confidence_interval()
    assert claim.n == 5
    assert claim.interval.estimate == pytest.approx(a.mean())
    assert (claim.interval.low, claim.interval.high) == pytest.approx((test.low, test.high))
    more = a - values["mll", "linear"] + np.array(values["ldsr", "linear"])
    interaction = named(find_claims(found), "B_mll-B_ldsr", 2.0)
    assert interaction.interval.estimate == pytest.approx(more.mean())
    assert interaction.interval.se == pytest.approx(stats.sem(more))
    gain = named(find_gains(found), "mll-linear", 2.0)
    assert gain.interval.estimate == pytest.approx(np.mean(values["mll", "linear"]))
    assert named(find_gains(found), "oracle").interval.estimate == pytest.approx(100)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.1, 2), "positive"),
        ((-2, -0.1), "negative"),
        ((-1, 1), "not distinguishable"),
        ((math.nan, math.nan), "not distinguishable"),
    ],
)
def test_a_verdict_is_the_side_of_zero_of_the_interval(ends, verdict):
    assert claim("A", *ends).verdict == verdict


def claim(name, low, high):
    return Finding("ushape", 0.5, name, 3, Interval((low + high) / 2, 1.0, low, high))


UP, DOWN, FLAT = (1, 2), (-2, -1), (-1, 1)


@pytest.mark.parametrize(
    ("a", "mll", "ldsr", "more", "words"),
    [
        (
            *(UP, UP, FLAT, UP),
            "a larger prior helps only under the likelihood; "
            "the mlp is better by likelihood than by LD-score regression",
        ),
        (*(FLAT, UP, UP, UP), "helps under both objectives; the objectives do not differ"),
        (*(DOWN, FLAT, UP, DOWN), "helps only under LD-score regression; the mlp is worse"),
        (*(FLAT, FLAT, FLAT, FLAT), "is not seen to help under either objective; the objectives"),
        (*(UP, UP, DOWN, UP), "only under the likelihood; it hurts under LD-score regression"),
        (*(FLAT, DOWN, DOWN, FLAT), "it hurts under the likelihood and LD-score regression"),
        (*(UP, UP, FLAT, FLAT), "that it helps more under the likelihood is not shown"),
    ],
)
def test_the_conclusion_follows_from_the_intervals(a, mll, ldsr, more, words):
    pairs = zip(CLAIMS, (a, mll, ldsr, more), strict=True)
    text = conclusion({name: claim(name, *ends) for name, ends in pairs})
    assert words in text
    assert ("not shown" in text) == (mll == UP and more != UP)


def test_the_report_has_a_line_per_model_and_claim(tmp_path):
    found, _ = results(tmp_path)
    text = report_text(found, find_gains(found), find_claims(found))
    assert text.count("truth ushape, mean f") == 2
    for name in ("mll-mlp", "ldsr-linear", "oracle", "B_mll-B_ldsr"):
        assert text.count(f"  {name} ") == 2
    assert text.count("so: a larger prior helps") == 2


def test_the_tables_hold_every_fit_and_its_choice(tmp_path):
    found, drawn = results(tmp_path, truths=("ushape", "linear"))
    write_tables(tmp_path, found, find_gains(found), find_claims(found))
    table = read_table(tmp_path / "results.tsv", comment="#")
    assert len(table["truth"]) == 2 * 2 * 5 * (4 + 1)
    rows = zip(*(table[name] for name in ("objective", "arch", "mean_f", "seed")), strict=True)
    for row, truth, gain in zip(rows, table["truth"], table["test_gain"], strict=True):
        expected = [
            value
            for k, value in drawn.items()
            if (k.objective, k.arch, f"{k.setting.mean_f:g}", str(k.setting.seed)) == row
            and k.setting.truth == truth
        ] or [100.0]
        assert float(gain) == pytest.approx(expected[0], abs=1e-5)
    assert set(table["chosen"]) == {"1"}
    claims = read_table(tmp_path / "claims.tsv", comment="#")
    assert claims["claim"] == list(CLAIMS) * 4
    assert set(claims["verdict"]) <= {"positive", "negative", "not distinguishable"}
    assert read_table(tmp_path / "gains.tsv", comment="#")["n"] == ["5"] * 20


def test_one_seed_has_no_interval(tmp_path):
    found, _ = results(tmp_path, seeds=1)
    assert {x.verdict for x in find_claims(found)} == {"not distinguishable"}
    assert "1 seed\n" in report_text(found, find_gains(found), find_claims(found))


def test_fits_that_might_have_gone_on_are_named(tmp_path):
    found, _ = results(tmp_path, seeds=3)
    text = report_text(found, find_gains(found), find_claims(found))
    assert text.endswith("\n\nevery chosen fit was best before its last epoch\n")
    for key, record in found.fits.items():
        if (key.objective, key.arch, key.setting.seed) == ("ldsr", "mlp", 1):
            found.fits[key] = replace(record, best_epoch=2)
    text = report_text(found, find_gains(found), find_claims(found))
    assert "\nldsr-mlp: the last epoch was the best one in 2 of 6 chosen fits" in text
    assert "mll-mlp: the last" not in text
