"""The published LD of UK Biobank: per window a sparse matrix `.npz` and a table `.gz`.

https://broad-alkesgroup-ukbb-ld.s3.amazonaws.com/UKBB_LD: `chr22_16000001_19000001.npz` is what
`scipy.sparse.save_npz` wrote, one triangle with 0.5 on the diagonal, so that R = M + M';
`chr22_16000001_19000001.gz` lists the variants in the order of the rows, with the columns rsid,
chromosome, position (GRCh37), allele1, allele2.
"""

import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError, UnsupportedInputError
from tfgen.genome import VariantTable
from tfgen.genome.compression import decompressed, require_whole
from tfgen.prior.ld.ld_matrix import TOLERANCE, Matrix

N_SAMPLES = 337_545
"""People of British ancestry of whom the published matrices are (Weissbrod et al. 2020)."""

COLUMNS = ("rsid", "chromosome", "position", "allele1", "allele2")

_NAME = re.compile(r"chr([0-9A-Za-z]+)_([0-9]+)_([0-9]+)\.npz")
_COO = ("row", "col", "data", "shape")


def window_files(folder: Path) -> dict[Path, tuple[str, int, int]]:
    """The matrices of a folder, each with its contig, start and end (0-based, half-open).

    Raises:
        InputFormatError: There are none.
    """
    found = {}
    for path in sorted(folder.glob("*.npz")):
        match = _NAME.fullmatch(path.name)
        if match:
            found[path] = (match[1], int(match[2]) - 1, int(match[3]) - 1)
    if not found:
        raise InputFormatError(
            f"{folder}: no LD matrices; expected files such as chr22_16000001_19000001.npz"
        )
    return found


def window_name(chrom: str, start: int, end: int) -> str:
    """Name of the matrix of a window, 0-based and half-open."""
    return f"chr{chrom}_{start + 1}_{end + 1}.npz"


def read_window_variants(path: Path) -> VariantTable:
    """Reads the variants of a window.

    `alt` is allele1. Which of the two alleles was counted makes no difference: if it was allele2
    throughout, the matrix is the same, because every correlation changes its sign twice.

    Args:
        path: The table, gzip or plain, fields separated by white space.

    Raises:
        InputFormatError: A column is missing or a line is malformed.
    """
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    require_whole(path)
    with decompressed(path) as stream:
        header = stream.readline().decode("utf-8", "replace").split()
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise InputFormatError(
                f"{path}:1: no column {', '.join(missing)}; expected {', '.join(COLUMNS)}"
            )
        places = [header.index(name) for name in COLUMNS]
        for number, raw in enumerate(stream, start=2):
            fields = raw.decode("utf-8", "replace").split()
            if len(fields) != len(header) or not fields[places[2]].isdecimal():
                raise InputFormatError(
                    f"{path}:{number}: {' '.join(fields)[:80]!r}; expected {len(header)} fields, "
                    "the position a whole number"
                )
            for values, place in zip(columns.values(), places, strict=True):
                values.append(fields[place])
    positions = np.array([int(text) for text in columns["position"]], np.int64)
    return VariantTable.of(
        columns["chromosome"], positions, columns["allele2"], columns["allele1"], columns["rsid"]
    )


def read_sparse_ld(path: Path, n_variants: int, max_bytes: float = np.inf) -> Matrix:
    """Reads a matrix that `scipy.sparse.save_npz` wrote in COO form, and completes it.

    Three conventions are told apart: one triangle with 0.5 on the diagonal (R = M + M'), one
    triangle with 1 on the diagonal, and both triangles with 1 on it.

    Args:
        path: The .npz file; nothing in it is unpickled.
        n_variants: Variants of the table beside it.
        max_bytes: Larger files are not brought into the memory.

    Returns:
        R [n, n] float64; what `check_correlation` looks at is not yet certain.

    Raises:
        InputFormatError: Damaged, not of this form, or of another convention.
        InputMismatchError: Another number of variants.
        UnsupportedInputError: Another sparse format, or too large.
    """
    arrays = _read_arrays(path, max_bytes)
    shape = tuple(int(size) for size in arrays["shape"].ravel())
    if shape != (n_variants, n_variants):
        raise InputMismatchError(
            f"{path}: LD of {' x '.join(map(str, shape))} variants, but the table beside it lists "
            f"{n_variants}; download both again"
        )
    row, col, data = arrays["row"], arrays["col"], arrays["data"]
    numbers = row.shape == col.shape == data.shape == (data.size,) and data.dtype.kind == "f"
    if not (numbers and _inside(row, n_variants) and _inside(col, n_variants)):
        raise InputFormatError(
            f"{path}: entries that lie outside the matrix or are no numbers; download it again"
        )
    matrix = np.zeros(shape)
    taken = np.zeros(shape, bool)
    matrix[row, col] = data
    taken[row, col] = True
    if np.count_nonzero(taken) != len(data):
        raise InputFormatError(f"{path}: entries that occur twice; expected each at most once")
    del taken
    return _completed(matrix, bool(np.all(row <= col) or np.all(row >= col)), path)


def _completed(matrix: Matrix, one_triangle: bool, path: Path) -> Matrix:
    """Both triangles and 1 on the diagonal."""
    diagonal = np.diag(matrix)
    half, whole = (bool(np.all(np.abs(diagonal - value) < TOLERANCE)) for value in (0.5, 1))
    if one_triangle and (half or whole):
        matrix += matrix.T
        if whole:
            np.fill_diagonal(matrix, 1)
        return matrix
    if whole:
        return matrix
    low, high = float(np.min(diagonal)), float(np.max(diagonal))
    raise InputFormatError(
        f"{path}: {low:g} to {high:g} on the diagonal, {'one' if one_triangle else 'both'} of the "
        "triangles filled; expected one triangle with 0.5 throughout (R = M + M'), or 1 throughout"
    )


def _inside(index: npt.NDArray[Any], n: int) -> bool:
    """Whether all are row numbers of a matrix of n rows."""
    if index.dtype.kind not in "iu":
        return False
    return not index.size or bool(0 <= index.min() <= index.max() < n)


def _read_arrays(path: Path, max_bytes: float) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a sparse COO matrix."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > max_bytes:
            raise UnsupportedInputError(
                f"{path}: unpacks to {size / 1e9:.1f} GB, more than the {max_bytes / 1e9:.1f} GB "
                "allowed; raise --max_memory_gb"
            )
        with np.load(path, allow_pickle=False) as arrays:
            names = set(arrays.files)
            kind = _format(arrays["format"]) if "format" in names else "none"
            if kind != "coo":
                raise UnsupportedInputError(
                    f"{path}: sparse format {kind!r}; expected 'coo' (scipy.sparse.save_npz of a "
                    "coo_array)"
                )
            _require(path, names, _COO)
            return {name: arrays[name] for name in _COO}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputFormatError(
            f"{path}: no sparse matrix that can be read ({error}); download it again"
        ) from error


def _require(path: Path, names: set[str], wanted: Iterable[str]) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputFormatError(f"{path}: no array {missing[0]!r}; expected a COO matrix of SciPy")


def _format(array: npt.NDArray[Any]) -> str:
    value = array.item() if array.ndim == 0 else ""
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
