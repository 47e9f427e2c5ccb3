import os
import subprocess
import sys

import pytest

from tfgen.io import processes
from tfgen.io.processes import process_is_alive, process_start


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_processes_are_told_apart(dead_pid, monkeypatch):
    assert process_is_alive(os.getpid())
    assert not process_is_alive(dead_pid)
    assert not process_is_alive(10**30)

    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(processes.os, "kill", refuse)
    assert process_is_alive(1)


def test_a_process_that_does_not_run_has_no_start(dead_pid):
    assert process_start(dead_pid) is None


def test_a_finished_process_that_nobody_waited_for_has_no_start():
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    # The end of its output comes when it exits; it stays a zombie until `wait`.
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(process.pid) is None
    process.communicate()


def test_the_start_of_a_process_is_constant():
    assert process_start(os.getpid()) == process_start(os.getpid())
