import numpy as np
import pytest
import tensorflow as tf

from prior.small_fits import draw
from tfgen.errors import UsageError
from tfgen.prior.training.fit_loop import FitData, FitLoop
from tfgen.prior.training.fit_options import FitOptions


class Walk(FitLoop):
    """A fit whose only parameter takes given values, one per epoch."""

    def __init__(self, source, values, **options):
        data = FitData(source, (0, 1), (2,), (1.0,))
        self.weight = tf.Variable(-20.0)
        settings = FitOptions(**{"epochs": len(values)} | options)
        super().__init__([self.weight], tf.Variable([0.0]), data, settings, "", "chol")
        self.values = values

    def variables(self):
        return [self.weight, self.log_sigma]

    def log_f(self, inputs):
        return np.full((len(inputs["frequency"]), 1), self.weight.numpy())

    def epoch(self, number, between_steps):
        self.weight.assign(self.values[number - 1])
        between_steps()
        return self.record(number, number, 120.0 - number, 0.0, 0)


@pytest.fixture(scope="module")
def source():
    return draw(3, logf=lambda x: np.full(len(x), np.log(0.5)))


def test_the_best_parameters_are_kept(source):
    fit = Walk(source, [-3.0, -0.7, 3.0, 4.0])
    result = fit.run()
    assert result.best_epoch == 2
    assert fit.weight.numpy() == np.float32(-0.7)
    assert (
        result.best_held_out
        == result.records[1].held_out
        == min(record.held_out for record in result.records)
    )
    assert not result.stopped_early


def test_patience_counts_epochs_since_the_best(source):
    result = Walk(source, [-0.7, 3.0, 4.0, 5.0, 6.0], patience=2).run()
    assert (len(result.records), result.best_epoch, result.stopped_early) == (3, 1, True)


def test_a_gain_that_is_too_small_does_not_count(source):
    result = Walk(source, [-0.8, -0.7, -0.69], min_gain=1e6).run()
    assert result.best_epoch == 0


def test_the_state_is_taken_up(source, tmp_path):
    values = [-3.0, -0.7, 3.0, 4.0]
    whole = Walk(source, values).run()

    class StopError(Exception):
        pass

    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 3:
            raise StopError

    with pytest.raises(StopError):
        Walk(source, values).run(tmp_path / "state.npz", between_steps=stop)
    seen = []
    resumed = Walk(source, values).run(tmp_path / "state.npz", seen.append)
    assert [record.epoch for record in seen] == [3, 4]
    assert repr(resumed) == repr(whole)


def test_training_is_reported_per_z_score(source):
    fit = Walk(source, [-1.0])
    assert fit.n_observed == 120
    assert fit.run().records[0].training == pytest.approx(119 / 120)


def test_blocks_without_z_scores_are_nothing_to_learn_from(source):
    with pytest.raises(UsageError, match="no training block has a z-score"):
        FitData(source, (), (2,), (1.0,))
