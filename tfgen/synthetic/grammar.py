"""The laws of the synthetic genome: motifs, tracks, and how strongly one acts on the other.

The sequences and numbers are invented. Their form is the usual thermodynamic one: bound activators
multiply transcription, bound repressors divide it (Bintu et al. 2005,
doi:10.1016/j.gde.2005.02.007).
"""

import dataclasses

from tfgen.synthetic.motifs import FLOOR_BITS, Motif

BIN_SIZE = 128
"""Bases per bin of coverage."""

ACTIVATOR_1 = Motif("ACT1", "aGATAAGGcAg")
ACTIVATOR_2 = Motif("ACT2", "gACAGGAAgTa")
PROMOTER = Motif("PROM", "tATAAAaGGCg")
ENHANCER = Motif("ENH", "aTGCCAACtGg")
REPRESSOR = Motif("REP", "cAGCACCTtGg")
PAIR_LEFT = Motif("PAIRL", "tTGTTTACtCa")
PAIR_RIGHT = Motif("PAIRR", "gATTAGCATct")

MOTIFS = (ACTIVATOR_1, ACTIVATOR_2, PROMOTER, ENHANCER, REPRESSOR, PAIR_LEFT, PAIR_RIGHT)

CLASSES = {
    ACTIVATOR_1.name: "activator",
    ACTIVATOR_2.name: "activator",
    PROMOTER.name: "activator",
    ENHANCER.name: "distal",
    REPRESSOR.name: "repressor",
    PAIR_LEFT.name: "pair",
    PAIR_RIGHT.name: "pair",
}
"""Class of a variant by the motif that it lies in; outside motifs it is `elsewhere`."""

SPREAD = 192
"""Distance in bases from a site at which its weight on a bin, 1 - (d / SPREAD)^2, ends."""

PAIR_REACH = 40
"""Largest distance in bases between the centres of two cooperating sites."""

DISTAL_REACH = 832
"""Distance in bases at which the weight of an enhancer on a promoter, 1 - (d / R)^2, ends."""

REACH = DISTAL_REACH + SPREAD + max(motif.width for motif in MOTIFS) // 2
"""A base acts only on bins whose centre (128 b + 63.5) is less than this many bases away."""


@dataclasses.dataclass(frozen=True)
class Track:
    """One coverage track and what moves it.

    Expected coverage of a bin is `base` times (1 + gain x site weight) for each activating term,
    divided by (1 + repression x site weight).

    Attributes:
        identifier: Unique short name.
        description: Assay and cell, as `ASSAY:cell`.
        base: Coverage of a bin without any site.
        activator_1: Gain of an ACT1 site.
        activator_2: Gain of an ACT2 site.
        promoter: Gain of a PROM site.
        distal: Factor by which one ENH site close to a promoter adds to that promoter's gain.
        enhancer: Gain of an ENH site at its own place.
        pair: Gain of a PAIRL site with a PAIRR site within `PAIR_REACH`; alone they do nothing.
        repression: Strength of a REP site.
    """

    identifier: str
    description: str
    base: float
    activator_1: float
    activator_2: float
    promoter: float
    distal: float
    enhancer: float
    pair: float
    repression: float


TRACKS = (
    Track("dnase_alpha", "DNASE:alpha", 1.0, 4.0, 1.0, 2.0, 0.0, 3.0, 7.0, 3.0),
    Track("atac_beta", "ATAC:beta", 1.0, 1.0, 4.0, 2.0, 0.0, 3.0, 6.0, 3.0),
    Track("cage_alpha", "CAGE:alpha", 0.8, 3.0, 0.0, 3.0, 1.5, 0.0, 8.0, 4.0),
    Track("cage_beta", "CAGE:beta", 0.8, 0.0, 3.0, 3.0, 2.0, 0.0, 6.0, 5.0),
)


def laws() -> dict[str, object]:
    """Everything above that decides coverage, in the types of JSON."""
    return {
        "bin_size": BIN_SIZE,
        "distal_reach": DISTAL_REACH,
        "floor_bits": FLOOR_BITS,
        "motifs": {motif.name: motif.consensus for motif in MOTIFS},
        "pair_reach": PAIR_REACH,
        "spread": SPREAD,
        "tracks": [dataclasses.asdict(track) for track in TRACKS],
    }
