import csv
import sys

import pytest

from tfgen.errors import OutputError, UsageError
from tfgen.prior.training.fit_state import EpochRecord
from tfgen.prior.training.training_log import COLUMNS, EventLog, write_log

NAN = float("nan")
RECORDS = (
    EpochRecord(1, 4, 1.25, 1.5, (1.0, 0.9), 0.125, 0),
    EpochRecord(2, 8, 1.2345678901, NAN, (1.1, 0.8), NAN, 3),
)


def test_the_log_has_a_row_per_epoch_and_fold(tmp_path):
    path = tmp_path / "log.csv"
    write_log(path, ("t", "u,v"), (("a", RECORDS), ("b", RECORDS[:1])))
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == (*COLUMNS, "sigma_t", "sigma_u,v", "faults")
    assert [(row["fold"], row["epoch"], row["step"]) for row in rows] == [
        ("a", "1", "4"),
        ("a", "2", "8"),
        ("b", "1", "4"),
    ]
    assert rows[0]["held_out_nll_per_z"] == "1.5"
    assert rows[1]["training_nll_per_z"] == "1.2345679"
    # What was not computed is empty, as spreadsheets and pandas read it.
    assert rows[1]["held_out_nll_per_z"] == rows[1]["gradient_norm"] == ""
    assert (rows[1]["sigma_u,v"], rows[1]["faults"]) == ("0.8", "3")


def test_no_epochs_leave_the_header(tmp_path):
    write_log(tmp_path / "log.csv", ("t",), ())
    assert (tmp_path / "log.csv").read_text() == ",".join((*COLUMNS, "sigma_t", "faults")) + "\n"


def test_a_log_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(OutputError, match=r"log\.csv: cannot be written"):
        write_log(tmp_path / "none" / "log.csv", ("t",), ())


def test_tensorboard_reads_the_events(tmp_path):
    log = EventLog(tmp_path / "events")
    for record in RECORDS:
        log.add(record)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()

    def values(tag):
        return {
            event.step: pytest.approx(float(make_ndarray(event.tensor_proto)))
            for event in events.Tensors(tag)
        }

    assert values("nll_per_z/training") == {1: 1.25, 2: 1.2345678901}
    assert values("nll_per_z/held_out") == {1: 1.5}
    assert values("sigma/0") == {1: 1.0, 2: 1.1}
    assert values("sigma/1") == {1: 0.9, 2: 0.8}


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=r"--tensorboard needs .*pip install 'tfgen\[log\]'"):
        EventLog(tmp_path / "events")
    assert not (tmp_path / "events").exists()
