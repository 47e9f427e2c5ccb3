"""Stochastic Lanczos quadrature, against the determinant by LU."""

import numpy as np
import pytest
import tensorflow as tf

from linalg.blocks import ar_block
from tfgen.errors import UsageError
from tfgen.linalg.conjugate_gradient import conjugate_gradient
from tfgen.linalg.log_determinant import log_determinant
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.preconditioners import eigen, identity, jacobi, pivoted_cholesky
from tfgen.linalg.probes import Probes, draw_probes

KINDS = ("identity", "jacobi", "eigen", "pivoted")


def preconditioner_of(kind, operator):
    if kind == "eigen":
        gram = tf.matmul(operator.projection, operator.projection, transpose_b=True)
        mean = tf.reduce_mean(operator.variances, axis=-1)
        return eigen(*np.linalg.eigh(gram), operator.noise, mean)
    if kind == "pivoted":
        return pivoted_cholesky(operator, 4)
    return {"identity": identity, "jacobi": jacobi}[kind](operator)


def estimate(operator, kind, n_probes=16, seed=(1, 2), y=None, initial=None, **settings):
    preconditioner = preconditioner_of(kind, operator)
    probes = draw_probes(preconditioner, n_probes, list(seed))
    rhs = probes.vectors if y is None else tf.concat([y, probes.vectors], axis=-1)
    result = conjugate_gradient(operator, rhs, preconditioner, initial, **settings)
    return log_determinant(result, probes, preconditioner)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mean", [0.014, 0.2, 2.0])
@pytest.mark.parametrize("rho", [0.5, 0.99])
def test_it_is_met_within_three_standard_errors(kind, mean, rho):
    block = ar_block(rho=rho, mean=mean)
    value, error = estimate(LowRankPlusNoise(*block.parts), kind, 32, tolerance=1e-8)
    assert abs(float(value) - block.log_determinant) < 3 * float(error)
    assert float(error) < 0.2 * abs(block.log_determinant) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_with_all_steps_and_all_probes_it_is_exact(kind):
    # Columns of S times sqrt(q) in place of random probes: their mean outer product is M itself.
    block = ar_block(n=16, flank=4, rho=0.5, mean=1.0)
    operator = LowRankPlusNoise(*block.parts)
    preconditioner = preconditioner_of(kind, operator)
    size = int(preconditioner.factor_shape()[-1])
    vectors = preconditioner.multiply_factor(np.sqrt(size) * np.eye(size))
    solved = preconditioner.solve(vectors)
    probes = Probes(vectors, solved, tf.reduce_sum(vectors * solved, axis=-2))
    result = conjugate_gradient(operator, vectors, preconditioner, tolerance=1e-14, n_lanczos=8)
    value = log_determinant(result, probes, preconditioner).value
    assert float(value) == pytest.approx(block.log_determinant, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_unbiased(kind):
    block = ar_block(n=24, flank=6, mean=1.0)
    operator = LowRankPlusNoise(*block.parts)
    # The terms of 400 probes are 400 draws.
    value, error = estimate(operator, kind, 400, tolerance=1e-10, n_lanczos=12)
    assert abs(float(value) - block.log_determinant) < 4 * float(error)


def test_the_standard_error_is_that_of_repeated_draws():
    block = ar_block(n=24, flank=6, mean=1.0)
    operator = LowRankPlusNoise(*block.parts)
    draws = [estimate(operator, "jacobi", 8, (9, i), tolerance=1e-6) for i in range(60)]
    values, errors = np.array([[float(part) for part in draw] for draw in draws]).T
    assert np.std(values, ddof=1) == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.4)


def test_a_better_preconditioner_leaves_less_to_chance():
    operator = LowRankPlusNoise(*ar_block(mean=2.0).parts)
    errors = [float(estimate(operator, kind).standard_error) for kind in ("identity", "pivoted")]
    assert errors[1] < 0.5 * errors[0]


def test_the_tolerance_of_training_is_close_enough():
    operator = LowRankPlusNoise(*ar_block(mean=2.0).parts)
    rough = estimate(operator, "identity", tolerance=1e-2)
    fine = estimate(operator, "identity", tolerance=1e-10)
    assert abs(float(rough.value) - float(fine.value)) < 0.1 * float(fine.standard_error)


def test_a_batch_is_its_blocks():
    blocks = [ar_block(seed=seed, mean=mean) for seed, mean in ((0, 0.2), (1, 1.0))]
    parts = [np.stack(part) for part in zip(*(block.parts for block in blocks), strict=True)]
    value, error = estimate(LowRankPlusNoise(*parts), "jacobi", 32, tolerance=1e-8)
    assert value.shape == error.shape == [2]
    for i, block in enumerate(blocks):
        assert abs(value[i].numpy() - block.log_determinant) < 3 * error[i].numpy()


def test_statistics_before_the_probes_change_nothing_warm_or_cold():
    block = ar_block()
    operator = LowRankPlusNoise(*block.parts)
    alone = float(estimate(operator, "jacobi").value)
    cold = estimate(operator, "jacobi", y=block.y)
    warm = estimate(operator, "jacobi", y=block.y, initial=np.ones_like(block.y))
    assert float(cold.value) == pytest.approx(alone, rel=1e-9)
    assert float(warm.value) == pytest.approx(alone, rel=1e-9)


def test_probes_that_started_elsewhere_are_refused():
    block = ar_block()
    start = np.ones((len(block.matrix), 2))
    with pytest.raises(UsageError, match="coefficients of 15 columns for 16 probes; expected"):
        estimate(LowRankPlusNoise(*block.parts), "jacobi", y=block.y, initial=start)


def test_no_coefficients_are_refused():
    with pytest.raises(UsageError, match="^0 Lanczos coefficients of 16 columns"):
        estimate(LowRankPlusNoise(*ar_block().parts), "jacobi", n_lanczos=0)


def test_a_single_probe_has_no_standard_error():
    value, error = estimate(LowRankPlusNoise(*ar_block().parts), "jacobi", 1)
    assert np.isfinite(value)
    assert np.isnan(error)


def test_a_probe_that_breaks_down_gives_no_number():
    matrix = tf.linalg.LinearOperatorFullMatrix(np.diag([1.0, -1.0, 2.0]))
    preconditioner = identity(matrix)
    probes = draw_probes(preconditioner, 4, [1, 2])
    result = conjugate_gradient(matrix, probes.vectors, preconditioner)
    assert np.isnan(log_determinant(result, probes, preconditioner).value)


def test_float32_is_close():
    block = ar_block()
    operator = LowRankPlusNoise(*(np.float32(part) for part in block.parts))
    value, error = estimate(operator, "pivoted", tolerance=1e-5)
    assert value.dtype == error.dtype == tf.float64
    assert abs(float(value) - block.log_determinant) < 3 * float(error) + 1e-3
