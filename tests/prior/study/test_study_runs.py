import math

import numpy as np
import pytest
import tensorflow as tf

from prior.study_toys import small, write_ld
from tfgen.errors import NumericalError
from tfgen.prior.study import study_runs
from tfgen.prior.study.study_config import Setting
from tfgen.prior.study.study_data import draw, read_panel
from tfgen.prior.study.study_records import FitKey, Records, keys
from tfgen.prior.study.study_runs import StudyRuns
from tfgen.prior.training.fit import Fit


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_ld(folder)
    config = small(folder)
    return read_panel(folder / "ld", config), config


def gaussian(data, indices, logf):
    """Negative log-density of y of some blocks, by dense linear algebra."""
    total = 0.0
    for i in indices:
        rows = data.blocks.read(i).traits[0]
        q = rows.q.astype(float)
        K = q * np.exp(logf[i]) @ q.T + np.eye(len(rows.y))
        total += np.linalg.slogdet(2 * np.pi * K)[1] / 2
        total += rows.y @ np.linalg.solve(K, rows.y) / 2
    return total


def test_the_references_are_the_truth_and_the_best_constant(world):
    panel, config = world
    data = draw(panel, config, Setting("ushape", 0.5, 0))
    found = StudyRuns(panel, config, Records(config.output)).reference(data)
    fold = panel.fold
    assert found.oracle_nll == pytest.approx(gaussian(data, fold.test, data.logf), rel=1e-6)
    learned = (*fold.training, *fold.held_out)
    logs = np.linspace(-1, 1, 41) + np.log(found.constant_f)
    values = [gaussian(data, learned, [np.full(len(x), c) for x in data.logf]) for c in logs]
    assert np.argmin(values) == 20
    constant = [np.full(len(x), np.log(found.constant_f)) for x in data.logf]
    assert found.constant_nll == pytest.approx(gaussian(data, fold.test, constant), rel=1e-6)
    assert found.n_test == sum(len(data.logf[i]) for i in fold.test)


@pytest.mark.parametrize("objective", ["mll", "ldsr"])
@pytest.mark.parametrize("arch", ["linear", "mlp"])
def test_a_fit_with_used_graphs_is_that_of_new_ones(world, objective, arch):
    panel, config = world
    used = StudyRuns(panel, config, Records(config.output))
    first, second = Setting("ushape", 0.5, 0), Setting("linear", 0.5, 1)
    used.fit(FitKey(first, objective, arch, 0.03), draw(panel, config, first))
    key, data = FitKey(second, objective, arch, 0.01), draw(panel, config, second)
    again = used.fit(key, data)
    assert len(used._fits) == 1
    assert again == StudyRuns(panel, config, Records(config.output)).fit(key, data)
    assert again.epochs == 2


def test_the_test_blocks_decide_nothing(world):
    """Other z-scores on the test contig change the score and nothing else."""
    panel, config = world
    setting = Setting("ushape", 0.5, 0)
    data = draw(panel, config, setting)
    runs = StudyRuns(panel, config, Records(config.output))
    key = FitKey(setting, "mll", "mlp", 0.03)
    before = runs.fit(key, data)
    for i in panel.fold.test:
        data.blocks.read(i).traits[0].y[:] *= 2
    after = runs.fit(key, data)
    assert (after.best_epoch, after.held_out_nll) == (before.best_epoch, before.held_out_nll)
    assert after.test_nll > before.test_nll


def test_what_is_done_is_not_done_again(world, tmp_path):
    panel, config = world
    records = Records(tmp_path)
    (setting, _) = config.settings
    fits = []
    StudyRuns(panel, config, records).run(setting, lambda: fits.append(1))
    assert len(fits) == config.fits_per_setting == records.count(config)
    lost = next(keys(config, setting))
    kept = (tmp_path / lost.file_name).read_bytes()
    (tmp_path / lost.file_name).unlink()
    StudyRuns(panel, config, records).run(setting, lambda: fits.append(1))
    assert len(fits) == config.fits_per_setting + 1
    assert (tmp_path / lost.file_name).read_bytes() == kept
    StudyRuns(panel, config, records).run(setting, lambda: fits.append(1))
    assert len(fits) == config.fits_per_setting + 1


def test_a_fit_that_diverges_is_recorded_and_the_next_one_is_sound(world, monkeypatch):
    panel, config = world
    setting = Setting("ushape", 0.5, 0)
    data = draw(panel, config, setting)
    runs = StudyRuns(panel, config, Records(config.output))
    key = FitKey(setting, "mll", "linear", 0.01)
    sound = runs.fit(key, data)
    run = Fit.run

    def diverge(fit, **options):
        for total in fit.step._sums:
            total.assign(tf.fill(total.shape, math.nan))
        raise NumericalError("the objective is nan")

    monkeypatch.setattr(study_runs.Fit, "run", diverge)
    lost = runs.fit(key, data)
    assert (lost.held_out_nll, lost.test_nll) == (math.inf, math.inf)
    monkeypatch.setattr(study_runs.Fit, "run", run)
    assert runs.fit(key, data) == sound


def test_the_weights_of_regression_suppose_the_true_mean(world, monkeypatch):
    panel, config = world
    seen = []
    monkeypatch.setattr(
        study_runs, "FitData", lambda *args: seen.append(args[3]) or (_ for _ in ()).throw(KeyError)
    )
    for mean_f in (0.02, 2.0):
        setting = Setting("ushape", mean_f, 0)
        with pytest.raises(KeyError):
            StudyRuns(panel, config, Records(config.output)).fit(
                FitKey(setting, "ldsr", "mlp", 0.01), draw(panel, config, setting)
            )
    assert seen == [(0.04,), (4.0,)]  # times a heritability of 0.5
