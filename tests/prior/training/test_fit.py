from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from prior.small_fits import draw, make_model
from tfgen.errors import InputMismatchError, NumericalError, UsageError
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.training.fit import Fit
from tfgen.prior.training.fit_loop import FitData
from tfgen.prior.training.fit_options import FitOptions

TRAIN, HELD_OUT = tuple(range(9)), (9, 10, 11)


def start(source, options, arch="linear", traits=1, held_out=HELD_OUT, model=None, **head):
    model = model or make_model(source, arch, traits, **head)
    log_sigma = tf.Variable(np.full(traits, np.log(options.start_sigma), np.float32))
    data = FitData(source, TRAIN, held_out, (1.0,) * traits)
    return Fit(model, log_sigma, data, options), model


def dense_gradient(model, source, indices, traits=1):
    """Gradient of the summed likelihood through one tape and a dense Cholesky."""
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        total = tf.zeros(())
        for i in indices:
            block = source.read(i)
            logf = model(block.inputs(), training=False)
            for t, rows in enumerate(block.traits):
                K = tf.matmul(rows.q * tf.exp(logf[:, t]), rows.q, transpose_b=True)
                factor = tf.linalg.cholesky(K + tf.eye(len(rows.y)))
                y = tf.constant(rows.y.astype(np.float32))[:, None]
                u = tf.linalg.triangular_solve(factor, y)
                log_det = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)))
                total += 0.5 * tf.reduce_sum(u**2) + log_det
    return tape.gradient(total, variables)


@pytest.mark.parametrize("arch", ["linear", "mlp"])
@pytest.mark.parametrize("micro_batch", [17, 8192])
def test_the_two_passes_give_the_gradient_of_one(arch, micro_batch):
    source = draw(3)
    options = FitOptions(micro_batch=micro_batch, clip_norm=0.0, blocks_per_step=3)
    model = make_model(source, arch)
    log_sigma = tf.Variable([0.0])
    fit = Fit(model, log_sigma, FitData(source, (0, 1, 2), (), (1.0,)), options)
    expected = dense_gradient(model, source, (0, 1, 2))
    (rounds,) = fit._rounds(fit._steps(1))
    for blocks in rounds:
        seeds = [(block, np.zeros(2, np.int32)) for block in blocks]
        fit.step._run_accumulate(*fit.step._distribute(seeds))
    for total, gradient in zip(fit.step._sums, expected, strict=True):
        scale = np.abs(gradient).max() + 1e-6
        np.testing.assert_allclose(total.numpy() / scale, gradient / scale, atol=2e-5)


def test_training_finds_the_truth():
    source = draw(40, seed=1)
    model = make_model(source)
    data = FitData(source, tuple(range(32)), tuple(range(32, 40)), (1.0,))
    fit = Fit(model, tf.Variable([0.0]), data, FitOptions(epochs=25, learning_rate=0.03))
    result = fit.run()
    x = np.concatenate([source.read(i).annotations for i in range(40)])
    frequency = np.full(len(x), 0.3, np.float32)
    logf = model({"annotations": x, "frequency": frequency}).numpy()[:, 0]
    truth = np.log(0.5) + x[:, 0]
    assert np.corrcoef(logf, truth)[0, 1] > 0.95
    assert result.best_epoch > 0
    held_out = [record.held_out for record in result.records]
    assert held_out[result.best_epoch - 1] == min(held_out)
    assert held_out[result.best_epoch - 1] < fit_of_the_start(source, data)


def fit_of_the_start(source, data):
    model = make_model(source)
    scores = score_blocks(source, data.held_out, lambda b: model(b.inputs()).numpy(), [0.0])
    return scores.nll_per_z()


def test_sigma_is_trained_with_the_prior():
    source = draw(40, seed=2, sigma=1.5, people=200)
    options = FitOptions(epochs=40, sigma="trained", sigma_learning_rate=0.03, patience=0)
    fit, _ = start(source, options, arch="constant")
    result = fit.run()
    # 540 z-scores: sd of log sigma is about sqrt(2/540 * 2) = 0.09.
    assert np.exp(result.log_sigma[0]) == pytest.approx(1.5, abs=0.45)
    assert result.log_sigma[0] > 0.1


def test_a_fixed_sigma_stays():
    fit, _ = start(draw(), FitOptions(epochs=2, start_sigma=1.25))
    assert fit.run().log_sigma[0] == pytest.approx(np.log(1.25))


def test_several_traits_share_a_trunk():
    source = draw(traits=2)
    fit, model = start(source, FitOptions(epochs=3), arch="mlp", traits=2)
    result = fit.run()
    assert model(source.read(0).inputs()).shape == (60, 2)
    assert len(result.log_sigma) == 2


@pytest.mark.parametrize("solver", ["chol", "cg"])
def test_cholesky_and_conjugate_gradients_train_to_the_same_prior(solver):
    source = draw(24, seed=3)
    options = FitOptions(
        epochs=30, learning_rate=0.03, solver=solver, cg_probes=32, cg_tolerance=1e-3, patience=0
    )
    data = FitData(source, tuple(range(24)), (), (1.0,))
    model = make_model(source)
    result = Fit(model, tf.Variable([0.0]), data, options).run()
    assert result.solver == solver
    scores = score_blocks(source, range(24), lambda b: model(b.inputs()).numpy(), [0.0])
    llr = scores.null.sum() - scores.nll.sum()
    reference = make_model(source)
    Fit(reference, tf.Variable([0.0]), data, FitOptions(epochs=60, learning_rate=0.02)).run()
    best = score_blocks(source, range(24), lambda b: reference(b.inputs()).numpy(), [0.0])
    assert llr == pytest.approx(best.null.sum() - best.nll.sum(), rel=3e-3)


