"""The published formulas written down one by one: what a careful reader would code first.

It is the baseline of the benchmarks and an independent oracle for the tests. It shares only the
variables with `tfgen.enformer`: pooling is a softmax over stacked pairs, relative logits are made
for all 2T - 1 distances and shifted by padding, positions are projected in every call.
"""

import tensorflow as tf

from tfgen.enformer.attention import Attention
from tfgen.enformer.layers import BatchNorm, ConvBlock, LayerNorm
from tfgen.enformer.model import Enformer, TowerStage, TransformerBlock
from tfgen.enformer.positions import position_basis


def forward(model: Enformer, sequence: tf.Tensor, organism: str) -> tf.Tensor:
    """`[batch, L, 4]` -> `[batch, target_length, tracks]` at inference."""
    return after_tower(model, tower(model, sequence), organism)


def tower(model: Enformer, sequence: tf.Tensor) -> tf.Tensor:
    """`[batch, L, 4]` -> `[batch, L/128, C]`."""
    x = _stage(model.stem, sequence)
    for stage in model.stages:
        x = _stage(stage, x)
    return x


def after_tower(model: Enformer, x: tf.Tensor, organism: str) -> tf.Tensor:
    """`[batch, T, C]` -> `[batch, target_length, tracks]`."""
    for block in model.blocks:
        x = _block(model, block, x)
    trim = (x.shape[1] - model.config.target_length) // 2
    x = x[:, trim : trim + model.config.target_length]
    x = _gelu(_conv_block(model.final, x))
    head = model.heads[organism]
    return tf.nn.softplus(tf.matmul(x, head.w) + head.b)


def _gelu(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.sigmoid(1.702 * x) * x


def _batch_norm(norm: BatchNorm, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.batch_normalization(
        x, norm.moving_mean.average, norm.moving_variance.average, norm.offset, norm.scale, 1e-5
    )


def _layer_norm(norm: LayerNorm, x: tf.Tensor) -> tf.Tensor:
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, norm.offset, norm.scale, 1e-5)


def _conv_block(block: ConvBlock, x: tf.Tensor) -> tf.Tensor:
    x = _gelu(_batch_norm(block.norm, x))
    return tf.nn.bias_add(tf.nn.conv1d(x, block.conv.w, 1, "SAME"), block.conv.b)


def _stage(stage: TowerStage, x: tf.Tensor) -> tf.Tensor:
    convolution = stage.convolution
    if isinstance(convolution, ConvBlock):
        x = _conv_block(convolution, x)
    else:
        x = tf.nn.bias_add(tf.nn.conv1d(x, convolution.w, 1, "SAME"), convolution.b)
    x = x + _conv_block(stage.pointwise, x)
    pairs = tf.reshape(x, [-1, x.shape[1] // 2, 2, x.shape[2]])
    weights = tf.nn.softmax(tf.matmul(pairs, stage.pool.logits.w), axis=2)
    return tf.reduce_sum(pairs * weights, axis=2)


def _block(model: Enformer, block: TransformerBlock, x: tf.Tensor) -> tf.Tensor:
    x = x + _attention(model, block.attention, _layer_norm(block.attention_norm, x))
    hidden = _layer_norm(block.mlp_norm, x)
    hidden = tf.nn.relu(tf.matmul(hidden, block.expand.w) + block.expand.b)
    return x + tf.matmul(hidden, block.contract.w) + block.contract.b


def _attention(model: Enformer, layer: Attention, x: tf.Tensor) -> tf.Tensor:
    config = model.config
    length, heads = x.shape[1], config.num_heads

    def heads_of(projected: tf.Tensor) -> tf.Tensor:
        size = projected.shape[-1] // heads
        parted = tf.reshape(projected, [-1, projected.shape[1], heads, size])
        return tf.transpose(parted, [0, 2, 1, 3])

    basis = position_basis(config.basis_length, config.value_size, config.position_basis)
    middle = config.basis_length - 1
    basis = basis[middle - length + 1 : middle + length]
    q = heads_of(tf.matmul(x, layer.q_layer.w)) * config.key_size**-0.5
    k = heads_of(tf.matmul(x, layer.k_layer.w))
    v = heads_of(tf.matmul(x, layer.v_layer.w))
    r = heads_of(tf.matmul(tf.constant(basis)[tf.newaxis], layer.r_k_layer.w))
    content = tf.matmul(q + layer.r_w_bias, k, transpose_b=True)
    relative = tf.matmul(q + layer.r_r_bias, r, transpose_b=True)
    # The shift: a zero column in front, then every row is read one place further on.
    padded = tf.pad(relative, [[0, 0], [0, 0], [0, 0], [1, 0]])
    padded = tf.reshape(padded, [-1, heads, 2 * length, length])
    shifted = tf.reshape(padded[:, :, 1:], [-1, heads, length, 2 * length - 1])[..., :length]
    attended = tf.matmul(tf.nn.softmax(content + shifted), v)
    merged = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [-1, length, config.channels])
    return tf.matmul(merged, layer.embedding_layer.w) + layer.embedding_layer.b
