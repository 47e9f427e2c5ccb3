"""LD from the genotypes of a reference panel (PLINK 1)."""

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, UsageError
from tfgen.genome import VariantTable
from tfgen.genome.plink import PlinkGenotypes
from tfgen.prior.ld.block_sets import (
    BlockPlan,
    Region,
    plan_blocks,
    read_block_bed,
    read_windows,
    sliding_windows,
    whole_chromosomes,
)
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.ld.ld_decomposition import (
    decompose,
    decompose_genotypes,
    decomposition_bytes,
    genotype_bytes,
)
from tfgen.prior.ld.ld_input import (
    InputSummary,
    Step,
    chosen_chromosomes,
    digests,
    is_wanted,
    make_block,
    options_of,
    require_plans,
    wanted_variants,
)
from tfgen.prior.ld.ld_matrix import (
    correlation_rows,
    count_genotypes,
    dropped_reasons,
    require_unique,
    standardise,
)

_STEP = 4096  # variants whose genotypes are counted at once


class PanelInput:
    """Genotypes of a panel. They are looked at once, to find what can be used.

    Args:
        config: The settings.
        step: See `Step`.

    Attributes:
        variants: Variants that are used, with their frequency in the panel.
        summary: What was found.

    Raises:
        InputFormatError: The files cannot be read, or a variant occurs twice.
        InputMismatchError: They do not belong together, or no variant is left.
    """

    def __init__(self, config: BuildLdConfig, step: Step) -> None:
        if config.bed is None:
            raise UsageError("source bed needs --bed")
        self._config = config
        self._genotypes = PlinkGenotypes(config.bed, config.bim, config.fam)
        table, where = self._genotypes.variants, str(self._genotypes.bim)
        chroms = chosen_chromosomes(config, list(dict.fromkeys(table.chrom.tolist())), where)
        rows = np.flatnonzero(np.isin(table.chrom.astype(str), chroms))
        listed = is_wanted(table.take(rows), wanted_variants(config), config)
        n_not_listed = int(np.count_nonzero(~listed))
        rows = rows[listed]
        af, reasons = self._count(rows, step)
        used = reasons == ""
        known = VariantTable(**{**vars(table.take(rows)), "af": af})
        self._rows, self.variants = rows[used], known.take(used)
        require_unique(self.variants, where)
        blocks = plan_blocks(self.variants, _regions(config, self.variants))
        require_plans(blocks.plans, where)
        self.summary = InputSummary(
            plans=blocks.plans,
            n_ref=len(self._genotypes.samples),
            panel=config.panel or self._genotypes.bed.stem,
            digests=digests(
                bed=self._genotypes.bed,
                bim=self._genotypes.bim,
                fam=self._genotypes.fam,
                variants=config.variants,
                block_file=config.block_file,
            ),
            without_block=self.variants.take(blocks.without_block),
            dropped=known.take(~used),
            reasons=reasons[~used],
            n_not_listed=n_not_listed,
        )

    def bytes_needed(self, plan: BlockPlan) -> int:
        """Most memory that `block` takes for a plan."""
        genotypes = genotype_bytes(plan.n, plan.w, self.summary.n_ref)
        ld = 0 if self._is_thin(plan) else decomposition_bytes(plan.n, plan.w)
        return genotypes + ld

    def block(self, plan: BlockPlan) -> LdBlock:
        """The whitened LD of a plan.

        Raises:
            NumericalError: Its LD is not positive semi-definite.
            InputFormatError: The genotypes cannot be read.
        """
        options = options_of(self._config)
        standardised = standardise(self._genotypes.read(self._rows[plan.rows]))
        if self._is_thin(plan):
            found = decompose_genotypes(standardised, plan.in_centre, options)
        else:
            rows = correlation_rows(standardised, plan.in_centre)
            found = decompose(rows, plan.in_centre, options, plan.id)
        return make_block(plan, self.variants.take(plan.rows), found)

    def _is_thin(self, plan: BlockPlan) -> bool:
        """Whether the genotypes are the smaller matrix and serve as well."""
        return self.summary.n_ref < plan.w and not self._config.shrink

    def _count(
        self, rows: npt.NDArray[np.int64], step: Step
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.object_]]:
        """Frequencies, and why variants are dropped."""
        af, reasons = [np.empty(0)], [np.empty(0, object)]
        for start in range(0, len(rows), _STEP):
            part = rows[start : start + _STEP]
            try:
                counts = count_genotypes(self._genotypes.read(part))
            except InputFormatError as error:
                raise InputFormatError(f"{self._genotypes.bed}: {error}") from error
            af.append(counts.af)
            reasons.append(dropped_reasons(counts, self._config.max_missing, self._config.min_maf))
            step(len(part))
        return np.concatenate(af), np.concatenate(reasons)


def _regions(config: BuildLdConfig, variants: VariantTable) -> list[Region]:
    if config.blocks == "chromosomes":
        return whole_chromosomes(variants)
    if config.block_file is None:
        return sliding_windows(variants, config.window, config.centre)
    if config.blocks == "bed":
        return read_block_bed(config.block_file)
    return read_windows(config.block_file)
