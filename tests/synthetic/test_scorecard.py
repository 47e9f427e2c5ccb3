"""Agreement of predicted with true effects, against numpy and pandas."""

import numpy as np
import pandas as pd
import pytest

from tfgen.errors import InputMismatchError, UsageError
from tfgen.genome import Variant
from tfgen.synthetic.effects import TrueEffects
from tfgen.synthetic.scorecard import mean_pearson, ranks, score_card, select

CLASSES = np.array(["activator"] * 30 + ["elsewhere"] * 50 + ["pair"] * 20)


@pytest.fixture
def truth():
    rng = np.random.default_rng(1)
    sad = np.round(rng.normal(0, 3, (100, 2)), 1)
    sad[40:70] = 0
    return TrueEffects(
        variants=tuple(Variant("chr1", pos, "A", "C") for pos in range(1, 101)),
        variant_class=CLASSES,
        split=np.array(["train"] * 10 + ["test"] * 90),
        frequency=np.full(100, 0.1),
        sad=sad,
    )


@pytest.fixture
def predicted(truth):
    return truth.sad + np.random.default_rng(2).normal(0, 1, truth.sad.shape)


def r_by_hand(x, y, rows=slice(None)):
    return np.mean([np.corrcoef(x[rows, t], y[rows, t])[0, 1] for t in range(x.shape[1])])


def test_every_number_is_the_mean_over_the_tracks(predicted, truth):
    card = score_card(predicted, truth)
    assert card.n_variants == 100
    assert card.pearson_r == pytest.approx(r_by_hand(predicted, truth.sad))
    tables = [pd.DataFrame({"p": predicted[:, t], "t": truth.sad[:, t]}) for t in range(2)]
    spearman = [table.corr(method="spearman").loc["p", "t"] for table in tables]
    assert card.spearman_r == pytest.approx(np.mean(spearman))
    in_motif = CLASSES != "elsewhere"
    assert card.pearson_r_motif == pytest.approx(r_by_hand(predicted, truth.sad, in_motif))


def test_every_class_has_its_own(predicted, truth):
    card = score_card(predicted, truth)
    assert list(card.counts.items()) == [("activator", 30), ("pair", 20), ("elsewhere", 50)]
    for name, r in card.by_class.items():
        assert r == pytest.approx(r_by_hand(predicted, truth.sad, name == CLASSES))


def test_a_class_without_any_effect_has_no_correlation(predicted, truth):
    truth.sad[CLASSES == "pair"] = 0
    assert np.isnan(score_card(predicted, truth).by_class["pair"])


def test_a_track_that_does_not_vary_is_left_out():
    x = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    assert mean_pearson(x, x**2) == pytest.approx(np.corrcoef(x[:, 0], x[:, 0] ** 2)[0, 1])


def test_ties_share_their_mean_rank():
    values = np.array([[3.0], [1.0], [3.0], [0.0], [3.0]])
    np.testing.assert_array_equal(ranks(values)[:, 0], pd.Series(values[:, 0]).rank() - 1)


def test_variants_are_chosen_by_row(truth):
    chosen = select(truth, truth.split == "test")
    assert len(chosen.variants) == 90
    assert chosen.variants[0].pos == 11
    np.testing.assert_array_equal(chosen.sad, truth.sad[10:])
    np.testing.assert_array_equal(chosen.variant_class, CLASSES[10:])
    assert set(chosen.split.tolist()) == {"test"}


def test_a_world_without_held_out_variants_is_refused(truth):
    with pytest.raises(UsageError, match="expected a world with held-out variants"):
        select(truth, truth.split == "valid")


def test_other_variants_are_refused(predicted, truth):
    with pytest.raises(InputMismatchError, match=r"predicted effects \(99, 2\), true effects"):
        score_card(predicted[1:], truth)


def test_a_missing_score_is_refused(predicted, truth):
    predicted[3:5] = np.nan
    with pytest.raises(InputMismatchError, match="2 of 100 variants have no score"):
        score_card(predicted, truth)