def test_ld_score_regression_trains_too():
    source = draw(40, seed=1)
    options = FitOptions(epochs=15, objective="ldsr", learning_rate=0.03)
    model = make_model(source)
    Fit(model, tf.Variable([0.0]), FitData(source, tuple(range(40)), (), (0.5,)), options).run()
    x = source.read(0).annotations
    logf = model(source.read(0).inputs()).numpy()[:, 0]
    assert np.corrcoef(logf, x[:, 0])[0, 1] > 0.5


def test_dropout_draws_the_same_masks_in_both_passes():
    source = draw(4)
    options = FitOptions(epochs=2, micro_batch=25)
    fit, _ = start(source=draw(), options=options, arch="mlp", dropout=0.3)
    result = fit.run()
    again, _ = start(source=draw(), options=options, arch="mlp", dropout=0.3)
    assert [r.training for r in again.run().records] == [r.training for r in result.records]
    del source


def test_early_stopping_keeps_the_best_parameters():
    rng = np.random.default_rng(0)
    noise = draw(seed=4, logf=lambda x: np.full(len(x), -20.0))
    del rng
    options = FitOptions(epochs=40, patience=3, learning_rate=0.05)
    fit, model = start(noise, options, arch="mlp")
    result = fit.run()
    assert result.stopped_early
    assert len(result.records) == result.best_epoch + 3
    held_out = score_blocks(
        noise, HELD_OUT, lambda b: model(b.inputs()).numpy(), result.log_sigma
    ).nll_per_z()
    assert held_out == pytest.approx(result.records[result.best_epoch - 1].held_out, rel=1e-6)


def test_a_fit_that_was_stopped_goes_on_to_the_same_end(tmp_path):
    source, options = draw(), FitOptions(epochs=6, patience=0, sigma="trained")
    whole_fit, whole_model = start(source, options, arch="mlp", dropout=0.2)
    whole = whole_fit.run()

    class StopError(Exception):
        pass

    def stop_after(record):
        if record.epoch == 3:
            raise StopError

    path = tmp_path / "state.npz"
    with pytest.raises(StopError):
        start(source, options, arch="mlp", dropout=0.2)[0].run(path, stop_after)
    fit, model = start(source, options, arch="mlp", dropout=0.2)
    seen = []
    resumed = fit.run(path, seen.append)
    assert [record.epoch for record in seen] == [4, 5, 6]
    assert repr(resumed) == repr(whole)
    for a, b in zip(model.trainable_variables, whole_model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_state_of_another_fit_is_refused(tmp_path):
    source, options = draw(), FitOptions(epochs=1)
    path = tmp_path / "state.npz"
    start(source, options)[0].run(path)
    with pytest.raises(InputMismatchError, match="is the state of another fit"):
        start(source, options, arch="mlp")[0].run(path)


def test_padding_for_xla_changes_nothing_but_rounding():
    source = draw()
    results = [start(source, FitOptions(epochs=2, xla=xla))[0].run() for xla in (False, True)]
    for a, b in zip(results[0].records, results[1].records, strict=True):
        assert a.held_out == pytest.approx(b.held_out, rel=1e-5)
        assert a.training == pytest.approx(b.training, rel=1e-4)


def test_a_step_that_explodes_is_an_error():
    source = draw()
    fit, model = start(source, FitOptions(epochs=1), held_out=())
    model.trainable_variables[0].assign(np.full(model.trainable_variables[0].shape, np.nan))
    message = r"the objective is nan in epoch 1, update 0 \(log f of block block\d is not finite"
    with pytest.raises(NumericalError, match=message):
        fit.run()


def test_blocks_are_learned_from_or_held_out():
    source = draw(3)
    with pytest.raises(UsageError, match="block block1 is to be learned from and held out"):
        FitData(source, (0, 1), (1,), (1.0,))


@pytest.mark.parametrize("arch", ["linear", "mlp"])
@pytest.mark.parametrize("objective", ["mll", "ldsr"])
def test_a_fit_that_was_reset_is_as_good_as_new(arch, objective):
    first, second = draw(seed=1), draw(seed=2)
    used, model = start(first, FitOptions(epochs=2, objective=objective), arch)
    used.run()
    other = replace(used.options, epochs=3, learning_rate=0.02, seed=7, patience=1)
    fresh = make_model(first, arch)
    for variable, value in zip(model.weights, fresh.weights, strict=True):
        variable.assign(value)
    used.reset(replace(used.data, source=second), other)
    expected, _ = start(second, other, arch, model=fresh)
    assert used.run() == expected.run()
    for variable, value in zip(model.weights, fresh.weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value.numpy())


@pytest.mark.parametrize(
    ("options", "data", "words"),
    [
        ({"blocks_per_step": 2}, {}, "other blocks or settings"),
        ({"objective": "ldsr"}, {}, "other blocks or settings"),
        ({}, {"training": (0, 1)}, "other blocks or settings"),
        ({}, {"source": draw(n=50)}, "other blocks or settings"),
        ({}, {"n_over_m": (2.0,)}, "another N / M"),
    ],
)
def test_a_fit_is_not_reset_to_what_its_graphs_are_not_for(options, data, words):
    fit, _ = start(draw(), FitOptions())
    with pytest.raises(UsageError, match=words):
        fit.reset(replace(fit.data, **data), replace(fit.options, **options))
