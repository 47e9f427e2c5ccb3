import h5py
import numpy as np
import pytest

from tfgen.effects.schema import (
    PERCENTILES,
    STATUS_DTYPE,
    TEXT_COLUMNS,
    StoreSchema,
    stored_allele,
    stored_positions,
    stored_scores,
    text_widths,
)


def schema(**changes):
    settings = {
        "n_rows": 5,
        "text_widths": {"snp": 3, "chr": 0, "ref_allele": 40_000, "alt_allele": 1},
        "statistics": ("SAD",),
        "target_ids": ("a", "b"),
        "target_labels": ("A", "B"),
        "float16": False,
        "attributes": {},
    }
    return StoreSchema(**(settings | changes))


def test_the_grid_of_percentiles_is_that_of_basenji(shared_data):
    assert PERCENTILES.shape == (279,)
    with h5py.File(shared_data("variant_scores/basenji_sad.h5")) as file:
        np.testing.assert_allclose(PERCENTILES, file["percentiles"][:], rtol=1e-12)


def test_columns_are_as_wide_as_their_longest_value():
    assert schema().dtype("snp") == np.dtype("S3")
    assert schema().dtype("chr") == np.dtype("S1")
    assert schema().dtype("pos") == np.dtype(np.uint32)
    assert schema().dtype("SAD") == np.dtype(np.float32)
    assert schema(float16=True).dtype("SAD") == np.dtype(np.float16)
    assert np.dtype("S17") == STATUS_DTYPE


def test_chunks_of_wide_columns_have_few_rows():
    assert schema(n_rows=10_000).chunks("pos") == (1000,)
    assert schema(n_rows=10_000).chunks("ref_allele") == (26,)


def test_the_expected_size_follows_the_scores():
    small, large = schema(n_rows=1000), schema(n_rows=2000)
    per_row = (large.size - small.size) / 1000
    assert 2 * 4 < per_row < 2 * 4 + 200
    assert schema(n_rows=1000, float16=True).size < small.size


def test_very_long_alleles_are_abbreviated():
    assert stored_allele("A" * 500, 500) == "A" * 500
    assert stored_allele("AC" * 40_000, 500) == "AC" * 16 + "...[80000]"
    longest = dict.fromkeys(("snp", "chr", "ref_allele", "alt_allele"), 80_000)
    assert text_widths(longest, 500) == {
        "snp": 65_536,
        "chr": 65_536,
        "ref_allele": 500,
        "alt_allele": 500,
    }


def test_there_is_always_room_for_an_abbreviated_allele():
    assert stored_allele("A" * 64, 3) == "A" * 64
    abbreviated = stored_allele("A" * 10**6, 3)
    assert len(abbreviated) <= text_widths(dict.fromkeys(TEXT_COLUMNS, 2**31), 3)["ref_allele"]


def test_positions_outside_uint32_become_the_nearest():
    stored = stored_positions([-5, 0, 7, 2**40])
    assert stored.dtype == np.uint32
    assert stored.tolist() == [0, 0, 7, 2**32 - 1]


def test_float16_is_clipped_not_infinite():
    scores = np.array([1e6, -1e6, 0.5, np.nan], np.float32)
    clipped = stored_scores(scores, float16=True)
    assert clipped.dtype == np.float16
    np.testing.assert_array_equal(clipped, np.float16([65504, -65504, 0.5, np.nan]))
    assert stored_scores(scores, float16=False) is scores


@pytest.mark.parametrize(
    ("n_rows", "n_tracks", "chunks"),
    [
        (3, 2, (3, 2)),
        (1024, 16, (1024, 16)),
        (1025, 17, (513, 9)),
        (24_990, 5313, (1000, 16)),
        (0, 5, None),
    ],
)
def test_chunks_of_scores_are_of_even_size(n_rows, n_tracks, chunks):
    names = tuple(map(str, range(n_tracks)))
    assert schema(n_rows=n_rows, target_ids=names).chunks("SAD") == chunks


def test_a_column_without_rows_has_no_chunks():
    assert schema(n_rows=0).chunks("snp") is None
