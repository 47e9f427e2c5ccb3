import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.prior.heads.head_config import FeatureShape
from tfgen.prior.simulation.truths import PUBLISHED, TruthInputs, TruthSpec, fit_truth

NAMES = ("sad", "peak", "conserved", "other")
SHAPE = FeatureShape(NAMES)


def inputs(seed=0, n=400, missing=0.0):
    rng = np.random.default_rng(seed)
    annotations = rng.normal(3, 2, (n, 4))
    annotations[:, 1] = rng.random(n) < 0.2
    annotations[rng.random((n, 4)) < missing] = np.nan
    return TruthInputs(annotations.astype(np.float32), rng.uniform(0.01, 0.99, n))


def log_f(truth, x):
    return truth.log_f(x.annotations, x.frequency, x.tracks)


def standardised(column):
    mean, sd = np.nanmean(column, dtype=np.float64), np.nanstd(column, dtype=np.float64)
    return np.where(np.isnan(column), 0.0, (column - mean) / sd)


@pytest.mark.parametrize("mean_f", [0.02, 0.2, 0.5, 2.0])
@pytest.mark.parametrize("kind", ["constant", "linear", "enrichment", "ushape"])
def test_the_mean_of_f_is_what_was_asked_for(kind, mean_f):
    x = inputs(missing=0.1)
    truth = fit_truth(TruthSpec(kind=kind, mean_f=mean_f, freq_exponent=0.7), SHAPE, [x])
    assert np.exp(log_f(truth, x)).mean() == pytest.approx(mean_f, rel=1e-12)


def test_a_constant_is_the_same_for_all_but_for_the_frequency():
    x = inputs()
    truth = fit_truth(TruthSpec(kind="constant", mean_f=0.5), SHAPE, [x])
    np.testing.assert_allclose(log_f(truth, x), math.log(0.5))
    truth = fit_truth(TruthSpec(kind="constant", mean_f=0, freq_exponent=0.7), SHAPE, [x])
    p = x.frequency
    np.testing.assert_allclose(log_f(truth, x), 0.7 * np.log(2 * p * (1 - p)))


def test_linear_is_a_sum_over_standardised_annotations_and_missing_is_the_mean():
    x = inputs(missing=0.2)
    spec = TruthSpec(features=("other", "peak"), values=(0.5, -1.5), mean_f=0)
    found = log_f(fit_truth(spec, SHAPE, [x]), x)
    a = x.annotations
    expected = 0.5 * standardised(a[:, 3]) - 1.5 * standardised(a[:, 1])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_drawn_weights_are_scaled_to_the_standard_deviation_and_follow_the_seed():
    x = inputs()
    found = [
        log_f(fit_truth(TruthSpec(kind=kind, sd=sd, seed=seed), SHAPE, [x]), x)
        for kind, sd, seed in (
            ("linear", 0.5, 1),
            ("linear", 0.5, 1),
            ("linear", 0.5, 2),
            ("linear", None, 1),
            ("enrichment", 2.0, 1),
        )
    ]
    assert [f.std() for f in found] == pytest.approx([0.5, 0.5, 0.5, 1.0, 2.0])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.1


@given(st.integers(1, 399))
def test_pieces_of_variants_do_not_matter(cut):
    x = inputs(missing=0.1)
    parts = [
        TruthInputs(x.annotations[rows], x.frequency[rows])
        for rows in (slice(0, cut), slice(cut, None))
    ]
    spec = TruthSpec(kind="linear", freq_exponent=1.0)
    whole, cut_up = (fit_truth(spec, SHAPE, batches) for batches in ([x], parts))
    np.testing.assert_allclose(log_f(whole, x), log_f(cut_up, x), rtol=1e-5, atol=1e-5)


