"""Random shifts and strands."""

import numpy as np
import pytest

from tfgen.enformer.augmentation import Augmentation, reverse_windows
from tfgen.errors import UsageError
from tfgen.genome import one_hot, reverse_complement


def test_a_draw_depends_on_seed_and_step_alone():
    augmentation = Augmentation(3)
    first, again = augmentation.draw(5, 17, 64), augmentation.draw(5, 17, 64)
    np.testing.assert_array_equal(first, again)
    for other in (augmentation.draw(6, 17, 64), augmentation.draw(5, 18, 64)):
        assert (first[0] != other[0]).any()
        assert (first[1] != other[1]).any()


def test_every_shift_and_both_strands_are_drawn_alike_often():
    shifts, other_strand = Augmentation(3).draw(1, 0, 7000)
    values, counts = np.unique(shifts, return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert (abs(counts - 1000) < 150).all()  # five standard deviations
    assert abs(other_strand.mean() - 0.5) < 0.03


def test_it_can_be_switched_off():
    shifts, other_strand = Augmentation(0, reverse_complement=False).draw(1, 0, 100)
    assert not shifts.any()
    assert not other_strand.any()


def test_a_negative_shift_is_refused():
    with pytest.raises(UsageError, match="max_shift is -1; expected 0 or more bases"):
        Augmentation(-1)


def test_the_other_strand_is_the_reverse_complement_with_reversed_targets():
    sequences = ["ACGTTNA", "GGATCCN", "TTTACGA"]
    sequence = np.stack([one_hot(text) for text in sequences])
    target = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    other_strand = np.array([True, False, True])
    found, found_target = reverse_windows(sequence, target, other_strand)
    for row, text in enumerate(sequences):
        expected = reverse_complement(text) if other_strand[row] else text
        np.testing.assert_array_equal(found[row], one_hot(expected))
        bins = target[row][::-1] if other_strand[row] else target[row]
        np.testing.assert_array_equal(found_target[row], bins)
