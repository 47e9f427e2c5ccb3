import json
from pathlib import Path

import pytest

from tfgen.effects.results import ScoreSummary, in_order, peak_memory, rejects_path, report_path
from tfgen.effects.selfcheck import SelfCheck
from tfgen.errors import TooManyRejectsError
from tfgen.io.shards import RowRange


def summary(**changes):
    settings = {
        "output": Path("scores.h5"),
        "rows": RowRange(10, 110),
        "counts": {"OK": 90, "POS_RANGE": 3, "REF_MISMATCH": 7},
        "n_resumed": 20,
        "seconds": 4.0,
        "check": SelfCheck(5, {"SAD": 0.25}),
        "warnings": ("careful",),
    }
    return ScoreSummary(**(settings | changes))


def test_the_report_says_what_was_done():
    results = summary().results()
    assert results["rows"] == 100
    assert (results["row_start"], results["row_stop"]) == (10, 110)
    assert results["counts"] == {"OK": 90, "POS_RANGE": 3, "REF_MISMATCH": 7}
    assert results["rejected"] == 10
    assert results["resumed_rows"] == 20
    assert results["rows_per_second"] == 20.0
    assert results["self_check"] == {"rows": 5, "max_abs": {"SAD": 0.25}, "largest": 0.25}
    assert results["warnings"] == ["careful"]
    assert 10**7 < results["peak_memory_bytes"] < 10**11
    json.dumps(results)


@pytest.mark.parametrize("changes", [{"n_resumed": 100}, {"seconds": 0.0}])
def test_nothing_done_has_no_rate(changes):
    assert summary(**changes).rows_per_second == 0


def test_memory_is_counted_in_bytes_everywhere(monkeypatch):
    linux = peak_memory()
    monkeypatch.setattr("tfgen.effects.results.sys.platform", "darwin")
    assert peak_memory() * 1000 < linux


@pytest.mark.parametrize("limit", [0.1, 0.5, 1.0])
def test_few_rejects_are_allowed(limit):
    summary().require_few_rejects(limit)


def test_too_many_rejects_are_an_error_with_the_counts():
    with pytest.raises(
        TooManyRejectsError,
        match=r"10 of 100 rows have no score \(POS_RANGE 3, REF_MISMATCH 7\), more than "
        r"max_rejected_fraction 0.09 allows; the output is complete, the records are in "
        r"scores.h5.rejects.tsv",
    ):
        summary().require_few_rejects(0.09)


def test_no_rows_are_never_too_many_rejects():
    summary(rows=RowRange(0, 0), counts={}).require_few_rejects(0.0)


def test_counts_come_in_the_order_of_the_checks():
    assert list(in_order({"REF_MISMATCH": 1, "SYMBOLIC": 0, "OK": 2, "POS_RANGE": 3})) == [
        "OK",
        "POS_RANGE",
        "REF_MISMATCH",
    ]


def test_the_files_lie_beside_the_output():
    assert rejects_path(Path("a/b.h5")) == Path("a/b.h5.rejects.tsv")
    assert report_path(Path("a/b.h5")) == Path("a/b.h5.run.json")
