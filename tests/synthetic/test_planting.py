"""Planted elements: density, distances, strength."""

import numpy as np
import pytest

from tfgen.synthetic import grammar
from tfgen.synthetic.background import background
from tfgen.synthetic.motifs import find_sites
from tfgen.synthetic.planting import ELEMENTS, PlantedSites, plant_elements

LENGTH = 400_000


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(4)
    codes = background(LENGTH, rng)
    return codes, plant_elements(codes, 600, 1000, rng)


def starts_of(planted, motif):
    return np.concatenate([p.start for p in planted[1] if p.motif == motif])


def test_elements_are_as_dense_as_asked(planted):
    middles = [p.start for p in planted[1] if p.motif == grammar.PROMOTER]
    share = ELEMENTS[1].share
    assert sum(map(len, middles)) == pytest.approx(share * LENGTH / 600, rel=0.15)


def test_shares_of_elements_add_up_to_one():
    assert sum(element.share for element in ELEMENTS) == pytest.approx(1)


def test_no_site_is_planted_near_the_ends(planted):
    for sites in planted[1]:
        assert sites.start.min(initial=LENGTH) >= 1000 - 700
        assert sites.start.max(initial=0) < LENGTH - 1000 + 700


def test_every_motif_is_planted_on_both_strands(planted):
    for motif in grammar.MOTIFS:
        strands = np.concatenate([p.forward for p in planted[1] if p.motif == motif])
        assert len(strands) > 50
        assert 0.3 < strands.mean() < 0.7


def test_enhancers_have_a_promoter_within_reach(planted):
    promoters = starts_of(planted, grammar.PROMOTER)
    enhancers = starts_of(planted, grammar.ENHANCER)
    nearest = np.abs(enhancers[:, None] - promoters[None, :]).min(axis=1)
    assert nearest.max() < grammar.DISTAL_REACH


def test_occupancy_is_what_the_search_finds(planted):
    codes, sites = planted
    found = find_sites(codes, grammar.MOTIFS)
    for group in sites:
        known = found[group.motif.name]
        first = known.centre - group.motif.width // 2
        known_places = zip(first.tolist(), known.forward.tolist(), strict=True)
        by_place = dict(zip(known_places, known.occupancy.tolist(), strict=True))
        places = zip(group.start.tolist(), group.forward.tolist(), strict=True)
        expected = [by_place.get(place, 0.0) for place in places]
        np.testing.assert_allclose(group.occupancy(codes), expected)


def test_sites_are_of_all_strengths(planted):
    codes, sites = planted
    occupancy = np.concatenate([group.occupancy(codes) for group in sites])
    assert (occupancy == 1).mean() > 0.15
    assert (occupancy == 0).mean() > 0.05
    assert ((occupancy > 0) & (occupancy < 1)).mean() > 0.3


def test_a_site_with_an_unknown_base_is_not_occupied():
    codes = np.zeros(40, np.uint8)
    codes[10:21] = [0, 2, 0, 3, 0, 0, 2, 2, 1, 0, 2]  # AGATAAGGCAG
    sites = PlantedSites(grammar.ACTIVATOR_1, np.array([10]), np.array([True]))
    assert sites.occupancy(codes).tolist() == [1.0]
    codes[20] = 4
    assert sites.occupancy(codes).tolist() == [0.0]


def test_planting_repeats_with_its_random_numbers():
    made = []
    for _ in range(2):
        codes = np.zeros(20_000, np.uint8)
        plant_elements(codes, 600, 1000, np.random.default_rng(7))
        made.append(codes)
    np.testing.assert_array_equal(*made)
    assert made[0].any()
