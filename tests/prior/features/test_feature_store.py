import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import table, write
from tfgen.errors import InputFormatError, InputMismatchError, UnsupportedInputError, UsageError
from tfgen.prior.features import feature_store
from tfgen.prior.features.feature_store import (
    FeatureSchema,
    FeatureStore,
    features_for,
    require_names,
    write_feature_store,
)


class Arrays:
    """Rows that are in the memory."""

    def __init__(self, **arrays):
        self._arrays = arrays

    def read(self, columns, start, stop):
        return {name: self._arrays[name][start:stop] for name in columns}


N, A, L, T = 60, 3, 4, 2
VARIANTS = table(*(f"{1 + i // 40}:{10 + i}:A:{'C' * (1 + i % 3)}:rs{i}" for i in range(N)))
SCHEMA = FeatureSchema(
    annotation_names=("coding", "effect", "dhs"),
    signed=(False, True, False),
    track_names=("t0", "t1"),
    bins=((-2, -1), (-1, 0), (0, 1), (1, 2)),
    build="GRCh37",
    sources=({"kind": "annot", "sha256": ["00"]},),
    extras={"SAD.loadings": np.arange(6.0).reshape(3, 2)},
    run_digest="abc",
)


def arrays():
    rng = np.random.default_rng(0)
    annotations = rng.normal(size=(N, A)).astype(np.float32)
    annotations[::7, 0] = np.nan
    annotations[:, 2] = rng.random(N) < 0.5
    tracks = rng.normal(size=(N, L, T)).astype(np.float16).astype(np.float32)
    tracks[0] = np.nan
    return annotations, tracks


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "f.h5"
    annotations, tracks = arrays()
    write_feature_store(path, SCHEMA, VARIANTS, Arrays(annotations=annotations, tracks=tracks))
    return path


def test_what_was_written_is_read(path):
    annotations, tracks = arrays()
    with FeatureStore(path) as store:
        assert len(store) == N
        assert store.annotation_names == SCHEMA.annotation_names
        assert store.signed == SCHEMA.signed
        assert store.track_names == SCHEMA.track_names
        assert store.length == L
        assert store.bins.tolist() == [[-2, -1], [-1, 0], [0, 1], [1, 2]]
        assert (store.build, store.run_digest) == ("GRCh37", "abc")
        assert [dict(source) for source in store.sources] == [{"kind": "annot", "sha256": ["00"]}]
        np.testing.assert_array_equal(store.array("SAD.loadings"), SCHEMA.extras["SAD.loadings"])
        for name in ("chrom", "pos", "ref", "alt", "id"):
            assert getattr(store.variants, name).tolist() == getattr(VARIANTS, name).tolist()
        features = store.read(slice(None))
        np.testing.assert_array_equal(features.annotations, annotations)
        np.testing.assert_array_equal(features.tracks, tracks)
        assert features.annotations.dtype == features.tracks.dtype == np.float32
        assert store.n_present.tolist() == (~np.isnan(annotations)).sum(axis=0).tolist()
        assert store.n_nonzero[2] == (annotations[:, 2] != 0).sum()


@given(st.lists(st.integers(0, N - 1), max_size=30), st.integers(0, 5))
def test_any_rows_in_any_order(path, rows, gap):
    annotations, tracks = arrays()
    with pytest.MonkeyPatch.context() as patch, FeatureStore(path) as store:
        patch.setattr(feature_store, "_LARGEST_GAP", gap)
        features = store.read(np.array(rows, np.int64))
        np.testing.assert_array_equal(features.annotations, annotations[rows])
        np.testing.assert_array_equal(features.tracks, tracks[rows])


def test_slices_and_rows_that_are_not_there(path):
    with FeatureStore(path) as store:
        assert store.read(slice(5, 9)).annotations.shape == (4, A)
        assert store.read(slice(5, 5)).tracks.shape == (0, L, T)
        for rows in ([-1, 3], [0, N]):
            with pytest.raises(UsageError, match=f"of {N}; take the rows that are found only"):
                store.read(np.array(rows))


