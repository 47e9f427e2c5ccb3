import keras
import numpy as np
import pytest
import tensorflow as tf

from prior.small_fits import draw
from tfgen.prior.training.block_step import BlockStep
from tfgen.prior.training.block_tensors import block_arrays, empty_block
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.objectives import ObjectiveTerms, likelihood_terms

N, OBSERVED = 30, 12.0
SLOPE = 0.7  # of the toy objective by log sigma


class Linear:
    """log f = annotations kernel + frequency_exponent, in variables of those names."""

    def __init__(self, start=0.5):
        self.kernel = keras.Variable(np.full((3, 1), start, np.float32), name="kernel")
        self.exponent = keras.Variable(np.full(1, start, np.float32), name="frequency_exponent")
        self.bias = keras.Variable(np.full(1, start, np.float32), name="bias")
        self.trainable_variables = [self.kernel, self.exponent, self.bias]

    def __call__(self, inputs, training, seed):
        del training, seed
        return inputs["annotations"] @ self.kernel.value + self.exponent.value + self.bias.value


class Noise(Linear):
    """log f is random while it is trained."""

    def __call__(self, inputs, training, seed):
        value = super().__call__(inputs, training, seed)
        noise = tf.random.stateless_uniform([tf.shape(value)[0], 1], seed)
        return value + noise if training else value


def toy_objective(logf, log_sigma, traits, block):
    """Half the sum of squares of log f, linear in log sigma; every block has a fault."""
    del traits, block
    value = 0.5 * tf.reduce_sum(tf.square(logf)) + SLOPE * tf.reduce_sum(log_sigma)
    return ObjectiveTerms(value, logf, SLOPE * tf.ones_like(log_sigma), tf.constant(1))


@pytest.fixture(scope="module")
def blocks():
    source = draw(3, n=N, people=20)
    return [block_arrays(source.read(i), i) for i in range(3)]


def make(model=None, objective=toy_objective, **options):
    options = FitOptions(**{"warmup_steps": 0, "clip_norm": 0.0, **options})
    log_sigma = tf.Variable([0.25])
    model = model or Linear()
    return BlockStep(model, log_sigma, objective, options, OBSERVED), model


def by_hand(blocks_of_steps, options, trained):
    """Parameters and results of the updates, in NumPy: Kingma and Ba 2015 with decoupled decay."""
    theta = {"kernel": np.full(3, 0.5), "exponent": 0.5, "bias": 0.5, "sigma": 0.25}
    first = {name: np.zeros_like(x) for name, x in theta.items()}
    second = {name: np.zeros_like(x) for name, x in theta.items()}
    results = []
    for step, blocks in enumerate(blocks_of_steps):
        gradient = {name: np.zeros_like(x) for name, x in theta.items()}
        value = 0.0
        for block in blocks:
            x = block.inputs["annotations"].astype(float)
            logf = x @ theta["kernel"] + theta["exponent"] + theta["bias"]
            value += 0.5 * logf @ logf + SLOPE * theta["sigma"]
            gradient["kernel"] = gradient["kernel"] + x.T @ logf / OBSERVED
            for name in ("exponent", "bias"):
                gradient[name] = gradient[name] + logf.sum() / OBSERVED
            gradient["sigma"] = gradient["sigma"] + trained * SLOPE / OBSERVED
        norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
        results.append((value, norm))
        shrink = min(1.0, options.clip_norm / norm) if options.clip_norm else 1.0
        warm = min(1.0, (step + 1) / max(1, options.warmup_steps))
        for name, g in gradient.items():
            slow = name in {"exponent", "sigma"}
            rate = warm * (options.sigma_learning_rate if slow else options.learning_rate)
            if name == "kernel":  # vectors and slow ones are not decayed
                theta[name] = theta[name] * (1 - rate * options.weight_decay)
            first[name] = 0.9 * first[name] + 0.1 * shrink * g
            second[name] = 0.999 * second[name] + 0.001 * (shrink * g) ** 2
            t = step + 1
            scale = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            move = scale * first[name] / (np.sqrt(second[name]) + 1e-7)
            theta[name] = theta[name] - (move if name != "sigma" or trained else 0)
    return theta, results


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sigma": "trained"},
        {"clip_norm": 0.4, "sigma": "trained"},
        {"warmup_steps": 5},
        {"weight_decay": 0.3},
        {"micro_batch": 7},
        {"xla": True},
    ],
    ids=str,
)
def test_updates_are_those_of_adam_by_hand(blocks, options):
    options = {"learning_rate": 0.02, "sigma_learning_rate": 0.05, **options}
    step, model = make(**options)
    plan = [[0, 1], [2], [1, 0, 2], [2, 1]]
    found = [step.update([[blocks[i]] for i in row], n) for n, row in enumerate(plan)]
    settings = FitOptions(**{"warmup_steps": 0, "clip_norm": 0.0, **options})
    trained = settings.sigma == "trained"
    theta, expected = by_hand([[blocks[i] for i in row] for row in plan], settings, trained)
    np.testing.assert_allclose(model.kernel.numpy()[:, 0], theta["kernel"], rtol=2e-4)
    np.testing.assert_allclose(model.exponent.numpy(), theta["exponent"], rtol=2e-4)
    np.testing.assert_allclose(model.bias.numpy(), theta["bias"], rtol=2e-4)
    np.testing.assert_allclose(step.log_sigma.numpy(), theta["sigma"], rtol=2e-4)
    np.testing.assert_allclose([r.value for r in found], [e[0] for e in expected], rtol=1e-3)
    # The norm is that before clipping.
    np.testing.assert_allclose(
        [r.gradient_norm for r in found], [e[1] for e in expected], rtol=1e-3
    )
    assert [r.faults for r in found] == [2, 1, 3, 2]


