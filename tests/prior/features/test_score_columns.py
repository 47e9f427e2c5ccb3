import h5py
import numpy as np
import pytest

from prior.feature_files import score_store, table, write
from tfgen.errors import InputFormatError, InputMismatchError, UnsupportedInputError, UsageError
from tfgen.prior.features import score_columns
from tfgen.prior.features.score_columns import ScoreSource, ScoreStoreFile
from tfgen.prior.features.source_specs import parse_source

ROWS = ["chr1:5:A:C", "chr1:6:G:T", "chr1:7:A:C", "chr2:5:A:AT"]
SCORES = [[1, -2, 3], [4, 5, -6], [np.nan] * 3, [-7, 8, 9]]
STATUSES = ["OK", "OK", "REF_MISMATCH", "OK"]


@pytest.fixture
def store(tmp_path):
    return score_store(tmp_path / "scores.h5", ROWS, SCORES, STATUSES)


def source(path, statistic="SAD", **options):
    return ScoreSource(parse_source("scores", str(path)), statistic, **options)


def test_scores_are_matched_by_alleles_and_lose_their_sign(store):
    found = source(store)
    assert found.columns == ("SAD:0:T0", "SAD:1:T1", "SAD:2:T2")
    assert found.signed is False
    variants = table("1:6:T:G", "1:5:A:C", "1:5:A:G", "1:7:A:C", "2:5:AT:A", "3:5:A:C")
    np.testing.assert_array_equal(
        found.values(variants),
        [[4, 5, 6], [1, 2, 3], [np.nan] * 3, [np.nan] * 3, [7, 8, 9], [np.nan] * 3],
    )


def test_signs_are_those_of_the_counted_allele(store):
    found = source(store, absolute=False)
    assert found.signed is True
    # Same, swapped, on the other strand, swapped there, and a swapped insertion.
    variants = table("1:5:A:C", "1:5:C:A", "1:5:T:G", "1:5:G:T", "2:5:AT:A")
    expected = [[1, -2, 3], [-1, 2, -3], [1, -2, 3], [-1, 2, -3], [7, -8, -9]]
    np.testing.assert_array_equal(found.values(variants), expected)


def test_tracks_are_chosen_and_the_name_is_a_prefix(store):
    found = source(f"e={store}", tracks=(2, 0))
    assert found.columns == ("e.SAD:2:T2", "e.SAD:0:T0")
    assert found.values(table("1:5:A:C")).tolist() == [[3, 1]]
    with pytest.raises(UsageError, match="no track 3; it has the tracks 0 to 2"):
        source(store, tracks=(3,))
    with pytest.raises(UsageError, match="4 components of 3 tracks"):
        source(store, n_components=4)


def test_components_replace_tracks_and_keep_their_loadings(tmp_path):
    rng = np.random.default_rng(3)
    rows = [f"1:{pos}:A:C" for pos in range(1, 31)]
    values = rng.normal(size=(30, 4)).astype(np.float32)
    path = score_store(tmp_path / "s.h5", rows, values)
    found = source(path, n_components=2, absolute=False)
    assert found.columns == ("SAD:PC1", "SAD:PC2")
    assert set(found.extras) == {"SAD.loadings", "SAD.explained", "SAD.tracks"}
    loadings = found.extras["SAD.loadings"]
    np.testing.assert_allclose(found.values(table(*rows)), values @ loadings, rtol=1e-4, atol=1e-6)
    swapped = table(*(f"1:{pos}:C:A" for pos in range(1, 31)))
    np.testing.assert_allclose(found.values(swapped), -found.values(table(*rows)))
    absolute = source(path, n_components=2)
    np.testing.assert_allclose(absolute.values(swapped), np.abs(found.values(swapped)))


