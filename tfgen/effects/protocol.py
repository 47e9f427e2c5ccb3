"""What the scoring pipeline asks of a model, so that neither needs to know the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from tfgen.genome import VariantWindow

if TYPE_CHECKING:
    from tfgen.effects.config import ScoringConfig

Scores = dict[str, npt.NDArray[np.float32]]
"""Statistic name -> float32 [variants, tracks]."""


class Engine(Protocol):
    """A model that scores variants.

    A score may depend only on its own window: not on the other windows of a call, on their
    number or on their order. Resuming and sharding rest on this.
    """

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics that `score` returns."""
        ...

    @property
    def n_tracks(self) -> int:
        """Output tracks per variant, after any selection."""
        ...

    @property
    def batch_size(self) -> int:
        """Windows per pass. If it changes, scores from before and after must not be mixed."""
        ...

    @property
    def sequence_length(self) -> int:
        """Bases that the model reads."""
        ...

    @property
    def target_length(self) -> int:
        """Output bins of 128 bases, from the middle of the window."""
        ...

    def score(self, windows: Sequence[VariantWindow]) -> Scores:
        """Scores variants: each statistic float32 [n, tracks] in the order of `windows`, n >= 1.

        The sign is that of `window.variant` (its alternative minus its reference allele); the
        pipeline turns it where the alleles were swapped.
        """
        ...

    def score_in_full(self, windows: Sequence[VariantWindow]) -> Scores:
        """The same by two complete passes per variant, independent of any shortcut."""
        ...


@dataclass(frozen=True)
class LoadedEngine:
    """A model ready to score, with what the outputs must say about it.

    Attributes:
        engine: The model.
        provenance: What determines its scores (digests, options, device, versions); becomes
            attributes of the score store, and two runs are the same only if these agree.
        track_ids: Identifier of each output track.
        track_labels: Description of each output track.
        warnings: What the user should know about the model.
        contig_lengths: Lengths of the contigs of the assembly that the model was made for, where
            known; compared with the FASTA.
        rows_per_step: Rows handed to the engine at a time; a run that is asked to stop finishes
            these. A multiple of the batch size wastes nothing.
        rows_per_piece: Rows saved together at the most: what a killed run loses.
    """

    engine: Engine
    provenance: Mapping[str, str]
    track_ids: Sequence[str]
    track_labels: Sequence[str]
    warnings: Sequence[str] = ()
    contig_lengths: Mapping[str, int] = field(default_factory=dict)
    rows_per_step: int = 16
    rows_per_piece: int = 64


EngineFactory = Callable[["ScoringConfig"], LoadedEngine]
