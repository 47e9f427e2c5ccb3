"""The variants to be annotated, from any of the files that list variants."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError
from tfgen.genome import Status, VariantTable, read_variants
from tfgen.io import RejectLog
from tfgen.prior.features.feature_tables import FeatureTable, positions, require_columns
from tfgen.prior.ld.ld_block import chromosome_order

DUPLICATE = "DUPLICATE"
"""Why a variant is rejected that an earlier row of the list has already."""

_BASES = re.compile(r"[ACGTN]+")
_VCF_ENDS = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_FREQUENCIES = ("a1freq", "af1", "freq", "af", "eaf", "frq")


def read_variant_list(path: Path, rejects: RejectLog | None = None) -> VariantTable:
    """The variants of a file, in its order, each once.

    The kind is known by the name: a folder is an LD store (all variants of all blocks, in genome
    order); `.bim` and `.bim.gz` are PLINK's (A1 counted); `.vcf`, `.vcf.gz`, `.bcf` have one row
    per ALT; anything else is a table, text or parquet, with the columns CHR SNP BP A1 A2 and
    possibly A1FREQ.

    A row is rejected when an allele is no sequence of A, C, G, T and N, both alleles are the same,
    the position is below 1, or an earlier row has the same position and alleles in the same order.

    Args:
        path: File or LD store.
        rejects: Takes the rejected rows; without it the first of them ends the reading.

    Raises:
        InputFormatError: The file cannot be read, has no variants, or has one that is rejected
            while `rejects` is None.
        UsageError: An optional package that the format needs is not installed.
    """
    if path.is_dir():
        table = _ld_store(path)
        where: Callable[[int], str] = lambda row: f"{path}: variant {row + 1}"  # noqa: E731
        lines = np.arange(1, len(table) + 1)
    elif path.name.endswith((".bim", ".bim.gz")):
        table, where, lines = _bim(path)
    elif path.name.endswith(_VCF_ENDS):
        table, where, lines = _vcf(path)
    else:
        table, where, lines = _table(path)
    kept = _checked(table, where, lines, rejects)
    if not len(kept):
        raise InputFormatError(f"{path}: no variants; expected at least one that can be used")
    return kept


_Read = tuple[VariantTable, Callable[[int], str], npt.NDArray[np.int64]]


def _ld_store(path: Path) -> VariantTable:
    """All variants of all blocks, flanks too, in genome order."""
    from tfgen.prior.ld.ld_store import LdStore

    seen: dict[tuple[str, int, str, str], tuple[str, float]] = {}
    with LdStore(path) as store:
        for block in store.blocks:
            variants, _ = store.read_variants(block.id)
            for row, pos in enumerate(variants.pos.tolist()):
                key = (variants.chrom[row], pos, variants.ref[row], variants.alt[row])
                seen.setdefault(key, (variants.id[row], float(variants.af[row])))
    keys = sorted(seen, key=lambda key: (chromosome_order(key[0]), key[0], key[1]))
    return VariantTable.of(
        [chrom for chrom, _, _, _ in keys],
        [pos for _, pos, _, _ in keys],
        [ref for _, _, ref, _ in keys],
        [alt for _, _, _, alt in keys],
        [seen[key][0] for key in keys],
        [seen[key][1] for key in keys],
    )


def _bim(path: Path) -> _Read:
    table = FeatureTable(path, header=False)
    if len(table.columns) != 6:  # noqa: PLR2004
        raise InputFormatError(
            f"{path}:1: {len(table.columns)} columns; expected the 6 of a PLINK .bim"
        )
    columns = table.read(("1", "2", "5", "6"), ("4",))
    # Without a position, or with one below 1, a variant is not placed.
    pos = np.nan_to_num(columns["4"])
    broken = np.flatnonzero(pos != np.floor(pos))
    if broken.size:
        row = int(broken[0])
        raise InputFormatError(
            f"{table.where(row)}: position {pos[row]:g}; expected a whole number"
        )
    variants = VariantTable.of(
        columns["1"], pos.astype(np.int64), columns["6"], columns["5"], columns["2"]
    )
    return variants, table.where, np.arange(1, len(variants) + 1)


def _vcf(path: Path) -> _Read:
    records = list(read_variants(path))
    lines = np.array([record.line for record in records], np.int64)
    variants = [record.variant for record in records]
    table = VariantTable.of(
        [variant.chrom for variant in variants],
        [variant.pos for variant in variants],
        [variant.ref for variant in variants],
        [variant.alt for variant in variants],
        ["" if variant.id == "." else variant.id for variant in variants],
    )
    return table, lambda row: f"{path}:{lines[row]}", lines


def _table(path: Path) -> _Read:
    table = FeatureTable(path)
    names = {
        "CHR": table.first("chr", "chrom", "chromosome"),
        "BP": table.first("bp", "pos", "position"),
        "A1": table.first("a1"),
        "A2": table.first("a2"),
    }
    require_columns(table, names)
    name, frequency = table.first("snp", "id", "rsid"), table.first(*_FREQUENCIES)
    text = [names["CHR"], names["A1"], names["A2"], *([name] if name else [])]
    columns = table.read(text, [names["BP"], *([frequency] if frequency else [])])
    variants = VariantTable.of(
        columns[names["CHR"]],
        positions(table, columns[names["BP"]], names["BP"]),
        columns[names["A2"]],
        columns[names["A1"]],
        columns[name] if name else None,
        columns[frequency] if frequency else None,
    )
    bad = np.flatnonzero((variants.af < 0) | (variants.af > 1))
    if bad.size:
        raise InputFormatError(
            f"{table.where(int(bad[0]))}: {frequency} is {variants.af[bad[0]]:g}; expected a "
            "frequency from 0 to 1"
        )
    return variants, table.where, np.arange(2, len(variants) + 2)


def _checked(
    table: VariantTable,
    where: Callable[[int], str],
    lines: npt.NDArray[np.int64],
    rejects: RejectLog | None,
) -> VariantTable:
    """The rows that can be used; the others go to `rejects`."""
    faults = _faults(table)
    for row, code in faults.items():
        if rejects is None:
            raise InputFormatError(
                f"{where(row)}: {table.label(row)} is {code}; expected each variant once with "
                "alleles of A, C, G, T and N; remove it"
            )
        rejects.add(
            int(lines[row]),
            table.chrom[row],
            int(table.pos[row]),
            table.id[row],
            table.ref[row],
            table.alt[row],
            code,
        )
    keep = np.ones(len(table), bool)
    keep[list(faults)] = False
    return table.take(keep)


def _faults(table: VariantTable) -> dict[int, str]:
    """The row of every variant that cannot be used, with the code of its fault."""
    codes: dict[str, str] = {}
    for allele in {*table.ref, *table.alt}:
        if not _BASES.fullmatch(allele):
            codes[allele] = _allele_code(allele)
    import pandas as pd

    columns = {"chrom": table.chrom, "pos": table.pos, "ref": table.ref, "alt": table.alt}
    again = pd.DataFrame(columns).duplicated().to_numpy()
    suspects = again | (table.pos < 1) | np.asarray(table.ref == table.alt, bool)
    if codes:
        suspects |= np.array(
            [r in codes or a in codes for r, a in zip(table.ref, table.alt, strict=True)], bool
        )
    faults: dict[int, str] = {}
    for row in np.flatnonzero(suspects).tolist():
        ref, alt = table.ref[row], table.alt[row]
        if table.pos[row] < 1:
            faults[row] = Status.POS_RANGE.value
        elif alt in codes or ref in codes:
            faults[row] = codes.get(alt) or codes[ref]
        else:
            faults[row] = Status.REF_EQ_ALT.value if ref == alt else DUPLICATE
    return faults


def _allele_code(allele: str) -> str:
    """The kind of an allele that is no sequence (VCF 4.3, sections 1.6.1 and 5)."""
    status = Status.NON_ACGT
    if allele in ("", ".", "0"):
        status = Status.NO_ALT
    elif "[" in allele or "]" in allele:
        status = Status.BREAKEND
    elif "<" in allele:
        status = Status.SYMBOLIC
    elif allele == "*":
        status = Status.STAR
    return status.value
