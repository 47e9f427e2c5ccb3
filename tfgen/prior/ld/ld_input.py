"""What a build needs of its input, whatever the form of that, and what all forms have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable, join_variants
from tfgen.genome.variant_table import contig_names
from tfgen.io import input_fingerprint
from tfgen.prior.ld.block_sets import BlockPlan
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.ld.ld_decomposition import Decomposition, DecompositionOptions
from tfgen.prior.ld.ld_matrix import examples

Step = Callable[[int], None]
"""Called with a number of variants whenever so many were looked at; may raise to stop."""


@dataclass(frozen=True)
class InputSummary:
    """What is known of an input before any LD is computed.

    Attributes:
        plans: The blocks in genome order.
        n_ref: People behind the LD.
        panel: Name of the panel.
        digests: Name of an input to its SHA-256.
        without_block: Variants that lie in no block.
        dropped: Variants that cannot or shall not be used.
        reasons: `ld_matrix.Dropped`, for each of `dropped`.
        n_not_listed: Number of variants that are not among those asked for.
    """

    plans: Sequence[BlockPlan]
    n_ref: int
    panel: str
    digests: dict[str, str]
    without_block: VariantTable
    dropped: VariantTable
    reasons: npt.NDArray[np.object_]
    n_not_listed: int


class LdInput(Protocol):
    """The LD of a panel, block by block."""

    summary: InputSummary

    def bytes_needed(self, plan: BlockPlan) -> int:
        """Most memory that `block` takes for a plan."""
        ...

    def block(self, plan: BlockPlan) -> LdBlock:
        """The whitened LD of a plan.

        Raises:
            NumericalError: Its LD is not positive semi-definite.
            InputFormatError: Its input is damaged.
        """
        ...


def options_of(config: BuildLdConfig) -> DecompositionOptions:
    """What is kept of the LD."""
    return DecompositionOptions(config.eps, config.var_kept, config.shrink, config.ld_fix)


def make_block(plan: BlockPlan, variants: VariantTable, found: Decomposition) -> LdBlock:
    """A block of the store from its decomposition."""
    info = BlockInfo(
        id=plan.id,
        chrom=plan.chrom,
        start=plan.start,
        end=plan.end,
        centre_start=plan.centre_start,
        centre_end=plan.centre_end,
        n=plan.n,
        w=plan.w,
        k=len(found.eigenvalues),
        discarded_variance=found.discarded_variance,
        min_eigenvalue=found.min_eigenvalue,
    )
    q, p = found.q.astype(np.float32), found.p.astype(np.float32)
    return LdBlock(info, variants, plan.in_centre, q, p, found.eigenvalues)


def chosen_chromosomes(config: BuildLdConfig, present: Sequence[str], where: str) -> list[str]:
    """The contigs to build, of those that are there.

    Raises:
        InputMismatchError: One that was asked for is not there.
    """
    if not config.chroms:
        return list(present)
    wanted = contig_names(config.chroms).tolist()
    missing = [chrom for chrom in wanted if chrom not in present]
    if missing:
        raise InputMismatchError(
            f"{where}: no variants on chromosome {', '.join(missing)}; it has "
            f"{examples(list(present))}"
        )
    return wanted


def wanted_variants(config: BuildLdConfig) -> VariantTable | None:
    """The variants of `--variants`, None if all are wanted."""
    if config.variants is None:
        return None
    from tfgen.prior.features.variant_lists import read_variant_list

    return read_variant_list(config.variants)


def is_wanted(
    variants: VariantTable, wanted: VariantTable | None, config: BuildLdConfig
) -> npt.NDArray[np.bool_]:
    """Which variants are among those asked for, in whatever order of alleles or strand [n]."""
    if wanted is None:
        return np.ones(len(variants), bool)
    near = _near(wanted, variants)
    return join_variants(variants, near, str(config.variants)).found


def with_frequencies(
    variants: VariantTable, listed: VariantTable | None, config: BuildLdConfig
) -> VariantTable:
    """The variants with the frequencies of a list, for their own counted alleles.

    Args:
        variants: The variants.
        listed: The list, None if there is none.
        config: The settings, for messages.

    Returns:
        The same variants; `af` is NaN where the list has none.
    """
    if listed is None:
        return variants
    near = _near(listed, variants)
    join = join_variants(variants, near, str(config.variants))
    af = np.full(len(variants), np.nan)
    theirs = near.af[join.rows[join.found]]
    af[join.found] = np.where(join.signs[join.found] > 0, theirs, 1 - theirs)
    return replace(variants, af=af)


def _near(listed: VariantTable, variants: VariantTable) -> VariantTable:
    """The part of a list that may have some variants in it: a list may be of the whole genome."""
    if not len(variants):
        return listed.take(slice(0, 0))
    rows = np.flatnonzero((listed.pos >= variants.pos.min()) & (listed.pos <= variants.pos.max()))
    return listed.take(rows[np.isin(listed.chrom[rows], np.unique(variants.chrom))])


def digests(**paths: Path | None) -> dict[str, str]:
    """SHA-256 of the files and folders that are given."""
    given = {name: path for name, path in paths.items() if path is not None}
    return {name: str(input_fingerprint(path)["sha256"]) for name, path in given.items()}


def rows_of(plan: BlockPlan, rows: npt.NDArray[np.int64]) -> BlockPlan:
    """A plan over part of a table as a plan over the whole; row i of the part is `rows[i]`."""
    return replace(plan, rows=rows[plan.rows])


def require_plans(plans: Sequence[BlockPlan], where: str) -> None:
    """Stops if there is nothing to do.

    Raises:
        InputMismatchError: No block has a variant.
    """
    if not plans:
        raise InputMismatchError(
            f"{where}: no variant lies in a block; check the genome build, --block_file, "
            "--variants and --chroms"
        )
