"""Preconditioners against the matrices they stand for, and what they save."""

import numpy as np
import pytest
import tensorflow as tf

from linalg.blocks import MODES, ar_block, block_of
from tfgen.errors import UsageError
from tfgen.linalg.conjugate_gradient import conjugate_gradient
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.preconditioners import eigen, identity, jacobi, pivoted_cholesky

BLOCK = ar_block(noise=0.5)
SIZE = len(BLOCK.matrix)
GRAM = BLOCK.projection @ BLOCK.projection.T
KINDS = ("identity", "jacobi", "eigen", "diagonal eigen", "pivoted")


def build(kind, block=BLOCK):
    """A preconditioner of a block or of a batch of them."""
    operator = LowRankPlusNoise(*block.parts)
    mean = tf.reduce_mean(operator.variances, axis=-1)
    if kind == "identity":
        return identity(operator)
    if kind == "jacobi":
        return jacobi(operator)
    if kind == "pivoted":
        return pivoted_cholesky(operator, 5)
    gram = tf.matmul(operator.projection, operator.projection, transpose_b=True)
    if kind == "eigen":
        return eigen(*np.linalg.eigh(gram), operator.noise, mean)
    return eigen(tf.linalg.diag_part(gram), None, operator.noise, mean)


def meaning(kind):
    """M by NumPy, from its definition."""
    if kind == "identity":
        return np.eye(SIZE)
    if kind == "jacobi":
        return np.diag(np.diag(BLOCK.matrix))
    if kind == "pivoted":
        factor = build(kind).factor.numpy()
        return BLOCK.noise * np.eye(SIZE) + factor @ factor.T
    gram = GRAM if kind == "eigen" else np.diag(np.diag(GRAM))
    return BLOCK.noise * np.eye(SIZE) + BLOCK.variances.mean() * gram


@pytest.fixture
def columns():
    return np.random.default_rng(0).normal(size=(SIZE, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_it_solves_with_its_matrix(kind, columns):
    expected = np.linalg.solve(meaning(kind), columns)
    np.testing.assert_allclose(build(kind).solve(columns), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_its_factor_times_its_transpose_is_its_matrix(kind):
    preconditioner = build(kind)
    *batch, size = preconditioner.factor_shape().numpy()
    factor = preconditioner.multiply_factor(np.eye(size)).numpy()
    assert batch == []
    assert factor.shape == (SIZE, size)
    np.testing.assert_allclose(factor @ factor.T, meaning(kind), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_its_log_determinant_is_exact(kind):
    expected = np.linalg.slogdet(meaning(kind))[1]
    assert build(kind).log_determinant().numpy() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_blocks_one_by_one(kind):
    blocks = [ar_block(seed=seed, mean=mean) for seed, mean in ((0, 0.2), (1, 1.0))]
    batch = blocks[0]._replace(
        projection=np.stack([block.projection for block in blocks]),
        variances=np.stack([block.variances for block in blocks]),
        noise=np.array([1.0, 1.0]),
    )
    together = build(kind, batch)
    shape = together.factor_shape().numpy()
    x = np.random.default_rng(0).normal(size=(2, SIZE, 3))
    u = np.random.default_rng(0).normal(size=(*shape, 3))
    assert shape[0] == 2
    for i, block in enumerate(blocks):
        alone = build(kind, block)
        np.testing.assert_allclose(together.solve(x)[i], alone.solve(x[i]), rtol=1e-8)
        np.testing.assert_allclose(
            together.multiply_factor(u)[i], alone.multiply_factor(u[i]), rtol=1e-8, atol=1e-10
        )
        np.testing.assert_allclose(
            together.log_determinant()[i], alone.log_determinant(), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_is_eager(mode, kind, columns):
    def products(x):
        preconditioner = build(kind)
        return preconditioner.solve(x), preconditioner.log_determinant()

    if kind == "eigen":
        # Its vectors come from LAPACK, outside.
        ready = build(kind)

        def products(x):
            return ready.solve(x), ready.log_determinant()

    for ours, theirs in zip(MODES[mode](products)(columns), products(columns), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    block = BLOCK._replace(projection=BLOCK.projection.astype(np.float32))
    preconditioner = build(kind, block)
    solved = preconditioner.solve(tf.ones([SIZE, 1]))
    assert preconditioner.dtype == solved.dtype == preconditioner.log_determinant().dtype
    assert solved.dtype == tf.float32


def iterations(operator, preconditioner):
    rhs = np.random.default_rng(7).normal(size=(operator.shape[-1], 4))
    result = conjugate_gradient(operator, rhs, preconditioner, tolerance=1e-6)
    assert result.converged.numpy().all()
    return int(np.max(result.iterations))


def test_the_diagonal_saves_iterations_where_it_differs():
    # Independent rows of very different size.
    rng = np.random.default_rng(0)
    scale = np.geomspace(1, 30, 40)
    operator = LowRankPlusNoise(*block_of(scale[:, None] * rng.normal(size=(40, 400))).parts)
    assert iterations(operator, jacobi(operator)) < 0.5 * iterations(operator, None)


@pytest.mark.parametrize("flank", [0, 15])
def test_equal_variances_leave_the_eigen_preconditioner_one_iteration(flank):
    block = ar_block(flank=flank, mean=1.0, spread=0.0)
    operator = LowRankPlusNoise(*block.parts)
    gram = block.projection @ block.projection.T
    if flank:
        preconditioner = eigen(*np.linalg.eigh(gram), 1.0, 1.0)
    else:
        # Everything observed: Q Q' = L, and no vectors are needed.
        np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-10)
        preconditioner = eigen(np.diag(gram), None, 1.0, 1.0)
    assert iterations(operator, None) > 5
    assert iterations(operator, preconditioner) == 1


def test_the_eigen_preconditioner_saves_iterations_for_unequal_variances():
    block = ar_block(n=120, flank=0, rho=0.9, mean=2.0, spread=1.0)
    operator = LowRankPlusNoise(*block.parts)
    values = np.diag(block.projection @ block.projection.T)
    preconditioner = eigen(values, None, 1.0, block.variances.mean())
    assert iterations(operator, preconditioner) < iterations(operator, None)


def test_pivots_save_iterations_where_few_directions_carry_the_variance():
    block = ar_block(n=120, flank=0, mean=2.0)
    operator = LowRankPlusNoise(*block.parts)
    counts = [iterations(operator, pivoted_cholesky(operator, rank)) for rank in (1, 5, 20)]
    assert iterations(operator, None) > counts[0] > counts[1] > counts[2]


@pytest.mark.parametrize("rank", [0, SIZE + 1])
def test_ranks_beyond_the_matrix_are_refused(rank):
    with pytest.raises(UsageError, match=f"rank {rank}; expected 1 to {SIZE}, the size"):
        pivoted_cholesky(LowRankPlusNoise(*BLOCK.parts), rank)
