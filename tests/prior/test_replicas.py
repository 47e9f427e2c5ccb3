"""Replicas of one process, and two processes on the loopback, train the prior of one device.

The devices of TensorFlow are fixed once it has started, so every fit is a process of its own.
"""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

CHILD = Path(__file__).with_name("replica_child.py")
TIMEOUT = 240  # seconds until a child that hangs is killed
ATOL = 1e-5

pytestmark = pytest.mark.slow


def spawn(mode, output, objective, *workers):
    quiet = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    kept = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    arguments = [mode, str(output), objective, *(str(x) for x in workers)]
    return subprocess.Popen(
        [sys.executable, str(CHILD), *arguments],
        env=kept | quiet,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(children):
    """Waits for all; where one fails or hangs, kills the others and shows its messages."""
    try:
        for child in children:
            _, messages = child.communicate(timeout=TIMEOUT)
            assert child.returncode == 0, messages.decode()[-2000:]
    finally:
        for child in children:
            child.kill()
            child.communicate()


def free_ports(n):
    """Ports that nobody listens on now; all are held until all are found."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def result(mode, folder, objective):
    """What came of a fit in a mode; of `workers`, one result per process."""
    if mode != "workers":
        output = folder / f"{mode}.json"
        finish([spawn(mode, output, objective)])
        return json.loads(output.read_text())
    ports = free_ports(2)
    outputs = [folder / f"worker{i}.json" for i in range(2)]
    finish([spawn("workers", outputs[i], objective, i, *ports) for i in range(2)])
    return [json.loads(output.read_text()) for output in outputs]


@pytest.fixture(scope="module", params=["mll", "em"])
def one(request, tmp_path_factory):
    """The objective, and what came of it on one device."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, result("one", folder, request.param)


def assert_same(found, expected):
    assert found["replicas"] == 2
    assert expected["replicas"] == 1
    np.testing.assert_allclose(found["training"], expected["training"], atol=ATOL)
    np.testing.assert_allclose(found["log_sigma"], expected["log_sigma"], atol=ATOL)
    # Adam does not see a wrong factor in all gradients; their norm does.
    np.testing.assert_allclose(found["gradient_norm"], expected["gradient_norm"], rtol=1e-4)
    for a, b in zip(found["weights"], expected["weights"], strict=True):
        np.testing.assert_allclose(a, b, atol=ATOL)


def test_the_fit_moves_the_weights_by_more_than_the_tolerance(one):
    _, fit = one
    moves = [
        np.abs(np.subtract(a, b)).max() for a, b in zip(fit["weights"], fit["start"], strict=True)
    ]
    assert max(moves) > 30 * ATOL
    assert abs(fit["log_sigma"][0]) > 30 * ATOL


def test_two_replicas_are_one(one, tmp_path):
    objective, expected = one
    assert_same(result("two", tmp_path, objective), expected)


def test_two_processes_are_one(one, tmp_path):
    # EM leaves Keras' fit for its own loop there, so that this compares the two as well.
    objective, expected = one
    first, second = result("workers", tmp_path, objective)
    assert_same(first, expected)
    assert first == second
