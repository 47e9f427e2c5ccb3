"""The sample size behind every variant of a block."""

import numpy as np
import numpy.typing as npt

from tfgen.genome import VariantTable, join_variants
from tfgen.prior.sumstats.munged import MungedStats

Doubles = npt.NDArray[np.float64]


class SampleSizes:
    """Sample sizes by variant.

    Args:
        statistics: The statistics of a trait.
        name: Of the trait, for messages.
    """

    def __init__(self, statistics: MungedStats, name: str) -> None:
        self._statistics, self._name = statistics, name
        chroms = statistics.variants.chrom
        order = np.argsort(statistics.variants.pos, kind="stable")
        self._rows = {c: order[chroms[order] == c] for c in dict.fromkeys(chroms.tolist())}
        self._pos = {c: statistics.variants.pos[rows] for c, rows in self._rows.items()}

    def of(self, variants: VariantTable) -> Doubles:
        """N of variants of one contig [n]; NaN where there are no statistics.

        Raises:
            InputFormatError: The statistics have one of them twice.
        """
        n = np.full(len(variants), np.nan)
        chrom = variants.chrom[0] if len(variants) else ""
        if chrom not in self._rows:
            return n
        ends = variants.pos.min(), variants.pos.max() + 1
        start, stop = np.searchsorted(self._pos[chrom], ends)
        rows = self._rows[chrom][start:stop]
        join = join_variants(variants, self._statistics.variants.take(rows), self._name)
        n[join.found] = self._statistics.n[rows[join.rows[join.found]]]
        return n
