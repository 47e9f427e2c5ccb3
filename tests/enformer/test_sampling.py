"""Training windows: what is cut, in which order, and that nothing but the step decides it."""

import numpy as np
import pytest

from enformer.training_toys import contig, tiny_config
from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.sampling import Contig, WindowSampler, tiled_batches
from tfgen.errors import UsageError

STILL = Augmentation(0, reverse_complement=False)


def numbered_contig(n_bins, first=0):
    """Coverage counts the bins; the four bases of every position spell its number in base 4."""
    number = np.arange(n_bins * 128)
    codes = (number // 4 ** (number % 8) % 4).astype(np.uint8)
    coverage = (first + np.arange(n_bins, dtype=np.float32))[:, np.newaxis]
    return Contig(codes, coverage)


def test_target_bins_lie_in_the_middle_of_the_window():
    genome = numbered_contig(40)
    sampler = WindowSampler([genome], tiny_config(), 8, 1, STILL)
    batch = sampler.batch(0)
    assert batch.codes.shape == (8, 512)
    assert batch.targets.shape == (8, 2, 1)
    for codes, targets in zip(batch.codes, batch.targets, strict=True):
        first_bin = int(targets[0, 0])
        assert targets[1, 0] == first_bin + 1
        start = (first_bin - 1) * 128
        np.testing.assert_array_equal(codes, genome.codes[start : start + 512])


def test_shifted_windows_are_fetched_from_the_genome():
    genome = numbered_contig(40)
    augmentation = Augmentation(3)
    sampler = WindowSampler([genome], tiny_config(), 16, 9, augmentation)
    for step in range(4):
        batch = sampler.batch(step)
        shifts, other_strand = augmentation.draw(9, step, 16)
        np.testing.assert_array_equal(batch.other_strand, other_strand)
        for row, shift in enumerate(shifts.tolist()):
            start = (int(batch.targets[row, 0, 0]) - 1) * 128 + shift
            np.testing.assert_array_equal(batch.codes[row], genome.codes[start : start + 512])


def test_an_epoch_visits_every_target_bin_at_most_once_and_nearly_all():
    contigs = [numbered_contig(41), numbered_contig(24, first=1000)]
    sampler = WindowSampler(contigs, tiny_config(), 1, 3, STILL)
    # First target bins 1 to 38 and 1 to 21: 19 and 10 windows of two bins.
    assert sampler.epoch_windows == 29
    for epoch in range(3):
        steps = range(epoch * 29, (epoch + 1) * 29)
        seen = [int(b) for step in steps for b in sampler.batch(step).targets.ravel()]
        assert len(set(seen)) == len(seen) == 58


def test_epochs_differ_in_order_and_offset():
    sampler = WindowSampler([numbered_contig(41)], tiny_config(), 19, 3, STILL)
    epochs = [sampler.batch(step).targets[:, 0, 0] for step in range(6)]
    assert any((epochs[0] != other).any() for other in epochs[1:])
    assert {int(epoch.min()) for epoch in epochs} == {1, 2}


def test_a_batch_depends_on_seed_and_step_alone():
    def sampler(seed=1):
        return WindowSampler([contig()], tiny_config(), 8, seed, Augmentation(3))

    straight = sampler()
    batches = [straight.batch(step) for step in range(12)]
    jumped = sampler().batch(11)
    np.testing.assert_array_equal(jumped.codes, batches[11].codes)
    np.testing.assert_array_equal(jumped.targets, batches[11].targets)
    np.testing.assert_array_equal(jumped.other_strand, batches[11].other_strand)
    assert (sampler(2).batch(11).codes != jumped.codes).any()


def test_the_smallest_contig_holds_one_window():
    sampler = WindowSampler([numbered_contig(4)], tiny_config(), 2, 1, STILL)
    assert sampler.epoch_windows == 1
    assert sampler.batch(0).targets[:, 0, 0].tolist() == [1, 1]


def test_a_contig_that_is_too_short_for_its_shifts_is_left_out():
    contigs = [numbered_contig(4), numbered_contig(12, first=100)]
    sampler = WindowSampler(contigs, tiny_config(), 8, 1, Augmentation(3))
    assert (sampler.batch(0).targets >= 100).all()


def test_bases_behind_the_last_whole_bin_need_no_coverage():
    genome = contig(n_bins=6)
    longer = Contig(np.append(genome.codes, np.zeros(100, np.uint8)), genome.coverage)
    assert len(list(tiled_batches([longer], tiny_config(), 8))[0]) == 2


def test_a_tiling_goes_through_the_genome_in_order():
    batches = list(tiled_batches([numbered_contig(11), numbered_contig(6, 100)], tiny_config(), 4))
    assert [len(batch) for batch in batches] == [4, 2]
    bins = np.concatenate([batch.targets.ravel() for batch in batches])
    assert bins.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 101, 102, 103, 104]
    assert not any(batch.other_strand.any() for batch in batches)


def test_parts_of_a_batch_are_equal():
    batch = WindowSampler([contig()], tiny_config(), 6, 1, Augmentation(3)).batch(0)
    parts = [batch.part(index, 3) for index in range(3)]
    np.testing.assert_array_equal(np.concatenate([part.codes for part in parts]), batch.codes)
    with pytest.raises(UsageError, match="batch of 6 cannot be divided into 4 equal parts"):
        batch.part(0, 4)


def test_a_genome_without_room_is_refused():
    with pytest.raises(UsageError, match="no contig holds a window of 512 bases"):
        WindowSampler([numbered_contig(3)], tiny_config(), 1, 1, STILL)


def test_an_empty_batch_is_refused():
    with pytest.raises(UsageError, match="batch_size is 0; expected 1 or more"):
        WindowSampler([contig()], tiny_config(), 0, 1, STILL)


def test_contigs_with_other_tracks_are_refused():
    with pytest.raises(UsageError, match="same tracks on every contig"):
        WindowSampler([contig(), contig(n_tracks=2)], tiny_config(), 1, 1, STILL)


def test_missing_bins_are_refused():
    genome = contig()
    short = Contig(genome.codes, genome.coverage[:-1])
    with pytest.raises(UsageError, match="5120 bases but 39 bins; expected a bin for every 128"):
        WindowSampler([short], tiny_config(), 1, 1, STILL)
