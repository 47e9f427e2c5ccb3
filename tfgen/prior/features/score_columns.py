"""Columns from a score store: predicted effects of variants, matched by their alleles.

The store is the HDF5 file of variants_score.py or of basenji; docs/score-store.md describes it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, UnsupportedInputError, UsageError
from tfgen.genome import VariantTable
from tfgen.io.hdf5 import damage_reported, open_hdf5, safe_dataset
from tfgen.prior.features.feature_tables import LARGEST
from tfgen.prior.features.keyed_values import Floats, VariantIndex, require_match
from tfgen.prior.features.score_components import Components, fit_components
from tfgen.prior.features.source_specs import SourceSpec

_FORMAT = "1"
_OK = b"OK"
_SPELLINGS = {"ref_allele": "ref", "alt_allele": "alt"}
_BLOCK_BYTES = 1 << 25
_LARGEST_GAP = 64
_MATRIX = 2


class ScoreStoreFile:
    """The rows with scores of a score store.

    Args:
        path: The file.
        statistic: Name of the matrix of scores, for example SAD.

    Attributes:
        path: The file.
        n_tracks: Tracks of the matrix.
        track_ids: Identifier of each track.
        index: Finds variants among the rows that have a score.

    Raises:
        InputFormatError: No score store, damaged, without this statistic or without alleles.
        UnsupportedInputError: Written in a format of another major version.
    """

    def __init__(self, path: Path, statistic: str) -> None:
        self.path = path
        self._file = open_hdf5(path, "a score store that was written to its end")
        try:
            with damage_reported(path):
                self._check_version()
                self._scores = self._matrix(statistic)
                self.n_tracks = int(self._scores.shape[1])
                self.track_ids = tuple(_texts(self._column("target_ids", self.n_tracks)))
                self._open_rows()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def find(self, variants: VariantTable) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
        """The row of each variant, -1 without a score, and -1 for swapped alleles, else 1 [m]."""
        found, signs = self.index.find(variants)
        rows = np.full(len(found), -1, np.int64)
        rows[found >= 0] = self._rows[found[found >= 0]]
        return rows, signs

    def read(self, rows: npt.NDArray[np.int64], tracks: npt.NDArray[np.int64]) -> Floats:
        """Scores [m, tracks] float32 of rows in any order, read in stretches.

        Raises:
            InputFormatError: The file is damaged, or a score is infinite or beyond 3.4e38.
        """
        values = np.empty((len(rows), len(tracks)), np.float32)
        order = np.argsort(rows, kind="stable")
        longest = max(1, _BLOCK_BYTES // (4 * self.n_tracks))
        ordered = rows[order]
        cuts = (np.diff(ordered) > _LARGEST_GAP) | (np.diff(ordered // longest) > 0)
        with damage_reported(self.path):
            for run in np.split(np.arange(len(rows)), np.flatnonzero(cuts) + 1):
                if run.size:
                    first = int(ordered[run[0]])
                    block = self._scores[first : int(ordered[run[-1]]) + 1]
                    with np.errstate(over="ignore"):
                        found = block[ordered[run] - first][:, tracks].astype(np.float32)
                    self._refuse_infinite(found, ordered[run], tracks)
                    values[order[run]] = found
        return values

    def _refuse_infinite(
        self, scores: Floats, rows: npt.NDArray[np.int64], tracks: npt.NDArray[np.int64]
    ) -> None:
        bad = np.argwhere(np.isinf(scores))
        if bad.size:
            row, column = bad[0].tolist()
            raise InputFormatError(
                f"{self.path}: row {rows[row]}, track {tracks[column]} (both from 0): the score is "
                f"infinite or beyond 32-bit floats; expected one within {LARGEST:.2g}, or NaN"
            )

    def blocks(self, tracks: npt.NDArray[np.int64]) -> Iterator[Floats]:
        """The scores of every variant that has some, block by block [rows, tracks]."""
        step = max(1, _BLOCK_BYTES // (4 * self.n_tracks))
        for start in range(0, len(self._rows), step):
            yield self.read(self._rows[start : start + step], tracks)

    def _open_rows(self) -> None:
        """Finds where each scored variant is; of identical variants the first."""
        n_rows = int(self._scores.shape[0])
        scored = np.ones(n_rows, bool)
        if "status" in self._file:
            scored = self._column("status", n_rows) == _OK
        texts = {}
        for name in ("chr", "ref_allele", "alt_allele"):
            spelling = name if name in self._file else _SPELLINGS.get(name, name)
            texts[name] = _texts(self._column(spelling, n_rows)[scored])
        pos = self._column("pos", n_rows)[scored].astype(np.int64)
        table = VariantTable.of(texts["chr"], pos, texts["ref_allele"], texts["alt_allele"])
        first: dict[tuple[object, ...], int] = {}
        for row, key in enumerate(
            zip(table.chrom, pos.tolist(), table.ref, table.alt, strict=True)
        ):
            first.setdefault(key, row)
        kept = np.fromiter(first.values(), np.int64, len(first))
        if not kept.size:
            raise InputFormatError(f"{self.path}: no row has a score; expected some with status OK")
        self._rows = np.flatnonzero(scored)[kept]
        self.index = VariantIndex(str(self.path), table.take(kept), has_alleles=True)

    def _matrix(self, statistic: str) -> h5py.Dataset:
        dataset = safe_dataset(self._file, statistic) if statistic in self._file else None
        if dataset is None or dataset.ndim != _MATRIX or dataset.dtype.kind != "f":
            raise InputFormatError(
                f"{self.path}: no statistic {statistic!r}; it has {', '.join(sorted(self._file))}"
            )
        return dataset

    def _column(self, name: str, length: int) -> npt.NDArray[Any]:
        dataset = safe_dataset(self._file, name) if name in self._file else None
        if dataset is None or dataset.shape != (length,):
            raise InputFormatError(
                f"{self.path}: no column {name!r} of {length} entries; expected a score store"
            )
        return np.asarray(dataset[:])

    def _check_version(self) -> None:
        version = str(self._file.attrs.get("format_version", _FORMAT))
        if version.partition(".")[0] != _FORMAT:
            raise UnsupportedInputError(
                f"{self.path}: format version {version}, but this tfgen reads {_FORMAT}.x; use the "
                "tfgen that wrote it"
            )


class ScoreSource:
    """Scores of chosen tracks, or the principal components of them, as annotations.

    A score belongs to the alternative allele of the store: it changes its sign where the counted
    allele is the other one. With `absolute` the sign is dropped, as it has no meaning for the
    variance of an effect. Variants without a score are missing.

    Args:
        spec: The store.
        statistic: Which scores, for example SAD.
        tracks: Numbers of the tracks from 0; all by default.
        n_components: Replace the tracks by so many principal components; 0 keeps the tracks.
        absolute: Drop the signs.

    Attributes:
        columns: `SAD:3:ENCFF000ABC`, or `SAD:PC1`, with the prefix in front.
        signed: Whether the values change their sign with the counted allele.
        files: The store.
        warnings: Nothing.
        extras: Arrays that are kept with the features: the loadings of the components.

    Raises:
        InputFormatError: The store cannot be read.
        UsageError: A track that it does not have, or more components than tracks.
    """

    def __init__(
        self,
        spec: SourceSpec,
        statistic: str,
        tracks: Sequence[int] = (),
        n_components: int = 0,
        absolute: bool = True,
    ) -> None:
        self._label = spec.label
        self.files = (spec.path,)
        self.signed = not absolute
        self.warnings: list[str] = []
        self.extras: dict[str, npt.NDArray[Any]] = {}
        self._store = ScoreStoreFile(spec.path, statistic)
        self._tracks = np.array(tracks or range(self._store.n_tracks), np.int64)
        if self._tracks.max() >= self._store.n_tracks:
            raise UsageError(
                f"{spec.label}: no track {self._tracks.max()}; it has the tracks 0 to "
                f"{self._store.n_tracks - 1}"
            )
        if n_components > len(self._tracks):
            raise UsageError(
                f"{spec.label}: {n_components} components of {len(self._tracks)} tracks; ask for "
                "fewer"
            )
        self._components: Components | None = None
        start = f"{spec.prefix}{statistic}"
        ids = [self._store.track_ids[track] for track in self._tracks]
        self.columns = tuple(
            f"{start}:{track}:{name}" for track, name in zip(self._tracks, ids, strict=True)
        )
        if n_components:
            blocks = self._store.blocks(self._tracks)
            self._components = fit_components(blocks, len(self._tracks), n_components)
            self.extras[f"{start}.loadings"] = self._components.loadings
            self.extras[f"{start}.explained"] = self._components.explained
            self.extras[f"{start}.tracks"] = self._tracks
            self.columns = tuple(f"{start}:PC{i + 1}" for i in range(n_components))

    def require_match(self, variants: VariantTable) -> None:
        """Stops when the store has a score for none of the variants.

        Raises:
            InputMismatchError: It has none.
        """
        require_match(self._label, variants, [self._store.index])

    def values(self, variants: VariantTable) -> Floats:
        """The columns of given variants [m, columns] float32, NaN without a score."""
        rows, signs = self._store.find(variants)
        found = rows >= 0
        scores = self._store.read(rows[found], self._tracks)
        if self._components is not None:
            scores = self._components.of(scores)
        scores = np.abs(scores) if not self.signed else scores * signs[found, None]
        values = np.full((len(variants), len(self.columns)), np.nan, np.float32)
        values[found] = scores
        return values


def _texts(values: npt.NDArray[Any]) -> list[str]:
    return [value.decode(errors="backslashreplace") for value in values.tolist()]
