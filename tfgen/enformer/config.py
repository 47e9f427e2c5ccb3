"""Architecture of an Enformer: a frozen configuration that checks itself.

The defaults are the published model (Avsec et al. 2021, doi:10.1038/s41592-021-01252-x). Widths
that the published code could not build (any that is not a multiple of 384) are made possible by
`divisible_by`, the multiple to which the filters of the convolution tower are rounded.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from tfgen.errors import InputFormatError, UsageError

BIN_SIZE = 128
"""Bases per output bin: the stem and six tower stages halve the length seven times."""

LONGEST_BASIS = 65_536
"""Most bins that a position basis is made for: 8 Mb of sequence."""

TOWER_STAGES = 6
POSITION_FAMILIES = 3
PUBLISHED_HEADS = (("human", 5313), ("mouse", 1643))


@dataclasses.dataclass(frozen=True)
class EnformerConfig:
    """Everything that decides the variables and the arithmetic of one Enformer.

    Attributes:
        channels: Width C of the trunk; the stem has C/2 and the embedding 2C.
        num_transformer_layers: Transformer blocks.
        num_heads: Attention heads; values and position features have C/num_heads columns.
        heads: (organism, output tracks) pairs, in order.
        sequence_length: Input length in bases that the trunk sees, a multiple of 128.
        target_length: Output bins kept from the centre.
        pooling_type: `attention` (published) or `max`.
        divisible_by: Tower filters are rounded to a multiple of this.
        basis_length: Number of bins T for which the relative-position basis is made. A shorter
            input uses the centre of that basis, so that its learned weights keep their meaning.
        position_basis: `reference` repeats the float32 arithmetic of the published model,
            `float64` is the same basis without its rounding noise (up to 2.5e-3).
        key_size: Columns per head of queries and keys.
        dropout_rate: Dropout in the transformer blocks (an eighth of it before the heads).
        attention_dropout_rate: Dropout on attention weights.
        positional_dropout_rate: Dropout on position features.
    """

    channels: int = 1536
    num_transformer_layers: int = 11
    num_heads: int = 8
    heads: tuple[tuple[str, int], ...] = PUBLISHED_HEADS
    sequence_length: int = 196_608
    target_length: int = 896
    pooling_type: Literal["attention", "max"] = "attention"
    divisible_by: int = 128
    basis_length: int = 1536
    position_basis: Literal["reference", "float64"] = "reference"
    key_size: int = 64
    dropout_rate: float = 0.4
    attention_dropout_rate: float = 0.05
    positional_dropout_rate: float = 0.01

    def __post_init__(self) -> None:
        """Raises `UsageError` where the layers could not fit together."""
        for name in ("channels", "num_heads", "target_length", "divisible_by", "key_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.num_transformer_layers < 0:
            raise UsageError(
                f"num_transformer_layers is {self.num_transformer_layers}; it cannot be negative"
            )
        self._check_widths()
        self._check_lengths()
        if self.pooling_type not in ("attention", "max"):
            raise UsageError(f"pooling_type is {self.pooling_type!r}; use attention or max")
        if self.position_basis not in ("reference", "float64"):
            raise UsageError(f"position_basis is {self.position_basis!r}; use reference or float64")
        self._check_heads()
        for name in ("dropout_rate", "attention_dropout_rate", "positional_dropout_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")

    def _check_heads(self) -> None:
        names = [name for name, _ in self.heads]
        if not names or len(set(names)) != len(names) or any(n < 1 for _, n in self.heads):
            raise UsageError(
                f"heads are {self.heads}; expected distinct names, each with at least one track"
            )
        for name in names:
            # The name is part of variable names and of checkpoint keys.
            if not name.isidentifier() or name.startswith("_"):
                raise UsageError(
                    f"head {name!r} cannot be a name in a checkpoint; use letters, digits and _, "
                    "beginning with a letter"
                )

    def _check_widths(self) -> None:
        step = self.num_heads * 2 * POSITION_FAMILIES
        if self.channels % step:
            raise UsageError(
                f"channels is {self.channels}; it must be a multiple of {step} "
                f"(num_heads={self.num_heads} x 6 position columns)"
            )
        if self.channels % self.divisible_by:
            raise UsageError(
                f"channels is {self.channels}; the last tower stage rounds it to a multiple of "
                f"{self.divisible_by}: choose divisible_by so that it divides channels"
            )
        if min(self.tower_channels) < 1:
            raise UsageError(
                f"divisible_by is {self.divisible_by}; it rounds a tower stage of {self.channels} "
                "channels to zero filters"
            )

    def _check_lengths(self) -> None:
        if self.sequence_length < BIN_SIZE or self.sequence_length % BIN_SIZE:
            raise UsageError(
                f"sequence_length is {self.sequence_length}; it must be a multiple of {BIN_SIZE}"
            )
        if self.target_length > self.num_bins or (self.num_bins - self.target_length) % 2:
            raise UsageError(
                f"target_length is {self.target_length}; {self.num_bins} bins cannot be cropped "
                "to it equally on both sides"
            )
        if self.basis_length > LONGEST_BASIS:
            raise UsageError(
                f"basis_length is {self.basis_length}; it can be at most {LONGEST_BASIS}"
            )
        if self.basis_length < self.num_bins:
            raise UsageError(
                f"basis_length is {self.basis_length}, shorter than the {self.num_bins} bins of "
                f"sequence_length {self.sequence_length}"
            )

    @property
    def num_bins(self) -> int:
        """Bins after the tower (T)."""
        return self.sequence_length // BIN_SIZE

    @property
    def crop_bins(self) -> int:
        """Bins removed on each side before the heads."""
        return (self.num_bins - self.target_length) // 2

    @property
    def stem_channels(self) -> int:
        """Filters of the stem, C/2."""
        return self.channels // 2

    @property
    def tower_channels(self) -> tuple[int, ...]:
        """Filters of the six tower stages: geometric from C/2 to C, each rounded.

        Rounding is half-to-even to a multiple of `divisible_by`, as NumPy does.
        """
        growth = (self.channels / self.stem_channels) ** (1 / (TOWER_STAGES - 1))
        grid = [self.stem_channels * growth**stage for stage in range(TOWER_STAGES)]
        return tuple(int(np.round(n / self.divisible_by) * self.divisible_by) for n in grid)

    @property
    def value_size(self) -> int:
        """Columns per head of values, and of the position features."""
        return self.channels // self.num_heads

    def head_tracks(self, organism: str) -> int:
        """Output tracks of one head.

        Raises:
            UsageError: There is no such head.
        """
        for name, tracks in self.heads:
            if name == organism:
                return tracks
        names = ", ".join(name for name, _ in self.heads)
        raise UsageError(f"no head is called {organism!r}; this model has {names}")

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON values, read back by `from_json`."""
        value = dataclasses.asdict(self)
        value["heads"] = [list(head) for head in self.heads]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "EnformerConfig":
        """The configuration written by `to_json`.

        Raises:
            InputFormatError: Entries are unknown, missing or of the wrong kind, or do not fit
                together.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(value) - names)
        missing = sorted(names - set(value))
        if unknown or missing:
            raise InputFormatError(
                f"model configuration: unknown entries {unknown}, missing entries {missing}"
            )
        for field in dataclasses.fields(cls):
            if not _is_like(value[field.name], field.default):
                raise InputFormatError(
                    f"model configuration: {field.name} is {value[field.name]!r}; expected "
                    f"something like {cls().to_json()[field.name]!r}"
                )
        try:
            return cls(**{**value, "heads": tuple((n, tracks) for n, tracks in value["heads"])})
        except UsageError as error:
            raise InputFormatError(f"model configuration: {error}") from error


_PUBLISHED = EnformerConfig()


def is_of_published_size(config: EnformerConfig) -> bool:
    """Whether a model has the published architecture, whatever its heads."""
    return config == dataclasses.replace(_PUBLISHED, heads=config.heads)


def _is_like(value: object, default: object) -> bool:
    """Whether a JSON value has the kind of a field's default."""
    match default:
        case tuple():
            return isinstance(value, list) and all(
                isinstance(head, list)
                and len(head) == 2  # noqa: PLR2004  a name and a number
                and _is_like(head[0], "")
                and _is_like(head[1], 0)
                for head in value
            )
        case float():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return type(value) is type(default)
