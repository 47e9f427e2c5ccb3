"""The z-scores of a file against the LD of a store: two tables and what stands out in them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable, join_variants
from tfgen.io import new_file
from tfgen.prior.ld.block_fit import ALPHA, BlockFit, NoiseTest, block_fits, noise_test
from tfgen.prior.ld.ld_store import BlockInfo, LdStore
from tfgen.prior.ld.mismatch import BlockMismatch, block_mismatch

VARIANT_TABLE = "mismatch.tsv"
BLOCK_TABLE = "mismatch_blocks.tsv"

_VARIANT_COLUMNS = "BLOCK CHR BP SNP A1 A2 Z PREDICTED RESIDUAL P FLIP_GAIN FLAGGED FLIPPED".split()
_BLOCK_COLUMNS = (
    "BLOCK CHR START END W N_Z K CHI2 P_UPPER P_LOWER SIGMA P_SIGMA P MEAN_F S N_FLAGGED N_FLIPPED"
).split()

_SIGMA_RANGE = (0.9, 1.1)  # outside of it, noise other than 1 is worth a warning


@dataclass(frozen=True)
class MismatchSummary:
    """What stands out.

    Attributes:
        n_variants: Observed variants with a z-score.
        n_blocks: Blocks with at least one of them.
        n_flagged: Variants that the others do not predict.
        n_flipped: Those of them that probably have the wrong sign.
        flagged_blocks: Blocks that do not fit beyond chance, for all blocks together; the worst
            first. Those that `check_ld` counts.
        noise: Noise of all blocks together, None if no z-score can be told from noise.
    """

    n_variants: int
    n_blocks: int
    n_flagged: int
    n_flipped: int
    flagged_blocks: tuple[str, ...]
    noise: NoiseTest | None

    def warnings(self) -> list[str]:
        """What a user should know."""
        lines = []
        if self.flagged_blocks:
            lines.append(
                f"{len(self.flagged_blocks)} of {self.n_blocks} blocks do not fit the z-scores, "
                f"{self.flagged_blocks[0]} worst: the LD may be of other people; see {BLOCK_TABLE}"
            )
        low, high = _SIGMA_RANGE
        if self.noise and self.noise.p < ALPHA and not low <= self.noise.sigma <= high:
            lines.append(
                f"the z-scores have a noise of {self.noise.sigma:.3g} instead of 1: the LD is of "
                "other people, or they were shrunk"
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
        NumericalError: A z-score is infinite.
        OutputError: A table cannot be written.
    """
    found: list[tuple[BlockInfo, BlockMismatch]] = []
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
                found.append((info, result))
                observed = block.variants.take(block.in_centre).take(result.rows)
                variants_file.writelines(_variant_lines(info, observed, part[result.rows], result))
            after_block()
        # The prior variance is that of all blocks.
        fits = _fits([result for _, result in found])
        for (info, result), fit in zip(found, fits, strict=True):
            blocks_file.write(_block_line(info, result, fit))
    spectra = [result.spectrum for _, result in found if result.spectrum.squares.size]
    pairs = zip(found, fits, strict=True)
    p = {x.id: fit.p for (x, _), fit in pairs if fit and fit.is_flagged(len(spectra))}
    return MismatchSummary(
        n_variants=sum(len(result.rows) for _, result in found),
        n_blocks=len(found),
        n_flagged=sum(int(result.variants.flagged.sum()) for _, result in found),
        n_flipped=sum(int(result.variants.flipped.sum()) for _, result in found),
        flagged_blocks=tuple(sorted(p, key=p.__getitem__)),
        noise=noise_test(spectra) if spectra else None,
    )


def _fits(found: list[BlockMismatch]) -> list[BlockFit | None]:
    """One per block, None where no row of y is left."""
    rows = [i for i, result in enumerate(found) if result.spectrum.squares.size]
    fits: list[BlockFit | None] = [None] * len(found)
    if rows:
        for i, fit in zip(rows, block_fits([found[i].spectrum for i in rows]), strict=True):
            fits[i] = fit
    return fits


def _by_block(
    store: LdStore, z: npt.NDArray[np.float64]
) -> Iterator[tuple[BlockInfo, npt.NDArray[np.float64]]]:
    start = 0
    for info in store.blocks:
        yield info, z[start : start + info.w]
        start += info.w


def _block_line(info: BlockInfo, result: BlockMismatch, fit: BlockFit | None) -> str:
    figures = [math.nan] * 6
    if fit:
        size, shape = fit.size, fit.shape
        figures = [size.chi2, size.p_upper, size.p_lower, shape.sigma, shape.p, fit.p]
    model = result.variants.fit
    values = (
        *(info.id, info.chrom, info.start, info.end, info.w, len(result.rows)),
        result.spectrum.squares.size,
        *("NA" if math.isnan(x) else f"{x:.6g}" for x in figures),
        *(f"{x:.6g}" for x in (model.mean_f, model.s)),
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
