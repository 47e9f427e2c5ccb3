"""The feature store: annotations and signal tracks of variants in one HDF5 file.

Rows are variants in the order of the list they came from; columns are annotations, NaN where a
variant has no value. Optional tracks hold the signal around every variant at fixed offsets.
`docs/prior-features.md` describes the file.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import h5py
import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError, UnsupportedInputError, UsageError
from tfgen.genome import VariantTable, join_variants
from tfgen.io.hdf5 import create_hdf5, damage_reported, open_hdf5, safe_dataset

FORMAT = "tfgen features"
FORMAT_VERSION = "1.0"
LARGEST_FLOAT16 = 65504.0

_TEXTS = ("chrom", "ref", "alt", "id")
_EXTRA = "extra_"
_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 25
_LARGEST_GAP = 16
_COMPRESSION: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureSchema:
    """Which columns a feature store has, and what they were made from.

    Attributes:
        annotation_names: Names of the A annotations.
        signed: Whether the sign of an annotation belongs to the counted allele [A].
        track_names: Names of the T tracks; empty without tracks.
        bins: First base and base behind the last of each of the L positions of a track, relative
            to the variant.
        build: Genome build that the user stated, possibly "".
        sources: What identifies each source, in the types of JSON: its options and digests.
        extras: Further arrays to keep, by name, such as the loadings of components.
        run_digest: SHA-256 of everything that determines the values.
    """

    annotation_names: tuple[str, ...]
    signed: tuple[bool, ...] = ()
    track_names: tuple[str, ...] = ()
    bins: tuple[tuple[int, int], ...] = ()
    build: str = ""
    sources: tuple[Mapping[str, object], ...] = ()
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    run_digest: str = ""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row before compression."""
        return 4 * len(self.annotation_names) + 2 * len(self.bins) * len(self.track_names)


@dataclass(frozen=True)
class Features:
    """The features of m variants.

    Attributes:
        annotations: Values [m, A] float32, NaN where missing.
        tracks: Signal [m, L, T] float32, NaN where the contig is in no track; None without tracks.
    """

    annotations: Floats
    tracks: Floats | None


class FeatureRows(Protocol):
    """Where the rows of a store come from."""

    def read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """`annotations` [rows, A] and, if asked for, `tracks` [rows, L, T] of start..stop."""
        ...


