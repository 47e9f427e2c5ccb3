"""Numeric columns of any table as annotations, for example association p-values."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, UsageError
from tfgen.genome import VariantTable
from tfgen.genome.variant_table import contig_names
from tfgen.prior.features.feature_tables import LARGEST, MISSING, Column, FeatureTable, positions
from tfgen.prior.features.keyed_values import Floats, KeyedValues, NamedValues, require_match
from tfgen.prior.features.source_specs import SourceSpec

OPTIONS = (
    "absent",
    "agg",
    "chrom",
    "columns",
    "header",
    "multi",
    "pos",
    "a1",
    "a2",
    "region",
    "signed",
    "snp",
    "transform",
)

_KEYS = {
    "chrom": ("chr", "chrom", "chromosome"),
    "pos": ("bp", "pos", "position"),
    "a1": ("a1", "alt"),
    "a2": ("a2", "ref"),
    "snp": ("snp", "id", "rsid"),
}
_TRANSFORMS = ("none", "neglog10", "abs", "log1p")
_AGGREGATES = ("error", "max", "min", "mean", "count")
_MULTI: dict[str, Callable[[list[float]], float]] = {
    "max": max,
    "min": min,
    "mean": lambda parts: sum(parts) / len(parts),
}
_REGION = re.compile(r"([^:]+):([0-9]+)-([0-9]+)")
_P_VALUE = re.compile(r"([0-9]*\.?[0-9]+|[0-9]+\.)(?:[eE]([+-]?[0-9]{1,18}))?")


@dataclass(frozen=True)
class _Region:
    """A stretch of a contig, 1-based and closed."""

    chrom: str
    start: int
    end: int


class TableSource:
    """Chosen columns of a table whose rows are keyed by position, alleles or identifier.

    Options, all with defaults where the file has a header with the usual names:
    `columns=a+b` (required), `chrom=`, `pos=`, `a1=`, `a2=`, `snp=` name the columns, or count
    them from 1 with `header=no`; `transform=neglog10|abs|log1p`; `agg=max|min|mean|count` joins
    several rows of one variant, which are refused otherwise; `region=CHR:START-END` (1-based,
    closed, several with "+") says where the table speaks of all variants, and `absent=zero` that
    one without a row there has 0; outside it is missing. `signed=yes` marks columns that
    change their sign with the counted allele (a1). `multi=max|min|mean` joins the numbers of a cell
    such as `0.1;.;0.3`, one per transcript.

    Args:
        spec: The file.

    Attributes:
        columns: Names of the annotations: prefix and name of the column.
        signed: Whether the values change their sign with the counted allele.
        files: The file.
        warnings: Nothing.

    Raises:
        InputFormatError: The file cannot be read, lacks a column, has a value that is no number,
            or a variant twice.
        UsageError: Options that have no meaning.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self.files = (spec.path,)
        self.warnings: list[str] = []
        self.signed = spec.yes("signed")
        self._transform = spec.choice("transform", _TRANSFORMS, "none")
        self._multi = spec.choice("multi", ("none", *_MULTI), "none")
        if self._multi != "none" and self._transform == "neglog10":
            raise UsageError(f"{spec.label}: multi and transform=neglog10 do not go together")
        self._agg = spec.choice("agg", _AGGREGATES, "error")
        self._absent = spec.choice("absent", ("missing", "zero"), "missing")
        self._regions = [_region(spec, text) for text in spec.listed("region")]
        self._names = spec.listed("columns")
        if not self._names:
            raise UsageError(f"{spec.label}: which columns? add :columns=NAME+NAME")
        table = FeatureTable(spec.path, header=spec.yes("header", default=True))
        # A column that is only counted, as "12", takes the name of the source.
        stem = spec.stem if len(self._names) == 1 and self._names[0].isdigit() else ""
        self.columns = (stem,) if stem else tuple(spec.prefix + name for name in self._names)
        self._table = self._read(table)

    def values(self, variants: VariantTable) -> Floats:
        """The columns of given variants [m, columns] float32, NaN where missing."""
        values = self._table.lookup(variants, self.signed)
        inside = np.ones(len(variants), bool)
        if self._regions:
            inside[:] = False
            for region in self._regions:
                in_span = (variants.pos >= region.start) & (variants.pos <= region.end)
                inside |= (variants.chrom == region.chrom) & in_span
        if self._absent == "zero":
            absent = np.isnan(values).all(axis=1) & inside
            values[absent] = 0
        values[~inside] = np.nan
        return values

    def require_match(self, variants: VariantTable) -> None:
        """Stops when the table has none of the variants, whatever an absent row means.

        Raises:
            InputMismatchError: It has none.
        """
        index = self._table.index if isinstance(self._table, KeyedValues) else self._table
        require_match(self._spec.label, variants, [index])

    def _read(self, table: FeatureTable) -> KeyedValues | NamedValues:
        keys = {need: self._key(table, need) for need in _KEYS}
        has_position = bool(keys["chrom"] and keys["pos"])
        has_alleles = has_position and bool(keys["a1"] and keys["a2"])
        if not has_position and not keys["snp"]:
            raise InputFormatError(
                f"{table.path}: no columns for the key; name them with :chrom= and :pos=, or :snp="
            )
        if self.signed and not has_alleles:
            raise UsageError(f"{self._spec.label}: signed=yes needs alleles; name :a1= and :a2=")
        wanted = ["snp"] if not has_position else ["chrom", *(["a1", "a2"] if has_alleles else [])]
        if has_position and keys["snp"]:
            wanted.append("snp")
        as_text = self._transform == "neglog10" or self._multi != "none"
        text = [keys[need] for need in wanted] + (list(self._names) if as_text else [])
        numbers = [keys["pos"]] if has_position else []
        columns = table.read(
            tuple(dict.fromkeys(text)), [*numbers, *(() if as_text else self._names)]
        )
        values = np.stack(
            [self._transformed(table, name, columns[name]) for name in self._names], axis=1
        )
        if not has_position:
            names, values = self._aggregate([columns[keys["snp"]]], values)
            return NamedValues(str(table.path), names[0], values)
        parts = [
            contig_names(columns[keys["chrom"]]),
            positions(table, columns[keys["pos"]], keys["pos"]),
        ]
        for need in ("a2", "a1"):
            empty = np.full(len(values), "", object)
            parts.append(_upper(columns[keys[need]]) if has_alleles else empty)
        if self._agg == "error":
            ids = columns[keys["snp"]] if keys["snp"] else None
        else:
            parts, values = self._aggregate(parts, values)
            ids = None
        keyed = VariantTable.of(parts[0], parts[1], parts[2], parts[3], ids)
        return KeyedValues(str(table.path), keyed, values, has_alleles)

    def _key(self, table: FeatureTable, need: str) -> str:
        """The column of a key: as named, else as usual in the header, else ""."""
        if need in self._spec.options:
            return self._spec.options[need]
        return table.first(*_KEYS[need]) if self._spec.yes("header", default=True) else ""

    def _transformed(self, table: FeatureTable, name: str, values: Column) -> Column:
        if self._transform == "neglog10":
            return _neglog10(table, name, values)
        if self._multi != "none":
            values = _joined_cells(table, name, values, _MULTI[self._multi])
        if self._transform == "abs":
            return np.abs(values)
        if self._transform == "log1p":
            bad = np.flatnonzero(values < 0)
            if bad.size:
                raise InputFormatError(
                    f"{table.where(int(bad[0]))}: {name} is {values[bad[0]]:g}; log1p expects "
                    "values from 0"
                )
            return np.log1p(values)
        return values

    def _aggregate(
        self, keys: list[Column], values: npt.NDArray[np.float64]
    ) -> tuple[list[Column], npt.NDArray[np.float64]]:
        """One row per key; missing values count only where all are missing."""
        if self._agg == "error" or not len(values):
            return keys, values
        import pandas as pd

        frame = pd.DataFrame({f"key{i}": key for i, key in enumerate(keys)})
        names = list(frame.columns)
        for column in range(values.shape[1]):
            frame[column] = values[:, column]
        groups = frame.groupby(names, sort=False)
        joined = getattr(groups, self._agg)().reset_index()
        return [joined[name].to_numpy() for name in names], joined[
            list(range(values.shape[1]))
        ].to_numpy(np.float64)


