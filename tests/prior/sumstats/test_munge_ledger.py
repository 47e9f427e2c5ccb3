import numpy as np

from tfgen.io import RejectLog
from tfgen.prior.sumstats.munge_ledger import FAULTS, FILTERS, Ledger


def record(row):
    return (row + 2, "1", 100 + row, f"rs{row}", "A", "G")


def test_faults_and_filters_are_counted_apart(tmp_path):
    with RejectLog(tmp_path) as rejects:
        ledger = Ledger(rejects)
        ledger.drop("LOW_MAF", np.array([True, False, True]), record)
        ledger.drop("SE_RANGE", np.array([False, True, False]), record, "expected more")
        ledger.drop("HLA", np.zeros(3, bool), record)
        assert ledger.counts == {"SE_RANGE": 1, "LOW_MAF": 2}
        assert ledger.n_faults == 1
        rejects.write(tmp_path / "r.tsv")
    lines = (tmp_path / "r.tsv").read_text().splitlines()
    assert lines[1:] == [
        "2\t1\t100\trs0\tA\tG\tLOW_MAF\t",
        "4\t1\t102\trs2\tA\tG\tLOW_MAF\t",
        "3\t1\t101\trs1\tA\tG\tSE_RANGE\texpected more",
    ]


def test_filtered_rows_need_not_be_listed(tmp_path):
    with RejectLog(tmp_path) as rejects:
        ledger = Ledger(rejects, list_filtered=False)
        ledger.drop("LOW_MAF", np.ones(3, bool), record)
        ledger.drop("NUMBER", np.ones(1, bool), lambda row: (*record(row), "Z is 'x'"))
        assert ledger.counts == {"NUMBER": 1, "LOW_MAF": 3}
        assert rejects.counts == {"NUMBER": 1}
        rejects.write(tmp_path / "r.tsv")
    assert (tmp_path / "r.tsv").read_text().endswith("NUMBER\tZ is 'x'\n")


def test_a_code_is_either_a_fault_or_a_filter():
    assert not set(FAULTS) & set(FILTERS)