def test_enrichment_is_a_sum_of_values_above_thresholds():
    x = inputs(missing=0.2)
    spec = TruthSpec(
        kind="enrichment",
        features=("sad", "peak"),
        values=(0.7, -5.0),
        thresholds=(4.0, 0.0),
        mean_f=0,
    )
    found = log_f(fit_truth(spec, SHAPE, [x]), x)
    expected = [
        (0.7 if row[0] > 4 else 0.0) + (-5.0 if row[1] > 0 else 0.0) for row in x.annotations
    ]
    np.testing.assert_allclose(found, expected)


def test_the_default_threshold_of_an_enrichment_is_the_mean():
    x = inputs()
    spec = TruthSpec(kind="enrichment", features=("sad",), values=(1.0,), mean_f=0)
    truth = fit_truth(spec, SHAPE, [x])
    assert truth.description["thresholds"] == pytest.approx([x.annotations[:, 0].mean()])
    assert set(log_f(truth, x)) == {0.0, 1.0}


def with_tracks():
    rng = np.random.default_rng(5)
    shape = FeatureShape(("a",), tuple("tuvwx"), 40)
    tracks = rng.normal(0, 0.1, (50, 40, 5)).astype(np.float32)
    annotation = rng.normal(0, 0.001, (50, 1)).astype(np.float32)
    return shape, TruthInputs(annotation, None, tracks)


def test_the_published_enrichment_counts_central_sums_and_absolute_values():
    # Indices 0..5 of tracks then annotations; 16 central positions; only the first value is not 0.
    shape, x = with_tracks()
    truth = fit_truth(TruthSpec(kind="enrichment", preset="published", mean_f=0), shape, [x])
    central = x.tracks[:, 12:28].sum(axis=1)
    expected = np.where(central[:, 0] > -0.12, -5.0, 0.0)
    np.testing.assert_array_equal(log_f(truth, x), expected)
    assert 0 < np.mean(expected == -5) < 1
    assert truth.description["features"] == [*"tuvwx", "a"]
    assert PUBLISHED["published"].thresholds == (-0.12, 0, 0.001, -0.001, 0.001, -0.001)


def test_annotations_may_count_by_their_absolute_value():
    x = TruthInputs(np.array([[-3.0], [1.0], [np.nan]]))
    spec = TruthSpec(
        kind="enrichment",
        features=("a",),
        values=(1.0,),
        thresholds=(2.0,),
        absolute=True,
        mean_f=0,
    )
    assert log_f(fit_truth(spec, FeatureShape(("a",)), [x]), x).tolist() == [1, 0, 0]


def test_a_preset_needs_its_features():
    spec = TruthSpec(kind="enrichment", preset="published_wide")
    with pytest.raises(UsageError, match="reads feature 12 and there are 4"):
        fit_truth(spec, SHAPE, [inputs()])


def test_the_u_shape_has_no_linear_part():
    x = inputs(missing=0.1, n=20_000)
    spec = TruthSpec(
        kind="ushape", features=("sad", "conserved", "other"), values=(1.0, 0.5), mean_f=0
    )
    found = log_f(fit_truth(spec, SHAPE, [x]), x)
    s = [np.clip(standardised(x.annotations[:, i]), -3, 3) for i in (0, 2, 3)]
    np.testing.assert_allclose(found, (s[0] ** 2 - 1) / math.sqrt(2) + 0.5 * s[1] * s[2], atol=1e-5)
    for column in s:
        assert abs(np.corrcoef(column, found)[0, 1]) < 0.05


def test_the_u_shape_takes_the_annotations_with_most_values():
    truth = fit_truth(TruthSpec(kind="ushape"), SHAPE, [inputs()])
    assert truth.description["features"] == ["sad", "conserved", "other"]
    with pytest.raises(UsageError, match="needs three annotations; there are 2"):
        fit_truth(
            TruthSpec(kind="ushape"), FeatureShape(("a", "b")), [TruthInputs(np.ones((3, 2)))]
        )


