import multiprocessing
import os
import threading

import pytest

from prior.study_toys import small, write_ld
from tfgen.errors import InputFormatError, InterruptedRunError, TfgenError
from tfgen.prior.study import study_workers
from tfgen.prior.study.study_records import Records, keys
from tfgen.prior.study.study_workers import StudyWork, run_here, run_workers


@pytest.fixture
def work(tmp_path):
    write_ld(tmp_path)
    folder = tmp_path / "records"
    folder.mkdir()
    return StudyWork(small(tmp_path, jobs=2, rates=(0.01,)), tmp_path / "ld", folder)


def test_two_processes_find_what_one_finds(work, tmp_path):
    fits = []
    run_workers(work, work.config.settings, lambda: fits.append(1), lambda: None)
    assert len(fits) == Records(work.folder).count(work.config) == 8
    (tmp_path / "here").mkdir()
    here = StudyWork(work.config, work.ld, tmp_path / "here")
    run_here(here, work.config.settings, lambda: None, lambda: None)
    assert {x.name for x in work.folder.iterdir()} == {x.name for x in here.folder.iterdir()}
    for setting in work.config.settings:
        for key in keys(work.config, setting):
            one, two = (Records(x.folder).fit(key) for x in (work, here))
            # The other process has one thread, this one may have several.
            assert one.test_nll == pytest.approx(two.test_nll, rel=1e-5)


@pytest.fixture
def inside(monkeypatch):
    """Lets this process play a worker."""
    monkeypatch.setattr(study_workers, "_one_thread", lambda: None)
    monkeypatch.setattr(study_workers.signal, "signal", lambda *_: None)


def test_a_process_takes_work_until_there_is_no_more(work, inside):
    """The main function of a process, here in this one."""
    ours, theirs = multiprocessing.Pipe()
    ours.send(work.config.settings[0])
    answers = []

    def listen():
        while not answers or answers[-1] != "done":
            answers.append(ours.recv())
        ours.close()

    thread = threading.Thread(target=listen)
    thread.start()
    study_workers._serve(theirs, work, os.getppid())
    thread.join()
    assert answers == ["fit"] * 4 + ["done"]


def test_an_orphan_stops(work, inside):
    ours, theirs = multiprocessing.Pipe()
    ours.send(work.config.settings[0])
    study_workers._serve(theirs, work, -1)
    assert Records(work.folder).count(work.config) == 0
    assert not ours.poll()


def test_an_error_of_a_process_is_the_error_of_the_study(work):
    for path in work.ld.glob("*.h5"):
        path.write_bytes(b"damaged")
    with pytest.raises(InputFormatError, match=r"chr1\.h5"):
        run_workers(work, work.config.settings, lambda: None, lambda: None)


def test_a_process_that_dies_is_noticed(work):
    def kill_the_processes():
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(TfgenError, match=r"ended with code -9.*run the same command"):
        run_workers(work, work.config.settings, kill_the_processes, lambda: None)


def test_a_request_to_stop_ends_the_processes_and_keeps_what_is_done(work):
    fits = []

    def stop():
        if fits:
            raise InterruptedRunError("stopped by SIGTERM")

    with pytest.raises(InterruptedRunError):
        run_workers(work, work.config.settings, lambda: fits.append(1), stop)
    assert 1 <= Records(work.folder).count(work.config) < 8


def test_a_process_sends_its_error_and_ends(work, inside):
    for path in work.ld.glob("*.h5"):
        path.unlink()
    ours, theirs = multiprocessing.Pipe()
    study_workers._serve(theirs, work, os.getppid())
    assert isinstance(ours.recv(), (OSError, TfgenError))


def test_a_process_has_one_thread_and_no_gpu(monkeypatch, capfd):
    import tensorflow as tf

    asked = []
    for owner, name in (
        (tf.config.threading, "set_intra_op_parallelism_threads"),
        (tf.config.threading, "set_inter_op_parallelism_threads"),
        (tf.config, "set_visible_devices"),
    ):
        monkeypatch.setattr(owner, name, lambda *args: asked.append(args))
    study_workers._one_thread()
    assert asked == [(1,), (1,), ([], "GPU")]
    os.write(2, b"stderr is back")
    assert capfd.readouterr().err == "stderr is back"
