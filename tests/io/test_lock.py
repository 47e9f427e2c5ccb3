import json
import os
import socket
import subprocess
import sys

import pytest

from tfgen.errors import OutputError
from tfgen.io import lock
from tfgen.io.lock import OutputLock


@pytest.fixture
def output(tmp_path):
    return tmp_path / "scores.h5"


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave_lock(output, **changes):
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_start": lock.process_start(os.getpid()),
        "time": "2024-01-01T00:00:00+00:00",
    }
    path = output.with_name(output.name + ".lock")
    path.write_text(json.dumps(holder | changes))
    return path


def test_the_lock_file_names_host_and_process_and_vanishes(output):
    with OutputLock(output) as held:
        holder = json.loads(held.path.read_text())
        assert held.path.name == "scores.h5.lock"
        assert holder["host"] == socket.gethostname()
        assert holder["pid"] == os.getpid()
        assert holder["time"].endswith("+00:00")
    assert list(output.parent.iterdir()) == []


def test_the_lock_vanishes_when_the_run_fails(output):
    with pytest.raises(KeyError, match="boom"), OutputLock(output):
        raise KeyError("boom")
    assert list(output.parent.iterdir()) == []


def test_a_second_run_stops_and_names_the_first(output):
    with OutputLock(output) as held:
        message = rf"being written by process {os.getpid()} on {socket.gethostname()}; .*stop it"
        with pytest.raises(OutputError, match=message), OutputLock(output):
            pass
        assert held.path.exists()


def test_the_lock_of_a_dead_process_is_taken_over(output, dead_pid):
    leave_lock(output, pid=dead_pid, process_start="1")
    with OutputLock(output) as held:
        assert json.loads(held.path.read_text())["pid"] == os.getpid()
    assert list(output.parent.iterdir()) == []


def test_the_lock_of_a_former_owner_of_a_reused_pid_is_taken_over(output):
    leave_lock(output, process_start="-1")
    with OutputLock(output):
        pass


def test_a_lock_of_another_machine_is_respected_and_can_be_removed_by_hand(output, dead_pid):
    path = leave_lock(output, host="node17", pid=dead_pid)
    message = rf"process {dead_pid} on node17; .*remove .*{path.name} if that run is over"
    with pytest.raises(OutputError, match=message), OutputLock(output):
        pass
    assert path.exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"host": "a", "pid": "x"}', "\x00"])
def test_a_lock_that_cannot_be_read_says_so(output, text):
    output.with_name("scores.h5.lock").write_text(text)
    with pytest.raises(OutputError, match=r"names no process; remove it"), OutputLock(output):
        pass


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(OutputError, match=r"cannot create the lock file: No such file"),
        OutputLock(tmp_path / "none" / "scores.h5"),
    ):
        pass


def test_only_one_run_takes_a_dead_lock_over(output, dead_pid):
    path = leave_lock(output, pid=dead_pid)
    guard = path.with_name(path.name + ".takeover")
    guard.touch()
    with pytest.raises(OutputError, match=r"taking over .* remove .*takeover"), OutputLock(output):
        pass
    assert path.exists()
    assert guard.exists()


def test_a_lock_taken_between_two_looks_is_respected(output, dead_pid, monkeypatch):
    path = leave_lock(output, pid=dead_pid)
    create = OutputLock._create

    def another_run_is_faster(self, target):
        if target.name.endswith(".takeover"):
            leave_lock(output)
        return create(self, target)

    monkeypatch.setattr(OutputLock, "_create", another_run_is_faster)
    with pytest.raises(OutputError, match="being written by process"), OutputLock(output):
        pass
    assert json.loads(path.read_text())["pid"] == os.getpid()
    assert [item.name for item in output.parent.iterdir()] == [path.name]


def test_a_lock_that_appears_while_taking_over_is_respected(output, dead_pid, monkeypatch):
    path = leave_lock(output, pid=dead_pid)
    create = OutputLock._create
    calls = []

    def another_run_is_faster(self, target):
        calls.append(target.name)
        if len(calls) == 3:
            leave_lock(output)
        return create(self, target)

    monkeypatch.setattr(OutputLock, "_create", another_run_is_faster)
    with pytest.raises(OutputError, match="another run has just locked it"), OutputLock(output):
        pass
    assert [item.name for item in output.parent.iterdir()] == [path.name]


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


def test_a_foreign_lock_is_not_removed_at_the_end(output):
    with OutputLock(output):
        path = leave_lock(output, host="node17")
    assert json.loads(path.read_text())["host"] == "node17"


def test_a_lock_removed_by_hand_does_not_fail_the_run(output):
    with OutputLock(output) as held:
        held.path.unlink()


def test_processes_are_told_apart(dead_pid, monkeypatch):
    assert lock.process_is_alive(os.getpid())
    assert not lock.process_is_alive(dead_pid)
    assert not lock.process_is_alive(10**30)

    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(lock.os, "kill", refuse)
    assert lock.process_is_alive(1)


def test_a_process_that_does_not_run_has_no_start(dead_pid):
    assert lock.process_start(dead_pid) is None


def test_a_finished_process_that_nobody_waited_for_has_no_start():
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    # The end of its output comes when it exits; it stays a zombie until `wait`.
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert lock.process_start(process.pid) is None
    process.communicate()


def test_the_start_of_a_process_is_constant():
    assert lock.process_start(os.getpid()) == lock.process_start(os.getpid())
