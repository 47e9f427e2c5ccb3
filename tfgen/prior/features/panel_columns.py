"""Columns that come from the reference panel: frequencies and LD scores."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.genome import VariantTable, join_variants
from tfgen.prior.features.keyed_values import Floats, KeyedValues, by_contig

SMALLEST_FREQUENCY = 1e-5
"""Frequencies below this count as this in logarithms."""


class FrequencySource:
    """Columns made of the allele frequency: `maf`, `log10_maf`; missing where it is unknown.

    Both are the same whichever allele is counted.

    Args:
        maf: The frequency of the rarer allele.
        log: Its log10, not below -5.

    Attributes:
        columns: Names.
        signed: Never.
        files: None.
        warnings: Nothing.
    """

    signed = False

    def __init__(self, maf: bool, log: bool) -> None:
        self.columns = (("maf",) if maf else ()) + (("log10_maf",) if log else ())
        self.files: tuple[Path, ...] = ()
        self.warnings: list[str] = []

    def values(self, variants: VariantTable) -> Floats:
        """The columns of given variants [m, 1 or 2] float32."""
        maf = np.minimum(variants.af, 1 - variants.af)
        by_name = {"maf": maf, "log10_maf": np.log10(np.maximum(maf, SMALLEST_FREQUENCY))}
        return np.stack([by_name[name] for name in self.columns], axis=1).astype(np.float32)


class LdScoreSource:
    """The LD score of every variant of an LD store: the sum of its squared correlations.

    A block keeps Q = lambda^(-1/2) U' R_w with R_ww = U diag(lambda) U'. In the kept space the
    rows of the centre are R_w = U diag(lambda)^(1/2) Q, so variant j has

        sum over i in the centre of R_ij^2 = sum over k of lambda_k Q_kj^2.

    Every variant is in the centre of one block only, so the sum over all blocks that hold j is its
    LD score with all observed variants that share a block with it; without flanks that is its own
    block. The correlations are those of the panel, not corrected for its finite size.

    Args:
        path: The LD store.

    Attributes:
        columns: `ld_score`.
        signed: Never.
        files: None; the digest of the store stands for it.
        warnings: Nothing.

    Raises:
        InputFormatError: No LD store, or a damaged one.
        FileNotFoundError: There is no such folder.
    """

    signed = False

    def __init__(self, path: Path) -> None:
        self.columns = ("ld_score",)
        self.files: tuple[Path, ...] = ()
        self.warnings: list[str] = []
        self._path = path
        self._contig: tuple[str, KeyedValues] | None = None

    def values(self, variants: VariantTable) -> Floats:
        """LD scores of given variants [m, 1] float32, NaN for those that the panel lacks."""
        values = np.full((len(variants), 1), np.nan, np.float32)
        for chrom, rows in by_contig(variants):
            if self._contig is None or self._contig[0] != chrom:
                self._contig = (chrom, _ld_scores(self._path, chrom))
            values[rows] = self._contig[1].lookup(variants.take(rows))
        return values


def with_frequencies(variants: VariantTable, panel: VariantTable) -> VariantTable:
    """The variants with the frequency of the panel where their own is unknown.

    Args:
        variants: The variants [n].
        panel: Variants with frequencies.
    """
    unknown = np.flatnonzero(np.isnan(variants.af))
    join = join_variants(variants.take(unknown), panel, "LD store")
    af = variants.af.copy()
    found = panel.af[join.rows[join.found]]
    af[unknown[join.found]] = np.where(join.signs[join.found] < 0, 1 - found, found)
    columns: dict[str, Any] = {**vars(variants), "af": af}
    return VariantTable(**columns)


def ld_store_digest(path: Path) -> str:
    """The digest of what determines the numbers of an LD store.

    Raises:
        InputFormatError: No LD store.
    """
    from tfgen.prior.ld.ld_store import LdStore

    with LdStore(path) as store:
        return store.digest


def _ld_scores(path: Path, chrom: str) -> KeyedValues:
    """The LD scores of all variants of a contig."""
    from tfgen.prior.ld.ld_store import LdStore

    scores: dict[tuple[int, str, str], float] = {}
    with LdStore(path) as store:
        for info in store.blocks:
            if info.chrom != chrom:
                continue
            block = store.read(info.id)
            q: npt.NDArray[np.float64] = block.q.astype(np.float64)
            sums = (block.eigenvalues @ q**2).tolist()
            alleles = zip(block.variants.ref, block.variants.alt, strict=True)
            for pos, (ref, alt), score in zip(
                block.variants.pos.tolist(), alleles, sums, strict=True
            ):
                key = (pos, ref, alt)
                scores[key] = scores.get(key, 0.0) + score
    table = VariantTable.of(
        [chrom] * len(scores),
        [pos for pos, _, _ in scores],
        [ref for _, ref, _ in scores],
        [alt for _, _, alt in scores],
    )
    values = np.array(list(scores.values()), np.float32).reshape(-1, 1)
    return KeyedValues(str(path), table, values, has_alleles=True)
