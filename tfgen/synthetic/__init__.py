"""Small worlds whose truth is known, for demos, tests and calibration.

A world is a genome with planted motifs, coverage that follows from its sequence by fixed laws,
and variants whose effect on every track is therefore known without noise.
"""

from tfgen.synthetic.config import Chromosome, WorldConfig
from tfgen.synthetic.coverage import observe
from tfgen.synthetic.effects import TrueEffects, true_sad
from tfgen.synthetic.grammar import BIN_SIZE, CLASSES, MOTIFS, TRACKS, Track
from tfgen.synthetic.motifs import Motif, find_sites
from tfgen.synthetic.truth import expected_coverage, site_weights, track_coverage
from tfgen.synthetic.variants import VARIANT_CLASSES
from tfgen.synthetic.world import World, make_world

__all__ = [
    "BIN_SIZE",
    "CLASSES",
    "MOTIFS",
    "TRACKS",
    "VARIANT_CLASSES",
    "Chromosome",
    "Motif",
    "Track",
    "TrueEffects",
    "World",
    "WorldConfig",
    "expected_coverage",
    "find_sites",
    "make_world",
    "observe",
    "site_weights",
    "track_coverage",
    "true_sad",
]
