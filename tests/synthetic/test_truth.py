"""The truth against a slow loop that works from the written laws, and its symmetries."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.genome import decode, encode, reverse_complement_codes
from tfgen.synthetic import grammar
from tfgen.synthetic.background import background
from tfgen.synthetic.planting import plant_elements
from tfgen.synthetic.truth import expected_coverage, site_weights, track_coverage

SITE = {motif.name: encode(motif.consensus.upper()) for motif in grammar.MOTIFS}
TRACK = {track.identifier: index for index, track in enumerate(grammar.TRACKS)}


def fall(distance, reach):
    return max(0.0, 1 - (distance / reach) ** 2)


def slow_coverage(sequence, slow_sites):
    """Expected coverage [n_bins][n_tracks] by the laws as they are documented, with loops."""
    sites = {m.name: [(c, o) for c, o, _ in slow_sites(sequence, m)] for m in grammar.MOTIFS}
    promoters = [
        (p, o, sum(q * fall(e - p, grammar.DISTAL_REACH) for e, q in sites["ENH"]))
        for p, o in sites["PROM"]
    ]
    pairs = [
        (a, o * sum(q for b, q in sites["PAIRR"] if abs(a - b) <= grammar.PAIR_REACH))
        for a, o in sites["PAIRL"]
    ]
    rows = []
    for start in range(0, len(sequence), 128):
        middle = start + 63.5

        def on_bin(placed, middle=middle):
            return sum(o * fall(c - middle, grammar.SPREAD) for c, o in placed)

        row = []
        for track in grammar.TRACKS:
            promoted = [(p, o * (1 + track.distal * near)) for p, o, near in promoters]
            row.append(
                track.base
                * (1 + track.activator_1 * on_bin(sites["ACT1"]))
                * (1 + track.activator_2 * on_bin(sites["ACT2"]))
                * (1 + track.promoter * on_bin(promoted))
                * (1 + track.enhancer * on_bin(sites["ENH"]))
                * (1 + track.pair * on_bin(pairs))
                / (1 + track.repression * on_bin(sites["REP"]))
            )
        rows.append(row)
    return np.array(rows)


def planted_dna(length, seed):
    rng = np.random.default_rng(seed)
    codes = background(length, rng)
    plant_elements(codes, 300, 700, rng)
    return codes


def with_sites(length, *placed):
    """Background without any bound site, with consensus sites centred where asked."""
    codes = np.zeros(length, np.uint8)
    for name, centre in placed:
        codes[centre - 5 : centre + 6] = SITE[name]
    return codes


@pytest.mark.parametrize("seed", range(3))
def test_coverage_equals_the_loop_over_the_written_laws(seed, slow_sites):
    codes = planted_dna(6400, seed)
    codes[3000:3010] = 4
    expected = slow_coverage(decode(codes), slow_sites)
    assert expected.std(axis=0).min() > 0.3
    np.testing.assert_allclose(expected_coverage(codes), expected, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), n_bins=st.integers(12, 60))
def test_coverage_of_the_reverse_complement_is_the_reversed_coverage(seed, n_bins):
    codes = planted_dna(128 * n_bins, seed)
    other = expected_coverage(reverse_complement_codes(codes))
    np.testing.assert_allclose(other[::-1], expected_coverage(codes), rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_a_substitution_changes_only_bins_within_reach(seed, data):
    codes = planted_dna(6400, seed)
    position = data.draw(st.integers(0, 6399))
    changed = codes.copy()
    changed[position] = (codes[position] + data.draw(st.integers(1, 3))) % 4
    moved = np.any(expected_coverage(changed) != expected_coverage(codes), axis=1)
    distance = np.abs(128 * np.arange(50) + 63.5 - position)
    assert distance[moved].max(initial=0) < grammar.REACH


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), start_bin=st.integers(0, 50))
def test_output_bins_of_a_default_window_see_all_they_need(seed, start_bin):
    codes = planted_dna(128 * 90, seed)
    window = codes[128 * start_bin : 128 * start_bin + 4096]
    inside = expected_coverage(codes)[start_bin + 8 : start_bin + 24]
    # Equal up to float64 rounding: sums have the same terms in the same order.
    np.testing.assert_array_equal(expected_coverage(window)[8:24], inside)


def test_dna_without_sites_has_the_base_coverage():
    coverage = expected_coverage(np.full(1280, 4, np.uint8))
    np.testing.assert_array_equal(coverage, np.tile(np.float32([1, 1, 0.8, 0.8]), (10, 1)))
    assert coverage.dtype == np.float32


def test_no_sequence_has_no_bins():
    assert expected_coverage(np.empty(0, np.uint8)).shape == (0, 4)


def test_an_activator_multiplies_the_bins_around_it():
    coverage = expected_coverage(with_sites(1280, ("ACT1", 640 + 63)))
    # Distances of base 703 to the bin centres 575.5, 703.5, 831.5; gain 4 in dnase_alpha.
    weight = [1 - (d / 192) ** 2 for d in (127.5, 0.5, 128.5)]
    np.testing.assert_allclose(
        coverage[3:8, TRACK["dnase_alpha"]], [1, *(1 + 4 * w for w in weight), 1], rtol=1e-6
    )


def test_a_repressor_divides_what_an_activator_makes():
    activated = expected_coverage(with_sites(1280, ("ACT1", 640)))
    both = expected_coverage(with_sites(1280, ("ACT1", 640), ("REP", 680)))
    alone = expected_coverage(with_sites(1280, ("REP", 680)))
    np.testing.assert_allclose(both / activated, alone / [1, 1, 0.8, 0.8], rtol=1e-6)
    assert (both[5] < 0.6 * activated[5]).all()


@pytest.mark.parametrize("name", ["PAIRL", "PAIRR"])
def test_one_site_of_a_pair_alone_does_nothing(name):
    coverage = expected_coverage(with_sites(1280, (name, 640)))
    np.testing.assert_allclose(coverage, np.tile([1, 1, 0.8, 0.8], (10, 1)), rtol=1e-6)


@pytest.mark.parametrize(("distance", "acts"), [(12, True), (-40, True), (40, True), (41, False)])
def test_a_pair_acts_up_to_40_bases(distance, acts):
    coverage = expected_coverage(with_sites(1280, ("PAIRL", 640), ("PAIRR", 640 + distance)))
    assert (coverage[5, 0] > 3) == acts
    assert (coverage[5, 0] == 1) != acts


@pytest.mark.parametrize("side", [-1, 1])
def test_an_enhancer_acts_on_a_promoter_and_less_with_distance(side):
    def at_promoter(*more):
        return expected_coverage(with_sites(5120, ("PROM", 2560), *more))[20]

    alone = at_promoter()
    by_distance = [at_promoter(("ENH", 2560 + side * d)) for d in (300, 500, 700, 831, 832)]
    cage = [row[TRACK["cage_alpha"]] for row in by_distance]
    assert all(near > far for near, far in zip(cage[:-1], cage[1:], strict=True))
    assert cage[-1] == alone[TRACK["cage_alpha"]]
    # Gain 3 of the promoter times 1 + 1.5 (1 - (500 / 832)^2), at 63.5 bases from the bin centre.
    near = 1 - (63.5 / 192) ** 2
    expected = 0.8 * (1 + 3 * near * (1 + 1.5 * (1 - (500 / 832) ** 2)))
    assert cage[1] == pytest.approx(expected, rel=1e-6)
    accessible = [row[TRACK["dnase_alpha"]] for row in by_distance]
    assert accessible == [alone[TRACK["dnase_alpha"]]] * 5


def test_an_enhancer_opens_its_own_place_in_accessibility_tracks_only():
    coverage = expected_coverage(with_sites(1280, ("ENH", 640)))
    assert (coverage[5, :2] > 3).all()
    np.testing.assert_allclose(coverage[5, 2:], [0.8, 0.8], rtol=1e-6)


def test_a_broken_repressor_raises_and_a_broken_activator_lowers_coverage():
    codes = with_sites(1280, ("ACT1", 640), ("REP", 680))
    for centre, sign in ((640, -1), (680, 1)):
        broken = codes.copy()
        broken[centre] = 3 - broken[centre]
        change = expected_coverage(broken)[5] - expected_coverage(codes)[5]
        assert (np.sign(change[[0, 1, 2]]) == sign).all()


def test_a_new_site_by_chance_counts_like_a_planted_one():
    codes = with_sites(1280, ("ACT2", 640))
    broken = codes.copy()
    broken[640] = 3 - broken[640]
    mended = broken.copy()
    mended[640] = codes[640]
    assert expected_coverage(broken)[5, 1] < expected_coverage(mended)[5, 1]


def test_terms_can_be_switched_off_one_by_one():
    codes = with_sites(1280, ("ACT1", 640), ("REP", 680))
    weights = site_weights(codes)
    track = dataclasses.replace(grammar.TRACKS[0], repression=0.0)
    without = expected_coverage(with_sites(1280, ("ACT1", 640)))[:, 0]
    np.testing.assert_allclose(track_coverage(track, weights), without, rtol=1e-6)


def test_a_length_that_is_no_multiple_of_128_is_refused():
    with pytest.raises(UsageError, match="sequence of 1000 bases; expected a multiple of 128"):
        expected_coverage(np.zeros(1000, np.uint8))
