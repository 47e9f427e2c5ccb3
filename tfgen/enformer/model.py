"""Enformer (Avsec et al. 2021, doi:10.1038/s41592-021-01252-x) as a Sonnet module."""

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from tfgen.enformer.attention import Attention
from tfgen.enformer.config import BIN_SIZE, EnformerConfig
from tfgen.enformer.dropout import dropout
from tfgen.enformer.layers import (
    AttentionPool,
    Conv,
    ConvBlock,
    LayerNorm,
    Linear,
    MaxPool,
    dense,
    gelu,
)
from tfgen.enformer.positions import position_basis
from tfgen.errors import UsageError

_STEM_WIDTH = 15
_TOWER_WIDTH = 5
_SEQUENCE_RANK, _LETTERS = 3, 4


class TowerStage(snt.Module):
    """Convolution, pointwise residual block and pooling by two: the stem and each tower stage."""

    def __init__(
        self, convolution: Conv | ConvBlock, channels: int, pooling_type: str, name: str
    ) -> None:
        super().__init__(name=name)
        self.convolution = convolution
        self.pointwise = ConvBlock(channels, channels, 1, name="pointwise_conv_block")
        self.pool = AttentionPool(channels) if pooling_type == "attention" else MaxPool()

    def __call__(self, x: tf.Tensor, is_training: bool) -> tf.Tensor:
        """`[batch, 2n, inputs]` -> `[batch, n, channels]`."""
        convolution = self.convolution
        x = convolution(x) if isinstance(convolution, Conv) else convolution(x, is_training)
        return self.pool(x + self.pointwise(x, is_training))


class TransformerBlock(snt.Module):
    """Pre-norm attention and two-layer perceptron, each with dropout and a residual."""

    def __init__(self, config: EnformerConfig, index: int) -> None:
        super().__init__(name=f"transformer_block_{index}")
        channels = config.channels
        self._dropout_rate = config.dropout_rate
        self.attention_norm = LayerNorm(channels)
        self.attention = Attention(config, name=f"attention_{index}")
        self.mlp_norm = LayerNorm(channels)
        self.expand = Linear(channels, 2 * channels)
        self.contract = Linear(2 * channels, channels)

    def __call__(
        self,
        x: tf.Tensor,
        is_training: bool,
        relative_keys: tf.Tensor,
        queries: tuple[int, int] | None = None,
    ) -> tf.Tensor:
        """`[batch, T, C]` -> `[batch, stop - start, C]` for the bins `queries` (default all)."""
        start, stop = queries or (0, x.shape[1])
        attended = self.attention(self.attention_norm(x), is_training, relative_keys, queries)
        x = x[:, start:stop] + self._dropout(attended, is_training)
        hidden = self._dropout(self.expand(self.mlp_norm(x)), is_training)
        return x + self._dropout(self.contract(tf.nn.relu(hidden)), is_training)

    def _dropout(self, x: tf.Tensor, is_training: bool) -> tf.Tensor:
        return dropout(x, self._dropout_rate) if is_training and self._dropout_rate else x


