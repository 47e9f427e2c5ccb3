import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfgen.errors import OutputError
from tfgen.io.pieces import PartialRun, PieceRows, cut, missing_rows
from tfgen.io.shards import RowRange
from tfgen.io.work import partial_folder

ATTRIBUTES = {"model_sha256": "ab", "max_indel": 7}


def run(tmp_path, **changes):
    return PartialRun(tmp_path / "scores.h5", ATTRIBUTES | changes)


def columns(start, stop):
    return {
        "snp": [f"rs{row}".encode() for row in range(start, stop)],
        "SAD": np.arange(start, stop, dtype=np.float32)[:, None] * [1, 10],
        "largest": start / 8,
    }


def save(folder, start, stop):
    folder.save(RowRange(start, stop), columns(start, stop))


def filled(tmp_path, *ranges):
    folder = run(tmp_path)
    folder.open(overwrite=False)
    for start, stop in ranges:
        save(folder, start, stop)
    return folder


def path_of(tmp_path, start):
    """The file of the piece that begins with this row."""
    return next((tmp_path / "scores.h5.partial").glob(f"piece-{start:010d}-*.npz"))


def test_a_new_run_has_no_pieces(tmp_path):
    folder = run(tmp_path)
    assert folder.open(overwrite=False) == []
    content = json.loads((tmp_path / "scores.h5.partial/run.json").read_text())
    assert content == {"unfinished": "scores.h5", "attributes": ATTRIBUTES}


def test_pieces_are_found_again(tmp_path):
    filled(tmp_path, (0, 4), (8, 12), (4, 8))
    again = run(tmp_path)
    assert again.open(overwrite=False) == [RowRange(0, 4), RowRange(4, 8), RowRange(8, 12)]
    found = again.read(RowRange(8, 12), ["snp", "largest"])
    assert found["snp"].tolist() == [b"rs8", b"rs9", b"rs10", b"rs11"]
    assert float(found["largest"]) == 1.0


def test_pieces_are_found_again_with_overwrite(tmp_path):
    filled(tmp_path, (0, 4))
    assert run(tmp_path).open(overwrite=True) == [RowRange(0, 4)]


def test_pieces_hold_no_pickles(tmp_path):
    filled(tmp_path, (0, 4))
    with np.load(path_of(tmp_path, 0), allow_pickle=False) as arrays:
        assert arrays["snp"].tolist() == [b"rs0", b"rs1", b"rs2", b"rs3"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_sha256": "cd"}, r"other settings \(model_sha256 was ab, now cd\); use the former"),
        ({"windows": "shared"}, "windows was absent, now shared"),
        ({"model_sha256": "c" * 64}, r"model_sha256 was ab, now cccccccccccc\.\.\."),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "a was absent, now 1; .*; and 1 more"),
    ],
)
def test_a_run_with_other_settings_is_refused_by_name(tmp_path, changes, message):
    filled(tmp_path, (0, 4))
    with pytest.raises(OutputError, match=message):
        run(tmp_path, **changes).open(overwrite=False)
    assert run(tmp_path, **changes).open(overwrite=True) == []


@pytest.mark.parametrize("content", ["{", "[]", "7", ""])
def test_an_unreadable_run_json_is_refused(tmp_path, content):
    folder = filled(tmp_path, (0, 4)).folder
    (folder / "run.json").write_text(content)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="holds something else than the unfinished part of"):
            run(tmp_path).open(overwrite=overwrite)
    assert path_of(tmp_path, 0).exists()


def test_a_folder_of_somebody_else_is_never_touched(tmp_path):
    folder = filled(tmp_path, (0, 4)).folder
    (folder / "run.json").unlink()
    (folder / "sub").mkdir()
    with pytest.raises(OutputError, match="scores.h5.partial: exists and holds something else"):
        run(tmp_path).open(overwrite=True)
    assert (folder / "sub").exists()


def test_an_empty_folder_is_taken(tmp_path):
    # What a run leaves that is killed between its first two steps, or its last two.
    (tmp_path / "scores.h5.partial").mkdir()
    assert run(tmp_path).open(overwrite=False) == []


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "scores.h5.partial").write_text("")
    with pytest.raises(OutputError, match=r"partial: cannot be made: Not a directory"):
        run(tmp_path).open(overwrite=False)


@pytest.mark.parametrize("cut_at", [0, 10, 200, -30, -1])
def test_cut_pieces_are_made_again(tmp_path, cut_at):
    filled(tmp_path, (0, 4), (4, 8))
    path = path_of(tmp_path, 4)
    path.write_bytes(path.read_bytes()[:cut_at])
    assert run(tmp_path).open(overwrite=False) == [RowRange(0, 4)]
    assert not path.exists()


@settings(max_examples=40)
@given(st.data())
def test_damaged_pieces_are_never_used(tmp_path_factory, data):
    tmp_path = tmp_path_factory.mktemp("damage")
    filled(tmp_path, (0, 4))
    path = path_of(tmp_path, 0)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert run(tmp_path).open(overwrite=False) == []


def test_pieces_of_another_run_and_unfinished_files_are_removed(tmp_path):
    folder = filled(tmp_path, (0, 4)).folder
    foreign = PartialRun(tmp_path / "other.h5", {"model_sha256": "cd"})
    foreign.open(overwrite=False)
    save(foreign, 4, 8)
    theirs = next(foreign.folder.glob("piece-*"))
    theirs.rename(folder / theirs.name)
    (folder / "piece-0000000008-0000000012-00000000.tmp").write_bytes(b"half")
    (folder / "scores.h5").write_bytes(b"half")
    (folder / "sub").mkdir()
    assert run(tmp_path).open(overwrite=False) == [RowRange(0, 4)]
    assert len(list(folder.iterdir())) == 2