def test_rows_of_variants_whatever_their_alleles(path):
    variants = table("1:11:CC:A", "1:10:T:G", "1:10:A:G", "9:1:A:C")
    with FeatureStore(path) as store:
        assert features_for(store, variants).tolist() == [1, 0, -1, -1]
        assert features_for(store, table("1:11:A:CC")).tolist() == [1]
        features, found = store.read_for(variants)
        annotations, tracks = arrays()
    assert found.tolist() == [True, True, False, False]
    expected = annotations[[1, 0, 0, 0]]
    expected[0, 1] *= -1  # the signed one of the swapped variant
    expected[2:] = np.nan
    np.testing.assert_array_equal(features.annotations, expected)
    np.testing.assert_array_equal(features.tracks[:2], tracks[[1, 0]])
    assert np.isnan(features.tracks[2:]).all()


def test_names_are_looked_up(path):
    with FeatureStore(path) as store:
        assert require_names(store, ["dhs", "coding"]).tolist() == [2, 0]
        with pytest.raises(
            InputMismatchError, match="lacks 4 annotations .* such as a, b, c; build"
        ):
            require_names(store, ["a", "b", "dhs", "c", "d"])


def test_the_size_of_blocks_does_not_change_the_digest(path, tmp_path, monkeypatch):
    annotations, tracks = arrays()
    monkeypatch.setattr(feature_store, "_BLOCK_BYTES", 7 * SCHEMA.row_bytes)
    calls = []
    again = tmp_path / "again.h5"
    source = Arrays(annotations=annotations, tracks=tracks)
    write_feature_store(again, SCHEMA, VARIANTS, source, lambda: calls.append(1))
    assert len(calls) == 9
    # Chunks are written in another order, the content is the same.
    with FeatureStore(path) as one, FeatureStore(again) as other:
        assert one.digest == other.digest
    annotations[3, 0] += 1
    write_feature_store(tmp_path / "c.h5", SCHEMA, VARIANTS, source)
    with FeatureStore(path) as one, FeatureStore(tmp_path / "c.h5") as other:
        assert one.digest != other.digest


def test_annotations_without_tracks_and_tracks_without_annotations(tmp_path):
    annotations, tracks = arrays()
    tracks[5, 0, 0], tracks[6, 0, 0] = 1e6, -1e6
    source = Arrays(annotations=annotations, tracks=tracks)
    write_feature_store(tmp_path / "a.h5", FeatureSchema(("a", "b", "c")), VARIANTS, source)
    with FeatureStore(tmp_path / "a.h5") as store:
        features, _ = store.read_for(VARIANTS.take(slice(3)))
        assert features.tracks is None
        assert (store.track_names, store.length, store.signed) == ((), 0, (False,) * 3)
    source = Arrays(annotations=annotations[:, :0], tracks=tracks)
    schema = FeatureSchema((), (), SCHEMA.track_names, SCHEMA.bins)
    assert write_feature_store(tmp_path / "t.h5", schema, VARIANTS, source) == 2
    with FeatureStore(tmp_path / "t.h5") as store:
        features = store.read(np.array([5, 6]))
        assert features.annotations.shape == (2, 0)
        assert features.tracks[:, 0, 0].tolist() == [65504, -65504]


def copy(path, tmp_path):
    changed = tmp_path / "changed.h5"
    changed.write_bytes(path.read_bytes())
    return changed


def test_files_that_are_no_feature_store_are_refused(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        FeatureStore(tmp_path / "none.h5")
    with pytest.raises(InputFormatError, match="expected a feature store that was written"):
        FeatureStore(write(tmp_path / "text.h5", "x"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputFormatError, match="is no feature store .format None."):
        FeatureStore(tmp_path / "other.h5")
    changed = copy(path, tmp_path)
    with h5py.File(changed, "r+") as file:
        file.attrs["format_version"] = "2.0"
    with pytest.raises(UnsupportedInputError, match="format version 2.0, but this tfgen reads 1.0"):
        FeatureStore(changed)
    with FeatureStore(path) as store, pytest.raises(InputFormatError, match="no dataset 'extra_x'"):
        store.array("x")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tracks", None, "no dataset 'tracks'"),
        ("annotations", np.zeros((3, 3)), r"'annotations' has shape \(3, 3\); expected \(60, 3\)"),
        ("sources", np.array([b"{"]), "is damaged"),
        ("id", h5py.ExternalLink("other.h5", "/x"), "'id' is a link"),
    ],
)
def test_damage_is_found_when_the_store_is_opened(path, tmp_path, name, value, message):
    changed = copy(path, tmp_path)
    with h5py.File(changed, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value
    with pytest.raises(InputFormatError, match=message):
        FeatureStore(changed)