def test_a_saved_prior_is_a_truth(tmp_path):
    from tfgen.prior.heads.head_config import HeadConfig, TraitScale
    from tfgen.prior.heads.prior_model import build_prior
    from tfgen.prior.heads.saved_prior import prior_card, save_prior
    from tfgen.prior.heads.standardise import Standardiser

    x = inputs()
    shape = FeatureShape(("other", "sad"))
    standardiser = Standardiser.fit([(x.annotations[:, [3, 0]], None)], shape)
    model = build_prior(HeadConfig(arch="linear"), shape, [TraitScale("t", 1e5, 1e4)], standardiser)
    weight = next(w for w in model.weights if "annotation_weights" in w.path)
    weight.assign([[1.0], [-0.5]])
    save_prior(model, tmp_path / "prior", prior_card(model, [1.0]))
    spec = TruthSpec(kind="model", model=tmp_path / "prior", mean_f=0, freq_exponent=5.0)
    found = log_f(fit_truth(spec, SHAPE, [x]), x)
    a, p = x.annotations, x.frequency
    expected = (standardised(a[:, 3]) - 0.5 * standardised(a[:, 0])) / math.sqrt(2)
    expected += math.log(10) + 0.7 * np.log(2 * p * (1 - p))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    calibrated = TruthSpec(kind="model", model=tmp_path / "prior", mean_f=0.5)
    assert np.exp(log_f(fit_truth(calibrated, SHAPE, [x]), x)).mean() == pytest.approx(0.5)
    with pytest.raises(InputMismatchError, match="no feature 'other'"):
        fit_truth(spec, FeatureShape(("sad",)), [TruthInputs(a[:, :1], p)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "cubic"}, "truth 'cubic'; use one of constant, linear"),
        ({"kind": "model"}, "go together"),
        ({"mean_f": -1.0}, "mean_f is -1.0"),
        ({"sd": math.inf}, "sd is inf"),
        ({"features": ("a",), "values": (math.nan,)}, "not finite"),
        ({"kind": "linear", "preset": "published"}, "expected truth enrichment"),
        ({"kind": "enrichment", "preset": "mine"}, "one of published, published_wide"),
        ({"kind": "enrichment", "preset": "published", "values": (1.0,)}, "drop one"),
        ({"thresholds": (1.0,), "features": ("a",)}, "truth linear has no thresholds"),
        ({"values": (1.0, 2.0), "features": ("a",)}, "2 values for 1 features"),
        ({"kind": "ushape", "features": ("a",)}, "expected three features and two values"),
    ],
)
def test_contradictions_are_usage_errors(settings, message):
    with pytest.raises(UsageError, match=message):
        TruthSpec(**settings)


def test_unsuitable_features_are_named():
    x = inputs()
    with pytest.raises(UsageError, match="no feature 'tss'; there are sad, peak"):
        fit_truth(TruthSpec(features=("tss",)), SHAPE, [x])
    with pytest.raises(UsageError, match="there are no features"):
        fit_truth(TruthSpec(), FeatureShape(()), [TruthInputs(np.zeros((3, 0)))])
    with pytest.raises(UsageError, match="the same for all variants"):
        fit_truth(TruthSpec(sd=1.0), FeatureShape(("a",)), [TruthInputs(np.ones((3, 1)))])
    with pytest.raises(InputFormatError, match="no variants to calibrate"):
        fit_truth(TruthSpec(kind="constant"), SHAPE, [TruthInputs(np.ones((0, 4)))])


@pytest.mark.parametrize("frequency", [0.0, 1.0, np.nan])
def test_frequencies_must_be_known_where_they_count(frequency):
    x = TruthInputs(np.ones((2, 0)), np.array([0.5, frequency]))
    with pytest.raises(InputFormatError, match="1 of 2 variants have no allele frequency"):
        fit_truth(TruthSpec(kind="constant", freq_exponent=0.7), FeatureShape(()), [x])
    with pytest.raises(InputFormatError, match="2 of 2 variants"):
        fit_truth(
            TruthSpec(kind="constant", freq_exponent=0.7),
            FeatureShape(()),
            [TruthInputs(np.ones((2, 0)))],
        )
