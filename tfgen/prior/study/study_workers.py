"""The processes of a study. Each makes all fits to one data set after the other, with one thread.

With one thread the sums of a fit are always in the same order: results do not depend on the number
of processes or of processors.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tfgen.errors import TfgenError
from tfgen.prior.study.study_config import Setting, StudyConfig
from tfgen.prior.study.study_records import Records

_POLL_S = 0.5
_END_S = 10.0
_A_FIT, _DONE = "fit", "done"


@dataclass(frozen=True)
class StudyWork:
    """What a process needs to know.

    Attributes:
        config: The settings.
        ld: The LD store.
        folder: Where the records are.
    """

    config: StudyConfig
    ld: Path
    folder: Path


class _OrphanedError(Exception):
    """The process that gave the work is gone."""


def run_here(
    work: StudyWork,
    settings: Sequence[Setting],
    on_fit: Callable[[], None],
    between_steps: Callable[[], None],
) -> None:
    """Makes the fits in this process, with as many threads as TensorFlow likes.

    Args:
        work: What is to be done with what.
        settings: The data sets.
        on_fit: Called after every fit.
        between_steps: Called after every update; may raise to stop.
    """
    runs = _runs(work)
    for setting in settings:
        runs.run(setting, on_fit, between_steps)


def run_workers(
    work: StudyWork,
    settings: Sequence[Setting],
    on_fit: Callable[[], None],
    stop: Callable[[], None],
) -> None:
    """Shares data sets out among processes.

    Args:
        work: What is to be done with what.
        settings: The data sets; one is given to a process when it has finished the last.
        on_fit: Called after every fit.
        stop: Called often; may raise to stop. What is finished is kept.

    Raises:
        TfgenError: What a process raised, or that it died.
    """
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, BaseProcess] = {}
    left = list(settings)
    try:
        for _ in range(min(work.config.jobs, len(left))):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(
                target=_serve, args=(theirs, work, os.getpid()), daemon=True
            )
            process.start()
            theirs.close()
            processes[ours] = process
            ours.send(left.pop(0))
        busy = set(processes)
        while busy:
            stop()
            for connection in wait(list(busy), _POLL_S):
                assert isinstance(connection, Connection)  # noqa: S101  of the three kinds it knows
                answer = _answer(connection, processes[connection])
                if answer == _A_FIT:
                    on_fit()
                elif left:
                    connection.send(left.pop(0))
                else:
                    busy.remove(connection)
    finally:
        for connection in processes:
            connection.close()
        for process in processes.values():
            # Records appear by rename: nothing is lost but the fit under way.
            process.terminate()
            process.join(_END_S)


def _answer(connection: Connection, process: BaseProcess) -> Any:
    """What a process says; raises what it raised."""
    try:
        answer = connection.recv()
    except (EOFError, OSError) as error:
        process.join(_END_S)
        raise TfgenError(
            f"a process of the study ended with code {process.exitcode}, perhaps for want of "
            "memory; run the same command to go on, or with fewer --jobs"
        ) from error
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _serve(connection: Connection, work: StudyWork, parent: int) -> None:
    """The main function of a process: takes data sets until there are no more."""
    # Ctrl-C reaches the whole group; the process that gave the work decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def check() -> None:
        if os.getppid() != parent:
            raise _OrphanedError

    try:
        _one_thread()
        runs = _runs(work)
        while True:
            runs.run(connection.recv(), lambda: connection.send(_A_FIT), check)
            connection.send(_DONE)
    except (EOFError, BrokenPipeError, ConnectionResetError, _OrphanedError):
        return
    except Exception as error:  # noqa: BLE001  the other process reports it
        with suppress(OSError):
            connection.send(error)


def _runs(work: StudyWork) -> Any:
    from tfgen.prior.study.study_data import read_panel
    from tfgen.prior.study.study_runs import StudyRuns

    return StudyRuns(read_panel(work.ld, work.config), work.config, Records(work.folder))


def _one_thread() -> None:
    """Starts TensorFlow on the CPU with one thread, without its start-up lines on stderr."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.set_visible_devices([], "GPU")
        tf.config.list_logical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
