"""The CSV log of a run."""

import numpy as np
import pytest

from tfgen.enformer.training_log import TrainingLog, read_training_log
from tfgen.errors import InputFormatError

R = np.array([0.5, np.nan])


def filled(path, rows=(10, 20, 30), last_step=0):
    log = TrainingLog(path, ["dnase", "cage, fwd"], last_step)
    for step in rows:
        log.add(step, 1e-3, 0.25, 1.5, R if step == 20 else None)
    return path


def test_rows_come_back_as_columns(tmp_path):
    table = read_training_log(filled(tmp_path / "log.csv"))
    assert list(table) == [
        "step",
        "learning_rate",
        "loss",
        "gradient_norm",
        "validation_r",
        "validation_r_dnase",
        "validation_r_cage, fwd",
    ]
    np.testing.assert_array_equal(table["step"], [10, 20, 30])
    np.testing.assert_array_equal(table["loss"], [0.25] * 3)
    np.testing.assert_array_equal(table["validation_r"], [np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(table["validation_r_dnase"], [np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(table["validation_r_cage, fwd"], [np.nan] * 3)


def test_the_file_is_plain_csv(tmp_path):
    lines = filled(tmp_path / "log.csv", rows=(20,)).read_text().splitlines()
    assert lines[0].endswith('validation_r,validation_r_dnase,"validation_r_cage, fwd"')
    assert lines[1] == "20,0.001,0.25,1.5,0.50000,0.50000,"


def test_a_resumed_run_writes_its_rows_again(tmp_path):
    path = filled(tmp_path / "log.csv")
    whole = path.read_bytes()
    filled(path, rows=(20, 30), last_step=15)
    assert path.read_bytes() == whole


def test_all_tracks_constant_leave_an_empty_mean(tmp_path):
    log = TrainingLog(tmp_path / "log.csv", ["a"], 0)
    log.add(1, 1e-3, 0.5, 1.0, np.array([np.nan]))
    assert (tmp_path / "log.csv").read_text().splitlines()[1] == "1,0.001,0.5,1,,"


def test_an_empty_log_has_columns(tmp_path):
    TrainingLog(tmp_path / "log.csv", ["a"], 0)
    assert read_training_log(tmp_path / "log.csv")["loss"].shape == (0,)


@pytest.mark.parametrize("text", ["", "step,loss\n", "something else\n1\n"])
def test_another_file_is_not_overwritten(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(InputFormatError, match="is not the log of this run"):
        TrainingLog(path, ["a"], 0)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected a log with the columns step, learning_rate"),
        ("", "expected a log with the columns"),
        ("step,learning_rate,loss,gradient_norm,validation_r\n1,2\n", "expected a log"),
        ("step,learning_rate,loss,gradient_norm,validation_r\n1,2,x,4,5\n", "expected numbers"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, text, message):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(InputFormatError, match=message):
        read_training_log(path)