def test_rows_are_read_in_stretches_and_put_back_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(score_columns, "_LARGEST_GAP", 2)
    monkeypatch.setattr(score_columns, "_BLOCK_BYTES", 40)
    rng = np.random.default_rng(5)
    order = rng.permutation(50)
    path = score_store(
        tmp_path / "s.h5", [f"1:{pos + 1}:A:C" for pos in order], order[:, None] + 0.5
    )
    wanted = rng.choice(50, 20, replace=False)
    values = source(path).values(table(*(f"1:{pos + 1}:A:C" for pos in wanted)))
    np.testing.assert_array_equal(values[:, 0], wanted + 0.5)
    blocks = list(ScoreStoreFile(path, "SAD").blocks(np.array([0])))
    assert len(blocks) == 5
    np.testing.assert_array_equal(np.concatenate(blocks)[:, 0], order + 0.5)


def test_identical_variants_count_once_and_a_scored_one_comes_before_a_failed_one(tmp_path):
    rows = ["1:5:A:C", "1:5:A:C", "1:5:A:C"]
    path = score_store(tmp_path / "s.h5", rows, [[9], [1], [2]], ["N_FRACTION", "OK", "OK"])
    assert source(path).values(table("1:5:A:C")).tolist() == [[1]]


def test_a_store_of_other_variants_is_refused(store):
    source(store).require_match(table("1:7:A:C", "2:5:AT:A"))
    # 1:7:A:C has no score.
    message = r"scores.h5: has none of the 2 variants; it has 1:5:A:C, 1:6:G:T, 2:5:A:AT, the list"
    with pytest.raises(InputMismatchError, match=message):
        source(store).require_match(table("1:7:A:C", "1:5:A:G"))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_scores_that_are_infinite_or_too_large_are_named(store, kind, value):
    with np.errstate(over="ignore"):
        change(store, "SAD", np.where(np.eye(4, 3, -1) == 1, value, 0.5).astype(kind))
    found = source(store, tracks=(2, 0))
    assert found.values(table("1:5:A:C")).tolist() == [[0.5, 0.5]]
    with pytest.raises(InputFormatError, match="row 1, track 0 .both from 0.: the score is infini"):
        found.values(table("1:5:A:C", "1:6:G:T"))


def test_half_precision_is_read(store):
    change(store, "SAD", np.full((4, 3), 65504, np.float16))
    assert source(store, tracks=(1,)).values(table("1:5:A:C")).tolist() == [[65504]]


def test_the_files_of_basenji_are_read_too(tmp_path):
    path = score_store(tmp_path / "s.h5", ROWS, SCORES)
    with h5py.File(path, "r+") as file:
        for name in ("ref", "alt"):
            file.move(f"{name}_allele", name)
        del file.attrs["format_version"]
    assert source(path, tracks=(0,)).values(table("1:6:G:T")).tolist() == [[4]]


def change(path, name, value=None):
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value


def test_faulty_stores_are_refused(store, tmp_path):
    with pytest.raises(InputFormatError, match="no statistic 'SAR'; it has SAD, alt_allele, chr"):
        source(store, "SAR")
    with pytest.raises(InputFormatError, match="no statistic 'pos'"):
        source(store, "pos")
    with pytest.raises(InputFormatError, match="not a complete HDF5 file"):
        source(write(tmp_path / "text.h5", "x"))
    change(store, "status", np.array([b"BAD"] * 4))
    with pytest.raises(InputFormatError, match="no row has a score"):
        source(store)
    change(store, "pos", np.arange(3))
    with pytest.raises(InputFormatError, match="no column 'pos' of 4 entries"):
        source(store)
    change(store, "target_ids")
    with pytest.raises(InputFormatError, match="no column 'target_ids' of 3 entries"):
        source(store)


def test_a_link_out_of_the_file_is_refused(store, tmp_path):
    change(store, "SAD")
    with h5py.File(store, "r+") as file:
        file["SAD"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(InputFormatError, match="s.h5"):
        source(store)


def test_another_format_version_is_refused(tmp_path):
    path = score_store(tmp_path / "s.h5", ROWS, SCORES, format_version="2.0")
    with pytest.raises(UnsupportedInputError, match="format version 2.0, but this tfgen reads 1"):
        source(path)


def test_a_published_file_without_alternative_alleles_is_refused(shared_data):
    """basenji's own test output has a column `ref` only (MANIFEST, section 3)."""
    path = shared_data("variant_scores/basenji_sad.h5")
    with pytest.raises(InputFormatError, match="no column 'alt' of 16 entries"):
        source(path)