class FeatureStore:
    """An open feature store; a context manager. Rows are read in slices.

    Attributes:
        path: The file.
        annotation_names: Names of the A annotations.
        signed: Whether the sign of an annotation belongs to the counted allele [A]; such a value
            changes its sign when the alleles are swapped.
        track_names: Names of the T tracks, possibly none.
        bins: Offsets of the L positions of a track relative to the variant [L, 2] int64, half-open.
        build: Genome build, possibly "".
        sources: What the columns were made from.
        n_present: Variants that have a value, per annotation [A] int64.
        n_nonzero: Variants whose value is not 0, per annotation [A] int64.
        digest: SHA-256 of variants, names and values.
        run_digest: SHA-256 of the settings and inputs that determined them.

    Raises:
        InputFormatError: No feature store, damaged, or with links that lead out of the file.
        UnsupportedInputError: Written in a format of another major version.
        FileNotFoundError: There is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_hdf5(path, "a feature store that was written to its end")
        try:
            with damage_reported(path):
                self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        self._check_format()
        self.annotation_names = self._names("annotation_names")
        self.track_names = self._names("track_names")
        self.signed = tuple(bool(value) for value in self._dataset("annotation_signed")[:])
        self.bins = np.stack(
            [self._dataset(name)[:].astype(np.int64) for name in ("bin_starts", "bin_ends")], axis=1
        )
        self.build = str(self._file.attrs["build"])
        self.digest = str(self._file.attrs["content_sha256"])
        self.run_digest = str(self._file.attrs["run_sha256"])
        self.sources = tuple(json.loads(text) for text in self._names("sources"))
        self.n_present = self._dataset("annotation_present")[:]
        self.n_nonzero = self._dataset("annotation_nonzero")[:]
        self._n_rows = int(self._dataset("pos").shape[0])
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys((*_TEXTS, "af"), (self._n_rows,))
        shapes["annotations"] = (self._n_rows, len(self.annotation_names))
        if self.track_names:
            shapes["tracks"] = (self._n_rows, len(self.bins), len(self.track_names))
        for name, shape in shapes.items():
            if self._dataset(name).shape != shape:
                raise InputFormatError(
                    f"{self.path}: {name!r} has shape {self._dataset(name).shape}; expected {shape}"
                )

    def __enter__(self) -> Self:
        """Returns the open store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self.close()

    def __len__(self) -> int:
        """Number of variants."""
        return self._n_rows

    @property
    def length(self) -> int:
        """Positions of a track, L; 0 without tracks."""
        return len(self.bins)

    @cached_property
    def variants(self) -> VariantTable:
        """The variants, one per row."""
        with damage_reported(self.path):
            texts = {name: _decoded(self._dataset(name)[:]) for name in _TEXTS}
            pos = self._dataset("pos")[:].astype(np.int64)
            af = self._dataset("af")[:].astype(np.float64)
        return VariantTable(pos=pos, af=af, **texts)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, rows: slice | npt.NDArray[np.integer[Any]]) -> Features:
        """The features of some rows.

        Args:
            rows: A slice without a step, or indices from 0 in any order [m]; rows that lie close
                together are read in one piece.

        Raises:
            UsageError: An index is not a row of the store.
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            rows = np.arange(start, stop, step)
        index = np.asarray(rows, np.int64)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise UsageError(
                f"{self.path}: rows {index.min()}..{index.max()} of {len(self)}; take the rows "
                "that are found only"
            )
        annotations = self._gather("annotations", index)
        return Features(annotations, self._gather("tracks", index) if self.track_names else None)

    def read_for(self, variants: VariantTable) -> tuple[Features, npt.NDArray[np.bool_]]:
        """The features of given variants, with the signs that belong to their counted alleles.

        Args:
            variants: Any variants [n].

        Returns:
            The features [n, ...], NaN for variants that the store does not have, and whether it
            has them [n].

        Raises:
            InputFormatError: The store has a variant twice.
        """
        near = self._near(variants)
        join = join_variants(variants, self.variants.take(near), str(self.path))
        found = join.found
        part = self.read(near[join.rows[found]])
        flip = np.ix_(join.signs[found] < 0, np.asarray(self.signed, bool))
        part.annotations[flip] *= -1
        return Features(
            _spread(part.annotations, found),
            None if part.tracks is None else _spread(part.tracks, found),
        ), found

    def array(self, name: str) -> npt.NDArray[Any]:
        """A further array that is kept with the features, such as `SAD.loadings`.

        Raises:
            InputFormatError: There is none of that name.
        """
        with damage_reported(self.path):
            return np.asarray(self._dataset(_EXTRA + name)[:])

    @cached_property
    def _rows_by_contig(self) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Contig to its rows in the order of their positions, and those positions."""
        table, found = self.variants, {}
        order = np.argsort(table.pos, kind="stable")
        for chrom in dict.fromkeys(table.chrom):
            rows = order[table.chrom[order] == chrom]
            found[chrom] = rows, table.pos[rows]
        return found

    def _near(self, variants: VariantTable) -> npt.NDArray[np.int64]:
        """Rows between the first and the last of the variants, so that a block costs a block."""
        parts = [np.zeros(0, np.int64)]
        for chrom in dict.fromkeys(variants.chrom):
            if chrom in self._rows_by_contig:
                rows, pos = self._rows_by_contig[chrom]
                here = variants.pos[variants.chrom == chrom]
                first = np.searchsorted(pos, here.min(), "left")
                parts.append(rows[first : np.searchsorted(pos, here.max(), "right")])
        return np.sort(np.concatenate(parts))

    def _gather(self, name: str, index: npt.NDArray[np.int64]) -> Floats:
        """Rows of a matrix, read as slices over runs of neighbouring rows."""
        dataset = self._dataset(name)
        values = np.empty((len(index), *dataset.shape[1:]), np.float32)
        order = np.argsort(index, kind="stable")
        ordered = index[order]
        breaks = np.flatnonzero(np.diff(ordered) > _LARGEST_GAP) + 1
        with damage_reported(self.path):
            for run in np.split(np.arange(len(index)), breaks):
                if run.size:
                    first = int(ordered[run[0]])
                    block = dataset[first : int(ordered[run[-1]]) + 1]
                    values[order[run]] = block[ordered[run] - first]
        return values

    def _check_format(self) -> None:
        found = self._file.attrs.get("format")
        if found != FORMAT:
            raise InputFormatError(
                f"{self.path}: is no feature store (format {found!r}); expected a file that "
                "prior_features.py wrote"
            )
        version = str(self._file.attrs["format_version"])
        if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise UnsupportedInputError(
                f"{self.path}: format version {version}, but this tfgen reads {FORMAT_VERSION}; "
                "use the tfgen that wrote it"
            )

    def _names(self, name: str) -> tuple[str, ...]:
        return tuple(value.decode() for value in self._dataset(name)[:].tolist())

    def _dataset(self, name: str) -> h5py.Dataset:
        dataset = safe_dataset(self._file, name) if name in self._file else None
        if dataset is None:
            raise InputFormatError(f"{self.path}: no dataset {name!r}; expected a feature store")
        return dataset


