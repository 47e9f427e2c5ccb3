"""A world on disk: how it is made and how it is read."""

import dataclasses
import json
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tfgen.errors import InputFormatError, UnsupportedInputError, UsageError
from tfgen.genome import Fasta
from tfgen.io import Progress, RunReport, new_directory, require_free_space, write_json, write_text
from tfgen.synthetic import grammar
from tfgen.synthetic.assembly import Assembled, FastaWriter, assemble
from tfgen.synthetic.config import Chromosome, Split, WorldConfig
from tfgen.synthetic.coverage import observe, write_bigwigs, write_targets
from tfgen.synthetic.effects import (
    TrueEffects,
    read_true_effects,
    true_effects,
    write_true_effects,
    write_vcf,
)
from tfgen.synthetic.grammar import TRACKS, Track
from tfgen.synthetic.truth import expected_coverage
from tfgen.synthetic.variants import WorldVariant, draw_variants

FORMAT_VERSION = 1

_BYTES_PER_BASE = 3


@dataclasses.dataclass(frozen=True)
class World:
    """A world in its directory.

    Attributes:
        directory: Where it is.
        config: What it was made from.
    """

    directory: Path
    config: WorldConfig

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Opens a directory made by `make_world`.

        Raises:
            InputFormatError: The directory has no readable `world.json`.
            UnsupportedInputError: The world was made by a version of tfgen with other laws.
        """
        path = directory / "world.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version, laws, config = (record[k] for k in ("format_version", "laws", "config"))
            config = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputFormatError(
                f"{path}: {type(error).__name__}: {error}; expected a world of world_make.py"
            ) from None
        if version != FORMAT_VERSION or laws != grammar.laws():
            raise UnsupportedInputError(
                f"{path}: format {version}, made by another version of tfgen with other laws; "
                f"expected format {FORMAT_VERSION} and today's laws; make the world anew"
            )
        return cls(directory, WorldConfig(**config))

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The coverage tracks, in the order of every track axis."""
        return TRACKS

    @property
    def fasta(self) -> Path:
        """Genome, bgzip FASTA with `.fai` and `.gzi`."""
        return self.directory / "genome.fa.gz"

    @property
    def variants(self) -> Path:
        """Variants, `.vcf.gz` with a tabix index; INFO has AF and CLASS."""
        return self.directory / "variants.vcf.gz"

    @property
    def targets(self) -> Path:
        """Table of the tracks in the layout of basenji."""
        return self.directory / "targets.txt"

    @property
    def elements(self) -> Path:
        """Planted, bound sites: BED with motif, 1000 x occupancy, strand."""
        return self.directory / "elements.bed"

    @property
    def truth(self) -> Path:
        """Table of true effects, rows in the order of `variants`."""
        return self.directory / "truth.tsv"

    def chromosomes(self, split: Split | None = None) -> tuple[Chromosome, ...]:
        """The chromosomes of one split, or all, in the order of the FASTA."""
        return tuple(c for c in self.config.layout if split in (None, c.split))

    def coverage(self, chromosome: str) -> NDArray[np.float32]:
        """Observed coverage `[n_bins, n_tracks]` of a chromosome, mapped from the disk, read-only.

        Bin b covers the bases 128 b to 128 b + 127 (0-based).

        Raises:
            UsageError: There is no such chromosome.
        """
        names = [c.name for c in self.config.layout]
        if chromosome not in names:
            raise UsageError(f"no chromosome {chromosome!r}; this world has {', '.join(names)}")
        path = self.directory / "coverage" / f"{chromosome}.npy"
        coverage: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        return coverage

    def true_effects(self) -> TrueEffects:
        """True effects of all variants, in the order of the VCF."""
        return read_true_effects(self.truth)


def make_world(
    config: WorldConfig, directory: Path, overwrite: bool = False, progress: str = "auto"
) -> World:
    """Makes a world in a new directory.

    The same configuration gives the same bytes with the same library versions, on any machine;
    only `run.json` differs.

    Args:
        config: What to make.
        directory: Where; it appears when the world is complete.
        overwrite: Replace an existing directory.
        progress: Mode of `tfgen.io.Progress`.

    Returns:
        The world, opened.

    Raises:
        OutputError: The directory exists or cannot be written.
        UsageError: A chromosome has no room for so many variants.
    """
    report = RunReport("world_make", dataclasses.asdict(config), seeds={"world": config.seed})
    n_bases = sum(chromosome.length for chromosome in config.layout)
    require_free_space(directory.parent, _BYTES_PER_BASE * n_bases, directory.name)
    with new_directory(directory, overwrite, kind="world.json") as partial:
        world = World(partial, config)
        with Progress(n_bases, "making the world", "bases", mode=progress) as shown:
            drawn = _write_genome(world, shown)
        with Fasta(world.fasta) as fasta:
            effects = true_effects(fasta, drawn, config)
        write_vcf(world.variants, config.layout, drawn)
        write_true_effects(world.truth, effects)
        write_targets(world.targets)
        description = {"config": dataclasses.asdict(config), "laws": grammar.laws()}
        write_json(partial / "world.json", {"format_version": FORMAT_VERSION, **description})
        report.results.update(n_bases=n_bases, n_variants=len(drawn))
        report.write(partial / "run.json")
    return World.open(directory)


def _write_genome(world: World, progress: Progress) -> list[WorldVariant]:
    """Writes everything that is made chromosome by chromosome; returns the variants."""
    config = world.config
    noise, dice = config.generators("noise"), config.generators("variants")
    folder = world.directory / "coverage"
    folder.mkdir()
    coverage: dict[str, NDArray[np.float32]] = {}
    drawn: list[WorldVariant] = []
    elements: list[tuple[str, int, int, str, int, str]] = []
    fasta = FastaWriter(world.fasta, config)
    for assembled in assemble(config):
        chromosome = assembled.chromosome
        fasta.add(chromosome.name, assembled.codes)
        expected = expected_coverage(assembled.codes)
        coverage[chromosome.name] = observe(expected, config.depth, noise[chromosome.name])
        np.save(folder / f"{chromosome.name}.npy", coverage[chromosome.name], allow_pickle=False)
        held_out = chromosome.split == "test"
        number = config.test_variants if held_out else config.other_variants
        drawn += draw_variants(assembled, number, config, dice[chromosome.name])
        elements += _bed_rows(assembled)
        progress.update(chromosome.length)
    fasta.finish()
    write_bigwigs(folder, config.layout, coverage)
    write_text(world.elements, "".join("\t".join(map(str, row)) + "\n" for row in elements))
    return drawn


def _bed_rows(assembled: Assembled) -> list[tuple[str, int, int, str, int, str]]:
    """Planted, bound sites of one chromosome as BED6, in order of position."""
    rows = set()
    for planted in assembled.planted:
        for start, forward, occupancy in zip(
            planted.start.tolist(),
            planted.forward.tolist(),
            planted.occupancy(assembled.codes).tolist(),
            strict=True,
        ):
            if occupancy > 0:
                end = start + planted.motif.width
                score = round(1000 * occupancy)
                strand = "+" if forward else "-"
                rows.add((assembled.chromosome.name, start, end, planted.motif.name, score, strand))
    return sorted(rows)