class Enformer(snt.Module):
    """DNA sequence to genomic tracks in bins of 128 bp.

    Attributes:
        config: The architecture.
    """

    def __init__(self, config: EnformerConfig, name: str = "enformer") -> None:
        super().__init__(name=name)
        self.config = config
        filters = config.tower_channels
        pooling = config.pooling_type
        stem = Conv(_LETTERS, config.stem_channels, _STEM_WIDTH)
        self.stem = TowerStage(stem, config.stem_channels, pooling, "stem")
        inputs = (config.stem_channels, *filters[:-1])
        self.stages = [
            TowerStage(
                ConvBlock(n_in, n_out, _TOWER_WIDTH), n_out, pooling, f"conv_tower_block_{i}"
            )
            for i, (n_in, n_out) in enumerate(zip(inputs, filters, strict=True))
        ]
        self.blocks = [TransformerBlock(config, i) for i in range(config.num_transformer_layers)]
        self.final = ConvBlock(config.channels, 2 * config.channels, 1, name="final_pointwise")
        self.heads = {
            organism: Linear(2 * config.channels, tracks, name=f"head_{organism}")
            for organism, tracks in config.heads
        }

    def __call__(self, sequence: tf.Tensor, is_training: bool) -> dict[str, tf.Tensor]:
        """Predicted coverage of every head.

        Args:
            sequence: `[batch, sequence_length, 4]` float32 one-hot (A, C, G, T; N is zeros).
            is_training: Whether dropout and batch statistics are used.

        Returns:
            organism -> `[batch, target_length, tracks]` float32, non-negative.
        """
        embedding = self.embed(sequence, is_training)
        return {organism: self.predict_head(embedding, organism) for organism in self.heads}

    def embed(self, sequence: tf.Tensor, is_training: bool) -> tf.Tensor:
        """The trunk embedding `[batch, target_length, 2C]` of a one-hot sequence."""
        tower = self.tower(sequence, is_training)
        return self.embed_tower(tower, is_training)

    def tower(self, sequence: tf.Tensor, is_training: bool) -> tf.Tensor:
        """Stem and convolution tower: `[batch, 128n, 4]` -> `[batch, n, C]`, for any n.

        Bin b depends on the bases 128b - 259 .. 128b + 386 alone (646 bp).

        Raises:
            UsageError: This is no batch of one-hot sequences, or the length is known and no
                multiple of 128.
        """
        # One-hot arrays often come as bool, uint8 or float16.
        sequence = tf.cast(sequence, tf.float32)
        if sequence.shape.rank != _SEQUENCE_RANK or sequence.shape[2] != _LETTERS:
            # A convolution over 8 letters would not fail: it would be done in two groups.
            raise UsageError(f"sequence is {sequence.shape}; expected [batch, length, {_LETTERS}]")
        length = sequence.shape[1]
        if length is not None and (length < BIN_SIZE or length % BIN_SIZE):
            raise UsageError(f"sequence length {length} is not a positive multiple of {BIN_SIZE}")
        x = self.stem(sequence, is_training)
        for stage in self.stages:
            x = stage(x, is_training)
        return x

    def relative_keys(self, is_training: bool = False) -> list[tf.Tensor]:
        """The projected position basis of every block; see `Attention.relative_keys`."""
        config = self.config
        basis = tf.constant(
            position_basis(config.basis_length, config.value_size, config.position_basis)
        )
        return [block.attention.relative_keys(basis, is_training) for block in self.blocks]

    def embed_tower(
        self,
        tower: tf.Tensor,
        is_training: bool,
        relative_keys: Sequence[tf.Tensor] | None = None,
        bins: tuple[int, int] | None = None,
    ) -> tf.Tensor:
        """Everything after the tower and before the heads.

        Args:
            tower: `[batch, T, C]`; T static, at least `target_length`.
            is_training: Whether dropout and batch statistics are used.
            relative_keys: `relative_keys()` kept from before, else projected here.
            bins: Output bins (start, stop) that are wanted, counted in the cropped output;
                default all. The last block and the final convolution run on these alone.

        Returns:
            `[batch, stop - start, 2C]`.

        Raises:
            UsageError: T does not suit the model, or `bins` lie outside the output.
        """
        config = self.config
        spare = self._spare_bins(tower)
        keys = self.relative_keys(is_training) if relative_keys is None else relative_keys
        first, last = bins or (0, config.target_length)
        if not 0 <= first < last <= config.target_length:
            raise UsageError(
                f"bins {first} to {last} are asked for; the output has bins 0 to "
                f"{config.target_length}"
            )
        wanted = (spare // 2 + first, spare // 2 + last)
        x = tower
        for i, (block, block_keys) in enumerate(zip(self.blocks, keys, strict=True)):
            is_last = i + 1 == len(self.blocks)
            x = block(x, is_training, block_keys, wanted if is_last else None)
        if not self.blocks:
            x = x[:, wanted[0] : wanted[1]]
        x = self.final(x, is_training)
        if is_training and config.dropout_rate:
            x = dropout(x, config.dropout_rate / 8)
        return gelu(x)

    def _spare_bins(self, tower: tf.Tensor) -> int:
        """Bins of a tower that are cropped, both sides together."""
        config, length = self.config, tower.shape[1]
        if length is None:
            raise UsageError("the number of tower bins is unknown; give `tower` a static length")
        spare: int = length - config.target_length
        if spare < 0 or spare % 2 or length > config.basis_length:
            raise UsageError(
                f"the tower has {length} bins; expected {config.target_length} to "
                f"{config.basis_length}, with equal crops on both sides"
            )
        return spare

    def predict_head(
        self, embedding: tf.Tensor, organism: str, tracks: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Softplus of a linear map of the embedding, for all or some tracks of one head.

        Args:
            embedding: `[batch, bins, 2C]`.
            organism: Name of the head.
            tracks: int32 `[n]` indices of the wanted tracks; default all.

        Returns:
            `[batch, bins, n]` float32.

        Raises:
            UsageError: There is no such head.
        """
        self.config.head_tracks(organism)
        head = self.heads[organism]
        if tracks is None:
            return tf.nn.softplus(head(embedding))
        weights, bias = tf.gather(head.w, tracks, axis=1), tf.gather(head.b, tracks)
        return tf.nn.softplus(dense(embedding, weights, bias))