def test_a_renamed_or_overlapping_piece_is_removed(tmp_path):
    filled(tmp_path, (0, 4), (2, 6), (8, 12))
    path = path_of(tmp_path, 8)
    path.rename(path.with_name(path.name.replace("-0000000012-", "-0000000013-")))
    assert run(tmp_path).open(overwrite=False) == [RowRange(0, 4)]


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    folder = filled(tmp_path)

    def full_disk(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match="cannot be written: No space left on device; free"):
        save(folder, 0, 4)
    assert [path.name for path in folder.folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize("name", ["run", "rows"])
def test_names_that_the_folder_needs_itself_are_refused(tmp_path, name):
    folder = filled(tmp_path)
    with pytest.raises(ValueError, match=f"an array of a piece cannot be called '{name}'"):
        folder.save(RowRange(0, 4), {"x": [1, 2, 3, 4], name: [1]})


def test_lists_and_text_of_any_kind_are_attributes(tmp_path):
    settings = {"names": ("a", "caf\udce9"), "levels": [1, 2]}
    first = PartialRun(tmp_path / "a", settings)
    first.open(overwrite=False)
    first.save(RowRange(0, 1), {"x": [1]})
    assert PartialRun(tmp_path / "a", settings).open(overwrite=False) == [RowRange(0, 1)]
    with pytest.raises(OutputError, match=r"levels was \[1, 2\], now \[1\]"):
        PartialRun(tmp_path / "a", {**settings, "levels": [1]}).open(overwrite=False)


def test_the_folder_lies_beside_the_output(tmp_path):
    assert partial_folder(tmp_path / "a.h5") == tmp_path / "a.h5.partial"


def test_the_folder_goes_when_the_run_is_done(tmp_path):
    folder = filled(tmp_path, (0, 4))
    folder.remove()
    assert not folder.folder.exists()
    folder.remove()


@settings(max_examples=25)
@given(
    st.integers(0, 30),
    st.lists(st.integers(1, 9), max_size=12),
    st.data(),
)
def test_rows_of_pieces_read_as_one_table(tmp_path_factory, start, lengths, data):
    tmp_path = tmp_path_factory.mktemp("rows")
    edges = np.cumsum([start, *lengths]).tolist()
    ranges = list(zip(edges, edges[1:], strict=False))
    folder = filled(tmp_path, *ranges)
    rows = PieceRows(folder, RowRange(start, edges[-1]), [RowRange(*pair) for pair in ranges])
    first = data.draw(st.integers(0, edges[-1] - start))
    last = data.draw(st.integers(first, edges[-1] - start))
    if first == last:
        with pytest.raises(ValueError, match=rf"rows {first}:{last} of .*expected at least one"):
            rows.read(["snp"], first, last)
        return
    table = rows.read(["snp", "SAD"], first, last)
    assert table["snp"].tolist() == [
        f"rs{row}".encode() for row in range(start + first, start + last)
    ]
    assert table["SAD"][:, 1].tolist() == [10 * row for row in range(start + first, start + last)]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 9), (3, 2)])
def test_rows_that_the_run_does_not_have_are_refused(tmp_path, start, stop):
    rows = PieceRows(filled(tmp_path, (4, 12)), RowRange(4, 12), [RowRange(4, 12)])
    with pytest.raises(ValueError, match=f"rows {start}:{stop} of 8; expected at least one"):
        rows.read(["snp"], start, stop)


def test_text_is_as_wide_as_its_widest_piece(tmp_path):
    folder = filled(tmp_path)
    for start, text in [(0, b"a"), (1, b"long"), (2, b"bc")]:
        folder.save(RowRange(start, start + 1), {"x": [text]})
    rows = PieceRows(folder, RowRange(0, 3), [RowRange(row, row + 1) for row in range(3)])
    assert rows.read(["x"], 0, 3)["x"].tolist() == [b"a", b"long", b"bc"]


def test_memory_grows_with_the_rows_asked_for_and_not_with_the_pieces(tmp_path):
    folder = filled(tmp_path)
    pieces = [RowRange(start, start + 2000) for start in (0, 2000)]
    for piece in pieces:
        scores, text = np.ones((2000, 500), np.float32), np.full(2000, b"x" * 500)
        folder.save(piece, {"SAD": scores, "text": text})
    rows = PieceRows(folder, RowRange(0, 4000), pieces)
    rows.read(["SAD", "text"], 0, 1)
    tracemalloc.start()
    rows.read(["SAD", "text"], 1995, 2005)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


ranges = st.builds(lambda start, length: RowRange(start, start + length), *[st.integers(0, 80)] * 2)


@given(ranges, st.data(), st.integers(1, 20))
def test_missing_and_done_rows_are_all_rows(rows, data, rows_per_piece):
    edges = sorted(data.draw(st.lists(st.integers(rows.start, rows.stop), max_size=10)))
    done = [
        RowRange(start, stop)
        for start, stop in zip(edges[::2], edges[1::2], strict=False)
        if start < stop
    ]
    new = list(cut(missing_rows(rows, done), rows_per_piece))
    covered = sorted(row for piece in [*new, *done] for row in range(piece.start, piece.stop))
    assert covered == list(range(rows.start, rows.stop))
    for piece_rows in new:
        assert 0 < len(piece_rows) <= rows_per_piece
        # No piece reaches over a multiple of its length.
        assert piece_rows.start // rows_per_piece == (piece_rows.stop - 1) // rows_per_piece
