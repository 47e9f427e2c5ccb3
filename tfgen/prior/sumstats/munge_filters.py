"""The filters that need all variants at once, or the panel."""

from collections.abc import Callable
from typing import Final

import numpy as np

from tfgen.errors import UsageError
from tfgen.genome import is_palindromic
from tfgen.prior.sumstats.harmonise import Harmonised, resolve_strands
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_ledger import FAULTS, Ledger
from tfgen.prior.sumstats.sumstats_numbers import Floats, Mask
from tfgen.prior.sumstats.sumstats_records import SumstatsRecords

HLA: Final = ("6", 28_000_000, 34_000_000)
"""Contig, first and last position of the HLA region, of either build."""

STRAND_MARGIN: Final = 0.08
"""Least distance of a frequency from 0.5 for the strand of a palindromic variant to be told."""

_N_PERCENTILE = 90
_VARIANCE_RATIOS = (0.5, 1.5)


def least_n(n: Floats, config: MungeConfig) -> float:
    """The smallest N to keep: a share of the 90th percentile of all, as in LDSC 1 / 1.5 of it."""
    return float(config.min_n_fraction * np.percentile(n, _N_PERCENTILE))


def drop_low_n(records: SumstatsRecords, least: float, ledger: Ledger) -> SumstatsRecords:
    """Drops variants with N below `least`."""
    low = records.n < least
    ledger.drop("LOW_N", low, records.describe, f"N below {least:g}")
    return records.take(~low)


def filter_harmonised(
    harmonised: Harmonised, config: MungeConfig, ledger: Ledger
) -> tuple[Harmonised, int]:
    """Drops the HLA region, unknown strands, wrong frequencies, odd variances and duplicates.

    Returns:
        What stays, and how many palindromic variants changed sign.

    Raises:
        UsageError: Strands shall be told by frequencies that are not there.
    """
    if not config.keep_hla:
        harmonised = _drop(harmonised, ledger, "HLA", _in_hla(harmonised.records))
    harmonised, n_flipped = _settle_palindromic(harmonised, config, ledger)
    difference = np.abs(harmonised.records.variants.af - harmonised.panel_af)
    far = difference > config.max_frequency_difference
    harmonised = _drop(harmonised, ledger, "FREQUENCY_DIFFERS", far)
    if config.qc:
        harmonised = _drop(harmonised, ledger, "VARIANCE_RATIO", _odd_variance(harmonised.records))
    return _drop(harmonised, ledger, "DUPLICATE", _again(harmonised)), n_flipped


def _drop(harmonised: Harmonised, ledger: Ledger, code: str, mask: Mask) -> Harmonised:
    describe: Callable[[int], tuple[object, ...]] = harmonised.records.describe
    ledger.drop(code, mask, describe, FAULTS.get(code, ""))
    return harmonised.take(~mask)


def _in_hla(records: SumstatsRecords) -> Mask:
    contig, first, last = HLA
    pos = records.variants.pos
    return np.asarray((records.variants.chrom == contig) & (pos >= first) & (pos <= last), bool)


def _settle_palindromic(
    harmonised: Harmonised, config: MungeConfig, ledger: Ledger
) -> tuple[Harmonised, int]:
    if config.palindromic == "keep":
        return harmonised, 0
    if config.palindromic == "drop":
        table = harmonised.records.variants
        unknown = is_palindromic(table.ref, table.alt)
        return _drop(harmonised, ledger, "PALINDROMIC", unknown), 0
    for name, af in (
        (config.input, harmonised.records.variants.af),
        (config.panel, harmonised.panel_af),
    ):
        if len(af) and np.isnan(af).all():
            raise UsageError(
                f"{name}: no frequencies, which --palindromic=frequency needs; use drop or keep"
            )
    harmonised, unknown, n_flipped = resolve_strands(harmonised, STRAND_MARGIN)
    return _drop(harmonised, ledger, "PALINDROMIC", unknown), n_flipped


def _odd_variance(records: SumstatsRecords) -> Mask:
    """Whether the variance of the trait that a variant implies is far from the median one.

    With f the frequency, Var(y) = 2 f (1 - f) (N se^2 + beta^2): from se^2 = (Var(y) -
    2 f (1 - f) beta^2) / (2 f (1 - f) N). Variants without all four numbers pass.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        variance = (
            2 * records.maf * (1 - records.maf) * (records.n * records.se**2 + records.beta**2)
        )
        known = np.isfinite(variance)
        if not known.any():
            return np.zeros(len(records), bool)
        ratio = variance / np.median(variance[known])
    low, high = _VARIANCE_RATIOS
    return np.asarray(known & ((ratio < low) | (ratio > high)), bool)


def _again(harmonised: Harmonised) -> Mask:
    """Which records are one of several copies."""
    _, inverse, counts = np.unique(harmonised.key, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] > 1, bool)
