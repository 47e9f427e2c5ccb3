import gzip
import os

import numpy as np
import pytest

from prior.sumstats_by_hand import table
from tfgen.errors import OutputError, UsageError
from tfgen.io import RejectLog, RunReport
from tfgen.prior.simulation.truth_table import TruthTable, write_truth
from tfgen.prior.sumstats.side_files import (
    REJECTS,
    REPORT,
    TRUTH,
    beside,
    refuse_foreign,
    refuse_overlaps,
)

ENDS = (REJECTS, REPORT, TRUTH)


def test_a_file_beside_keeps_the_whole_name(tmp_path):
    assert beside(tmp_path / "a.tsv.gz", REPORT) == tmp_path / "a.tsv.gz.run.json"


@pytest.mark.parametrize("end", ["", *ENDS, ".lock", ".lock.takeover"])
def test_an_input_with_the_name_of_anything_that_is_made_is_refused(tmp_path, end):
    path = tmp_path / f"out.tsv{end}"
    path.write_text("mine")
    with pytest.raises(UsageError, match=f"out.tsv{end}: is the input .*; choose another output"):
        refuse_overlaps(tmp_path / "out.tsv", ENDS, [None, path])
    os.link(path, tmp_path / "link")
    with pytest.raises(UsageError, match="is the input .*link"):
        refuse_overlaps(tmp_path / "out.tsv", ENDS, [tmp_path / "link"])
    refuse_overlaps(tmp_path / "other.tsv", ENDS, [path])


def test_an_input_in_the_folder_of_unfinished_work_is_refused(tmp_path):
    folder = tmp_path / "out.tsv.partial"
    with pytest.raises(UsageError, match="in.txt: lies in out.tsv.partial"):
        refuse_overlaps(tmp_path / "out.tsv", (), [folder / "in.txt"])


def write_ours(output):
    """What a run leaves beside its output, by the functions that write it."""
    with RejectLog() as rejects:
        rejects.add(2, "1", 5, "rs1", "A", "C", "HLA")
        rejects.write(beside(output, REJECTS))
    RunReport("prior_munge", {}).write(beside(output, REPORT))
    one = np.ones(1)
    write_truth(beside(output, TRUTH), TruthTable(table(("1", 10, "A", "G")), one, one, one > 0))


def test_what_a_former_run_left_may_be_replaced(tmp_path):
    refuse_foreign(tmp_path / "out.tsv", ENDS)
    write_ours(tmp_path / "out.tsv")
    assert len(list(tmp_path.iterdir())) == len(ENDS)
    refuse_foreign(tmp_path / "out.tsv", ENDS)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("data", [b"", b"notes", b'{"command": 1}', gzip.compress(b"SNP\tCHR\n")])
def test_a_file_of_another_kind_stays(tmp_path, end, data):
    path = beside(tmp_path / "out.tsv", end)
    path.write_bytes(data)
    with pytest.raises(OutputError, match=f"out.tsv{end}: exists and no run of tfgen has written"):
        refuse_foreign(tmp_path / "out.tsv", ENDS)
    assert path.read_bytes() == data


def test_a_truth_that_was_cut_or_packed_badly_is_of_another_kind(tmp_path):
    write_ours(tmp_path / "out.tsv")
    path = beside(tmp_path / "out.tsv", TRUTH)
    whole = path.read_bytes()
    for data in (whole[:15], whole[:10] + b"\xff" * 20):
        path.write_bytes(data)
        with pytest.raises(OutputError, match="truth.tsv.gz: exists"):
            refuse_foreign(tmp_path / "out.tsv", ENDS)


def test_links_and_folders_stay(tmp_path):
    write_ours(tmp_path / "own.tsv")
    link = tmp_path / f"out.tsv{REJECTS}"
    link.symlink_to(tmp_path / f"own.tsv{REJECTS}")
    with pytest.raises(OutputError, match="out.tsv.rejects.tsv: exists"):
        refuse_foreign(tmp_path / "out.tsv", ENDS)
    link.unlink()
    link.mkdir()
    with pytest.raises(OutputError, match="out.tsv.rejects.tsv: exists"):
        refuse_foreign(tmp_path / "out.tsv", ENDS)
