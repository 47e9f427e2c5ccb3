"""A slow search for sites, and a tiny world."""

import math

import pytest

from tfgen.synthetic.config import WorldConfig
from tfgen.synthetic.motifs import FLOOR_BITS
from tfgen.synthetic.world import make_world

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}


def find_sites_slowly(sequence, motif):
    """(centre, occupancy, forward) of every bound site, one base at a time."""
    found = []
    for start in range(len(sequence) - len(motif.consensus) + 1):
        bases = sequence[start : start + len(motif.consensus)]
        if set(bases) - set("ACGT"):
            continue
        for forward in (True, False):
            read = bases if forward else "".join(COMPLEMENT[b] for b in reversed(bases))
            score = best = 0
            for letter, base in zip(motif.consensus, read, strict=True):
                chance = 0.97 if letter.isupper() else 0.7
                hit, miss = (round(10 * math.log2(p / 0.25)) for p in (chance, (1 - chance) / 3))
                score += hit if base == letter.upper() else miss
                best += hit
            occupancy = 1 - (best - score) / (10 * FLOOR_BITS)
            if occupancy > 0:
                found.append((start + len(motif.consensus) // 2, occupancy, forward))
    return found


@pytest.fixture(scope="session")
def slow_sites():
    """The search for sites as a loop over strings."""
    return find_sites_slowly


@pytest.fixture(scope="session")
def tiny_config():
    """Three chromosomes of 230 kb in all."""
    return WorldConfig(
        chromosomes=("chrA:64000:train", "chrB:127872:test", "chrC:38400:valid"),
        gap_length=1000,
        test_variants=200,
        other_variants=24,
        indel_fraction=0.2,
        mnv_fraction=0.1,
    )


@pytest.fixture(scope="session")
def tiny_world(tiny_config, tmp_path_factory):
    """The world of `tiny_config`; do not change its files."""
    return make_world(tiny_config, tmp_path_factory.mktemp("worlds") / "tiny", progress="none")
