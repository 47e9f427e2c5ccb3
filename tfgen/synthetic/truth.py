"""Expected coverage as an exact function of the sequence.

Nothing here knows where motifs were planted: every position of both strands is searched, so sites
that arose by chance, or through a variant, count like planted ones. Only additions, products and
quotients of float64 are used, which round alike on every machine.

The function is the same on either strand: the coverage of the reverse complement is the reversed
coverage (for lengths that are multiples of 128), up to the order of summation.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tfgen.errors import UsageError
from tfgen.synthetic import grammar
from tfgen.synthetic.motifs import Sites, find_sites

_NEIGHBOURS = -(-grammar.SPREAD // grammar.BIN_SIZE)


@dataclasses.dataclass(frozen=True)
class SiteWeights:
    """What the sites of a sequence put on each bin, every array float64 `[n_bins]`.

    Attributes:
        activator_1: ACT1 sites.
        activator_2: ACT2 sites.
        promoter: PROM sites.
        distal: PROM sites, each times the weight of the ENH sites within reach of it.
        enhancer: ENH sites.
        pair: PAIRL sites, each times the occupancy of the PAIRR sites within reach of it.
        repressor: REP sites.
    """

    activator_1: NDArray[np.float64]
    activator_2: NDArray[np.float64]
    promoter: NDArray[np.float64]
    distal: NDArray[np.float64]
    enhancer: NDArray[np.float64]
    pair: NDArray[np.float64]
    repressor: NDArray[np.float64]


def expected_coverage(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Expected coverage per bin and track.

    A base acts only on bins whose centre is less than `grammar.REACH` (1,029) bases away. What
    lies outside `codes` is unknown to the function: bins whose centre is at least that far from
    both ends have the same value in any longer sequence.

    Args:
        codes: Base codes `[length]`, A C G T = 0 1 2 3, larger = unknown (never part of a site).
            The length is a multiple of 128.

    Returns:
        `[length / 128, n_tracks]` mean count per bin, tracks in the order of `grammar.TRACKS`.

    Raises:
        UsageError: The length is no multiple of 128.
    """
    weights = site_weights(codes)
    columns = [track_coverage(track, weights) for track in grammar.TRACKS]
    return np.stack(columns, axis=1).astype(np.float32)


def track_coverage(track: grammar.Track, weights: SiteWeights) -> NDArray[np.float64]:
    """Expected coverage `[n_bins]` of one track; the formula is in `grammar.Track`."""
    coverage = track.base * (1 + track.activator_1 * weights.activator_1)
    coverage *= 1 + track.activator_2 * weights.activator_2
    coverage *= 1 + track.promoter * (weights.promoter + track.distal * weights.distal)
    coverage *= 1 + track.enhancer * weights.enhancer
    coverage *= 1 + track.pair * weights.pair
    return coverage / (1 + track.repression * weights.repressor)


def site_weights(codes: NDArray[np.uint8]) -> SiteWeights:
    """Searches a sequence for sites and spreads them over its bins.

    Args:
        codes: As for `expected_coverage`.

    Raises:
        UsageError: The length is no multiple of 128.
    """
    if len(codes) % grammar.BIN_SIZE:
        raise UsageError(
            f"sequence of {len(codes)} bases; expected a multiple of {grammar.BIN_SIZE}"
        )
    n_bins = len(codes) // grammar.BIN_SIZE
    sites = find_sites(codes, grammar.MOTIFS)
    promoters = sites[grammar.PROMOTER.name]
    enhancers = sites[grammar.ENHANCER.name]
    left, right = sites[grammar.PAIR_LEFT.name], sites[grammar.PAIR_RIGHT.name]

    def on_bins(of: Sites, helped: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        weight = of.occupancy if helped is None else of.occupancy * helped
        return _spread(of.centre, weight, n_bins)

    return SiteWeights(
        activator_1=on_bins(sites[grammar.ACTIVATOR_1.name]),
        activator_2=on_bins(sites[grammar.ACTIVATOR_2.name]),
        promoter=on_bins(promoters),
        distal=on_bins(promoters, _enhancement(promoters, enhancers)),
        enhancer=on_bins(enhancers),
        pair=on_bins(left, _partners(left, right)),
        repressor=on_bins(sites[grammar.REPRESSOR.name]),
    )


def _spread(
    centre: NDArray[np.int64], weight: NDArray[np.float64], n_bins: int
) -> NDArray[np.float64]:
    """Sums 1 - (d / SPREAD)^2 times `weight` on bins whose centre is d < SPREAD from a site."""
    shifts = np.arange(-_NEIGHBOURS, _NEIGHBOURS + 1)
    bins = centre[:, None] // grammar.BIN_SIZE + shifts
    middle = bins.astype(np.float64) * grammar.BIN_SIZE + (grammar.BIN_SIZE - 1) / 2
    values = weight[:, None] * _fall(middle - centre[:, None], grammar.SPREAD)
    inside = (bins >= 0) & (bins < n_bins)
    return _summed(bins[inside], values[inside], n_bins)


def _fall(distance: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Weight 1 at distance 0, on a parabola to 0 at `reach` and beyond."""
    return np.maximum(1 - (distance / reach) ** 2, 0.0)


def _enhancement(promoters: Sites, enhancers: Sites) -> NDArray[np.float64]:
    """Per promoter, the sum of enhancer occupancy times the weight of the distance."""
    which, other = _within(promoters.centre, enhancers.centre, grammar.DISTAL_REACH)
    distance = (enhancers.centre[other] - promoters.centre[which]).astype(np.float64)
    values = enhancers.occupancy[other] * _fall(distance, grammar.DISTAL_REACH)
    return _summed(which, values, len(promoters.centre))


def _partners(left: Sites, right: Sites) -> NDArray[np.float64]:
    """Per left site, the summed occupancy of the right sites within `PAIR_REACH`."""
    which, other = _within(left.centre, right.centre, grammar.PAIR_REACH)
    return _summed(which, right.occupancy[other], len(left.centre))


def _summed(
    index: NDArray[np.int64], values: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Sums `values` by `index` into `[size]`, one after the other, the same on every machine."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64)


def _within(
    positions: NDArray[np.int64], others: NDArray[np.int64], reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All index pairs (position, other) at most `reach` apart; both inputs are sorted."""
    first = np.searchsorted(others, positions - reach, side="left")
    last = np.searchsorted(others, positions + reach, side="right")
    count = last - first
    which = np.repeat(np.arange(len(positions)), count)
    rank = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return which, first[which] + rank
