import numpy as np
import pytest
import tensorflow as tf

from prior.small_fits import draw, make_model
from tfgen.errors import NumericalError
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.training.em import Deviance, EmFit
from tfgen.prior.training.fit import Fit
from tfgen.prior.training.fit_loop import FitData
from tfgen.prior.training.fit_options import FitOptions

EM = FitOptions(objective="em", epochs=4, em_batch=64, patience=0, learning_rate=0.01)


def fit_em(source, options=EM, arch="linear", held_out=(), model=None, **more):
    n = len(source.sizes)
    training = tuple(i for i in range(n) if i not in held_out)
    model = model or make_model(source, arch)
    log_sigma = tf.Variable([0.0])
    return EmFit(
        model, log_sigma, FitData(source, training, held_out, (1.0,)), options, **more
    ), model


def llr(source, model, log_sigma=0.0):
    n = range(len(source.sizes))
    scores = score_blocks(source, n, lambda b: model(b.inputs()).numpy(), [log_sigma])
    return scores.null.sum() - scores.nll.sum()


def test_the_deviance_is_that_of_an_exponential_variable():
    q, f = np.array([[2.0], [0.5]], np.float32), np.array([[1.5], [3.0]], np.float32)
    expected = 0.5 * (np.log(f) + q / f)
    np.testing.assert_allclose(Deviance().call(q, np.log(f)), expected[:, 0], rtol=1e-6)


def test_the_gradient_of_the_deviance_at_the_e_step_is_that_of_the_likelihood():
    source = draw(3)
    fit, model = fit_em(source)
    targets, *_ = fit._expectation(lambda: None)
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        total = tf.zeros(())
        for index, q in targets.items():
            total += tf.reduce_sum(Deviance().call(q, model(source.read(index).inputs())))
    by_deviance = tape.gradient(total, variables, unconnected_gradients="zero")
    options = FitOptions(blocks_per_step=3, clip_norm=0.0)
    exact = Fit(model, tf.Variable([0.0]), FitData(source, (0, 1, 2), (), (1.0,)), options)
    (rounds,) = exact._rounds(exact._steps(1))
    for blocks in rounds:
        seeds = [(block, np.zeros(2, np.int32)) for block in blocks]
        exact.step._run_accumulate(*exact.step._distribute(seeds))
    for a, b in zip(by_deviance, exact.step._sums, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=2e-4)


def test_em_reaches_the_optimum_of_the_likelihood():
    source = draw(24, seed=3)
    options = FitOptions(
        objective="em", epochs=60, em_epochs=4, em_batch=256, patience=0, learning_rate=0.02
    )
    fit, model = fit_em(source, options)
    fit.run()
    exact = make_model(source)
    data = FitData(source, tuple(range(24)), (), (1.0,))
    Fit(exact, tf.Variable([0.0]), data, FitOptions(epochs=60, learning_rate=0.02)).run()
    assert llr(source, model) == pytest.approx(llr(source, exact), rel=5e-3)


def test_rounds_of_em_raise_the_likelihood():
    source = draw(10, seed=1)
    fit, _ = fit_em(source, FitOptions(objective="em", epochs=8, em_batch=2048, patience=0))
    training = [record.training for record in fit.run().records]
    assert all(
        later < earlier + 1e-6 for earlier, later in zip(training, training[1:], strict=False)
    )
    assert training[-1] < training[0]


def test_keras_fit_and_the_own_loop_make_the_same_updates():
    source = draw(6, n=40, people=30)
    models = []
    for own_loop in (False, True):
        fit, model = fit_em(source, own_loop=own_loop)
        fit.run()
        models.append(model)
        # 240 variants in mini-batches of 64: four updates in each of 3 passes in 4 rounds.
        assert int(fit.optimizer.iterations.numpy()) == 48
    for a, b in zip(*(model.trainable_variables for model in models), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_sigma_has_its_closed_form():
    source = draw(30, seed=2, sigma=1.5, people=200)
    options = FitOptions(objective="em", epochs=30, em_batch=512, sigma="trained", patience=0)
    fit, _ = fit_em(source, options, arch="constant")
    result = fit.run()
    assert np.exp(result.log_sigma[0]) == pytest.approx(1.5, abs=0.3)
    assert result.records[-1].sigma[0] == pytest.approx(np.exp(result.log_sigma[0]))


def test_a_fit_that_was_stopped_goes_on_to_the_same_end(tmp_path):
    source = draw(6)
    whole = fit_em(source)[0].run()

    class StopError(Exception):
        pass

    def stop_after(record):
        if record.epoch == 2:
            raise StopError

    path = tmp_path / "state.npz"
    with pytest.raises(StopError):
        fit_em(source)[0].run(path, stop_after)
    seen = []
    resumed = fit_em(source)[0].run(path, seen.append)
    assert [record.epoch for record in seen] == [3, 4]
    assert repr(resumed) == repr(whole)


def test_patience_ends_it_with_the_best_parameters():
    source = draw(12, seed=4, logf=lambda x: np.full(len(x), -20.0))
    options = FitOptions(objective="em", epochs=30, patience=2, learning_rate=0.05)
    fit, _ = fit_em(source, options, arch="mlp", held_out=(9, 10, 11))
    result = fit.run()
    assert result.stopped_early == (len(result.records) == result.best_epoch + 2)


def test_dropout_works_in_keras_fit():
    source = draw(4)
    model = make_model(source, "mlp", dropout=0.3)
    fit, _ = fit_em(source, model=model)
    assert np.isfinite(fit.run().records[-1].training)


def test_a_prior_that_is_not_finite_is_an_error():
    source = draw(3)
    fit, model = fit_em(source)
    model.trainable_variables[0].assign(np.full(model.trainable_variables[0].shape, np.nan))
    with pytest.raises(NumericalError, match="the likelihood of block block0 is nan"):
        fit.run()
