"""Multiply-accumulates of an Enformer, part by part, for the accounting of the benchmarks."""

from dataclasses import dataclass

from tfgen.enformer.config import BIN_SIZE, EnformerConfig

_STEM_WIDTH, _TOWER_WIDTH = 15, 5


@dataclass(frozen=True)
class Costs:
    """Multiply-accumulates of one sequence.

    Attributes:
        tower: Stem and tower.
        blocks: All transformer blocks.
        head: Final convolution and one head.
    """

    tower: int
    blocks: int
    head: int

    @property
    def total(self) -> int:
        """All parts."""
        return self.tower + self.blocks + self.head


def plain_costs(config: EnformerConfig, organism: str) -> Costs:
    """Costs of the formulas as published: softmax pooling, all 2T - 1 distances, all queries."""
    return Costs(
        tower=tower_costs(config, config.num_bins, pool_share=1.0),
        blocks=config.num_transformer_layers
        * _block_costs(config, config.num_bins, 2 * config.num_bins - 1, projects_positions=True),
        head=_head_costs(config, config.target_length, config.head_tracks(organism)),
    )


def engine_costs(config: EnformerConfig, bins: int, tracks: int) -> Costs:
    """Costs of the engine's own forms, with `bins` output bins and `tracks` tracks."""
    length = config.num_bins
    full = _block_costs(config, length, length, projects_positions=False)
    last = _block_costs(config, bins, length, projects_positions=False)
    blocks = (config.num_transformer_layers - 1) * full + last
    return Costs(
        tower=tower_costs(config, length, pool_share=0.5),
        blocks=blocks if config.num_transformer_layers else 0,
        head=_head_costs(config, bins, tracks),
    )


def tower_costs(config: EnformerConfig, bins: int, pool_share: float) -> int:
    """Stem and tower for `bins` bins; `pool_share` is the share of positions pooling projects."""
    length = bins * BIN_SIZE
    stem = config.stem_channels
    total = length * (_STEM_WIDTH * 4 * stem + stem * stem)
    total += int(length * pool_share) * stem * stem
    inputs = stem
    for filters in config.tower_channels:
        length //= 2
        total += length * (_TOWER_WIDTH * inputs * filters + filters * filters)
        total += int(length * pool_share) * filters * filters
        inputs = filters
    return total


def _block_costs(
    config: EnformerConfig, queries: int, distances: int, projects_positions: bool
) -> int:
    """One block for `queries` query bins; `distances` relative logits a query."""
    length, width = config.num_bins, config.channels
    keys = config.num_heads * config.key_size
    projections = queries * width * keys + length * width * (keys + width)
    logits = queries * keys * (length + distances)
    values = queries * length * width
    positions = (2 * length - 1) * config.value_size * keys if projects_positions else 0
    return projections + logits + values + positions + queries * width * width * 5


def _head_costs(config: EnformerConfig, bins: int, tracks: int) -> int:
    width = config.channels
    return bins * (width * 2 * width + 2 * width * tracks)
