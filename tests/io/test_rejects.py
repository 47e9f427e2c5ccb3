import re
import tracemalloc
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import OutputError
from tfgen.io import rejects
from tfgen.io.rejects import RejectLog

HEADER = "line\tchrom\tpos\tid\tref\talt\tcode\tdetail\n"


class Code(StrEnum):
    REF_MISMATCH = "REF_MISMATCH"


MEANING = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def unescape(text):
    return re.sub(r"\\(.)", lambda match: MEANING[match[1]], text)


def test_records_come_out_in_order_with_counts(tmp_path):
    with RejectLog(tmp_path) as log:
        log.add(12, "chr1", 100, "rs1", "A", "C", Code.REF_MISMATCH, "genome has G")
        log.add(13, "chr1", "x", ".", "A", "<DEL>", "SYMBOLIC")
        log.add(15, "chr2", 7, ".", "A", "C", "REF_MISMATCH")
        assert log.counts == {"REF_MISMATCH": 2, "SYMBOLIC": 1}
        assert log.total == 3
        log.write(tmp_path / "rejects.tsv")
    assert (tmp_path / "rejects.tsv").read_text() == (
        HEADER
        + "12\tchr1\t100\trs1\tA\tC\tREF_MISMATCH\tgenome has G\n"
        + "13\tchr1\tx\t.\tA\t<DEL>\tSYMBOLIC\t\n"
        + "15\tchr2\t7\t.\tA\tC\tREF_MISMATCH\t\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["rejects.tsv"]


def test_no_rejects_give_a_header_and_no_temporary_file(tmp_path):
    log = RejectLog(tmp_path / "never made")
    log.write(tmp_path / "rejects.tsv")
    assert (tmp_path / "rejects.tsv").read_text() == HEADER
    assert log.total == 0


def test_the_log_can_be_written_between_records(tmp_path):
    with RejectLog() as log:
        log.add(1, "1", 1, ".", "A", "C", "X")
        log.write(tmp_path / "a")
        log.add(2, "1", 2, ".", "A", "C", "X")
        log.write(tmp_path / "b")
    assert len((tmp_path / "a").read_text().splitlines()) == 2
    assert len((tmp_path / "b").read_text().splitlines()) == 3


TEXT = st.text(st.characters(codec="utf-8"))


@given(st.lists(TEXT, min_size=5, max_size=5))
def test_no_value_can_break_the_table(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("rejects") / "a.tsv"
    chrom, name, ref, alt, detail = values
    with RejectLog() as log:
        log.add(1, chrom, 2, name, ref, alt, "CODE", detail)
        log.write(path)
    with path.open(encoding="utf-8", newline="\n") as stream:
        header, line = stream
    assert header == HEADER
    fields = [unescape(field) for field in line.removesuffix("\n").split("\t")]
    assert fields == ["1", chrom, "2", name, ref, alt, "CODE", detail]


def test_bytes_that_could_not_be_decoded_are_shown_as_such(tmp_path):
    with RejectLog() as log:
        log.add(1, b"chr\xe9".decode("utf-8", "surrogateescape"), 1, ".", "A", "C", "X")
        log.write(tmp_path / "a.tsv")
    assert (tmp_path / "a.tsv").read_text().splitlines()[1].split("\t")[1] == r"chr\udce9"


def test_half_of_a_surrogate_pair_is_shown_as_such(tmp_path):
    with RejectLog(tmp_path) as log:
        log.add(1, "chr1", 1, ".", "A", "C", "X", "from \ud800\\d800")
        log.write(tmp_path / "a.tsv")
    detail = (tmp_path / "a.tsv").read_text().splitlines()[1].split("\t")[-1]
    assert detail == r"from \ud800\\d800"


def test_memory_does_not_grow_with_the_number_of_records(tmp_path):
    with RejectLog(tmp_path) as log:
        log.add(0, "chr1", 1, ".", "A", "C", "X", "detail")
        tracemalloc.start()
        for line in range(20_000):
            log.add(line, "chr1", line, ".", "A", "C", "X", "a detail of some length")
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown < 100_000


def test_a_log_that_is_dropped_closes_its_file(tmp_path):
    log = RejectLog(tmp_path)
    log.add(1, "1", 1, ".", "A", "C", "X")
    del log  # an open file would warn, and warnings are errors here


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    log = RejectLog(tmp_path / "none")
    with pytest.raises(OutputError, match=r"none: cannot keep rejected records: No such file"):
        log.add(1, "1", 1, ".", "A", "C", "X")


def test_the_folder_for_temporary_files_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(rejects.tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match="gone: cannot keep rejected records"):
        RejectLog().add(1, "1", 1, ".", "A", "C", "X")
