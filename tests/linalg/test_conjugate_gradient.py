"""Conjugate gradients, against Cholesky, SciPy and a plain loop over one column."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from linalg.blocks import MODES, ar_block, block_of, spread_matrix
from tfgen.errors import NumericalError, UsageError
from tfgen.linalg.cholesky import checked_cholesky
from tfgen.linalg.conjugate_gradient import conjugate_gradient, require_converged
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.preconditioners import eigen, jacobi, pivoted_cholesky

BLOCK = ar_block()
SIZE = len(BLOCK.matrix)


def dense(matrix):
    return tf.linalg.LinearOperatorFullMatrix(
        tf.constant(matrix), is_self_adjoint=True, is_positive_definite=True
    )


def preconditioner_of(kind, operator):
    if kind == "none":
        return None
    if kind == "eigen":
        gram = tf.linalg.matmul(operator.projection, operator.projection, transpose_b=True)
        values, vectors = np.linalg.eigh(gram)
        return eigen(values, vectors, operator.noise, tf.reduce_mean(operator.variances, axis=-1))
    return jacobi(operator) if kind == "jacobi" else pivoted_cholesky(operator, 8)


def plain_loop(matrix, b, steps):
    """Textbook conjugate gradients of one column: x, alpha, beta."""
    x, r, p, alphas, betas = np.zeros_like(b), b.copy(), b.copy(), [], []
    for _ in range(steps):
        alpha = (r @ r) / (p @ matrix @ p)
        x, after = x + alpha * p, r - alpha * matrix @ p
        beta = (after @ after) / (r @ r)
        r, p = after, after + beta * p
        alphas.append(alpha)
        betas.append(beta)
    return x, alphas, betas


@pytest.fixture
def rhs():
    noise = np.random.default_rng(1).normal(size=(SIZE, 3))
    return np.concatenate([BLOCK.y, noise], axis=1)


@pytest.mark.parametrize("kind", ["none", "jacobi", "eigen", "pivoted"])
@pytest.mark.parametrize("mean", [0.014, 0.2, 2.0, 200.0])
def test_it_solves_like_cholesky_and_scipy(kind, mean, rhs):
    block = ar_block(mean=mean)
    operator = LowRankPlusNoise(*block.parts)
    result = conjugate_gradient(operator, rhs, preconditioner_of(kind, operator), tolerance=1e-10)
    lower, _ = checked_cholesky(operator.to_dense())
    np.testing.assert_allclose(
        result.solution, tf.linalg.cholesky_solve(lower, rhs), rtol=1e-8, atol=1e-8
    )
    np.testing.assert_allclose(
        result.solution, scipy.linalg.solve(block.matrix, rhs, assume_a="pos"), rtol=1e-8, atol=1e-8
    )
    assert result.converged.numpy().all()
    assert not result.breakdown.numpy().any()


def test_real_ld_of_more_variants_than_people(shared_data):
    # GTEx genotypes of 574 people at 1,001 variants of one locus: ill-conditioned by nature.
    with np.load(shared_data("gwas_ld/susier/N3finemapping.npz")) as file:
        genotypes = file["X"].astype(float)
    genotypes -= genotypes.mean(axis=0)
    genotypes /= np.linalg.norm(genotypes, axis=0)
    _, roots, vectors = np.linalg.svd(genotypes, full_matrices=False)
    kept = roots**2 > 1e-4
    block = block_of(roots[kept, None] * vectors[kept], mean=2.0)
    operator = LowRankPlusNoise(*block.parts)
    expected = scipy.linalg.solve(block.matrix, block.y, assume_a="pos")
    # Every variant is observed: Q Q' is diagonal, and its eigenvectors are the coordinates.
    simple = eigen(roots[kept] ** 2, None, 1.0, block.variances.mean())
    plain = conjugate_gradient(operator, block.y, tolerance=1e-10)
    better = conjugate_gradient(operator, block.y, simple, tolerance=1e-10)
    for result in (plain, better):
        np.testing.assert_allclose(result.solution, expected, rtol=1e-8, atol=1e-8)
    assert better.iterations.numpy()[0] < plain.iterations.numpy()[0]


def test_steps_are_those_of_the_textbook():
    b = np.random.default_rng(2).normal(size=SIZE)
    x, alpha, beta = plain_loop(BLOCK.matrix, b, 6)
    result = conjugate_gradient(
        LowRankPlusNoise(*BLOCK.parts), b[:, None], tolerance=0, max_iterations=6, n_lanczos=4
    )
    np.testing.assert_allclose(result.solution[:, 0], x, rtol=1e-9)
    np.testing.assert_allclose(result.alpha[:, 0], alpha[:4], rtol=1e-9)
    np.testing.assert_allclose(result.beta[:, 0], beta[:4], rtol=1e-8)
    residual = np.linalg.norm(b - BLOCK.matrix @ x) / np.linalg.norm(b)
    np.testing.assert_allclose(result.residual_norm, [residual], rtol=1e-6)
    assert result.iterations.numpy().tolist() == [6]
    assert result.converged.numpy().tolist() == [False]


@pytest.mark.parametrize("kind", ["none", "jacobi", "eigen", "pivoted"])
def test_a_batch_is_its_blocks_one_by_one(kind, rhs):
    blocks = [ar_block(seed=seed, mean=mean) for seed, mean in ((0, 0.2), (1, 1.0), (2, 0.05))]
    parts = [np.stack(part) for part in zip(*(block.parts for block in blocks), strict=True)]
    columns = np.stack([rhs, 2 * rhs, rhs[:, ::-1]])
    operator = LowRankPlusNoise(*parts)
    together = conjugate_gradient(operator, columns, preconditioner_of(kind, operator))
    for i, block in enumerate(blocks):
        one = LowRankPlusNoise(*block.parts)
        alone = conjugate_gradient(one, columns[i], preconditioner_of(kind, one))
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[i], theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("kind", ["none", "pivoted"])
def test_compiled_is_eager(mode, kind, rhs):
    parts = [np.stack([part, part]) for part in BLOCK.parts]

    def solve(columns, start):
        operator = LowRankPlusNoise(*parts)
        return conjugate_gradient(
            operator, columns, preconditioner_of(kind, operator), start, tolerance=1e-6
        )

    arguments = tf.constant(np.stack([rhs, -rhs])), tf.constant(np.ones((2, SIZE, 1)))
    for eager, compiled in zip(solve(*arguments), MODES[mode](solve)(*arguments), strict=True):
        assert eager.shape == compiled.shape
        np.testing.assert_allclose(compiled, eager, rtol=1e-8, atol=1e-12)


def test_sizes_may_be_unknown_when_traced(rhs):
    matrices, vector = (
        tf.TensorSpec([None, None, None], tf.float64),
        tf.TensorSpec([None], tf.float64),
    )

    @tf.function(input_signature=(matrices, vector, matrices), autograph=False)
    def solve(projection, variances, columns):
        noise = tf.constant([1.0, 1.0], tf.float64)
        return conjugate_gradient(LowRankPlusNoise(projection, variances, noise), columns)

    result = solve(np.stack([BLOCK.projection] * 2), BLOCK.variances, rhs[np.newaxis])
    expected = conjugate_gradient(LowRankPlusNoise(*BLOCK.parts), rhs)
    for ours, theirs in zip(result, expected, strict=True):
        np.testing.assert_allclose(ours[1], theirs, rtol=1e-9, atol=1e-12)


def test_the_formed_matrix_gives_the_same(rhs):
    operator = LowRankPlusNoise(*BLOCK.parts)
    free, formed = (conjugate_gradient(one, rhs) for one in (operator, operator.formed()))
    np.testing.assert_array_equal(free.iterations, formed.iterations)
    np.testing.assert_allclose(free.solution, formed.solution, rtol=1e-8, atol=1e-12)


def test_one_right_hand_side_serves_a_batch_of_matrices(rhs):
    matrices = np.stack([spread_matrix(SIZE, 10), spread_matrix(SIZE, 100)])
    result = conjugate_gradient(dense(matrices), rhs, tolerance=1e-10)
    np.testing.assert_allclose(
        result.solution, np.linalg.solve(matrices, np.stack([rhs, rhs])), rtol=1e-6, atol=1e-9
    )


def test_a_column_that_has_stopped_keeps_every_bit():
    matrix = spread_matrix(SIZE, 1e3)
    vectors = np.linalg.eigh(matrix)[1]
    easy, hard = vectors[:, 3], np.random.default_rng(0).normal(size=SIZE)
    rhs = np.stack([easy, hard], axis=1)
    few = conjugate_gradient(dense(matrix), rhs, tolerance=1e-8, max_iterations=2, n_lanczos=5)
    many = conjugate_gradient(dense(matrix), rhs, tolerance=1e-8, n_lanczos=5)
    np.testing.assert_array_equal(few.solution[:, 0], many.solution[:, 0])
    assert many.iterations[0] == 1
    assert many.iterations[1] > 20
    assert not np.array_equal(few.solution[:, 1], many.solution[:, 1])
    np.testing.assert_array_equal(many.alpha[1:, 0], np.ones(4))
    np.testing.assert_array_equal(many.beta[:, 0], np.zeros(5))
    assert (many.beta[:, 1].numpy() > 0).all()


def test_a_column_does_not_see_its_neighbours(rhs):
    operator = dense(BLOCK.matrix)
    together = conjugate_gradient(operator, rhs, tolerance=1e-6)
    for i in range(rhs.shape[1]):
        alone = conjugate_gradient(operator, rhs[:, i : i + 1], tolerance=1e-6)
        assert alone.iterations[0] == together.iterations[i]
        np.testing.assert_allclose(alone.solution[:, 0], together.solution[:, i], rtol=1e-9)


def test_zeros_have_the_solution_zero(rhs):
    rhs[:, 1] = 0
    start = np.ones((SIZE, 2))
    for initial in (None, start):
        result = conjugate_gradient(LowRankPlusNoise(*BLOCK.parts), rhs, initial=initial)
        np.testing.assert_array_equal(result.solution[:, 1], np.zeros(SIZE))
        assert result.residual_norm[1] == 0
        assert result.iterations[1] == 0
        assert result.converged.numpy().all()


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_the_scale_of_a_column_does_not_matter(factor, rhs):
    operator = LowRankPlusNoise(*(np.float32(part) for part in BLOCK.parts))
    rhs = rhs.astype(np.float32)
    plain = conjugate_gradient(operator, rhs)
    scaled = conjugate_gradient(operator, rhs * np.float32(factor))
    np.testing.assert_array_equal(scaled.iterations, plain.iterations)
    np.testing.assert_allclose(scaled.solution / np.float32(factor), plain.solution, rtol=1e-3)


def test_a_warm_start_takes_fewer_steps(rhs):
    operator = LowRankPlusNoise(*BLOCK.parts)
    cold = conjugate_gradient(operator, rhs, tolerance=1e-6)
    # The solution for variances a little different, as one step of training leaves it.
    near = LowRankPlusNoise(BLOCK.projection, 1.01 * BLOCK.variances, 1.0)
    start = np.linalg.solve(near.to_dense(), rhs)
    warm = conjugate_gradient(operator, rhs, initial=start[:, :2], tolerance=1e-6)
    assert (warm.iterations[:2].numpy() < cold.iterations[:2].numpy()).all()
    np.testing.assert_array_equal(warm.iterations[2:], cold.iterations[2:])
    assert warm.converged.numpy().all()
    exact = conjugate_gradient(operator, rhs, initial=np.linalg.solve(BLOCK.matrix, rhs))
    np.testing.assert_array_equal(exact.iterations, np.zeros(4))
    np.testing.assert_allclose(exact.solution, np.linalg.solve(BLOCK.matrix, rhs), rtol=1e-12)


def test_only_columns_that_start_at_zero_have_coefficients(rhs):
    operator = LowRankPlusNoise(*BLOCK.parts)
    cold = conjugate_gradient(operator, rhs)
    warm = conjugate_gradient(operator, rhs, initial=np.ones((SIZE, 1)))
    assert cold.alpha.shape == cold.beta.shape == [32, 4]
    assert warm.alpha.shape == warm.beta.shape == [32, 3]
    np.testing.assert_allclose(warm.alpha, cold.alpha[:, 1:], rtol=1e-9)
    np.testing.assert_allclose(warm.beta, cold.beta[:, 1:], rtol=1e-9)


def test_more_starts_than_columns_are_refused(rhs):
    with pytest.raises(UsageError, match="initial has 5 columns and rhs 4"):
        conjugate_gradient(dense(BLOCK.matrix), rhs, initial=np.ones((SIZE, 5)))


def test_an_indefinite_matrix_is_found_out():
    # TensorFlow's own conjugate gradients report a residual of 0 here.
    matrix = np.diag([1.0, -1.0, 2.0])
    rhs = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    result = conjugate_gradient(dense(matrix), rhs, tolerance=1e-8, n_lanczos=2)
    np.testing.assert_array_equal(result.breakdown, [True, False])
    np.testing.assert_array_equal(result.converged, [False, True])
    residual = rhs - matrix @ result.solution.numpy()
    np.testing.assert_allclose(
        result.residual_norm, np.linalg.norm(residual, axis=0) / np.linalg.norm(rhs, axis=0)
    )
    assert result.residual_norm[0] > 0.1
    np.testing.assert_array_equal(np.isnan(result.alpha), [[True, False]] * 2)
    with pytest.raises(NumericalError, match="^block 7: conjugate gradients broke down in 1 of 2"):
        require_converged(result, "block 7")


def test_an_indefinite_preconditioner_is_found_out():
    class Wrong:
        """M = -I where the first step has led."""

        def solve(self, x):
            return x * np.array([[1.0], [1.0], [-10.0]])

    result = conjugate_gradient(dense(np.diag([1.0, 2.0, 3.0])), [[1.0], [1.0], [0.1]], Wrong())
    np.testing.assert_array_equal(result.breakdown, [True])
    np.testing.assert_array_equal(result.converged, [False])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["rhs", "matrix", "initial"])
def test_values_that_are_not_finite_never_converge(value, place, rhs):
    matrix, start = BLOCK.matrix.copy(), np.zeros((SIZE, 1))
    if place == "matrix":
        matrix[3, 3] = value
    elif place == "rhs":
        rhs[3, 0] = value
    else:
        start[3, 0] = value
    result = conjugate_gradient(dense(matrix), rhs, initial=start)
    assert result.breakdown.numpy()[0]
    assert not result.converged.numpy()[0]
    assert place == "matrix" or result.converged.numpy()[1:].all()


def test_a_recursion_that_drifts_from_the_truth_is_not_believed():
    # In float32 the true residual of this matrix cannot come near the tolerance.
    matrix = spread_matrix(SIZE, 1e6).astype(np.float32)
    rhs = np.random.default_rng(0).normal(size=(SIZE, 1)).astype(np.float32)
    result = conjugate_gradient(dense(matrix), rhs, tolerance=1e-7, max_iterations=2000)
    true = np.linalg.norm(rhs - matrix.astype(float) @ result.solution) / np.linalg.norm(rhs)
    assert result.residual_norm.numpy()[0] == pytest.approx(true, rel=0.5)
    assert true > 1e-6
    assert not result.converged.numpy()[0]
    with pytest.raises(NumericalError, match="^block 7: conjugate gradients left a relative resid"):
        require_converged(result, "block 7")


def test_float32_is_enough_for_a_covariance(rhs):
    operator = LowRankPlusNoise(*(np.float32(part) for part in BLOCK.parts))
    result = require_converged(conjugate_gradient(operator, rhs, tolerance=1e-5), "block")
    assert result.solution.dtype == result.alpha.dtype == tf.float32
    np.testing.assert_allclose(
        result.solution, np.linalg.solve(BLOCK.matrix, rhs), rtol=1e-3, atol=1e-3
    )


def test_no_iterations_give_zero():
    result = conjugate_gradient(dense(BLOCK.matrix), BLOCK.y, max_iterations=0)
    np.testing.assert_array_equal(result.solution, np.zeros((SIZE, 1)))
    np.testing.assert_allclose(result.residual_norm, [1], rtol=1e-12)
    assert not result.converged.numpy().any()
    assert result.alpha.shape == [0, 1]


@pytest.mark.parametrize(
    "settings", [{"tolerance": -1.0}, {"max_iterations": -1}, {"n_lanczos": -1}]
)
def test_negative_settings_are_refused(settings):
    with pytest.raises(UsageError, match="expected none of them to be negative"):
        conjugate_gradient(dense(BLOCK.matrix), BLOCK.y, **settings)


def test_a_vector_is_no_right_hand_side():
    with pytest.raises(UsageError, match=r"rhs of shape \(30,\) for an operator of shape"):
        conjugate_gradient(dense(BLOCK.matrix), BLOCK.y[:, 0])
