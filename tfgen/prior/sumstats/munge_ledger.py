"""What became of the variants that are not in the output."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tfgen.io import RejectLog
from tfgen.prior.sumstats.sumstats_numbers import Mask

FAULTS: Final = {
    "POSITION": "chromosome missing, or position no whole number from 1",
    "ALLELE": "an allele with letters other than A, C, G, T, or both alleles the same",
    "MISSING": "no z-score can be computed, or N is missing",
    "NUMBER": "not a finite number",
    "FREQUENCY": "frequency outside 0..1",
    "OR_RANGE": "odds ratio not above 0",
    "SE_RANGE": "standard error not above 0",
    "CHISQ_RANGE": "chi-squared statistic below 0",
    "P_ZERO": "P is 0, and nothing else gives the z-score",
    "P_RANGE": "P not a number from 0 to 1",
    "N_RANGE": "sample size not above 0, or above 1e12",
    "NO_SIGN": "effect 0 with a statistic that is not 0, so that the sign is unknown",
    "INCONSISTENT": "z-score and effect of opposite signs",
    "DUPLICATE": "the same variant more than once; no copy is kept",
}
"""Codes of faults: what they mean."""

FILTERS: Final = {
    "EMPTY": "a row without alleles and effect, as LDSC keeps for SNPs that a study lacks",
    "TEST": "row of another test than ADD",
    "LOW_INFO": "imputation quality below --min_info",
    "LOW_MAF": "minor allele frequency below --min_maf",
    "LOW_N": "sample size below --min_n_fraction of the 90th percentile",
    "NOT_IN_PANEL": "not in the panel",
    "ALLELES_DIFFER": "the panel has other alleles there",
    "HLA": "in the HLA region, chromosome 6, 28 to 34 Mb",
    "PALINDROMIC": "A/T or C/G, whose strand is unknown",
    "FREQUENCY_DIFFERS": "frequency differs from the panel's by --max_frequency_difference",
    "VARIANCE_RATIO": "implied variance of the trait far from that of the other variants",
}
"""Codes of filters: what they mean."""


class Ledger:
    """Counts the variants that leave, and lists them.

    Args:
        rejects: Where they are listed.
        list_filtered: Whether those that a filter takes are listed too.
    """

    def __init__(self, rejects: RejectLog, list_filtered: bool = True) -> None:
        self._rejects = rejects
        self._list_filtered = list_filtered
        self._counts = dict.fromkeys((*FAULTS, *FILTERS), 0)

    @property
    def counts(self) -> dict[str, int]:
        """Code to number of variants, in the order of the tables, without zeros."""
        return {code: n for code, n in self._counts.items() if n}

    @property
    def n_faults(self) -> int:
        """Number of faulty variants."""
        return sum(self._counts[code] for code in FAULTS)

    def drop(
        self, code: str, mask: Mask, record: Callable[[int], tuple[Any, ...]], detail: str = ""
    ) -> None:
        """Notes that variants leave.

        Args:
            code: One of `FAULTS` or `FILTERS`.
            mask: Which variants leave [n].
            record: Gives line, chrom, pos, id, ref and alt of a variant by its number, and if it
                knows what was found, that.
            detail: What was expected.
        """
        rows = np.flatnonzero(mask)
        self._counts[code] += len(rows)
        if code in FILTERS and not self._list_filtered:
            return
        for row in rows.tolist():
            line, chrom, pos, name, ref, alt, *found = record(row)
            text = "; ".join([*map(str, found), *([detail] if detail else [])])
            self._rejects.add(line, chrom, pos, name, ref, alt, code, text)
