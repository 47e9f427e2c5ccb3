"""Motif matrices and the search for sites, against a loop over every position."""

import numpy as np
import pytest

from tfgen.errors import UsageError
from tfgen.genome import encode
from tfgen.synthetic.grammar import MOTIFS
from tfgen.synthetic.motifs import Motif, find_sites

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}
MOTIF = Motif("TEST", "aGATAAGGcAg")


def as_rows(sites):
    columns = (sites.centre.tolist(), sites.occupancy.tolist(), sites.forward.tolist())
    return list(zip(*columns, strict=True))


def assert_same_sites(found, expected):
    assert [(c, f) for c, _, f in sorted(found)] == [(c, f) for c, _, f in sorted(expected)]
    occupancies = ([o for _, o, _ in sorted(rows)] for rows in (found, expected))
    np.testing.assert_allclose(*occupancies, rtol=1e-12)


def test_search_equals_a_loop_over_every_position_of_both_strands(slow_sites):
    rng = np.random.default_rng(1)
    letters = list(rng.choice(list("ACGT"), 3000))
    for start in rng.choice(300, 60, replace=False) * 10:
        motif = MOTIFS[rng.integers(len(MOTIFS))]
        bases = list(motif.consensus.upper())
        bases[rng.integers(len(bases))] = "ACGT"[rng.integers(4)]
        if rng.integers(2):
            bases = [COMPLEMENT[b] for b in reversed(bases)]
        letters[start : start + len(bases)] = bases
    letters[500:520] = "N" * 20
    letters[1000] = "R"
    sequence = "".join(letters)
    found = find_sites(encode(sequence), MOTIFS)
    total = 0
    for motif in MOTIFS:
        expected = slow_sites(sequence, motif)
        assert_same_sites(as_rows(found[motif.name]), expected)
        total += len(expected)
    assert total > 30


@pytest.mark.parametrize("length", [0, 1, 10, 11, 12, 65_535, 65_536, 65_546, 131_073])
def test_sites_at_the_very_ends_and_across_chunks_are_found_once(length):
    codes = np.zeros(length, np.uint8)
    site = encode(MOTIF.consensus.upper())
    starts = {0, max(length - 11, 0), 65_530} if length >= 11 else set()
    placed = [start for start in sorted(starts) if start + 11 <= length]
    for start in placed:
        codes[start : start + 11] = site
    expected = [s + 5 for s in placed if (codes[s : s + 11] == site).all()]
    sites = find_sites(codes, [MOTIF])[MOTIF.name]
    assert sites.centre[sites.occupancy == 1].tolist() == expected


@pytest.mark.parametrize(
    "consensus", ["ACG", "aCgTACG", "ACGTACGTACGTA", "aGATAAGGcAgATAAGGcAgACc"]
)
def test_motifs_of_any_odd_width_are_searched(consensus, slow_sites):
    motif = Motif("ANY", consensus)
    rng = np.random.default_rng(2)
    sequence = "".join(rng.choice(list("ACGT"), 400)) + consensus.upper()
    found = as_rows(find_sites(encode(sequence), [motif])["ANY"])
    assert_same_sites(found, slow_sites(sequence, motif))
    assert (len(sequence) - len(consensus) + len(consensus) // 2, 1.0, True) in found


def test_a_site_that_touches_an_unknown_base_is_not_bound():
    codes = encode("TTT" + MOTIF.consensus.upper() + "TTT")
    assert len(find_sites(codes, [MOTIF])["TEST"].centre) == 1
    for position in range(3, 14):
        changed = codes.copy()
        changed[position] = 4
        assert len(find_sites(changed, [MOTIF])["TEST"].centre) == 0
    codes[[2, 14]] = 9
    assert len(find_sites(codes, [MOTIF])["TEST"].centre) == 1


def test_a_weak_position_costs_less_than_a_strong_one():
    # Tenths of a bit: 0.70 -> 15, 0.10 -> -13; 0.97 -> 20, 0.01 -> -46; 80 is the whole range.
    site = encode(MOTIF.consensus.upper())
    weak, strong = site.copy(), site.copy()
    weak[0], strong[1] = 1, 0
    occupancy = [find_sites(s, [MOTIF])["TEST"].occupancy.tolist() for s in (site, weak, strong)]
    np.testing.assert_allclose(occupancy, [[1], [1 - 28 / 80], [1 - 66 / 80]], rtol=1e-12)


def test_information_content_is_the_relative_entropy_to_a_uniform_background():
    # 8 x (2 - 0.2419) + 3 x (2 - 1.3568) bits, entropies of (.97, .01 x 3) and (.7, .1 x 3)
    assert MOTIF.information == pytest.approx(15.99, abs=0.01)
    np.testing.assert_allclose(MOTIF.probabilities.sum(axis=1), 1)


def test_an_even_width_is_refused():
    with pytest.raises(UsageError, match="motif X: width 4 is even"):
        Motif("X", "ACGT")


def test_other_letters_are_refused():
    with pytest.raises(UsageError, match="motif X: 'NR' in 'ARNGT'"):
        Motif("X", "ARNGT")
