"""The engine that scores substitutions by recomputing only what they change.

Of the cost of an Enformer pass 77 % lie in the convolution tower, of which one substituted base
changes 5 or 6 of 1,536 bins. So a window's tower is computed once; for every alternative a local
block of 12 bins is computed with either allele, the difference is added, and only what follows
the tower runs again. Indels shift everything on their right and take the full path.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import tensorflow as tf

from tfgen.effects.local import LocalBlock, local_block
from tfgen.effects.passes import Codes, EnformerPasses
from tfgen.effects.protocol import Scores
from tfgen.effects.statistics import STATISTICS
from tfgen.effects.tensor_statistics import needed_bins
from tfgen.effects.windows import WindowGeometry, WindowMode
from tfgen.enformer.config import BIN_SIZE
from tfgen.enformer.model import Enformer
from tfgen.errors import NumericalError
from tfgen.genome import Interval, VariantWindow

_T = TypeVar("_T")
_KEPT_WINDOWS = 2


@dataclass(eq=False)
class _Reference:
    """A window with its reference sequence computed; the prediction follows the tower."""

    codes: Codes
    tower: tf.Tensor
    prediction: tf.Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Job:
    """A tower on its way to a prediction; `row` is None for the reference itself."""

    reference: _Reference
    row: int | None
    tower: tf.Tensor


class SharedTrunkEngine:
    """Scores variants with one tower pass per window.

    Attributes:
        statistics: Names of the statistics.
        n_tracks: Tracks per variant.
    """

    def __init__(
        self,
        model: Enformer,
        organism: str,
        statistics: Sequence[str],
        *,
        tracks: Sequence[int] | None = None,
        windows: WindowMode = "centred",
        batch_size: int = 1,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        """Prepares an engine.

        Args:
            model: The model.
            organism: The head to score with.
            statistics: Names of statistics.
            tracks: Indices of the wanted tracks of the head; None for all.
            windows: How windows are chosen; `shared` keeps the last windows between calls.
            batch_size: Windows per pass of the tower.
            notify: Called with a line when the batch size has to shrink.

        Raises:
            UsageError: The model has no such head.
        """
        config = model.config
        self.statistics = tuple(statistics)
        self.n_tracks = config.head_tracks(organism) if tracks is None else len(tracks)
        self._geometry = WindowGeometry(config.sequence_length, config.target_length)
        self._model, self._organism, self._tracks = model, organism, tracks
        self._bins = needed_bins(self.statistics, self._geometry, windows)
        self._kept_windows = _KEPT_WINDOWS if windows == "shared" else 0
        self._kept: dict[Interval, _Reference] = {}
        self._notify = notify or (lambda line: None)
        self._passes = self._make_passes(batch_size)

    @property
    def batch_size(self) -> int:
        """Windows per pass of the tower; shrinks when the device runs out of memory."""
        return self._passes.batch_size

    @property
    def sequence_length(self) -> int:
        """Bases per window."""
        return self._geometry.sequence_length

    @property
    def target_length(self) -> int:
        """Output bins per window."""
        return self._geometry.target_length

    def probe(self) -> None:
        """Runs the large passes once, so that the batch size is settled before the first score.

        Raises:
            NumericalError: The device has too little memory even for one window.
        """
        self._shrinking(self._probe)

    def _probe(self) -> None:
        codes = np.zeros(self.sequence_length, np.uint8)
        towers = self._passes.towers([codes] * self.batch_size)
        self._passes.predictions([*towers, *towers])

    def score(self, windows: Sequence[VariantWindow]) -> Scores:
        """Scores variants; see `tfgen.effects.protocol.Engine`.

        Raises:
            NumericalError: The device has too little memory even for one window.
        """
        return self._shrinking(lambda: self._score(windows, local=True))

    def score_in_full(self, windows: Sequence[VariantWindow]) -> Scores:
        """Scores with both alleles through the whole model, nothing kept and nothing patched."""
        return self._shrinking(lambda: self._score(windows, local=False))

    def _make_passes(self, batch_size: int) -> EnformerPasses:
        return EnformerPasses(self._model, self._organism, self._tracks, self._bins, batch_size)

    def _shrinking(self, work: Callable[[], _T]) -> _T:
        """Runs `work`, with half the batch size each time the device is out of memory."""
        while True:
            try:
                return work()
            except tf.errors.ResourceExhaustedError as error:
                size = self.batch_size
                if size == 1:
                    raise NumericalError(
                        "the device has too little memory for one window of this model; "
                        "use a device with more memory"
                    ) from error
                self._kept.clear()
                self._passes = self._make_passes(size // 2)
                self._notify(f"out of memory: batch size {size} -> {size // 2}")

    def _score(self, windows: Sequence[VariantWindow], local: bool) -> Scores:
        scores = {
            name: np.empty((len(windows), self.n_tracks), np.float32) for name in self.statistics
        }
        for batch in _batches(self._jobs(windows, local), 2 * self.batch_size):
            predictions = self._passes.predictions([job.tower for job in batch])
            for job, prediction in zip(batch, predictions, strict=True):
                if job.row is None:
                    job.reference.prediction = prediction
                    continue
                first_bin = self._first_central_bin(windows[job.row].offset)
                values = self._passes.statistics(
                    self.statistics, job.reference.prediction, prediction, first_bin
                )
                for name, value in values.items():
                    scores[name][job.row] = value
        return scores

    def _jobs(self, windows: Sequence[VariantWindow], local: bool) -> Iterator[_Job]:
        """Every tower that needs a prediction, a reference before its alternatives."""
        groups = _same_reference(windows) if local else [[row] for row in range(len(windows))]
        for some in _batches(groups, self.batch_size):
            firsts = [windows[rows[0]] for rows in some]
            references = self._references(firsts) if local else self._computed(firsts)
            for reference in references:
                if reference.prediction is None:
                    yield _Job(reference, None, reference.tower)
            blocks: list[tuple[int, _Reference, LocalBlock]] = []
            wholes: list[tuple[int, _Reference]] = []
            for rows, reference in zip(some, references, strict=True):
                for row in rows:
                    block = self._block(windows[row]) if local else None
                    if block is None:
                        wholes.append((row, reference))
                    else:
                        blocks.append((row, reference, block))
            yield from self._patched(windows, blocks)
            yield from self._whole(windows, wholes)

    def _patched(
        self, windows: Sequence[VariantWindow], blocks: list[tuple[int, _Reference, LocalBlock]]
    ) -> Iterator[_Job]:
        """Alternatives by their local blocks."""
        for batch in _batches(blocks, self.batch_size):
            changes = self._passes.changes(
                [windows[row].ref_codes[block.bases] for row, _, block in batch],
                [windows[row].alt_codes[block.bases] for row, _, block in batch],
            )
            for (row, reference, block), change in zip(batch, changes, strict=True):
                tower = self._passes.patched(reference.tower, change, block.first_bin)
                yield _Job(reference, row, tower)

    def _whole(
        self, windows: Sequence[VariantWindow], wholes: list[tuple[int, _Reference]]
    ) -> Iterator[_Job]:
        """Alternatives by a tower pass over their whole sequence."""
        for batch in _batches(wholes, self.batch_size):
            towers = self._passes.towers([windows[row].alt_codes for row, _ in batch])
            for (row, reference), tower in zip(batch, towers, strict=True):
                yield _Job(reference, row, tower)

    def _references(self, windows: Sequence[VariantWindow]) -> list[_Reference]:
        """The references of windows, taken from those kept where they are the same."""
        found = {i: self._kept_reference(window) for i, window in enumerate(windows)}
        missing = [i for i, reference in found.items() if reference is None]
        if missing:
            computed = self._computed([windows[i] for i in missing])
            found.update(zip(missing, computed, strict=True))
        references = [reference for reference in found.values() if reference is not None]
        if self._kept_windows:
            for window, reference in zip(windows, references, strict=True):
                self._kept.pop(window.window, None)
                self._kept[window.window] = reference
            for interval in list(self._kept)[: -self._kept_windows]:
                del self._kept[interval]
        return references

    def _kept_reference(self, window: VariantWindow) -> _Reference | None:
        kept = self._kept.get(window.window)
        return kept if kept is not None and np.array_equal(kept.codes, window.ref_codes) else None

    def _computed(self, windows: Sequence[VariantWindow]) -> list[_Reference]:
        codes = [window.ref_codes for window in windows]
        towers = self._passes.towers(codes)
        return [_Reference(c, tower) for c, tower in zip(codes, towers, strict=True)]

    def _block(self, window: VariantWindow) -> LocalBlock | None:
        """The local block of a substitution; None where only the full path is exact."""
        if not window.is_substitution:
            return None
        stop = window.offset + len(window.variant.ref)
        return local_block(window.offset, stop, self.sequence_length // BIN_SIZE)

    def _first_central_bin(self, offset: int) -> int:
        if all(STATISTICS[name].bins == "all" for name in self.statistics):
            return self._bins[0]
        return self._geometry.central_bins(offset)[0]


def _same_reference(windows: Sequence[VariantWindow]) -> list[list[int]]:
    """Rows with the same reference sequence, in order of first appearance."""
    groups: dict[Interval, list[list[int]]] = {}
    found: list[list[int]] = []
    for row, window in enumerate(windows):
        for group in groups.setdefault(window.window, []):
            if np.array_equal(windows[group[0]].ref_codes, window.ref_codes):
                group.append(row)
                break
        else:
            group = [row]
            groups[window.window].append(group)
            found.append(group)
    return found


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Consecutive items in lists of `size`; the last may be shorter."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
