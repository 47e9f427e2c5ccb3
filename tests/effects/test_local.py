import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.small_models import TINY, random_enformer
from tfgen.effects.local import BLOCK_BINS, CHANGED_BINS, MARGIN_BINS, changed_bins, local_block
from tfgen.errors import UsageError
from tfgen.genome import one_hot


def widened(touched, reach):
    """Positions of a convolution's output that see a touched input."""
    kernel = np.ones(2 * reach + 1, int)
    return np.convolve(touched, kernel, mode="same") > 0


def pooled(touched):
    return touched.reshape(-1, 2).any(axis=1)


def bins_that_see(start, stop, num_bins):
    """The bins of a tower that see the bases start .. stop - 1, followed layer by layer.

    Kernel 15 and pooling by two, then six times kernel 5 and pooling by two.
    """
    touched = np.zeros(num_bins * 128, bool)
    touched[start:stop] = True
    touched = pooled(widened(touched, 7))
    for _ in range(6):
        touched = pooled(widened(touched, 2))
    return np.flatnonzero(touched).tolist()


@pytest.mark.parametrize("phase", range(128))
def test_changed_bins_of_every_phase(phase):
    start = 8 * 128 + phase
    low, high = changed_bins(start, start + 1)
    assert list(range(low, high)) == bins_that_see(start, start + 1, 20)


def test_six_bins_change_in_six_of_the_128_phases_and_five_in_the_others():
    widths = [high - low for low, high in (changed_bins(p, p + 1) for p in range(1024, 1152))]
    assert widths == [6] * 3 + [5] * 122 + [6] * 3


def test_a_bin_depends_on_646_bases():
    # n -> 2n + 4 for each of six stages and 2n + 14 for the stem: 1, 6, 16, 36, 76, 156, 316, 646.
    seen = [
        p for p in range(20 * 128) if changed_bins(p, p + 1)[0] <= 10 < changed_bins(p, p + 1)[1]
    ]
    assert seen == list(range(1280 - 259, 1280 - 259 + 646))


def test_a_real_tower_changes_in_these_bins_and_in_no_other():
    model = random_enformer(TINY)
    reference = np.random.default_rng(2).integers(0, 4, 16 * 128).astype(np.uint8)
    starts = range(7 * 128, 8 * 128)
    alternatives = np.stack([reference] * 128)
    alternatives[range(128), starts] = (alternatives[range(128), starts] + 2) % 4
    towers = model.tower(one_hot(np.concatenate([reference[np.newaxis], alternatives])), False)
    changed = np.any(towers[1:] != towers[0], axis=2)
    expected = np.zeros_like(changed)
    for row, start in enumerate(starts):
        expected[row, slice(*changed_bins(start, start + 1))] = True
    np.testing.assert_array_equal(changed, expected)


spans = st.tuples(st.integers(12, 40), st.integers(0, 40 * 128 - 1), st.integers(1, 400))


@given(spans)
def test_a_stretch_of_bases_changes_what_its_bases_change(span):
    num_bins, start, length = span
    start %= num_bins * 128
    stop = min(start + length, num_bins * 128)
    low, high = changed_bins(start, stop)
    inside = range(max(low, 0), min(high, num_bins))
    assert list(inside) == bins_that_see(start, stop, num_bins)


@given(spans)
def test_a_block_holds_the_changed_bins_and_its_margins_or_the_end_of_the_window(span):
    num_bins, start, length = span
    start %= num_bins * 128
    stop = min(start + length, num_bins * 128)
    changed = bins_that_see(start, stop, num_bins)
    block = local_block(start, stop, num_bins)
    if block is None:
        assert len(changed) > CHANGED_BINS
        return
    first, last = block.first_bin, block.first_bin + BLOCK_BINS - 1
    assert first >= 0
    assert last < num_bins
    assert first == 0 or min(changed) - first >= MARGIN_BINS
    assert last == num_bins - 1 or last - max(changed) >= MARGIN_BINS
    assert first <= min(changed)
    assert max(changed) <= last


def test_the_bases_of_a_block_are_those_of_its_bins():
    block = local_block(8 * 128, 8 * 128 + 1, 1536)
    assert block.first_bin == 8 - 3 - MARGIN_BINS
    assert block.bases == slice(2 * 128, 14 * 128)


@pytest.mark.parametrize(
    ("phase", "longest"), [(0, 125), (2, 123), (3, 250), (100, 153), (124, 129), (125, 128)]
)
def test_the_longest_substitution_that_has_a_block(phase, longest):
    # From phase 0..2 on: one bin more on the left, so it must end before phase 125 of its bin.
    # From phase 3 on: one bin more on the right, up to phase 124 of the next bin; from phase 125
    # on, its own bin counts as that.
    start = 20 * 128 + phase
    assert local_block(start, start + longest, 40) is not None
    assert local_block(start, start + longest + 1, 40) is None


@pytest.mark.parametrize("num_bins", [1, 6, 11])
def test_a_window_shorter_than_a_block_has_none(num_bins):
    assert local_block(0, 1, num_bins) is None
    assert local_block(num_bins * 128 - 1, num_bins * 128, num_bins) is None


def test_a_window_as_long_as_a_block_is_one():
    for start in (0, 700, 12 * 128 - 1):
        assert local_block(start, start + 1, 12).first_bin == 0


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (5, 4)])
def test_nothing_changed_is_refused(start, stop):
    with pytest.raises(UsageError, match=f"no base changes between {start} and {stop}"):
        changed_bins(start, stop)
