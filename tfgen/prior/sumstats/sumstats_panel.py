"""The variants that summary statistics are harmonised with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import VariantTable
from tfgen.genome.plink import read_bim
from tfgen.prior.sumstats.sumstats_columns import ColumnMap
from tfgen.prior.sumstats.sumstats_numbers import Mask, is_missing, numbers, positions
from tfgen.prior.sumstats.sumstats_reader import Block, read_blocks

_ALIASES: Final = {
    "SNP": ("snp", "id", "rsid"),
    "CHR": ("chr", "chrom", "chromosome"),
    "BP": ("bp", "pos", "position"),
    "A1": ("a1",),
    "A2": ("a2",),
    "A1FREQ": ("a1freq", "a1_freq", "af1"),
}
_BUILDS: Final = {"hg19": "GRCh37", "b37": "GRCh37", "hg37": "GRCh37", "hg38": "GRCh38"}
_OPTIONAL: Final = ("SNP", "A1FREQ")


def read_panel(path: Path) -> tuple[VariantTable, str]:
    """Reads the variants of a panel; `alt` is A1, the allele that its LD or genotypes count.

    Args:
        path: A .bim or .bim.gz, a table (text or parquet) with the columns CHR, BP, A1, A2 and
            optionally SNP and A1FREQ, or the folder of an LD store.

    Returns:
        The variants, and the genome build if the panel says it, else "".

    Raises:
        InputFormatError: The panel cannot be read, or has no variants.
    """
    if path.is_dir():
        table, build = _read_ld_store(path)
    elif path.name.removesuffix(".gz").endswith(".bim"):
        table, build = read_bim(path), ""
    else:
        table, build = _read_table(path), ""
    if not len(table):
        raise InputFormatError(f"{path}: a panel without variants; expected one or more")
    return table, build


def require_same_build(path: Path, panel: str, config: str) -> None:
    """Stops when the panel says another build than the user does.

    Raises:
        InputMismatchError: They differ.
    """
    if panel and config not in ("unknown", panel):
        raise InputMismatchError(
            f"{path}: is on {panel}, but --build={config}; use a panel of the same build, or match "
            "by identifier with --match=id"
        )


def _read_ld_store(path: Path) -> tuple[VariantTable, str]:
    from tfgen.prior.ld.ld_store import LdStore

    with LdStore(path) as store:
        build = str(store.attributes.get("build", ""))
        return store.variants, _BUILDS.get(build, build)


def _read_table(path: Path) -> VariantTable:
    tables = [_variants(path, block) for block in read_blocks(path, lambda h: _columns(path, h))]
    if not tables:
        return VariantTable.of([], [], [], [])
    return VariantTable(
        **{
            name: np.concatenate([getattr(table, name) for table in tables])
            for name in ("chrom", "pos", "ref", "alt", "id", "af")
        }
    )


def _columns(path: Path, header: Sequence[str]) -> ColumnMap:
    lower = [name.lower() for name in header]
    index: dict[str, int] = {}
    for field, aliases in _ALIASES.items():
        found = [alias for alias in aliases if alias in lower]
        if not found and field not in _OPTIONAL:
            raise InputFormatError(
                f"{path}: no column {field}; a panel needs CHR, BP, A1 and A2, and has "
                f"{', '.join(header)}"
            )
        if found:
            index[field] = lower.index(found[0])
    return ColumnMap("panel", index, {field: header[i] for field, i in index.items()})


def _variants(path: Path, block: Block) -> VariantTable:
    pos, bad = positions(block.values["BP"])
    _refuse(path, block, "BP", bad)
    af = None
    if "A1FREQ" in block.values:
        af, bad = numbers(block.values["A1FREQ"])
        _refuse(path, block, "A1FREQ", bad | (af < 0) | (af > 1))
    ids = block.values.get("SNP")
    if ids is not None:
        ids = np.where(is_missing(ids), "", ids)
    values = block.values
    return VariantTable.of(values["CHR"], pos, values["A2"], values["A1"], ids, af)


def _refuse(path: Path, block: Block, field: str, bad: Mask) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise InputFormatError(
            f"{path}:{block.first + row}: {block.columns.names[field]} is "
            f"{str(block.values[field][row])!r}; expected a "
            f"{'1-based position' if field == 'BP' else 'frequency from 0 to 1'}"
        )
