import os
import signal
import threading

import pytest

from tfgen.errors import InterruptedRunError
from tfgen.io.stop import StopRequest


@pytest.fixture(autouse=True)
def _handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_without_a_signal_nothing_happens():
    with StopRequest() as stop:
        assert not stop.requested
        stop.raise_if_requested()


@pytest.mark.parametrize(
    ("number", "exit_code", "name"),
    [(signal.SIGINT, 130, "SIGINT"), (signal.SIGTERM, 143, "SIGTERM")],
)
def test_a_signal_lets_the_batch_end_and_gives_its_exit_code(number, exit_code, name):
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(InterruptedRunError, match=f"stopped by {name}; .*go on") as caught:
            stop.raise_if_requested()
    assert caught.value.exit_code == exit_code


def test_a_second_interrupt_acts_at_once():
    # A job in the background starts with Ctrl-C ignored; a terminal does not.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), StopRequest():  # noqa: PT012
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the second signal was swallowed")
    finally:
        signal.signal(signal.SIGINT, former)


def test_the_former_handler_gets_the_second_signal():
    seen = []
    former = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with StopRequest():
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == []
            os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, former)


def test_a_handler_that_python_did_not_install_is_replaced_by_the_default(monkeypatch):
    stop = StopRequest()
    former = signal.getsignal(signal.SIGTERM)
    try:
        stop._former = {signal.SIGTERM: None}
        stop._restore()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, former)


def test_in_another_thread_no_handler_is_installed():
    handlers = []

    def work():
        with StopRequest() as stop:
            handlers.append(signal.getsignal(signal.SIGTERM))
            stop.raise_if_requested()

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]
