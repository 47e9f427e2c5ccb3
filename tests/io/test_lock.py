import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tfgen.errors import OutputError
from tfgen.io import lock
from tfgen.io.lock import OutputLock
from tfgen.io.processes import process_start

MINUTE = 60.0
FOREIGN = {"host": "node17", "pid": 4711}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "scores.h5"


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(output):
    return sorted(path.name for path in output.parent.iterdir())


def age(path, seconds):
    """Moves the last sign of life of a lock into the past."""
    time = path.stat().st_mtime - seconds
    os.utime(path, (time, time))


def leave_lock(output, seconds=0.0, suffix="", **changes):
    """The lock of another run, refreshed some seconds ago."""
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_start": process_start(os.getpid()),
        "time": "2024-01-01T00:00:00+00:00",
    }
    path = output.with_name(f"{output.name}.lock{suffix}")
    path.write_text(json.dumps(holder | changes))
    age(path, seconds)
    return path


def without_links(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(lock.os, "link", refuse)


def killed(output, script):
    """Runs a script that has `output`, in a process that must die of SIGKILL."""
    head = (
        "import os, pathlib, signal, sys\n"
        "from tfgen.io.lock import OutputLock\n"
        "output = pathlib.Path(sys.argv[1])\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    repository = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", head + script, output]
    assert subprocess.run(command, cwd=repository, check=False).returncode == -signal.SIGKILL


def test_the_lock_file_names_host_and_process_and_vanishes(output):
    with OutputLock(output) as held:
        holder = json.loads(held.path.read_text())
        assert names(output) == ["scores.h5.lock"]
        assert holder["host"] == socket.gethostname()
        assert holder["pid"] == os.getpid()
        assert holder["time"].endswith("+00:00")
    assert names(output) == []


def test_the_lock_vanishes_when_the_run_fails(output):
    with pytest.raises(KeyError, match="boom"), OutputLock(output):
        raise KeyError("boom")
    assert names(output) == []


def test_a_second_run_stops_and_names_the_first(output):
    with OutputLock(output):
        message = rf"being written by process {os.getpid()} on {socket.gethostname()}; .*stop it"
        with pytest.raises(OutputError, match=message), OutputLock(output):
            pass
        assert names(output) == ["scores.h5.lock"]


def test_the_lock_of_a_dead_process_is_taken_over(output, dead_pid):
    leave_lock(output, pid=dead_pid, process_start="1")
    with OutputLock(output) as held:
        assert json.loads(held.path.read_text())["pid"] == os.getpid()
        assert names(output) == ["scores.h5.lock"]
    assert names(output) == []


def test_the_lock_of_a_former_owner_of_a_reused_pid_is_taken_over(output):
    leave_lock(output, process_start="-1")
    with OutputLock(output):
        pass


def test_a_living_process_of_this_machine_keeps_its_lock_without_signs_of_life(output):
    leave_lock(output, seconds=1000 * MINUTE)
    with pytest.raises(OutputError, match="being written by process"), OutputLock(output):
        pass


def test_a_fresh_lock_of_another_machine_is_respected(output):
    path = leave_lock(output, seconds=5 * MINUTE, **FOREIGN)
    message = (
        r"process 4711 on node17, which refreshed its lock 3\d\d s ago; wait for it; .* is taken "
        rf"over after 10 minutes without a sign of life, or remove .*{path.name}$"
    )
    with pytest.raises(OutputError, match=message), OutputLock(output):
        pass
    assert names(output) == [path.name]


def test_an_abandoned_lock_of_another_machine_is_taken_over(output):
    leave_lock(output, seconds=10.1 * MINUTE, **FOREIGN)
    with OutputLock(output) as held:
        assert json.loads(held.path.read_text())["pid"] == os.getpid()
    assert names(output) == []


@pytest.mark.parametrize("ahead", [-90 * MINUTE, 90 * MINUTE])
def test_the_clock_of_the_file_system_counts_and_not_our_own(output, monkeypatch, ahead):
    write = OutputLock._write

    def write_on_a_server(self, path):
        made = write(self, path)
        age(path, -ahead)
        return made

    monkeypatch.setattr(OutputLock, "_write", write_on_a_server)
    leave_lock(output, seconds=5 * MINUTE - ahead, **FOREIGN)
    with pytest.raises(OutputError, match=r"refreshed its lock 3\d\d s ago"), OutputLock(output):
        pass
    leave_lock(output, seconds=11 * MINUTE - ahead, **FOREIGN)
    with OutputLock(output):
        pass


TEXTS = [
    "",
    "{}",
    '{"host": "a", "pid": Infinity}',
    "[]",
    "null",
    '{"host": "a", "pid": "x"}',
    "\x00",
    '{"host": "no',
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_fresh_lock_that_names_no_process_is_respected(output, text):
    path = output.with_name("scores.h5.lock")
    path.write_text(text)
    message = r"lock: .* names no process, refreshed \d+ s ago; it is taken over after 10 minutes"
    with pytest.raises(OutputError, match=message), OutputLock(output):
        pass
    assert path.read_text() == text


@pytest.mark.parametrize("text", TEXTS)
def test_an_old_lock_that_names_no_process_is_taken_over(output, text):
    path = output.with_name("scores.h5.lock")
    path.write_text(text)
    age(path, 11 * MINUTE)
    with OutputLock(output):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert names(output) == []


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(OutputError, match=r"cannot create the lock file: No such file"),
        OutputLock(tmp_path / "none" / "scores.h5"),
    ):
        pass


def test_a_full_disk_leaves_no_lock(output):
    # A limit on the file size stands in for a full disk: both fail a write in the middle.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with (
            pytest.raises(OutputError, match="cannot create the lock file: File too large"),
            OutputLock(output),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(output) == []


def test_a_run_killed_while_it_locks_leaves_no_lock(output):
    killed(output, "os.link = die\nOutputLock(output).__enter__()\n")
    assert "scores.h5.lock" not in names(output)
    with OutputLock(output):
        pass


def test_what_killed_runs_left_is_removed_when_it_is_old(output):
    killed(output, "os.link = die\nOutputLock(output).__enter__()\n")
    (left_over,) = output.parent.iterdir()
    others = ["scores.h5.lock.notes", "scores.h5.lock.takeover.0123", "a.lock.0123456789abcdef"]
    for name in others:
        (output.parent / name).touch()
        age(output.parent / name, 60 * MINUTE)
    with OutputLock(output):
        pass
    assert names(output) == sorted([*others, left_over.name])
    age(left_over, 11 * MINUTE)
    with OutputLock(output):
        pass
    assert names(output) == sorted(others)


def test_the_lock_of_a_run_killed_while_it_held_it_is_taken_over(output):
    killed(output, "OutputLock(output).__enter__()\ndie()\n")
    assert names(output) == ["scores.h5.lock"]
    with OutputLock(output):
        pass
    assert names(output) == []


def test_a_file_system_without_links_gets_an_exclusive_create(output, dead_pid, monkeypatch):
    without_links(monkeypatch)
    with OutputLock(output) as held:
        assert json.loads(held.path.read_text())["pid"] == os.getpid()
        with pytest.raises(OutputError, match="being written by process"), OutputLock(output):
            pass
    leave_lock(output, pid=dead_pid)
    with OutputLock(output):
        assert names(output) == ["scores.h5.lock"]
    assert names(output) == []


def test_a_link_whose_answer_got_lost_counts(output, monkeypatch):
    link = os.link

    def link_twice(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(lock.os, "link", link_twice)
    with OutputLock(output):
        assert names(output) == ["scores.h5.lock"]
    assert names(output) == []


def test_a_sign_of_life_is_the_time_of_the_lock_file(output):
    with OutputLock(output) as held:
        probe = output.with_name("probe")
        probe.touch()
        os.utime(held.path, (0, 0))
        held._refresh()
        assert held.path.stat().st_mtime >= probe.stat().st_mtime


def test_signs_of_life_are_given_while_the_lock_is_held(output, monkeypatch):
    given = threading.Event()
    monkeypatch.setattr(lock, "REFRESH_S", 0.001)
    monkeypatch.setattr(OutputLock, "_refresh", lambda self: given.set())
    with OutputLock(output) as held:
        assert given.wait(timeout=60)
        thread = held._thread
        assert thread.daemon
    assert not thread.is_alive()


def test_a_lock_that_another_run_has_now_gets_no_sign_of_life_from_us(output):
    with OutputLock(output) as held:
        path = leave_lock(output, seconds=5 * MINUTE, **FOREIGN)
        before = path.stat().st_mtime
        held._refresh()
        assert path.stat().st_mtime == before


def test_a_sign_of_life_that_fails_does_not_end_the_run(output, monkeypatch):
    def unreachable(path):
        raise OSError(errno.ESTALE, "Stale file handle")

    with OutputLock(output) as held:
        monkeypatch.setattr(lock.os, "utime", unreachable)
        held._refresh()
        held.path.unlink()
        held._refresh()
    assert names(output) == []


def test_only_one_run_takes_a_dead_lock_over(output, dead_pid):
    path = leave_lock(output, pid=dead_pid)
    guard = leave_lock(output, 5 * MINUTE, ".takeover", **FOREIGN)
    message = r"taking over a left-over lock; try again; .*takeover itself is taken over after 10"
    with pytest.raises(OutputError, match=message), OutputLock(output):
        pass
    assert names(output) == [path.name, guard.name]


def test_the_guard_of_a_run_killed_while_it_took_over_does_not_block(output, dead_pid):
    leave_lock(output, pid=dead_pid)
    killed(
        output,
        "OutputLock._remove = die\nOutputLock(output).__enter__()\n",
    )
    assert "scores.h5.lock.takeover" in names(output)
    with OutputLock(output):
        pass
    assert "scores.h5.lock.takeover" not in names(output)


@pytest.mark.parametrize("text", ["", json.dumps({**FOREIGN, "process_start": "1"})])
def test_an_old_guard_does_not_block(output, dead_pid, text):
    leave_lock(output, pid=dead_pid)
    guard = output.with_name("scores.h5.lock.takeover")
    guard.write_text(text)
    age(guard, 11 * MINUTE)
    with OutputLock(output):
        pass
    assert names(output) == []


def before(monkeypatch, method, name, action):
    """Runs an action once, just before a method of the lock is called for a file of this name."""
    original = getattr(OutputLock, method)
    done = []

    def wrapped(self, path, *rest):
        if path.name == name and not done:
            done.append(action())
        return original(self, path, *rest)

    monkeypatch.setattr(OutputLock, method, wrapped)


def test_a_lock_taken_between_two_looks_is_respected(output, dead_pid, monkeypatch):
    path = leave_lock(output, pid=dead_pid)
    before(monkeypatch, "_create", "scores.h5.lock.takeover", lambda: leave_lock(output))
    with pytest.raises(OutputError, match="being written by process"), OutputLock(output):
        pass
    assert json.loads(path.read_text())["pid"] == os.getpid()
    assert names(output) == [path.name]


@pytest.mark.parametrize("links", [True, False])
def test_a_lock_taken_after_the_last_look_is_put_back(output, dead_pid, monkeypatch, links):
    if not links:
        without_links(monkeypatch)
    path = leave_lock(output, pid=dead_pid)
    before(monkeypatch, "_remove", path.name, lambda: leave_lock(output, **FOREIGN))
    with pytest.raises(OutputError, match="another run has just locked it"), OutputLock(output):
        pass
    assert json.loads(path.read_text())["pid"] == 4711
    assert names(output) == [path.name]


def test_a_lock_released_after_the_last_look_is_taken(output, dead_pid, monkeypatch):
    path = leave_lock(output, pid=dead_pid)
    before(monkeypatch, "_remove", path.name, path.unlink)
    with OutputLock(output):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_guard_renewed_after_the_last_look_is_put_back(output, dead_pid, monkeypatch):
    path = leave_lock(output, pid=dead_pid)
    guard = leave_lock(output, 11 * MINUTE, ".takeover", **FOREIGN)
    renew = {"suffix": ".takeover", "host": "node18"}
    before(monkeypatch, "_remove", guard.name, lambda: leave_lock(output, **renew))
    with pytest.raises(OutputError, match="another run is taking over"), OutputLock(output):
        pass
    assert json.loads(guard.read_text())["host"] == "node18"
    assert names(output) == [path.name, guard.name]


def test_a_guard_that_another_run_has_now_is_not_removed(output, dead_pid, monkeypatch):
    path = leave_lock(output, pid=dead_pid)
    guard = path.with_name(path.name + ".takeover")

    def another_run_is_faster():
        guard.unlink()
        leave_lock(output, suffix=".takeover", **FOREIGN)

    before(monkeypatch, "_remove", path.name, another_run_is_faster)
    with OutputLock(output):
        pass
    assert names(output) == [guard.name]


def test_a_lock_that_appears_while_taking_over_is_respected(output, dead_pid, monkeypatch):
    path = leave_lock(output, pid=dead_pid)
    remove = OutputLock._remove

    def another_run_is_faster(self, target, dead):
        remove(self, target, dead)
        leave_lock(output)

    monkeypatch.setattr(OutputLock, "_remove", another_run_is_faster)
    with pytest.raises(OutputError, match="another run has just locked it"), OutputLock(output):
        pass
    assert names(output) == [path.name]


def test_a_lock_released_between_two_looks_is_taken(output, monkeypatch):
    path = leave_lock(output)
    create = OutputLock._create

    def first_run_ends(self, target):
        made = create(self, target)
        if not made:
            path.unlink()
        return made

    monkeypatch.setattr(OutputLock, "_create", first_run_ends)
    with OutputLock(output) as held:
        assert held.path.exists()


@pytest.mark.parametrize("links", [True, False])
def test_of_many_runs_at_once_exactly_one_takes_a_dead_lock(output, dead_pid, monkeypatch, links):
    if not links:
        without_links(monkeypatch)
    n_runs = 8
    for _ in range(10):
        leave_lock(output, pid=dead_pid)
        ready, tried = (threading.Barrier(n_runs, timeout=60) for _ in range(2))
        outcomes = []

        def run(ready=ready, tried=tried, outcomes=outcomes):
            ready.wait()
            try:
                with OutputLock(output):
                    outcomes.append("locked")
                    tried.wait()
            except OutputError:
                outcomes.append("refused")
                tried.wait()

        threads = [threading.Thread(target=run) for _ in range(n_runs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["locked"] + ["refused"] * (n_runs - 1)
        assert names(output) == []


def test_a_foreign_lock_is_not_removed_at_the_end(output):
    with OutputLock(output):
        path = leave_lock(output, host="node17")
    assert json.loads(path.read_text())["host"] == "node17"


@pytest.mark.parametrize("content", [b"\xff", b""])
def test_whatever_replaced_the_lock_does_not_fail_the_run(output, content):
    with OutputLock(output) as held:
        held.path.write_bytes(content)
    assert held.path.read_bytes() == content


def test_a_lock_removed_by_hand_does_not_fail_the_run(output):
    with OutputLock(output) as held:
        held.path.unlink()
