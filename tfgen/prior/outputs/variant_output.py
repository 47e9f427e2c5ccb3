"""Tables with a row per variant, as other programs read them: text, gzip or parquet.

There are no comment lines, because those programs would take them for the header; what determined
the numbers is in the metadata of a parquet file, and beside a text file in `FILE.run.json`.
"""

import gzip
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import OutputError, UsageError
from tfgen.genome import VariantTable
from tfgen.io import publish

Columns = Mapping[str, npt.NDArray[Any]]

_METADATA = b"tfgen"
_ROWS = 100_000
_ENDS = (".tsv.gz", ".txt.gz", ".gz", ".tsv", ".txt", ".parquet")
_LEVEL = 6


def variant_columns(variants: VariantTable) -> dict[str, npt.NDArray[Any]]:
    """CHR, SNP, BP, A1 and A2; A1 is the counted allele, `.` an unknown SNP."""
    return {
        "CHR": variants.chrom,
        "SNP": np.where(variants.id == "", ".", variants.id),
        "BP": variants.pos,
        "A1": variants.alt,
        "A2": variants.ref,
    }


def check_name(path: Path) -> None:
    """Stops at a name that says no format.

    Raises:
        UsageError: It ends in none of .gz, .parquet, .tsv and .txt.
    """
    if not path.name.endswith(_ENDS):
        raise UsageError(
            f"{path}: of which format? use a name that ends in .gz, .parquet, .tsv or .txt"
        )


def with_part(path: Path, part: str) -> Path:
    """A name with a part before its ending: X.snpvar.gz, `_c` -> X.snpvar_c.gz."""
    end = next((end for end in _ENDS if path.name.endswith(end)), "")
    return path.with_name(path.name.removesuffix(end) + part + end)


def trait_paths(path: Path, traits: Sequence[str]) -> dict[str, Path]:
    """The output of each trait: `path` itself for a single one, else X.TRAIT.gz.

    Raises:
        UsageError: A trait has a name that no file can have.
    """
    if len(traits) == 1:
        return {traits[0]: path}
    end = ".snpvar" + path.suffix
    paths = {}
    for trait in traits:
        if "/" in trait or trait in (".", ".."):
            raise UsageError(f"trait {trait!r}: cannot be part of a file name; pass --trait")
        if path.name.endswith(end):
            paths[trait] = path.with_name(f"{path.name.removesuffix(end)}.{trait}{end}")
        else:
            paths[trait] = with_part(path, f".{trait}")
    return paths


def require_new(paths: Sequence[Path], overwrite: bool) -> None:
    """Stops at outputs that must stay.

    Raises:
        OutputError: One exists and is not to be replaced, or is no plain file.
    """
    for path in paths:
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is not a plain file; choose a file name")
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: exists; choose another output or pass --overwrite")


def write_variants(
    path: Path,
    columns: Columns,
    info: Mapping[str, Any],
    between_rows: Callable[[int], object] = lambda n: None,
) -> None:
    """Writes a table in one step: the same columns give the same bytes.

    Args:
        path: `.parquet`; gzip for `.gz`; plain text else.
        columns: Columns of equal length; numbers that are not finite are written as NA.
        info: What determined the numbers, in the types of JSON.
        between_rows: Gets the number of rows written since the last call; may raise to stop.

    Raises:
        OutputError: The file cannot be written.
        UsageError: The package pyarrow is missing.
    """
    n = len(next(iter(columns.values())))
    with _partial(path) as partial:
        if path.suffix == ".parquet":
            _write_parquet(partial, columns, info)
            between_rows(n)
            return
        with _text(partial, path.suffix == ".gz") as stream:
            stream.write("\t".join(columns) + "\n")
            for start in range(0, n, _ROWS):
                part = [_cells(values[start : start + _ROWS]) for values in columns.values()]
                stream.writelines("\t".join(row) + "\n" for row in zip(*part, strict=True))
                between_rows(len(part[0]))


def _cells(values: npt.NDArray[Any]) -> list[str]:
    """Values as text; numbers with eight digits, which is more than float32 has."""
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    return [f"{x:.8g}" if math.isfinite(x) else "NA" for x in values.tolist()]


def _write_parquet(path: Path, columns: Columns, info: Mapping[str, Any]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            f"{path}: writing parquet needs pyarrow: pip install 'tfgen[io]'"
        ) from error
    arrays = {}
    for name, values in columns.items():
        if name == "CHR" and all(text.isdigit() for text in set(values.tolist())):
            arrays[name] = pa.array(values.astype(np.int64))  # as PolyFun has it
        elif values.dtype == object:
            arrays[name] = pa.array(values.tolist(), pa.string())
        else:
            arrays[name] = pa.array(values)
    text = json.dumps(dict(info), sort_keys=True)
    pq.write_table(pa.table(arrays).replace_schema_metadata({_METADATA: text.encode()}), path)


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """A name beside `path`; what is there at the end becomes `path`.

    It is always the same, so that the next run replaces what a killed one left: the caller holds
    the lock of `path`.
    """
    partial = path.with_name(f"{path.name}.partial-table")
    try:
        yield partial
        publish(partial, path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; free some space there"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _text(path: Path, compressed: bool) -> Iterator[io.TextIOWrapper]:
    with path.open("wb") as raw:
        if not compressed:
            with io.TextIOWrapper(raw, "utf-8", newline="") as stream:
                yield stream
            return
        # Neither name nor time: equal tables are equal files.
        with (
            gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
            io.TextIOWrapper(packed, "utf-8", newline="") as stream,
        ):
            yield stream