def test_blocks_that_are_not_there_add_nothing(blocks):
    plain, first = make()
    padded, second = make()
    a = plain.update([[blocks[0]]], 0)
    b = padded.update([[blocks[0]], [empty_block(blocks[0])]], 0)
    assert a == b
    np.testing.assert_array_equal(first.kernel.numpy(), second.kernel.numpy())


def test_the_likelihood_goes_down(blocks):
    def objective(logf, log_sigma, traits, _):
        return likelihood_terms(logf, log_sigma, traits)

    step, _ = make(objective=objective, learning_rate=0.02, sigma="trained")
    values = [step.update([[block] for block in blocks], n).value for n in range(20)]
    assert all(later < earlier for earlier, later in zip(values, values[1:], strict=False))


@pytest.mark.parametrize("micro_batch", [7, 30, 100])
def test_log_f_does_not_depend_on_the_micro_batch(blocks, micro_batch):
    step, model = make(micro_batch=micro_batch)
    inputs = blocks[0].inputs
    expected = inputs["annotations"] @ model.kernel.numpy() + 1.0
    np.testing.assert_allclose(step.log_f(inputs), expected, rtol=1e-5, atol=1e-6)


def test_random_numbers_belong_to_block_step_seed_and_part(blocks):
    def value(block=0, number=0, seed=0, **options):
        step, _ = make(Noise(), seed=seed, **options)
        return step.update([[blocks[block]]], number).value

    reference = value()
    assert value() == reference
    others = [value(number=1), value(seed=1), value(micro_batch=15)]
    assert len({reference, *others}) == 4
    # The same features in another block get other numbers.
    renamed = blocks[0]._replace(block=np.asarray(9, np.int32))
    step, _ = make(Noise())
    assert step.update([[renamed]], 0).value != reference


def test_scoring_is_not_random(blocks):
    step, _ = make(Noise())
    inputs = blocks[0].inputs
    np.testing.assert_array_equal(step.log_f(inputs), step.log_f(inputs))
    plain, _ = make()
    np.testing.assert_array_equal(step.log_f(inputs), plain.log_f(inputs))


def test_its_variables_are_all_that_training_changes(blocks):
    step, _ = make(sigma="trained")
    before = [v.numpy() for v in step.variables()]
    first = step.update([[blocks[0]]], 0)
    step.update([[blocks[1]]], 1)
    after = [v.numpy() for v in step.variables()]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    for variable, value in zip(step.variables(), before, strict=True):
        variable.assign(value)
    assert step.update([[blocks[0]]], 0) == first
    assert step.update([[blocks[1]]], 1).value > 0
    for variable, value in zip(step.variables(), after, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_fixed_sigma_is_no_variable_of_training(blocks):
    fixed, trained = (make(sigma=mode)[0] for mode in ("fixed", "trained"))
    assert len(trained.variables()) == len(fixed.variables()) + 3  # with two moments of Adam
    fixed.update([[blocks[0]]], 0)
    assert fixed.log_sigma.numpy().tolist() == [0.25]


def test_reset_forgets_the_moments_but_not_the_parameters(blocks):
    step, model = make(learning_rate=0.02)
    step.update([[blocks[0]]], 0)
    kept = model.kernel.numpy()
    step.reset(FitOptions(warmup_steps=0, clip_norm=0.0, learning_rate=0.01))
    np.testing.assert_array_equal(model.kernel.numpy(), kept)
    step.update([[blocks[0]]], 0)
    # The first step of Adam is the rate itself, whatever the gradient.
    np.testing.assert_allclose(np.abs(model.kernel.numpy() - kept), 0.01, rtol=1e-4)
