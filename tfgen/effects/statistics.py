"""Variant-effect statistics: what one number per variant and track is made of.

`reference` and `alternative` are predictions float32 [..., bins, tracks] of the same window with
either allele. Every statistic is alternative minus reference: differences are taken in float32,
sums over bins in float64, and the result is float32 [..., tracks]. These NumPy definitions are
what every faster implementation is compared with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from tfgen.enformer.config import BIN_SIZE
from tfgen.errors import UsageError

FloatArray = npt.NDArray[np.float32]
BinPair = tuple[int, int]

LN_2 = np.float32(np.log(2.0))


def sad(reference: FloatArray, alternative: FloatArray, bins: BinPair) -> FloatArray:
    """Sum over all output bins of (alternative - reference). `bins` is not used.

    The SAD of calico/basenji; the notebook of Avsec et al. 2021 (doi:10.1038/s41592-021-01252-x)
    takes the mean over the bins instead.
    """
    del bins
    return _sum_over_bins(alternative - reference)


def sar(reference: FloatArray, alternative: FloatArray, bins: BinPair) -> FloatArray:
    """Sum over all output bins of log2(alternative + 1) - log2(reference + 1).

    The SAR of calico/basenji with pseudocount 1. `bins` is not used. The logarithm is taken as
    log1p(x) / ln 2, which keeps its digits where a prediction is close to zero.
    """
    del bins
    return _sum_over_bins((np.log1p(alternative) - np.log1p(reference)) / LN_2)


def tcra(reference: FloatArray, alternative: FloatArray, bins: BinPair) -> FloatArray:
    """Mean over the two bins around the variant of (alternative - reference).

    The tissue-specific cis-regulatory activity of Li et al. 2026 (PLoS Genet 22(5):e1012145).
    `bins` are the two output bins of `central_bins`.
    """
    pair = list(bins)
    difference = alternative[..., pair, :] - reference[..., pair, :]
    return np.asarray(np.mean(difference, axis=-2, dtype=np.float64), np.float32)


def _sum_over_bins(difference: npt.NDArray[np.floating]) -> FloatArray:
    return np.asarray(np.sum(difference, axis=-2, dtype=np.float64), np.float32)


@dataclass(frozen=True)
class Statistic:
    """A named variant-effect statistic.

    Attributes:
        name: Name on the command line and of the dataset in a score store.
        bins: `all` output bins of the window, or the `central` two around the variant.
        definition: The formula and its reduction; stored with the scores.
        function: (reference, alternative, central bins) -> float32 [..., tracks].
    """

    name: str
    bins: Literal["all", "central"]
    definition: str
    function: Callable[[FloatArray, FloatArray, BinPair], FloatArray]


STATISTICS = MappingProxyType(
    {
        statistic.name: statistic
        for statistic in (
            Statistic("SAD", "all", "sum over all output bins of (alt - ref)", sad),
            Statistic("SAR", "all", "sum over all output bins of log2(alt+1) - log2(ref+1)", sar),
            Statistic(
                "tCRA", "central", "mean over the two bins around the variant of (alt - ref)", tcra
            ),
        )
    }
)
"""Every statistic that can be asked for, by name."""


def central_bins(offset: int, n_bins: int) -> BinPair:
    """The two output bins around a variant.

    With b = offset // 128 and r = offset % 128 they are (b - 1, b) in the first half of a bin
    (r < 64) and (b, b + 1) in its second half: always the 128 bases on either side, to the
    nearest bin. For the published centred window (offset 57,344 of 896 bins) that is (447, 448).

    Args:
        offset: 0-based index of the variant's first base within the output region, in bases.
        n_bins: Number of output bins.

    Raises:
        UsageError: A bin would lie outside the output.
    """
    middle, phase = divmod(offset, BIN_SIZE)
    first = middle - 1 if phase < BIN_SIZE // 2 else middle
    if first < 0 or first + 1 >= n_bins:
        raise UsageError(
            f"variant at base {offset} of the output region has no two bins around it among "
            f"{n_bins}; tCRA needs a model with more output bins"
        )
    return first, first + 1


def check_statistics(names: Sequence[str]) -> None:
    """Checks a choice of statistics.

    Raises:
        UsageError: None is named, one is unknown, or one is named twice.
    """
    known = ", ".join(STATISTICS)
    if not names:
        raise UsageError(f"no statistic is named; choose from {known}")
    for name in names:
        if name not in STATISTICS:
            raise UsageError(f"statistic {name!r} is unknown; choose from {known}")
    if len(set(names)) != len(names):
        raise UsageError(f"a statistic is named twice in {','.join(names)}; name each once")


def compute_statistics(
    names: Sequence[str], reference: FloatArray, alternative: FloatArray, offset: int
) -> dict[str, FloatArray]:
    """Computes statistics of one variant, or of several with the same offset.

    Args:
        names: Names from `STATISTICS`.
        reference: float32 [..., bins, tracks], predictions with the reference allele.
        alternative: float32 [..., bins, tracks], predictions with the alternative allele.
        offset: 0-based index of the variant's first base within the output region, in bases.

    Returns:
        float32 [..., tracks] for each name.

    Raises:
        UsageError: A name is unknown, the shapes differ, or the bins of tCRA are not there.
    """
    check_statistics(names)
    if reference.shape != alternative.shape:
        raise UsageError(
            f"reference predictions have shape {reference.shape} and alternative ones "
            f"{alternative.shape}; they must be the same"
        )
    chosen = [STATISTICS[name] for name in names]
    bins = (0, 0)
    if any(statistic.bins == "central" for statistic in chosen):
        bins = central_bins(offset, reference.shape[-2])
    return {s.name: s.function(reference, alternative, bins) for s in chosen}
