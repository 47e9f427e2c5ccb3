"""Multi-head attention with learned weights on relative positions.

logit[i, j] = (q_i + r_w) . k_j + (q_i + r_r) . R[j - i], with R = basis(j - i) W_r; q is scaled
by 1/sqrt(key_size) before the biases are added (Avsec et al. 2021; Dai et al. 2019,
arXiv:1901.02860).
"""

import sonnet as snt
import tensorflow as tf

from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.dropout import dropout
from tfgen.enformer.layers import Linear
from tfgen.errors import UsageError

_QUERY_BLOCK = 256


class Attention(snt.Module):
    """Attention over all bins of one window.

    Variables follow the published ones: `q_layer`, `k_layer`, `v_layer`, `r_k_layer` (no bias),
    `embedding_layer`, `r_w_bias`, `r_r_bias` (`[1, heads, 1, key_size]`).
    """

    def __init__(self, config: EnformerConfig, name: str = "attention") -> None:
        super().__init__(name=name)
        self._config = config
        channels, keys = config.channels, config.num_heads * config.key_size
        initializer = snt.initializers.VarianceScaling(2.0)

        def projection(inputs: int, outputs: int, layer: str) -> Linear:
            return Linear(inputs, outputs, with_bias=False, w_init=initializer, name=layer)

        self.q_layer = projection(channels, keys, "q_layer")
        self.k_layer = projection(channels, keys, "k_layer")
        self.v_layer = projection(channels, channels, "v_layer")
        self.r_k_layer = projection(config.value_size, keys, "r_k_layer")
        self.embedding_layer = Linear(
            channels, channels, w_init=snt.initializers.Zeros(), name="embedding_layer"
        )
        bias_shape = [1, config.num_heads, 1, config.key_size]
        self.r_w_bias = tf.Variable(initializer(bias_shape, tf.float32), name="r_w_bias")
        self.r_r_bias = tf.Variable(initializer(bias_shape, tf.float32), name="r_r_bias")

    def relative_keys(self, basis: tf.Tensor, is_training: bool) -> tf.Tensor:
        """R for every distance: `[2*basis_length - 1, columns]` -> `[1, heads, ..., key_size]`.

        At inference it depends on the weights alone and may be kept between calls.
        """
        rate = self._config.positional_dropout_rate
        if is_training and rate:
            basis = dropout(basis, rate)
        return self._split(self.r_k_layer(basis[tf.newaxis]))

    def __call__(
        self,
        x: tf.Tensor,
        is_training: bool,
        relative_keys: tf.Tensor,
        queries: tuple[int, int] | None = None,
    ) -> tf.Tensor:
        """Attends from the bins `queries` = (start, stop), by default all, to all bins.

        Args:
            x: `[batch, T, channels]`, T known when traced and at most the basis length.
            is_training: Whether attention weights are dropped out.
            relative_keys: What `relative_keys` returns.
            queries: Bins whose output is wanted.

        Returns:
            `[batch, stop - start, channels]`.
        """
        length = x.shape[1]
        start, stop = queries or (0, length)
        q = self._split(self.q_layer(x[:, start:stop])) * self._config.key_size**-0.5
        k = self._split(self.k_layer(x))
        v = self._split(self.v_layer(x))
        content, position = q + self.r_w_bias, q + self.r_r_bias
        outputs = []
        for low in range(start, stop, _QUERY_BLOCK):
            high = min(low + _QUERY_BLOCK, stop)
            rows = slice(low - start, high - start)
            logits = tf.linalg.matmul(content[:, :, rows], k, transpose_b=True)
            logits += relative_logits(position[:, :, rows], relative_keys, low, length)
            weights = tf.nn.softmax(logits)
            if is_training and self._config.attention_dropout_rate:
                weights = dropout(weights, self._config.attention_dropout_rate)
            outputs.append(tf.linalg.matmul(weights, v))
        attended = outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=2)
        merged = tf.reshape(
            tf.transpose(attended, [0, 2, 1, 3]), [-1, stop - start, self._config.channels]
        )
        return self.embedding_layer(merged)

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        """`[batch, n, heads * size]` -> `[batch, heads, n, size]`."""
        heads = self._config.num_heads
        parted = tf.reshape(x, [-1, x.shape[1], heads, x.shape[2] // heads])
        return tf.transpose(parted, [0, 2, 1, 3])


def relative_logits(
    queries: tf.Tensor, relative_keys: tf.Tensor, first: int, length: int
) -> tf.Tensor:
    """queries_i . R[j - i] for a block of consecutive query bins and all key bins j.

    Row r of the block needs the distances -(first + r) .. length - 1 - (first + r), one column
    further left than the row above. In the flattened product these are the entries from
    rows - 1 on, read with a stride one shorter than the row: a slice and a reshape, no copy of
    padded logits and no distance that is not needed.

    Args:
        queries: `[batch, heads, rows, key_size]`, bins first .. first + rows - 1.
        relative_keys: `[1, heads, 2*basis - 1, key_size]`, distance d at index d + basis - 1.
        first: Bin of the first query.
        length: Number of key bins T.

    Returns:
        `[batch, heads, rows, length]`.

    Raises:
        UsageError: `relative_keys` do not reach every distance.
    """
    rows, heads = queries.shape[2], queries.shape[1]
    zero = (relative_keys.shape[2] - 1) // 2
    low = zero - (first + rows - 1)
    span = length + rows - 1
    if low < 0 or low + span > relative_keys.shape[2]:
        raise UsageError(
            f"the relative keys reach {zero} bins, queries {first} to {first + rows - 1} of "
            f"{length} bins need more; make the basis as long as the input"
        )
    product = tf.linalg.matmul(queries, relative_keys[:, :, low : low + span], transpose_b=True)
    if rows == 1:
        return product
    flat = tf.reshape(product, [-1, heads, rows * span])
    skewed = flat[:, :, rows - 1 : rows - 1 + rows * (span - 1)]
    return tf.reshape(skewed, [-1, heads, rows, span - 1])[:, :, :, :length]
