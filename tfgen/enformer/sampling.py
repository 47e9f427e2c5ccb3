"""Training windows cut from a genome in memory."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.config import BIN_SIZE, EnformerConfig
from tfgen.errors import UsageError

_PURPOSE = 2
"""Keeps these random numbers apart from others of the same seed."""


@dataclasses.dataclass(frozen=True)
class Contig:
    """Sequence and coverage of one chromosome.

    Attributes:
        codes: Base codes uint8 `[length]` (see `tfgen.genome.codes`).
        coverage: float32 `[bins, tracks]`; bin b covers the bases 128 b to 128 b + 127.
    """

    codes: npt.NDArray[np.uint8]
    coverage: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Windows with their targets.

    Attributes:
        codes: Base codes uint8 `[batch, sequence_length]`.
        targets: Coverage of the middle bins, float32 `[batch, target_length, tracks]`.
        other_strand: bool `[batch]`, windows still to be read from the other strand.
    """

    codes: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.float32]
    other_strand: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.codes)

    def part(self, index: int, parts: int) -> "Batch":
        """The `index`-th of `parts` equal parts.

        Raises:
            UsageError: The parts would not be equal.
        """
        size, rest = divmod(len(self), parts)
        if rest:
            raise UsageError(
                f"a batch of {len(self)} cannot be divided into {parts} equal parts; choose a "
                f"multiple of {parts}"
            )
        rows = slice(index * size, (index + 1) * size)
        return Batch(self.codes[rows], self.targets[rows], self.other_strand[rows])


Place = tuple[Contig, int]
"""A contig and the first target bin of a window on it."""


class WindowSampler:
    """Draws training batches as a function of the step.

    An epoch lays the target bins of the windows edge to edge over every contig, with an offset of
    its own, and visits the windows in random order. Shifted windows are fetched from the genome;
    those that would reach past a contig are not drawn. Nothing has to be stored to resume.

    Args:
        contigs: What to draw from; all have the same tracks.
        model: Gives the lengths of window and target.
        batch_size: Windows per batch.
        seed: Seed of order, shifts and strands.
        augmentation: How windows are varied.

    Raises:
        UsageError: No contig holds a window, or the contigs do not fit together.
    """

    def __init__(
        self,
        contigs: Sequence[Contig],
        model: EnformerConfig,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
    ) -> None:
        _check_contigs(contigs)
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; expected 1 or more")
        self._contigs = contigs
        self._model = model
        self._batch_size = batch_size
        self._seed = seed
        self._augmentation = augmentation
        self._bins = [_target_bins(contig, model, augmentation.max_shift) for contig in contigs]
        self.epoch_windows = sum(map(self._windows_on, self._bins))
        if not self.epoch_windows:
            raise UsageError(
                f"no contig holds a window of {model.sequence_length} bases; expected at least "
                "one contig that is longer"
            )
        self._latest: tuple[int, list[Place]] = (-1, [])

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        first = step * self._batch_size
        places = [self._place(first + row) for row in range(self._batch_size)]
        shifts, other_strand = self._augmentation.draw(self._seed, step, self._batch_size)
        return _cut(places, shifts, other_strand, self._model)

    def _place(self, number: int) -> Place:
        """The window with this number, counted over all epochs."""
        epoch, index = divmod(number, self.epoch_windows)
        if self._latest[0] != epoch:
            self._latest = (epoch, self._order(epoch))
        return self._latest[1][index]

    def _order(self, epoch: int) -> list[Place]:
        rng = np.random.default_rng((self._seed, _PURPOSE, epoch))
        places: list[Place] = []
        for contig, bins in zip(self._contigs, self._bins, strict=True):
            number = self._windows_on(bins)
            if number:
                offset = int(rng.integers(min(self._model.target_length, len(bins))))
                chosen = bins[offset :: self._model.target_length][:number]
                places += [(contig, first_bin) for first_bin in chosen]
        return [places[i] for i in rng.permutation(len(places))]

    def _windows_on(self, bins: range) -> int:
        """Windows per epoch among these first bins, the same for every offset."""
        return max(len(bins) // self._model.target_length, 1) if bins else 0


def tiled_batches(
    contigs: Sequence[Contig], model: EnformerConfig, batch_size: int
) -> Iterator[Batch]:
    """All windows of a tiling by target bins, in order, not shifted, on the forward strand.

    The last batch may be smaller.

    Raises:
        UsageError: The contigs do not fit together.
    """
    _check_contigs(contigs)
    places = [
        (contig, first_bin)
        for contig in contigs
        for first_bin in _target_bins(contig, model, 0)[:: model.target_length]
    ]
    for start in range(0, len(places), batch_size):
        chosen = places[start : start + batch_size]
        shifts = np.zeros(len(chosen), np.int64)
        yield _cut(chosen, shifts, np.zeros(len(chosen), np.bool_), model)


def _target_bins(contig: Contig, model: EnformerConfig, max_shift: int) -> range:
    """First target bins of the windows that lie on the contig whatever their shift."""
    first = -(-max_shift // BIN_SIZE)
    last = (len(contig.codes) - max_shift - model.sequence_length) // BIN_SIZE
    last = min(last, len(contig.coverage) - model.target_length - model.crop_bins)
    return range(first + model.crop_bins, last + model.crop_bins + 1)


def _cut(
    places: Sequence[Place],
    shifts: npt.NDArray[np.int64],
    other_strand: npt.NDArray[np.bool_],
    model: EnformerConfig,
) -> Batch:
    codes = np.empty((len(places), model.sequence_length), np.uint8)
    n_tracks = places[0][0].coverage.shape[1]
    targets = np.empty((len(places), model.target_length, n_tracks), np.float32)
    for row, ((contig, first_bin), shift) in enumerate(zip(places, shifts.tolist(), strict=True)):
        start = (first_bin - model.crop_bins) * BIN_SIZE + shift
        codes[row] = contig.codes[start : start + model.sequence_length]
        targets[row] = contig.coverage[first_bin : first_bin + model.target_length]
    return Batch(codes, targets, other_strand)


def _check_contigs(contigs: Sequence[Contig]) -> None:
    tracks = {contig.coverage.shape[1:] for contig in contigs}
    if len(tracks) > 1 or any(len(shape) != 1 for shape in tracks):
        raise UsageError(
            f"coverage has tracks {sorted(tracks)}; expected [bins, tracks] with the same tracks "
            "on every contig"
        )
    for number, contig in enumerate(contigs):
        if len(contig.coverage) < len(contig.codes) // BIN_SIZE:
            raise UsageError(
                f"contig {number} has {len(contig.codes)} bases but {len(contig.coverage)} bins; "
                f"expected a bin for every {BIN_SIZE} bases"
            )
