"""Annotations in the files of LDSC (`.annot`, `.annot.gz`) and PolyFun (`.annot.parquet`)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.genome import VariantTable
from tfgen.prior.features.feature_tables import FeatureTable, positions, require_columns
from tfgen.prior.features.keyed_values import (
    Floats,
    KeyedValues,
    by_contig,
    require_match,
)
from tfgen.prior.features.source_specs import SourceSpec, expanded
from tfgen.prior.features.variant_lists import read_variant_list

OPTIONS = ("columns", "bim")

_KEYS = ("CHR", "BP", "SNP", "CM", "A1", "A2")


class AnnotSource:
    """The columns of an annotation file, or of one file per chromosome.

    Rows are found by contig, position and alleles where the file has A1 and A2, else by contig
    and position, and by SNP where several rows are at a position. A thin file has annotations
    only; the option `bim` names the .bim of its rows.

    Args:
        spec: The file, "@" in its name standing for the chromosome; options `columns=a+b` and
            `bim=FILE`.
        contigs: Contigs of the variants; of the files with "@" those of other contigs are not
            looked for.

    Attributes:
        columns: Names of the annotations, the prefix in front.
        signed: Never: these annotations belong to the variant.
        files: The files, and the .bim of thin ones.
        warnings: What the user should know.

    Raises:
        InputFormatError: A file that cannot be read, or lacks a column.
        InputMismatchError: Files of different columns.
        UsageError: Options that contradict the file.
    """

    signed = False

    def __init__(self, spec: SourceSpec, contigs: Iterable[str]) -> None:
        self._spec = spec
        self.warnings: list[str] = []
        self._paths = self._find(dict.fromkeys(contigs))
        paths = list(dict.fromkeys(self._paths.values()))
        found = {path: self._annotations(FeatureTable(path)) for path in paths}
        self._names = found[paths[0]]
        for path, names in found.items():
            if names != self._names:
                raise InputMismatchError(
                    f"{path}: its annotations differ from those of {paths[0]}; give files of "
                    "other columns as a source of their own"
                )
        bims = [self._bim(chrom) for chrom in self._paths] if "bim" in spec.options else []
        self.files = (*paths, *dict.fromkeys(bims))
        self.columns = tuple(spec.prefix + name for name in self._names)
        self._open: tuple[Path, KeyedValues] | None = None

    def values(self, variants: VariantTable) -> Floats:
        """The annotations of given variants [m, columns], NaN for those without a row."""
        if None in self._paths:
            return self._table(self._paths[None], None).lookup(variants)
        values = np.full((len(variants), len(self.columns)), np.nan, np.float32)
        for chrom, rows in by_contig(variants):
            if chrom in self._paths:
                table = self._table(self._paths[chrom], chrom)
                values[rows] = table.lookup(variants.take(rows))
        return values

    def require_match(self, variants: VariantTable) -> None:
        """Stops when the files have none of the variants.

        Raises:
            InputMismatchError: They have none.
        """
        tables = (self._table(path, chrom).index for chrom, path in self._paths.items())
        require_match(self._spec.label, variants, tables)

    def _find(self, contigs: Iterable[str]) -> dict[str | None, Path]:
        """The file of every contig, or the one for all (None)."""
        if "@" not in self._spec.path.name:
            return {None: self._spec.path}
        paths: dict[str | None, Path] = {
            chrom: _path_of(self._spec.path, chrom) for chrom in contigs
        }
        missing = [chrom for chrom, path in paths.items() if not path.is_file()]
        if len(missing) == len(paths):
            raise InputFormatError(
                f"{self._spec.path}: no file for any of the contigs {', '.join(map(str, missing))}"
            )
        if missing:
            self.warnings.append(
                f"{self._spec.label}: no file for the contigs {', '.join(map(str, missing))}; "
                "their values are missing"
            )
        return {chrom: path for chrom, path in paths.items() if chrom not in missing}

    def _annotations(self, table: FeatureTable) -> tuple[str, ...]:
        """The names of the annotations of a file, in its order or the order asked for."""
        names = tuple(name for name in table.columns if name not in _KEYS)
        chosen = self._spec.listed("columns")
        absent = [name for name in chosen if name not in names]
        if absent or not names:
            raise InputFormatError(
                f"{table.path}: no annotation {', '.join(absent)}; it has "
                f"{', '.join(names[:12]) or 'none'}"
            )
        is_thin = "CHR" not in table.columns
        if is_thin and "bim" not in self._spec.options:
            raise UsageError(
                f"{table.path}: a thin file (no column CHR); say whose rows these are with "
                ":bim=FILE.bim"
            )
        if not is_thin:
            require_columns(table, {"BP": table.first("bp")})
            if "bim" in self._spec.options:
                raise UsageError(f"{table.path}: has a column CHR; leave the option bim out")
        return chosen or names

    def _bim(self, chrom: str | None) -> Path:
        """The .bim with the rows of a thin file."""
        path = expanded(self._spec.options["bim"])
        return _path_of(path, chrom) if chrom else path

    def _table(self, path: Path, chrom: str | None) -> KeyedValues:
        """The values of a file; the last one that was used is kept."""
        if self._open is None or self._open[0] != path:
            self._open = None  # not both in memory
            self._open = (path, self._read(FeatureTable(path), chrom))
        return self._open[1]

    def _read(self, table: FeatureTable, chrom: str | None) -> KeyedValues:
        has_alleles = {"A1", "A2"} <= set(table.columns)
        text = [name for name in ("CHR", "SNP", "A1", "A2") if name in table.columns]
        if "CHR" not in table.columns:
            columns = table.read((), self._names)
            path = self._bim(chrom)
            keys = read_variant_list(path)
            n_rows = len(columns[self._names[0]])
            if n_rows != len(keys):
                raise InputMismatchError(
                    f"{table.path}: {n_rows} rows, but {path} has {len(keys)}; a thin file has the "
                    "rows of its .bim"
                )
            has_alleles = True
        else:
            columns = table.read(text, ("BP", *self._names))
            empty = np.full(len(columns["BP"]), "", object)
            keys = VariantTable.of(
                columns["CHR"],
                positions(table, columns["BP"], "BP"),
                columns["A2"] if has_alleles else empty,
                columns["A1"] if has_alleles else empty,
                columns.get("SNP"),
            )
        values = np.empty((len(keys), len(self._names)), np.float32)
        for column, name in enumerate(self._names):
            values[:, column] = columns[name]
        return KeyedValues(str(table.path), keys, values, has_alleles)


def _path_of(path: Path, chrom: str) -> Path:
    """The file of a chromosome."""
    return path.with_name(path.name.replace("@", chrom))
