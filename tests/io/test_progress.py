import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.io import progress
from tfgen.io.progress import Progress, format_duration, format_rate


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (11100, "3:05:00")],
)
def test_durations_read_well(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0.02134, "0.0213"), (4.5, "4.5"), (99.4, "99.4"), (12345.6, "12,346")]
)
def test_rates_read_well(rate, text):
    assert format_rate(rate) == text


def test_a_log_gets_a_line_per_interval_and_one_at_the_end(stream, clock):
    with Progress(1200, "scoring", "variants", stream, clock=clock) as bar:
        for _ in range(12):
            clock.now += 20
            bar.update(100)
    assert stream.getvalue().splitlines() == [
        "scoring: 300/1,200 variants, 25%, 5 variants/s, ETA 3:00",
        "scoring: 600/1,200 variants, 50%, 5 variants/s, ETA 2:00",
        "scoring: 900/1,200 variants, 75%, 5 variants/s, ETA 1:00",
        "scoring: 1,200/1,200 variants, 100%, 5 variants/s",
        "scoring: 1,200/1,200 variants in 4:00, 5 variants/s",
    ]


def test_the_interval_can_be_set(stream, clock):
    bar = Progress(10, "x", "rows", stream, interval_s=1, clock=clock)
    clock.now += 1
    bar.update()
    assert stream.getvalue() == "x: 1/10 rows, 10%, 1 rows/s, ETA 0:09\n"


def test_an_unknown_total_has_no_share_and_no_remaining_time(stream, clock):
    with Progress(None, "reading", "records", stream, clock=clock) as bar:
        clock.now += 60
        bar.update(120)
    assert stream.getvalue().splitlines() == [
        "reading: 120 records, 2 records/s",
        "reading: 120 records in 1:00, 2 records/s",
    ]


def test_no_time_and_no_work_divide_nothing_by_zero(stream, clock):
    bar = Progress(0, "x", "rows", stream, interval_s=0, clock=clock)
    bar.update(0)
    bar.update(5)
    bar.close()
    assert stream.getvalue().splitlines() == ["x: 0/0 rows", "x: 5/0 rows", "x: 5/0 rows in 0:00"]


def test_time_without_work_shows_no_rate(stream, clock):
    bar = Progress(10, "x", "rows", stream, clock=clock)
    clock.now += 60
    bar.update(0)
    assert stream.getvalue() == "x: 0/10 rows, 0%\n"


def test_work_of_an_earlier_run_is_done_but_not_in_the_rate(stream, clock):
    bar = Progress(1000, "x", "rows", stream, initial=700, clock=clock)
    clock.now += 100
    bar.update(100)
    assert stream.getvalue() == "x: 800/1,000 rows, 80%, 1 rows/s, ETA 3:20\n"


def test_a_terminal_line_is_rewritten(clock, monkeypatch):
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress(10, "x", "rows", stream, clock=clock) as bar:
        clock.now += 0.05
        bar.update()
        clock.now += 0.95
        bar.update()
        bar.note("batch size is now 4")
    assert stream.getvalue() == (
        "\r\x1b[Kx: 2/10 rows, 20%, 2 rows/s, ETA 0:04"
        "\r\x1b[Kbatch size is now 4\n"
        "\r\x1b[Kx: 2/10 rows in 0:01, 2 rows/s\n"
    )


def test_a_terminal_line_is_never_wider_than_the_terminal(clock, monkeypatch):
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((20, 24)))
    stream = Terminal()
    bar = Progress(10, "a long label", "rows", stream, mode="bar", clock=clock)
    clock.now += 1
    bar.update()
    assert stream.getvalue() == "\r\x1b[Ka long label: 1/10 "


def test_a_dumb_terminal_gets_lines(clock, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    bar = Progress(10, "x", "rows", stream, clock=clock)
    clock.now += 1
    bar.update()
    assert stream.getvalue() == ""


def test_notes_are_lines_of_a_log(stream, clock):
    Progress(10, "x", "rows", stream, clock=clock).note("hello")
    assert stream.getvalue() == "hello\n"


def test_mode_none_writes_nothing_but_notes(stream, clock):
    with Progress(10, "x", "rows", stream, mode="none", clock=clock) as bar:
        clock.now += 1000
        bar.update()
        bar.note("hello")
    assert stream.getvalue() == "hello\n"
    assert bar.done == 1


def test_the_last_line_is_written_once_also_after_a_failure(stream, clock):
    bar = Progress(10, "x", "rows", stream, clock=clock)
    bar.update(3)
    with pytest.raises(KeyError, match="boom"), bar:
        raise KeyError("boom")
    bar.close()
    assert stream.getvalue() == "x: 3/10 rows in 0:00\n"


def test_stderr_is_the_default(capsys):
    Progress(1, "x", "rows", mode="lines").note("hello")
    assert capsys.readouterr().err == "hello\n"


def test_a_process_without_stderr_runs_on(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(1, "x", "rows") as bar:
        bar.update()
    assert bar.done == 1


def test_a_closed_stream_does_not_end_the_run(stream, clock):
    bar = Progress(10, "x", "rows", stream, interval_s=0, clock=clock)
    stream.close()
    bar.update()
    bar.update()
    bar.close()
    assert bar.done == 2


def encoded(errors):
    """A log in ASCII, as under the C locale."""
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors, newline="")


@pytest.mark.parametrize("errors", ["strict", "backslashreplace"])
def test_characters_that_a_stream_cannot_show_are_escaped(clock, errors):
    stream = encoded(errors)
    bar = Progress(10, "x", "rows", stream, clock=clock)
    bar.note("caf\udce9 and \u0394")
    bar.note("goes on")
    assert stream.buffer.getvalue() == b"caf\\udce9 and \\u0394\ngoes on\n"


def test_bytes_of_a_file_name_are_escaped_in_utf_8_too(stream, clock):
    Progress(10, "caf\udce9", "é", stream, clock=clock).close()
    assert stream.getvalue() == "caf\\udce9: 0/10 é in 0:00\n"


def test_notes_under_the_c_locale_do_not_end_the_run():
    script = (
        "from tfgen.io import Progress\n"
        "with Progress(1, 'caf\\udce9', '\\u0394', mode='lines') as bar: bar.note('\\udce9')\n"
    )
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, **locale},
        capture_output=True,
        check=True,
    )
    first, last = done.stderr.decode("ascii").splitlines()
    assert first == r"\udce9"
    assert last.startswith(r"caf\udce9: 0/1 \u0394 in ")


def test_an_unknown_mode_is_refused(stream):
    with pytest.raises(UsageError, match=r"progress mode is 'fancy'; use one of auto, bar"):
        Progress(10, "x", "rows", stream, mode="fancy")
