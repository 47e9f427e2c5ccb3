"""Observed coverage: noise on the expected, and the files that hold it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfgen.io import write_table
from tfgen.synthetic.config import Chromosome
from tfgen.synthetic.grammar import BIN_SIZE, TRACKS

_CLIP = 384
"""Far above any coverage of this world; the table must name a limit."""


def observe(
    expected: NDArray[np.float32], depth: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draws Poisson(depth x expected) / depth.

    Args:
        expected: Mean coverage `[n_bins, n_tracks]`.
        depth: Reads per unit of coverage. The variance of the result is expected / depth.
        rng: Random numbers.

    Returns:
        Observed coverage `[n_bins, n_tracks]`.
    """
    reads = rng.poisson(depth * expected.astype(np.float64))
    return (reads / depth).astype(np.float32)


def write_bigwigs(
    folder: Path, chromosomes: tuple[Chromosome, ...], coverage: dict[str, NDArray[np.float32]]
) -> None:
    """Writes `<track>.bw` for every track, with a value for every bin of every chromosome.

    Args:
        folder: An existing folder.
        chromosomes: All chromosomes in the order of the FASTA.
        coverage: Chromosome name to observed coverage `[n_bins, n_tracks]`.
    """
    import pyBigWig

    for index, track in enumerate(TRACKS):
        file = pyBigWig.open(str(folder / f"{track.identifier}.bw"), "w")
        file.addHeader([(chromosome.name, chromosome.length) for chromosome in chromosomes])
        for chromosome in chromosomes:
            values = np.ascontiguousarray(coverage[chromosome.name][:, index], np.float64)
            file.addEntries(chromosome.name, 0, values=values, span=BIN_SIZE, step=BIN_SIZE)
        file.close()


def write_targets(path: Path) -> None:
    """Writes the table of tracks in the layout of basenji (calico/basenji).

    The files hold the coverage of a bin at each of its bases, so the mean over a bin is the
    coverage of that bin. `file` is relative to the folder of the table.
    """
    number = len(TRACKS)
    columns: dict[str, list[object]] = {
        "index": list(range(number)),
        "genome": [0] * number,
        "identifier": [track.identifier for track in TRACKS],
        "file": [f"coverage/{track.identifier}.bw" for track in TRACKS],
        "clip": [_CLIP] * number,
        "scale": [1] * number,
        "sum_stat": ["mean"] * number,
        "description": [track.description for track in TRACKS],
    }
    write_table(path, columns)
