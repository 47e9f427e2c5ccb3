"""The operator sigma I + Q diag(f) Q', against the matrix that NumPy forms."""

import numpy as np
import pytest
import tensorflow as tf

from linalg.blocks import ar_block
from tfgen.errors import UsageError
from tfgen.linalg.operator import LowRankPlusNoise

BLOCK = ar_block()
SIZE = len(BLOCK.matrix)


@pytest.fixture
def operator():
    return LowRankPlusNoise(*BLOCK.parts)


@pytest.fixture
def columns():
    return np.random.default_rng(5).normal(size=(SIZE, 4))


def test_it_multiplies_like_the_dense_matrix(operator, columns):
    expected = BLOCK.matrix @ columns
    np.testing.assert_allclose(operator.matmul(columns), expected, rtol=1e-10)
    np.testing.assert_allclose(operator.matmul(columns.T, adjoint_arg=True), expected, rtol=1e-10)
    np.testing.assert_allclose(operator.matmul(columns, adjoint=True), expected, rtol=1e-10)
    np.testing.assert_allclose(operator.matvec(columns[:, 0]), expected[:, 0], rtol=1e-10)
    np.testing.assert_allclose(operator @ tf.constant(columns), expected, rtol=1e-10)


def test_dense_diagonal_and_trace_are_those_of_the_matrix(operator):
    np.testing.assert_allclose(operator.to_dense(), BLOCK.matrix, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(operator.diag_part(), np.diag(BLOCK.matrix), rtol=1e-12)
    np.testing.assert_allclose(
        operator.signal_diag_part(), np.diag(BLOCK.matrix) - BLOCK.noise, rtol=1e-12
    )
    assert tf.linalg.trace(operator).numpy() == pytest.approx(np.trace(BLOCK.matrix), rel=1e-12)


def test_columns_are_those_of_the_signal(operator):
    expected = BLOCK.matrix[:, 7] - BLOCK.noise * (np.arange(SIZE) == 7)
    np.testing.assert_allclose(operator.signal_column(tf.constant(7)), expected, atol=1e-13)


def test_dense_solutions_and_determinants_of_tensorflow_work(operator):
    solution = tf.linalg.solve(operator, tf.constant(BLOCK.y))
    np.testing.assert_allclose(solution, np.linalg.solve(BLOCK.matrix, BLOCK.y), rtol=1e-9)
    assert operator.log_abs_determinant().numpy() == pytest.approx(BLOCK.log_determinant, rel=1e-12)
    assert tf.linalg.logdet(operator).numpy() == pytest.approx(BLOCK.log_determinant, rel=1e-12)


def test_the_formed_operator_is_the_same(operator, columns):
    formed = operator.formed()
    np.testing.assert_allclose(formed.matmul(columns), operator.matmul(columns), rtol=1e-10)
    np.testing.assert_allclose(formed.diag_part(), operator.diag_part(), rtol=1e-12)
    assert formed.shape == operator.shape
    for one in (formed, operator):
        assert (one.is_self_adjoint, one.is_positive_definite) == (True, True)
        assert (one.is_non_singular, one.is_square) == (True, True)
        assert one.dtype == tf.float64


def test_its_adjoint_is_itself(operator):
    assert operator.adjoint() is operator


@pytest.mark.parametrize(
    ("projection", "variances", "noise", "batch"),
    [((3,), (3,), (3,), [3]), ((), (3,), (), [3]), ((), (), (2,), [2]), ((3,), (), (2, 1), [2, 3])],
)
def test_batch_shapes_are_broadcast(projection, variances, noise, batch):
    rng = np.random.default_rng(0)
    q = rng.normal(size=(*projection, 5, 8))
    f = rng.uniform(0.1, 2, size=(*variances, 8))
    sigma = rng.uniform(0.5, 1, size=noise)
    operator = LowRankPlusNoise(q, f, sigma)
    x = rng.normal(size=(*batch, 5, 2))
    dense = np.einsum("...ij,...j,...kj->...ik", q, f, q) + sigma[..., None, None] * np.eye(5)
    assert operator.batch_shape == batch
    assert operator.shape == [*batch, 5, 5]
    np.testing.assert_array_equal(operator.shape_tensor(), [*batch, 5, 5])
    np.testing.assert_allclose(operator.to_dense(), dense, rtol=1e-12)
    np.testing.assert_allclose(operator.matmul(x), dense @ x, rtol=1e-11)


def test_it_goes_in_and_out_of_a_function_that_is_traced_once():
    traces = []

    @tf.function
    def doubled(operator):
        traces.append(operator.shape)
        return LowRankPlusNoise(operator.projection, 2 * operator.variances, 2 * operator.noise)

    for noise in (1.0, 3.0):
        block = ar_block(noise=noise)
        result = doubled(LowRankPlusNoise(*block.parts))
        assert isinstance(result, LowRankPlusNoise)
        np.testing.assert_allclose(result.to_dense(), 2 * block.matrix, rtol=1e-10, atol=1e-14)
    assert traces == [[SIZE, SIZE]]


def test_its_parts_are_found_by_nest(operator):
    parts = tf.nest.flatten(operator, expand_composites=True)
    again = tf.nest.pack_sequence_as(operator, parts, expand_composites=True)
    np.testing.assert_array_equal(again.to_dense(), operator.to_dense())
    assert tf.type_spec_from_value(operator).value_type is LowRankPlusNoise


def test_sizes_may_be_unknown_when_traced():
    spec = tf.TensorSpec([None, None], tf.float64), tf.TensorSpec([None], tf.float64)

    @tf.function(input_signature=spec, autograph=False)
    def dense_and_shape(projection, variances):
        operator = LowRankPlusNoise(projection, variances, tf.constant([1.0, 2.0], tf.float64))
        return operator.to_dense(), operator.shape_tensor()

    dense, shape = dense_and_shape(BLOCK.projection, BLOCK.variances)
    np.testing.assert_allclose(dense[0], BLOCK.matrix, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(shape, [2, SIZE, SIZE])


def test_a_batch_can_be_sliced():
    parts = [np.stack([part, 2 * part]) for part in BLOCK.parts]
    batch = LowRankPlusNoise(*parts)
    assert isinstance(batch[1], LowRankPlusNoise)
    np.testing.assert_allclose(batch[1].to_dense(), batch.to_dense()[1], rtol=1e-12)


def test_float32_is_close():
    operator = LowRankPlusNoise(BLOCK.projection.astype(np.float32), BLOCK.variances, BLOCK.noise)
    assert operator.dtype == operator.to_dense().dtype == tf.float32
    np.testing.assert_allclose(operator.to_dense(), BLOCK.matrix, rtol=1e-4, atol=1e-5)


def test_variances_of_another_number_of_variants_are_refused():
    with pytest.raises(UsageError, match="59 variances for a projection of 60 columns"):
        LowRankPlusNoise(BLOCK.projection, BLOCK.variances[1:], 1.0)
