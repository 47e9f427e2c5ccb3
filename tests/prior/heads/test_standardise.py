"""Means, deviations and missing values against numpy on all data at once."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.prior_toys import SHAPE, features, rows
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.prior.heads.head_config import FeatureShape
from tfgen.prior.heads.standardise import ANNOTATION_CLIP, TRACK_CLIP, Standardiser

TWO = FeatureShape(("a", "b"))


def pair(inputs):
    return inputs["annotations"], inputs["tracks"]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 1000))
def test_batches_give_the_statistics_of_all_values(sizes, seed):
    whole = features(sum(sizes), seed=seed)
    ends = np.cumsum(sizes)
    parts = [pair(rows(whole, slice(e - n, e))) for n, e in zip(sizes, ends, strict=True)]
    found = Standardiser.fit(parts, SHAPE)
    for part, values in (
        (found.annotations, whole["annotations"].astype(np.float64)),
        (found.tracks, whole["tracks"].astype(np.float64).reshape(-1, 2)),
    ):
        there = ~np.isnan(values)
        np.testing.assert_array_equal(part.n_values, there.sum(axis=0))
        np.testing.assert_array_equal(part.n_missing, (~there).sum(axis=0))
        for column in range(values.shape[1]):
            own = values[there[:, column], column]
            if np.unique(own).size > 1:
                np.testing.assert_allclose(part.mean[column], own.mean(), rtol=1e-11)
                np.testing.assert_allclose(part.sd[column], own.std(), rtol=1e-11)
            else:
                assert part.sd[column] == 1
                assert part.constant[column]


def test_a_large_mean_does_not_spoil_the_deviation():
    values = 1e8 + np.arange(1000.0)[:, None] % 7
    one = FeatureShape(("position",))
    found = Standardiser.fit([(part, None) for part in np.array_split(values, 13)], one)
    np.testing.assert_allclose(found.annotations.sd, values.std(axis=0), rtol=1e-9)


def test_constant_and_absent_columns_keep_a_deviation_of_one_and_are_named():
    # 0.1 is no binary fraction: its mean over many values is off in the last digit.
    shape = FeatureShape(("constant", "absent", "half"), ("flat",), 2)
    annotations = np.stack([np.full(7, 0.1), np.full(7, np.nan), np.arange(7.0)], axis=1)
    annotations[3, 2] = np.nan
    found = Standardiser.fit([(annotations, np.full((7, 2, 1), 0.1))] * 3, shape)
    assert found.annotations.sd.tolist()[:2] == [1, 1]
    assert found.annotations.mean.tolist()[:2] == [0.1, 0]
    summary = found.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["constant"] == ["constant", "absent", "flat"]
    assert summary["without_values"] == ["absent"]
    assert summary["missing_indicators"] == ["absent", "half"]
    np.testing.assert_array_equal(found.apply_annotations(annotations)[:, :2], 0)
    np.testing.assert_array_equal(found.apply_tracks(np.full((1, 2, 1), 0.1, np.float32)), 0)


def test_deviations_that_float32_cannot_hold_count_as_one():
    found = Standardiser.fit([(np.array([[0.0], [1e-42]]), None)], FeatureShape(("tiny",)))
    assert found.annotations.sd.tolist() == [1]


def test_missing_values_become_zero_and_get_columns_of_their_own():
    inputs = features(50)
    found = Standardiser.fit([pair(inputs)], SHAPE)
    assert found.input_names == (*SHAPE.annotation_names, "missing:coding", "missing:conserved")
    seen = found.apply_annotations(inputs["annotations"])
    missing = np.isnan(inputs["annotations"])
    assert missing.any()
    assert (seen[:, :3][missing] == 0).all()
    np.testing.assert_array_equal(seen[:, 3:], missing[:, :2])
    there = np.where(missing, np.nan, seen[:, :3])
    np.testing.assert_allclose(np.nanmean(there, axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(there, axis=0), 1, atol=1e-6)


def test_missing_values_that_training_never_saw_are_counted():
    found = Standardiser.fit([pair(features(50))], SHAPE)
    annotations = np.array([[np.nan, np.nan, np.nan], [0, 0, np.nan]], np.float32)
    tracks = np.zeros((2, 16, 2), np.float32)
    tracks[0, :3, 1] = np.nan
    assert found.unseen_missing(annotations, tracks) == {"score": 2, "h3k27ac": 3}
    assert found.unseen_missing(annotations) == {"score": 2}


def test_sizes_are_limited():
    found = Standardiser.identity(SHAPE)
    annotations = np.array([[1e6, -1e6, 5]], np.float32)
    tracks = np.full((1, 16, 2), -1e6, np.float32)
    assert found.apply_annotations(annotations).tolist() == [[ANNOTATION_CLIP, -30.0, 5]]
    assert (found.apply_tracks(tracks) == -TRACK_CLIP).all()


def test_it_survives_arrays():
    found = Standardiser.fit([pair(features(50))], SHAPE)
    again = Standardiser.from_arrays(SHAPE, found.to_arrays())
    for name, values in again.to_arrays().items():
        np.testing.assert_array_equal(values, found.to_arrays()[name], strict=True)


def test_arrays_of_other_features_are_refused():
    arrays = Standardiser.identity(TWO).to_arrays()
    with pytest.raises(InputMismatchError, match="annotations_mean is missing or does not suit 3"):
        Standardiser.from_arrays(SHAPE, arrays)
    del arrays["tracks_sd"]
    with pytest.raises(InputMismatchError, match="tracks_sd is missing"):
        Standardiser.from_arrays(TWO, arrays)


@pytest.mark.parametrize(
    ("shape", "annotations", "tracks", "message"),
    [
        (TWO, np.zeros((3, 1)), None, r"annotations have the shape \(3, 1\); expected \(3, 2\)"),
        (TWO, np.zeros((3, 2)), np.zeros((3, 1, 1)), r"tracks have .*\(3, 1, 1\); expected None"),
        (SHAPE, np.zeros((3, 3)), None, r"tracks have the shape None; expected \(3, 16, 2\)"),
    ],
)
def test_features_of_another_shape_are_refused(shape, annotations, tracks, message):
    with pytest.raises(InputMismatchError, match=message):
        Standardiser.fit([(annotations, tracks)], shape)


def test_infinite_values_are_refused_by_name():
    annotations, tracks = pair(features(4))
    tracks[2, 5, 1] = -np.inf
    with pytest.raises(InputFormatError, match="track 'h3k27ac' has an infinite value"):
        Standardiser.fit([(annotations, tracks)], SHAPE)
    annotations[1, 1] = np.inf
    with pytest.raises(InputFormatError, match="annotation 'conserved' has an infinite value"):
        Standardiser.fit([(annotations, tracks)], SHAPE)


@pytest.mark.parametrize("batches", [[], [(np.zeros((0, 2)), None)]])
def test_no_variants_are_refused(batches):
    with pytest.raises(InputFormatError, match="no variants to standardise"):
        Standardiser.fit(batches, TWO)
