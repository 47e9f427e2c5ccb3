"""The written laws of the world, against each other and against their purpose."""

import json

import numpy as np

from tfgen.genome import encode, reverse_complement
from tfgen.synthetic import grammar
from tfgen.synthetic.motifs import find_sites


def test_the_reach_is_1029_bases():
    # 832 from enhancer to promoter, 192 from there to a bin, 5 from a base to the site's centre.
    assert grammar.REACH == 1029


def test_every_motif_has_a_class():
    assert set(grammar.CLASSES) == {motif.name for motif in grammar.MOTIFS}


def test_motifs_hold_14_to_18_bits_so_that_chance_sites_are_rare():
    assert all(14 < motif.information < 18 for motif in grammar.MOTIFS)


def test_a_consensus_is_a_site_of_its_own_motif_on_one_strand_only():
    for motif in grammar.MOTIFS:
        site = motif.consensus.upper()
        assert site != reverse_complement(site)
        found = find_sites(encode(site), grammar.MOTIFS)
        sizes = {name: len(sites.centre) for name, sites in found.items()}
        assert sizes == {m.name: int(m is motif) for m in grammar.MOTIFS}


def test_tracks_differ_in_every_pair_of_responses():
    gains = np.array(
        [
            [t.activator_1, t.activator_2, t.promoter, t.distal, t.enhancer, t.pair, t.repression]
            for t in grammar.TRACKS
        ]
    )
    assert len(np.unique(gains, axis=0)) == len(grammar.TRACKS)
    assert (gains >= 0).all()
    assert len({track.identifier for track in grammar.TRACKS}) == len(grammar.TRACKS)


def test_laws_survive_json():
    laws = grammar.laws()
    assert json.loads(json.dumps(laws)) == laws
    assert laws["motifs"]["ENH"] == "aTGCCAACtGg"
