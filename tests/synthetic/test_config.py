"""Reading and checking of a world's configuration."""

import numpy as np
import pytest

from tfgen.errors import UsageError
from tfgen.synthetic.config import Chromosome, WorldConfig


def test_default_has_26_mb_with_training_validation_and_held_out_chromosomes():
    layout = WorldConfig().layout
    assert [c.split for c in layout] == ["train", "train", "test", "valid"]
    assert 25e6 < sum(c.length for c in layout) < 27e6


def test_a_chromosome_is_read_from_text():
    config = WorldConfig(chromosomes=("2L:64000:valid",), gap_length=0)
    assert config.layout == (Chromosome("2L", 64000, "valid"),)
    assert config.layout[0].n_bins == 500


@pytest.mark.parametrize("text", ["chrA", "chrA:128", "chrA:1280:held", "a:1:2:3", ""])
def test_an_unreadable_chromosome_is_refused(text):
    with pytest.raises(UsageError, match=r"expected name:length:train\|valid\|test"):
        WorldConfig(chromosomes=(text,))


@pytest.mark.parametrize("name", ["", "../chrA", "a/b", "chr A", "<A>", "-A", ".."])
def test_a_name_that_is_no_contig_and_file_name_is_refused(name):
    with pytest.raises(UsageError, match=f"name {name!r}; expected letters, digits"):
        WorldConfig(chromosomes=(f"{name}:64000:train",), gap_length=0)


@pytest.mark.parametrize("length", ["1000", "-128", "1e6", "", "\u0661\u0662\u0668"])
def test_a_length_that_is_no_multiple_of_128_is_refused(length):
    with pytest.raises(UsageError, match="expected a multiple of 128"):
        WorldConfig(chromosomes=(f"chrA:{length}:train",))


@pytest.mark.parametrize("names", [(), ("chrA:64000:train", "chrA:128000:test")])
def test_chromosomes_have_unique_names(names):
    with pytest.raises(UsageError, match="each named once"):
        WorldConfig(chromosomes=names, gap_length=0)


def test_a_chromosome_too_short_for_its_gaps_is_refused():
    with pytest.raises(UsageError, match="chromosome chrA has 12800 bases; expected at least"):
        WorldConfig(chromosomes=("chrA:12800:train",))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("spacing", 0),
        ("gap_length", -1),
        ("masked_fraction", 1.5),
        ("depth", 0.0),
        ("depth", float("nan")),
        ("sequence_length", 0),
        ("target_length", 0),
        ("test_variants", -1),
        ("other_variants", -1),
        ("indel_fraction", -0.1),
        ("mnv_fraction", 2.0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(UsageError, match=f"{field} is {value}; expected"):
        WorldConfig(**{field: value})


def test_shares_of_variants_above_one_are_refused():
    with pytest.raises(UsageError, match=r"indel_fraction \+ mnv_fraction is above 1"):
        WorldConfig(indel_fraction=0.6, mnv_fraction=0.5)


@pytest.mark.parametrize(("length", "target"), [(4000, 16), (4096, 34), (4096, 15)])
def test_a_window_that_cannot_be_cropped_is_refused(length, target):
    with pytest.raises(UsageError, match="even number of bins to crop"):
        WorldConfig(sequence_length=length, target_length=target)


def test_output_bins_are_the_centre_of_the_window():
    assert WorldConfig().output_bins == slice(8, 24)


def test_random_numbers_differ_by_seed_purpose_and_chromosome_and_repeat():
    def draws(seed):
        config = WorldConfig(seed=seed)
        return [
            rng.integers(2**62)
            for purpose in ("background", "planting", "soft_mask", "noise", "variants")
            for rng in config.generators(purpose).values()
        ]

    assert draws(1) == draws(1)
    assert len(set(draws(1) + draws(2))) == 40


def test_a_chromosome_keeps_its_random_numbers_when_others_are_added():
    one = WorldConfig(chromosomes=("chrA:64000:train",), gap_length=0)
    two = WorldConfig(chromosomes=("chrA:64000:train", "chrB:64000:test"), gap_length=0)
    first, second = (c.generators("noise")["chrA"].random(3) for c in (one, two))
    np.testing.assert_array_equal(first, second)
