"""LD from the published matrices of UK Biobank, one per window."""

import numpy as np

from tfgen.errors import InputMismatchError, UsageError
from tfgen.genome import VariantTable
from tfgen.genome.variant_table import contig_names
from tfgen.io import sha256_files
from tfgen.prior.ld.block_sets import (
    BlockPlan,
    Region,
    in_genome_order,
    plan_blocks,
    read_windows,
    with_centres,
)
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.ld.ld_decomposition import decompose, decomposition_bytes
from tfgen.prior.ld.ld_input import (
    InputSummary,
    Step,
    chosen_chromosomes,
    digests,
    is_wanted,
    make_block,
    options_of,
    require_plans,
    rows_of,
    wanted_variants,
    with_frequencies,
)
from tfgen.prior.ld.ld_matrix import check_correlation, examples, require_unique
from tfgen.prior.ld.ukb_ld import (
    N_SAMPLES,
    read_sparse_ld,
    read_window_variants,
    window_files,
    window_name,
)

# The matrix, its sum with the transpose, the entries of the file and a mask.
_MATRICES = 4


class UkbInput:
    """The published matrices of UK Biobank. The tables of variants are read first.

    They have no frequencies; those of `--variants` are used.

    Args:
        config: The settings.
        step: See `Step`.
        max_bytes: Matrices that unpack to more are refused.

    Attributes:
        summary: What was found; the rows of a plan are those of the matrix of its window.

    Raises:
        InputFormatError: A table cannot be read, or has a variant twice.
        InputMismatchError: A window is missing, or no variant is left.
    """

    def __init__(self, config: BuildLdConfig, step: Step, max_bytes: float = np.inf) -> None:
        if config.ukb is None:
            raise UsageError("source ukb_npz needs --ukb")
        self._config, self._folder, self._max_bytes = config, config.ukb, max_bytes
        self._n_all: dict[str, int] = {}
        regions = _regions(config)
        self._files = {
            region.id: self._folder / window_name(region.chrom, region.start, region.end)
            for region in regions
        }
        wanted = self._listed = wanted_variants(config)
        plans: list[BlockPlan] = []
        outside: list[VariantTable] = []
        n_not_listed = 0
        for region in regions:
            table = self._variants(region.id)
            kept = is_wanted(table, wanted, config)
            n_not_listed += int(np.count_nonzero(~kept))
            rows = np.flatnonzero(kept)
            plans += [rows_of(plan, rows) for plan in plan_blocks(table.take(rows), [region]).plans]
            outside.append(_in_no_window(table.take(rows), region, regions))
            step(len(table))
        require_plans(plans, str(self._folder))
        names = [path.with_suffix(end).name for path in self._files.values() for end in _ENDS]
        self.summary = InputSummary(
            plans=plans,
            n_ref=config.n_ref or N_SAMPLES,
            panel=config.panel or "UKB",
            digests={
                "ukb": sha256_files(self._folder, names),
                **digests(variants=config.variants, block_file=config.block_file),
            },
            without_block=_each_once(outside),
            dropped=VariantTable.of([], [], [], []),
            reasons=np.empty(0, object),
            n_not_listed=n_not_listed,
        )

    def bytes_needed(self, plan: BlockPlan) -> int:
        """Most memory that `block` takes for a plan."""
        return 8 * _MATRICES * self._n_all[plan.id] ** 2 + decomposition_bytes(plan.n, plan.w)

    def block(self, plan: BlockPlan) -> LdBlock:
        """The whitened LD of a plan.

        Raises:
            NumericalError: Its LD is not positive semi-definite.
            InputFormatError: The matrix is damaged, or no LD matrix.
            InputMismatchError: It has another number of variants than its table.
        """
        path = self._files[plan.id]
        table = self._variants(plan.id)
        matrix = read_sparse_ld(path, len(table), self._max_bytes)
        check_correlation(matrix, table.label, str(path))
        rows = matrix[np.ix_(plan.rows[plan.in_centre], plan.rows)]
        del matrix
        np.clip(rows, -1, 1, out=rows)
        found = decompose(rows, plan.in_centre, options_of(self._config), plan.id)
        variants = with_frequencies(table.take(plan.rows), self._listed, self._config)
        return make_block(plan, variants, found)

    def _variants(self, block_id: str) -> VariantTable:
        path = self._files[block_id].with_suffix(".gz")
        table = read_window_variants(path)
        require_unique(table, str(path))
        self._n_all[block_id] = len(table)
        return table


_ENDS = (".npz", ".gz")


def _regions(config: BuildLdConfig) -> list[Region]:
    """The windows: those of the table, else those whose matrices are there."""
    folder = config.ukb
    assert folder is not None  # noqa: S101  the caller has looked
    files = window_files(folder)
    if config.block_file is not None:
        regions = read_windows(config.block_file)
        source = str(config.block_file)
    else:
        spans: dict[str, list[tuple[int, int]]] = {}
        for chrom, start, end in files.values():
            spans.setdefault(str(contig_names([chrom])[0]), []).append((start, end))
        regions = in_genome_order(
            region
            for chrom, found in spans.items()
            for region in with_centres(chrom, found, str(folder))
        )
        source = str(folder)
    present = list(dict.fromkeys(region.chrom for region in regions))
    chosen = set(chosen_chromosomes(config, present, source))
    regions = [region for region in regions if region.chrom in chosen]
    there = {path.name for path in files}
    names = [window_name(region.chrom, region.start, region.end) for region in regions]
    missing = [name for name in names if name not in there]
    if missing:
        raise InputMismatchError(
            f"{folder}: {len(missing)} of the {len(regions)} windows of {source} are missing: "
            f"{examples(missing)}; get them, or take them out of the table: the windows beside a "
            "gap then observe up to its edge"
        )
    return regions


def _in_no_window(table: VariantTable, own: Region, regions: list[Region]) -> VariantTable:
    """The variants that lie in no window; hardly any lies outside of its own."""
    table = table.take((table.pos <= own.start) | (table.pos > own.end))
    if len(table):
        for region in regions:
            at = (table.pos > region.start) & (table.pos <= region.end)
            table = table.take(~(at & (table.chrom == region.chrom)))
    return table


def _each_once(tables: list[VariantTable]) -> VariantTable:
    """All variants of some tables, each once."""
    found = {
        (table.chrom[i], int(table.pos[i]), table.ref[i], table.alt[i]): table.id[i]
        for table in tables
        for i in range(len(table))
    }
    chrom, pos, ref, alt = zip(*found, strict=True) if found else ((), (), (), ())
    return VariantTable.of(chrom, pos, ref, alt, list(found.values()))
