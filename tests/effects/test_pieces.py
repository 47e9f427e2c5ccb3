import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfgen.effects.pieces import PartialRun, Piece, PieceRows, cut, missing_rows, text_array
from tfgen.effects.selfcheck import SelfCheck
from tfgen.effects.shards import RowRange
from tfgen.errors import OutputError

ATTRIBUTES = {"model_sha256": "ab", "max_indel": 7}


def run(tmp_path, **changes):
    return PartialRun(tmp_path / "scores.h5", ATTRIBUTES | changes, ["SAD"])


def piece(start, stop):
    columns = {
        "snp": text_array(f"rs{row}" for row in range(start, stop)),
        "SAD": np.arange(start, stop, dtype=np.float32)[:, None] * [1, 10],
    }
    return Piece(RowRange(start, stop), columns, SelfCheck(1, {"SAD": start / 8}))


def filled(tmp_path, *ranges):
    folder = run(tmp_path)
    folder.open(overwrite=False)
    for start, stop in ranges:
        folder.save(piece(start, stop))
    return folder


def path_of(tmp_path, start):
    """The file of the piece that begins with this row."""
    return next((tmp_path / "scores.h5.partial").glob(f"piece-{start:010d}-*.npz"))


def test_a_new_run_has_no_pieces(tmp_path):
    folder = run(tmp_path)
    assert folder.open(overwrite=False) == []
    assert json.loads((tmp_path / "scores.h5.partial/run.json").read_text()) == ATTRIBUTES


def test_pieces_are_found_again(tmp_path):
    filled(tmp_path, (0, 4), (8, 12), (4, 8))
    again = run(tmp_path)
    assert again.open(overwrite=False) == [RowRange(0, 4), RowRange(4, 8), RowRange(8, 12)]
    assert again.check(RowRange(8, 12)) == SelfCheck(1, {"SAD": 1.0})


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
    with pytest.raises(OutputError, match=r"its run.json cannot be read"):
        run(tmp_path).open(overwrite=False)
    assert run(tmp_path).open(overwrite=True) == []


def test_a_folder_without_run_json_is_begun_anew(tmp_path):
    folder = filled(tmp_path, (0, 4)).folder
    (folder / "run.json").unlink()
    (folder / "sub").mkdir()
    assert run(tmp_path).open(overwrite=False) == []
    assert [path.name for path in folder.iterdir()] == ["run.json"]


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
    foreign = PartialRun(tmp_path / "other.h5", {"model_sha256": "cd"}, ["SAD"])
    foreign.open(overwrite=False)
    foreign.save(piece(4, 8))
    theirs = next(foreign.folder.glob("piece-*"))
    theirs.rename(folder / theirs.name)
    (folder / "piece-0000000008-0000000012-00000000.tmp").write_bytes(b"half")
    (folder / "scores.h5").write_bytes(b"half")
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
        folder.save(piece(0, 4))
    assert [path.name for path in folder.folder.iterdir()] == ["run.json"]


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
        return
    table = rows.read(["snp", "SAD"], first, last)
    assert table["snp"].tolist() == [
        f"rs{row}".encode() for row in range(start + first, start + last)
    ]
    assert table["SAD"][:, 1].tolist() == [10 * row for row in range(start + first, start + last)]


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
