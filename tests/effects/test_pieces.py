import contextlib

import numpy as np
import pytest

from tfgen.effects.pieces import PartialScores, Piece, PieceSaver, text_array
from tfgen.effects.selfcheck import SelfCheck
from tfgen.errors import OutputError
from tfgen.io.pieces import PieceRows
from tfgen.io.shards import RowRange


def run(tmp_path, statistics=("SAD", "SAR")):
    return PartialScores(tmp_path / "scores.h5", {"model_sha256": "ab"}, statistics)


def piece(start, stop, **max_abs):
    columns = {
        "snp": text_array(f"rs{row}" for row in range(start, stop)),
        "SAD": np.arange(start, stop, dtype=np.float32)[:, None] * [1, 10],
    }
    return Piece(RowRange(start, stop), columns, SelfCheck(len(max_abs), max_abs))


def test_pieces_and_their_self_checks_are_found_again(tmp_path):
    first = run(tmp_path)
    assert first.open(overwrite=False) == []
    first.save_piece(piece(0, 4, SAD=0.5, SAR=0.25))
    first.save_piece(piece(4, 8))
    again = run(tmp_path)
    assert again.open(overwrite=False) == [RowRange(0, 4), RowRange(4, 8)]
    assert again.check(RowRange(0, 4)) == SelfCheck(2, {"SAD": 0.5, "SAR": 0.25})
    assert again.check(RowRange(4, 8)) == SelfCheck(0, {"SAD": 0.0, "SAR": 0.0})


def test_rows_of_a_run_are_read_across_its_pieces(tmp_path):
    scores = run(tmp_path)
    scores.open(overwrite=False)
    pieces = [RowRange(0, 4), RowRange(4, 12)]
    for rows in pieces:
        scores.save_piece(piece(rows.start, rows.stop))
    table = PieceRows(scores, RowRange(0, 12), pieces).read(["snp", "SAD"], 3, 11)
    assert table["snp"].tolist() == [f"rs{row}".encode() for row in range(3, 11)]
    assert table["SAD"][:, 1].tolist() == [10.0 * row for row in range(3, 11)]


def test_the_store_is_written_in_the_folder_and_not_taken_for_a_piece(tmp_path):
    scores = run(tmp_path)
    scores.open(overwrite=False)
    assert scores.store == tmp_path / "scores.h5.partial" / "scores.h5"
    scores.store.write_bytes(b"half")
    assert run(tmp_path).open(overwrite=False) == []
    assert not scores.store.exists()


def test_the_pieces_of_another_model_are_refused_by_name(tmp_path):
    run(tmp_path).open(overwrite=False)
    (tmp_path / "scores.h5.partial" / "piece").write_bytes(b"work")
    other = PartialScores(tmp_path / "scores.h5", {"model_sha256": "cd"}, ("SAD",))
    with pytest.raises(OutputError, match="other settings .model_sha256 was ab, now cd.; use"):
        other.open(overwrite=False)


def test_text_is_stored_as_bytes_of_one_width():
    array = text_array(["a", "", "é"])
    assert array.dtype == "S2"
    assert array.tolist() == [b"a", b"", "é".encode()]


# --- Steps become pieces ------------------------------------------------------------------------


@pytest.fixture
def saver(tmp_path):
    """A saver of pieces of 8 rows, the folder it saves to, and the hands of its clock."""
    scores, hands = run(tmp_path), [0.0]
    scores.open(overwrite=False)
    return PieceSaver(scores, 8, clock=lambda: hands[0]), scores, hands


def test_steps_are_saved_together(saver):
    saver, scores, _ = saver
    with saver:
        saver.add(piece(2, 4, SAD=0.5))
        saver.add(piece(4, 6))
        assert saver.saved == []
        saver.add(piece(6, 8, SAD=0.25, SAR=1.0))
        assert saver.saved == [RowRange(2, 8)]
    assert saver.saved == [RowRange(2, 8)]
    assert scores.read(RowRange(2, 8), ["snp"])["snp"].tolist() == [
        f"rs{row}".encode() for row in range(2, 8)
    ]
    assert scores.check(RowRange(2, 8)) == SelfCheck(3, {"SAD": 0.5, "SAR": 1.0})


def test_a_gap_ends_a_piece_and_so_does_the_end(saver):
    saver, _, _ = saver
    with saver:
        saver.add(piece(0, 2))
        saver.add(piece(4, 6))
        assert saver.saved == [RowRange(0, 2)]
    assert saver.saved == [RowRange(0, 2), RowRange(4, 6)]


def test_what_is_done_is_saved_when_the_run_fails(saver):
    saver, scores, _ = saver
    with contextlib.suppress(KeyError), saver:
        saver.add(piece(0, 2))
        raise KeyError("boom")
    assert scores.read(RowRange(0, 2), ["snp"])["snp"].tolist() == [b"rs0", b"rs1"]


def test_slow_steps_are_saved_one_by_one_so_that_a_kill_loses_little(saver):
    saver, _, hands = saver
    hands[0] = 29.0
    saver.add(piece(0, 2))
    assert saver.saved == []
    hands[0] = 31.0
    saver.add(piece(2, 4))
    assert saver.saved == [RowRange(0, 4)]
    hands[0] = 60.0
    saver.add(piece(4, 6))
    assert saver.saved == [RowRange(0, 4)]
