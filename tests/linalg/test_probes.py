"""Probes: their moments, and that what they estimate is met on average."""

import math

import numpy as np
import pytest
import tensorflow as tf

from linalg.blocks import MODES, ar_block
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.preconditioners import eigen, identity, jacobi, pivoted_cholesky
from tfgen.linalg.probes import draw_probes, inverse_trace, projected_inverse_diagonal

BLOCK = ar_block(n=24, flank=6, mean=1.0, noise=0.5)
SIZE = len(BLOCK.matrix)
OPERATOR = LowRankPlusNoise(*BLOCK.parts)
INVERSE = np.linalg.inv(BLOCK.matrix)
GRAM = BLOCK.projection @ BLOCK.projection.T
PRECONDITIONERS = {
    "identity": identity(OPERATOR),
    "jacobi": jacobi(OPERATOR),
    "eigen": eigen(*np.linalg.eigh(GRAM), BLOCK.noise, BLOCK.variances.mean()),
    "pivoted": pivoted_cholesky(OPERATOR, 3),
}
N_DRAWS = 400


@pytest.fixture(params=PRECONDITIONERS)
def preconditioner(request):
    return PRECONDITIONERS[request.param]


def matrix_of(preconditioner):
    return np.linalg.inv(preconditioner.solve(np.eye(SIZE)).numpy())


def assert_mean(draws, expected):
    """A z-test of every entry; 5 is beyond chance for some hundred entries."""
    error = np.std(draws, axis=0, ddof=1) / math.sqrt(len(draws))
    # Entries that do not vary are exact up to rounding.
    z = (np.mean(draws, axis=0) - expected) / np.maximum(error, 1e-9)
    assert np.abs(z).max() < 5


def draws_of(preconditioner, estimate):
    """One estimate from each of many single probes."""
    probes = draw_probes(preconditioner, N_DRAWS, [3, 4])
    solutions = tf.constant(INVERSE) @ probes.vectors
    one = [
        type(probes)(
            probes.vectors[:, i : i + 1], probes.solved[:, i : i + 1], probes.weights[i : i + 1]
        )
        for i in range(N_DRAWS)
    ]
    return np.array([estimate(p, solutions[:, i : i + 1]) for i, p in enumerate(one)])


def test_their_second_moment_is_the_preconditioner(preconditioner):
    vectors = draw_probes(preconditioner, 4000, [1, 2]).vectors.numpy().T
    assert_mean(vectors[:, :, None] * vectors[:, None, :], matrix_of(preconditioner))
    assert_mean(vectors, np.zeros(SIZE))


def test_solved_and_weights_belong_to_the_vectors(preconditioner):
    probes = draw_probes(preconditioner, 7, [1, 2])
    vectors = probes.vectors.numpy()
    solved = np.linalg.solve(matrix_of(preconditioner), vectors)
    np.testing.assert_allclose(probes.solved, solved, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(probes.weights, (vectors * solved).sum(axis=0), rtol=1e-8)


def test_plain_probes_are_signs():
    probes = draw_probes(identity(OPERATOR), 50, [0, 0])
    assert set(probes.vectors.numpy().ravel()) == {-1.0, 1.0}
    np.testing.assert_array_equal(probes.weights, np.full(50, SIZE))


def test_the_diagonal_for_the_gradient_is_unbiased(preconditioner):
    expected = np.diag(BLOCK.projection.T @ INVERSE @ BLOCK.projection)
    assert_mean(
        draws_of(
            preconditioner, lambda p, s: projected_inverse_diagonal(BLOCK.projection, p, s).numpy()
        ),
        expected,
    )


def test_the_trace_of_the_inverse_is_unbiased(preconditioner):
    draws = draws_of(preconditioner, lambda p, s: inverse_trace(p, s).numpy())
    assert_mean(draws, np.trace(INVERSE))


def test_leaving_the_preconditioner_out_would_be_biased():
    # (Q'p)_i (Q'K^-1 p)_i is right for signs only: the z-test above can tell.
    probes = draw_probes(PRECONDITIONERS["eigen"], N_DRAWS, [3, 4])
    projected = BLOCK.projection.T @ probes.vectors.numpy()
    solved = BLOCK.projection.T @ INVERSE @ probes.vectors.numpy()
    with pytest.raises(AssertionError):
        assert_mean(
            (projected * solved).T, np.diag(BLOCK.projection.T @ INVERSE @ BLOCK.projection)
        )


def test_many_probes_are_the_mean_of_single_ones(preconditioner):
    probes = draw_probes(preconditioner, N_DRAWS, [3, 4])
    solutions = tf.constant(INVERSE) @ probes.vectors
    singles = draws_of(
        preconditioner, lambda p, s: projected_inverse_diagonal(BLOCK.projection, p, s).numpy()
    )
    whole = projected_inverse_diagonal(BLOCK.projection, probes, solutions)
    np.testing.assert_allclose(whole, singles.mean(axis=0), rtol=1e-9)
    traces = draws_of(preconditioner, lambda p, s: inverse_trace(p, s).numpy())
    np.testing.assert_allclose(inverse_trace(probes, solutions), traces.mean(), rtol=1e-9)


def test_the_matrix_itself_as_preconditioner_leaves_nothing_to_chance():
    # With M = K = V D V' and p = V D^1/2 u every estimate of the trace is u'D^-1 u = tr K^-1.
    perfect = eigen(*np.linalg.eigh(BLOCK.matrix - BLOCK.noise * np.eye(SIZE)), BLOCK.noise, 1.0)
    draws = draws_of(perfect, lambda p, s: inverse_trace(p, s).numpy())
    np.testing.assert_allclose(draws, np.trace(INVERSE), rtol=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_the_seed_decides_in_every_mode(mode):
    def vectors(seed):
        return draw_probes(PRECONDITIONERS["jacobi"], 5, seed).vectors

    first, again, other = (MODES[mode](vectors)(tf.constant(s)) for s in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(tf.sign(first), tf.sign(vectors(tf.constant([1, 2]))))
    assert not np.array_equal(first, other)


def test_blocks_of_a_batch_have_probes_of_their_own():
    parts = [np.stack([part, part]) for part in BLOCK.parts]
    operator = LowRankPlusNoise(*parts)
    for preconditioner in (identity(operator), pivoted_cholesky(operator, 3)):
        probes = draw_probes(preconditioner, 5, [1, 2])
        assert probes.vectors.shape == probes.solved.shape == [2, SIZE, 5]
        assert probes.weights.shape == [2, 5]
        assert not np.array_equal(probes.vectors[0], probes.vectors[1])
        solutions = tf.constant(INVERSE) @ probes.vectors
        diagonal = projected_inverse_diagonal(parts[0], probes, solutions)
        assert diagonal.shape == [2, BLOCK.projection.shape[1]]
        assert inverse_trace(probes, solutions).shape == [2]
