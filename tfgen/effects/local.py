"""Which tower bins a substitution can change, and the local block that recomputes them.

One tower bin sees 646 bp: its own 128 and 259 on either side (kernel 15 and pooling, then six
stages of kernel 5 and pooling: n -> 2n + 4, and 2n + 14 at the stem). So a change at base
128 q + r reaches the bins q - 2 .. q + 2, and one bin more on the left if r <= 2 or on the right
if r >= 125. A stretch of sequence that is computed alone differs from the same stretch inside a
longer sequence in its first and last three bins only, where it meets its own zero padding.
"""

import dataclasses

from tfgen.enformer.config import BIN_SIZE
from tfgen.errors import UsageError

MARGIN_BINS = 3
CHANGED_BINS = 6
BLOCK_BINS = CHANGED_BINS + 2 * MARGIN_BINS
"""Bins of a local block: the most that one substituted base changes, and the margins."""

_REACH = 2
_LEFT_PHASES = 2
_RIGHT_PHASES = 125


def changed_bins(start: int, stop: int) -> tuple[int, int]:
    """Tower bins that depend on the bases start .. stop - 1.

    Args:
        start: 0-based index of the first changed base in the window.
        stop: Index behind the last one.

    Returns:
        (first, behind the last) bin; may reach past the window.

    Raises:
        UsageError: No base is changed.
    """
    if stop <= start:
        raise UsageError(f"no base changes between {start} and {stop}")
    first, first_phase = divmod(start, BIN_SIZE)
    last, last_phase = divmod(stop - 1, BIN_SIZE)
    low = first - _REACH - (first_phase <= _LEFT_PHASES)
    high = last + _REACH + (last_phase >= _RIGHT_PHASES)
    return low, high + 1


@dataclasses.dataclass(frozen=True)
class LocalBlock:
    """The block of BLOCK_BINS bins, within the window, that holds all changed bins.

    Attributes:
        first_bin: First bin of the block in the window.
    """

    first_bin: int

    @property
    def bases(self) -> slice:
        """The block's bases in the window."""
        start = self.first_bin * BIN_SIZE
        return slice(start, start + BLOCK_BINS * BIN_SIZE)


def local_block(start: int, stop: int, num_bins: int) -> LocalBlock | None:
    """The block that recomputes a substitution of the bases start .. stop - 1 exactly.

    Args:
        start: 0-based index of the first substituted base in the window.
        stop: Index behind the last one.
        num_bins: Bins of the window.

    Returns:
        The block, or None where the substitution is too long for one, or the window too short.
    """
    low, high = changed_bins(start, stop)
    low, high = max(low, 0), min(high, num_bins)
    if high - low > CHANGED_BINS or num_bins < BLOCK_BINS:
        return None
    # At an end of the window the block's own padding is the window's: no margin is needed there.
    return LocalBlock(min(max(low - MARGIN_BINS, 0), num_bins - BLOCK_BINS))
