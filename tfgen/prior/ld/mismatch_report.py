"""The z-scores of a file against the LD of a store: two tables and what stands out in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable, join_variants
from tfgen.io import new_file
from tfgen.prior.ld.ld_store import BlockInfo, LdStore
from tfgen.prior.ld.mismatch import ALPHA, BlockMismatch, block_mismatch

VARIANT_TABLE = "mismatch.tsv"
BLOCK_TABLE = "mismatch_blocks.tsv"

_VARIANT_COLUMNS = "BLOCK CHR BP SNP A1 A2 Z PREDICTED RESIDUAL P FLIP_GAIN FLAGGED FLIPPED".split()
_BLOCK_COLUMNS = (
    "BLOCK CHR START END W N_Z K CHI2 P_UPPER P_LOWER MEAN_F S N_FLAGGED N_FLIPPED".split()
)


@dataclass(frozen=True)
class MismatchSummary:
    """What stands out.

    Attributes:
        n_variants: Observed variants with a z-score.
        n_blocks: Blocks with at least one of them.
        n_flagged: Variants that the others do not predict.
        n_flipped: Those of them that probably have the wrong sign.
        flagged_blocks: Blocks whose statistic is beyond chance, for all blocks together.
    """

    n_variants: int
    n_blocks: int
    n_flagged: int
    n_flipped: int
    flagged_blocks: tuple[str, ...]

    def warnings(self) -> list[str]:
        """What a user should know."""
        lines = []
        if self.flagged_blocks:
            lines.append(
                f"{len(self.flagged_blocks)} of {self.n_blocks} blocks do not fit the z-scores, "
                f"{self.flagged_blocks[0]} worst: the LD may be of other people; see {BLOCK_TABLE}"
            )
        if self.n_flipped:
            lines.append(f"{self.n_flipped} z-scores probably have the wrong sign")
        return lines


def observed_z(
    store: LdStore, variants: VariantTable, z: npt.NDArray[np.float64], name: str
) -> npt.NDArray[np.float64]:
    """z-scores of the observed variants of a store, for its alleles; NaN where there are none.

    Args:
        store: The store.
        variants: The variants of the z-scores [m].
        z: z-scores [m].
        name: Where they come from, for messages.

    Returns:
        One value per variant of `store.variants`.

    Raises:
        InputMismatchError: No variant is in both.
    """
    join = join_variants(store.variants, variants, name)
    if not join.found.any():
        raise InputMismatchError(
            f"{name}: none of its variants is in the LD of {store.attributes.get('panel', '')}; "
            "check the genome build"
        )
    values = np.full(len(join.rows), np.nan)
    values[join.found] = z[join.rows[join.found]] * join.signs[join.found]
    return values


def write_mismatch(
    store: LdStore,
    z: npt.NDArray[np.float64],
    folder: Path,
    after_block: Callable[[], None] = lambda: None,
) -> MismatchSummary:
    """Compares z-scores with LD and writes `mismatch.tsv` and `mismatch_blocks.tsv`.

    Args:
        store: The store.
        z: What `observed_z` gives.
        folder: Where the tables are written.
        after_block: Called after every block; may raise to stop.

    Raises:
        OutputError: A table cannot be written.
    """
    found: list[tuple[str, BlockMismatch]] = []
    with (
        new_file(folder / VARIANT_TABLE) as variants_file,
        new_file(folder / BLOCK_TABLE) as blocks_file,
    ):
        variants_file.write("\t".join(_VARIANT_COLUMNS) + "\n")
        blocks_file.write("\t".join(_BLOCK_COLUMNS) + "\n")
        for info, part in _by_block(store, z):
            block = store.read(info.id)
            result = block_mismatch(block, part)
            if result is not None:
                found.append((info.id, result))
                blocks_file.write(_block_line(info, result))
                observed = block.variants.take(block.in_centre).take(result.rows)
                variants_file.writelines(_variant_lines(info, observed, part[result.rows], result))
            after_block()
    limit = ALPHA / 2 / max(1, len(found))
    p = {name: min(result.block.p_upper, result.block.p_lower) for name, result in found}
    return MismatchSummary(
        n_variants=sum(len(result.rows) for _, result in found),
        n_blocks=len(found),
        n_flagged=sum(int(result.variants.flagged.sum()) for _, result in found),
        n_flipped=sum(int(result.variants.flipped.sum()) for _, result in found),
        flagged_blocks=tuple(sorted((name for name in p if p[name] < limit), key=p.__getitem__)),
    )


def _by_block(
    store: LdStore, z: npt.NDArray[np.float64]
) -> Iterator[tuple[BlockInfo, npt.NDArray[np.float64]]]:
    start = 0
    for info in store.blocks:
        yield info, z[start : start + info.w]
        start += info.w


def _block_line(info: BlockInfo, result: BlockMismatch) -> str:
    block, fit = result.block, result.variants.fit
    values = (
        *(info.id, info.chrom, info.start, info.end, info.w, len(result.rows), block.k),
        *(f"{x:.6g}" for x in (block.chi2, block.p_upper, block.p_lower, fit.mean_f, fit.s)),
        *(int(result.variants.flagged.sum()), int(result.variants.flipped.sum())),
    )
    return "\t".join(map(str, values)) + "\n"


def _variant_lines(
    info: BlockInfo, table: VariantTable, z: npt.NDArray[np.float64], result: BlockMismatch
) -> Iterator[str]:
    found = result.variants
    columns = (z, found.predicted, found.residual, found.p, found.flip_gain)
    for row, numbers in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        values = (
            *(info.id, info.chrom, table.pos[row], table.id[row] or "."),
            *(table.alt[row], table.ref[row]),
            *(f"{x:.6g}" for x in numbers),
            *(int(found.flagged[row]), int(found.flipped[row])),
        )
        yield "\t".join(map(str, values)) + "\n"
