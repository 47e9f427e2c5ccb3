import hashlib
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from tfgen.effects import writer
from tfgen.effects.schema import PERCENTILES, ROW_COLUMNS, StoreSchema
from tfgen.effects.writer import write_store
from tfgen.errors import InterruptedRunError, OutputError

N_ROWS, N_TRACKS = 2500, 20


@pytest.fixture
def rows():
    """A source of rows that remembers how it was read."""
    rng = np.random.default_rng(5)
    columns = {
        "snp": np.array([f"rs{row}".encode() for row in range(N_ROWS)]),
        "chr": np.full(N_ROWS, b"chr1"),
        "ref_allele": np.full(N_ROWS, b"A"),
        "alt_allele": rng.choice([b"C", b"GTT"], N_ROWS),
        "pos": rng.integers(1, 2**32 - 1, N_ROWS).astype(np.uint32),
        "alt_index": np.ones(N_ROWS, np.int32),
        "status": rng.choice([b"OK", b"REF_MISMATCH"], N_ROWS),
        "window_start": rng.integers(-1000, 10**9, N_ROWS),
        "n_padded": np.zeros(N_ROWS, np.int32),
        "n_fraction": rng.random(N_ROWS).astype(np.float32),
        "swapped": rng.random(N_ROWS) < 0.5,
        "indel_shift": rng.random(N_ROWS) < 0.5,
        "not_normalised": rng.random(N_ROWS) < 0.5,
        "SAD": rng.normal(0, 1e4, (N_ROWS, N_TRACKS)).astype(np.float32),
        "tCRA": rng.normal(size=(N_ROWS, N_TRACKS)).astype(np.float32),
    }
    columns["SAD"][columns["status"] != b"OK"] = np.nan
    calls = []

    def read(names, start, stop):
        calls.append((tuple(names), start, stop))
        return {name: columns[name][start:stop] for name in names}

    return SimpleNamespace(columns=columns, read=read, calls=calls)


def schema(**changes):
    settings = {
        "n_rows": N_ROWS,
        "text_widths": {"snp": 8, "chr": 4, "ref_allele": 1, "alt_allele": 3},
        "statistics": ("SAD", "tCRA"),
        "target_ids": tuple(f"t{track}" for track in range(N_TRACKS)),
        "target_labels": tuple(f"größe {track}" for track in range(N_TRACKS)),
        "float16": False,
        "attributes": {"model_sha256": "ab", "row_start": 0, "float16": False, "share": 0.5},
    }
    return StoreSchema(**(settings | changes))


def nothing():
    pass


def test_a_store_has_the_names_and_types_of_basenji(tmp_path, rows):
    path = tmp_path / "scores.h5"
    write_store(path, schema(), rows, nothing)
    with h5py.File(path) as file:
        assert set(file) == {
            *ROW_COLUMNS,
            *("target_ids", "target_labels", "percentiles"),
            *("SAD", "tCRA", "SAD_pct", "tCRA_pct"),
        }
        for name, values in rows.columns.items():
            np.testing.assert_array_equal(file[name][:], values)
        assert file["snp"].dtype == np.dtype("S8")
        assert file["pos"].dtype == np.uint32
        assert file["SAD"].dtype == np.float32
        assert file["SAD"].chunks == (834, 10)
        assert file["SAD"].compression is None
        assert np.isnan(file["SAD"].fillvalue)
        assert file["snp"].compression == "gzip"
        assert file["SAD_pct"].shape == (N_TRACKS, 279)
        assert file["percentiles"].dtype == np.float64
        assert file["target_labels"][3].decode() == "größe 3"
        assert dict(file.attrs) == schema().attributes
        assert file["SAD"].attrs["definition"] == "sum over all output bins of (alt - ref)"
        finite = rows.columns["SAD"][rows.columns["status"] == b"OK"]
        expected = np.percentile(finite.astype(np.float64), 100 * PERCENTILES, axis=0).T
        np.testing.assert_allclose(file["SAD_pct"][:], expected, rtol=1e-6)


def test_the_same_rows_give_the_same_bytes(tmp_path, rows):
    for name in ("a.h5", "b.h5"):
        write_store(tmp_path / name, schema(), rows, nothing)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.h5", "b.h5"))
    assert hashlib.sha256(a).digest() == hashlib.sha256(b).digest()


def test_narrow_text_does_not_change_the_bytes(tmp_path, rows):
    write_store(tmp_path / "a.h5", schema(), rows, nothing)
    rows.columns["snp"] = rows.columns["snp"].astype("S20")
    write_store(tmp_path / "b.h5", schema(), rows, nothing)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_rows_are_read_in_blocks(tmp_path, rows):
    blocks = []
    write_store(tmp_path / "a.h5", schema(), rows, lambda: blocks.append(1))
    ranges = [(0, 834), (834, 1668), (1668, 2500)]
    assert rows.calls == [
        (names, *block) for names in (ROW_COLUMNS, ("SAD",), ("tCRA",)) for block in ranges
    ]
    assert len(blocks) >= len(rows.calls)


def test_float16_scores_are_clipped_and_their_percentiles_are_of_what_is_stored(tmp_path, rows):
    rows.columns["SAD"][0, 0] = 1e9
    write_store(tmp_path / "a.h5", schema(float16=True), rows, nothing)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["SAD"].dtype == np.float16
        assert file["SAD"][0, 0] == 65504
        stored = file["SAD"][:, 0].astype(np.float64)
        expected = np.percentile(stored[np.isfinite(stored)], 100 * PERCENTILES)
        np.testing.assert_allclose(file["SAD_pct"][0], expected, rtol=1e-6)


def test_a_store_without_rows_is_whole(tmp_path, rows):
    write_store(tmp_path / "a.h5", schema(n_rows=0), rows, nothing)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["SAD"].shape == (0, N_TRACKS)
        assert file["snp"].shape == (0,)
        assert np.isnan(file["SAD_pct"][:]).all()
    assert rows.calls == []


def test_writing_stops_when_asked(tmp_path, rows):
    def stop():
        raise InterruptedRunError("stopped by SIGTERM", 15)

    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM"):
        write_store(tmp_path / "a.h5", schema(), rows, stop)
    assert len(rows.calls) == 1


def test_a_full_disk_stops_after_the_block(tmp_path, rows, monkeypatch):
    def full_disk(path):
        raise OutputError("the disk is full")

    monkeypatch.setattr(writer, "create_hdf5", full_disk)
    with pytest.raises(OutputError, match="the disk is full"):
        write_store(tmp_path / "a.h5", schema(), rows, nothing)