def _region(spec: SourceSpec, text: str) -> _Region:
    match = _REGION.fullmatch(text)
    if match is None or int(match[2]) > int(match[3]):
        raise UsageError(f"{spec.label}: region={text!r}; expected CHR:START-END")
    return _Region(str(contig_names([match[1]])[0]), int(match[2]), int(match[3]))


def _neglog10(table: FeatureTable, name: str, texts: Column) -> npt.NDArray[np.float64]:
    """-log10 of p-values as text, so that 1e-400 is no 0.

    Raises:
        InputFormatError: A value that is no p-value above 0 and at most 1.
    """
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        if text in MISSING:
            continue
        match = _P_VALUE.fullmatch(text)
        mantissa = float(match[1]) if match else 0.0
        if match is None or mantissa <= 0:
            raise InputFormatError(
                f"{table.where(row)}: {name} is {text[:30]!r}; expected a p-value above 0"
            )
        value = -(np.log10(mantissa) + int(match[2] or 0))
        if value < 0:
            raise InputFormatError(
                f"{table.where(row)}: {name} is {text[:30]!r}; expected a p-value of at most 1"
            )
        values[row] = value + 0.0  # no negative zero
    return values


def _joined_cells(
    table: FeatureTable, name: str, texts: Column, join: Callable[[list[float]], float]
) -> npt.NDArray[np.float64]:
    """One number for cells of several, separated by ";"; missing ones do not count.

    Raises:
        InputFormatError: A part that is no number that a 32-bit float can hold.
    """
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        try:
            parts = [float(part) for part in text.split(";") if part not in MISSING]
        except ValueError:
            parts = [math.inf]
        if not all(abs(part) <= LARGEST for part in parts):
            raise InputFormatError(
                f"{table.where(row)}: {name} is {text[:40]!r}; expected numbers separated by ;, "
                f"within {LARGEST:.2g}"
            )
        if parts:
            values[row] = join(parts)
    return values


def _upper(values: Column) -> Column:
    return np.array([value.upper() for value in values], object)