def features_for(store: FeatureStore, variants: VariantTable) -> npt.NDArray[np.int64]:
    """The row of each variant in a store, whatever the order and strand of its alleles.

    Columns that are `store.signed` belong to the alleles of the store; `FeatureStore.read_for`
    gives them with the right signs.

    Args:
        store: An open store.
        variants: Any variants [n].

    Returns:
        Row, or -1 where the store does not have the variant [n].

    Raises:
        InputFormatError: The store has a variant twice.
    """
    return join_variants(variants, store.variants, str(store.path)).rows


def require_names(store: FeatureStore, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The columns of the named annotations [len(names)].

    Raises:
        InputMismatchError: The store lacks some; three are named.
    """
    columns = {name: column for column, name in enumerate(store.annotation_names)}
    missing = [name for name in names if name not in columns]
    if missing:
        raise InputMismatchError(
            f"{store.path}: lacks {len(missing)} annotations that are needed, such as "
            f"{', '.join(missing[:3])}; build the features with the same sources and prefixes"
        )
    return np.array([columns[name] for name in names], np.int64)


def write_feature_store(
    path: Path,
    schema: FeatureSchema,
    variants: VariantTable,
    source: FeatureRows,
    between_blocks: Callable[[], None] = lambda: None,
) -> int:
    """Writes a store in one deterministic pass: same rows, same bytes.

    Args:
        path: A new file; the caller publishes it under its final name.
        schema: Columns, bins, build and sources.
        variants: The variants [n].
        source: Their features, `annotations` float32 [n, A] and `tracks` [n, L, T].
        between_blocks: Called after every block of rows; may raise to stop.

    Returns:
        How many values of tracks were too large for float16 and were clipped.

    Raises:
        OutputError: The file cannot be written.
    """
    n_rows, columns = len(variants), ["annotations", *(["tracks"] if schema.track_names else [])]
    digests = {column: hashlib.sha256() for column in columns}
    present = np.zeros(len(schema.annotation_names), np.int64)
    nonzero = np.zeros(len(schema.annotation_names), np.int64)
    n_clipped = 0
    step = max(1, _BLOCK_BYTES // max(1, schema.row_bytes))
    with create_hdf5(path) as (file, check):
        described = _describe(file, schema, variants)
        _create(file, schema, n_rows)
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            block = source.read(columns, start, stop)
            values = {"annotations": np.ascontiguousarray(block["annotations"], np.float32)}
            present += np.count_nonzero(~np.isnan(values["annotations"]), axis=0)
            nonzero += np.count_nonzero(np.nan_to_num(values["annotations"]), axis=0)
            if schema.track_names:
                tracks = np.asarray(block["tracks"], np.float32)
                n_clipped += int(np.count_nonzero(np.abs(tracks) > LARGEST_FLOAT16))
                tracks = np.clip(tracks, -LARGEST_FLOAT16, LARGEST_FLOAT16)
                values["tracks"] = np.ascontiguousarray(tracks, np.float16)
            for column, array in values.items():
                file[column][start:stop] = array
                digests[column].update(array.tobytes())
            check()
            between_blocks()
        file.create_dataset("annotation_present", data=present)
        file.create_dataset("annotation_nonzero", data=nonzero)
        parts = [described, *(digest.hexdigest() for digest in digests.values())]
        file.attrs["content_sha256"] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return n_clipped


def _describe(file: h5py.File, schema: FeatureSchema, variants: VariantTable) -> str:
    """Writes all but the values; returns the digest of what identifies rows and columns."""
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["build"] = schema.build
    file.attrs["run_sha256"] = schema.run_digest
    bins = np.array(schema.bins, np.int64).reshape(-1, 2)
    columns: dict[str, npt.NDArray[Any]] = {
        "chrom": _bytes(variants.chrom),
        "pos": variants.pos.astype(np.int64),
        "ref": _bytes(variants.ref),
        "alt": _bytes(variants.alt),
        "id": _bytes(variants.id),
        "af": variants.af.astype(np.float64),
        "annotation_names": _bytes(schema.annotation_names),
        "annotation_signed": np.array(
            schema.signed or [False] * len(schema.annotation_names), np.bool_
        ),
        "track_names": _bytes(schema.track_names),
        "bin_starts": bins[:, 0],
        "bin_ends": bins[:, 1],
    }
    digest = hashlib.sha256(schema.build.encode())
    for name, values in columns.items():
        options = _COMPRESSION if name in ("id", "ref", "alt", "chrom", "pos", "af") else {}
        chunks = (min(len(values), 1 << 14),) if options and len(values) else None
        file.create_dataset(name, data=values, chunks=chunks, **(options if chunks else {}))
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode() + values.tobytes())
    texts = [json.dumps(dict(source), sort_keys=True) for source in schema.sources]
    file.create_dataset("sources", data=_bytes(texts))
    for name, array in sorted(schema.extras.items()):
        file.create_dataset(f"{_EXTRA}{name}", data=array)
    return digest.hexdigest()


def _create(file: h5py.File, schema: FeatureSchema, n_rows: int) -> None:
    """Makes the empty matrices; values are NaN until they are written."""
    shapes = {"annotations": (n_rows, len(schema.annotation_names))}
    types: dict[str, Any] = {"annotations": np.float32, "tracks": np.float16}
    matrices: dict[str, tuple[int, ...]] = dict(shapes)
    if schema.track_names:
        matrices["tracks"] = (n_rows, len(schema.bins), len(schema.track_names))
    for name, shape in matrices.items():
        row_bytes = int(np.prod(shape[1:])) * np.dtype(types[name]).itemsize
        options: dict[str, Any] = {}
        if n_rows and row_bytes:
            rows = max(1, min(n_rows, _CHUNK_BYTES // row_bytes))
            options = {"chunks": (rows, *shape[1:]), **_COMPRESSION}
        file.create_dataset(name, shape, types[name], fillvalue=np.nan, **options)


def _bytes(values: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[np.bytes_]:
    """Text as fixed-length UTF-8 bytes, as wide as the longest value and at least one byte."""
    encoded = [value.encode("utf-8", "backslashreplace") for value in values]
    width = max((len(value) for value in encoded), default=0)
    return np.array(encoded, f"S{max(1, width)}")


def _decoded(values: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    """Bytes as str objects, one object per distinct value."""
    distinct, inverse = np.unique(values, return_inverse=True)
    texts = np.array([value.decode() for value in distinct.tolist()], object)
    return texts[inverse]


def _spread(values: Floats, found: npt.NDArray[np.bool_]) -> Floats:
    """The rows of found variants among all, NaN elsewhere."""
    spread = np.full((len(found), *values.shape[1:]), np.nan, np.float32)
    spread[found] = values
    return spread
