"""A synthetic GWAS on disk: a small world in which the prior of every effect is known.

People are mosaics of founder haplotypes; log f depends on the scores of a sequence model, on peaks
and on allele frequency; z-scores are drawn from N(R b, sigma R) with the LD of the people.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from tfgen.errors import InputFormatError, UnsupportedInputError
from tfgen.io import Progress, RunReport, new_directory, require_free_space, write_json
from tfgen.prior.heads.head_config import FeatureShape
from tfgen.prior.simulation.truth_table import TruthTable, read_truth, write_truth
from tfgen.prior.simulation.truths import TruthSpec, fit_truth
from tfgen.synthetic.gwas_chromosome import FEATURES, Chromosome, draw_chromosome, draw_z
from tfgen.synthetic.gwas_config import GwasConfig
from tfgen.synthetic.gwas_files import (
    concatenated,
    write_annotations,
    write_intervals,
    write_panel,
    write_scores,
    write_signal,
    write_statistics,
)

FORMAT_VERSION = 1
BUILD = "synthetic"

_INDEX = "world.json"
_BYTES_PER_VARIANT = 2_000
_TRUTHS: dict[str, dict[str, Any]] = {
    "linear": {"features": ("sad", "peak"), "values": (0.8, 0.6)},
    "ushape": {"features": ("conserved", "sad", "signal"), "values": (1.0, 0.7)},
}
_COLUMNS = {
    "sad": "enformer.SAD:0:track0",
    "peak": "peaks",
    "conserved": "baseline.conserved",
    "signal": "signal:0",
}


@dataclass(frozen=True)
class GwasWorld:
    """A synthetic GWAS in its directory.

    Attributes:
        directory: Where it is.
        config: What it was made from.
    """

    directory: Path
    config: GwasConfig

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Opens a directory made by `make_gwas_world`.

        Raises:
            InputFormatError: The directory has no readable `world.json`.
            UnsupportedInputError: It was made by another version of tfgen.
        """
        path = directory / _INDEX
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version, config = record["format_version"], dict(record["config"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputFormatError(
                f"{path}: {type(error).__name__}: {error}; expected a world of world_gwas.py"
            ) from None
        names = {field.name for field in dataclasses.fields(GwasConfig)}
        if version != FORMAT_VERSION or set(config) != names:
            raise UnsupportedInputError(
                f"{path}: format {version}, made by another version of tfgen; expected format "
                f"{FORMAT_VERSION}; make the world anew"
            )
        return cls(directory, GwasConfig(**config))

    @property
    def panel(self) -> Path:
        """Name of the PLINK files .bed, .bim and .fam without their endings."""
        return self.directory / "panel"

    @property
    def statistics(self) -> Path:
        """Summary statistics in the format of fastGWA."""
        return self.directory / "gwas.fastGWA.gz"

    @property
    def blocks(self) -> Path:
        """LD blocks, BED."""
        return self.directory / "blocks.bed"

    @property
    def annotations(self) -> Path:
        """Annotations in the format of LDSC; `@` stands for the chromosome."""
        return self.directory / "annot.@.annot.gz"

    @property
    def peaks(self) -> Path:
        """Peaks, BED."""
        return self.directory / "peaks.bed"

    @property
    def signal(self) -> Path:
        """Signal track, bigWig."""
        return self.directory / "signal.bw"

    @property
    def scores(self) -> Path:
        """Score store, as `variants_score.py` writes it."""
        return self.directory / "scores.h5"

    @property
    def truth(self) -> Path:
        """Table of log f, effects and alleles of the panel's variants."""
        return self.directory / "truth.tsv.gz"

    def read_truth(self) -> TruthTable:
        """Log f and effect of every variant, in the order of the panel."""
        return read_truth(self.truth)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """What to run in the directory, in order: program and flags."""
        in_sample = self.config.n_panel == self.config.people
        folds = "chrom" if self.config.chromosomes > 1 else "blocks:2"
        inputs = ("--ld=ld", "--traits=gwas=gwas.tsv.gz", "--features=features.h5")
        return (
            ("prior_munge.py", "--input=gwas.fastGWA.gz", "--panel=panel.bim",
             "--output=gwas.tsv.gz"),
            ("prior_build_ld.py", "--bed=panel", "--blocks=bed", "--block_file=blocks.bed",
             f"--build={BUILD}", f"--var_kept={1 if in_sample else 0.9}", "--output=ld"),
            ("prior_features.py", "--variants=ld", "--annot=baseline=annot.@.annot.gz",
             "--bed=peaks=peaks.bed", "--bigwig=signal=signal.bw", "--scores=enformer=scores.h5",
             "--maf", f"--build={BUILD}", "--output=features.h5"),
            ("prior_train.py", *inputs, "--arch=linear", f"--folds={folds}",
             "--learning_rate=0.02", "--epochs=200", "--output=prior"),
            ("prior_eval.py", "--prior=prior", *inputs, "--output=evaluation"),
            ("prior_posterior.py", "--prior=prior", *inputs, "--output=posterior.tsv.gz"),
        )  # fmt: skip


def make_gwas_world(
    config: GwasConfig, directory: Path, overwrite: bool = False, progress: str = "auto"
) -> GwasWorld:
    """Makes a synthetic GWAS in a new directory.

    The same configuration gives the same bytes with the same library versions, on processors of
    the same kind; only `run.json` differs.

    Args:
        config: What to make.
        directory: Where; it appears when the world is complete.
        overwrite: Replace an existing world.
        progress: Mode of `tfgen.io.Progress`.

    Returns:
        The world, opened.

    Raises:
        OutputError: The directory exists or cannot be written.
        UsageError: People or founders are too few, or the package bed-reader is missing.
    """
    report = RunReport("world_gwas", dataclasses.asdict(config), seeds={"world": config.seed})
    n_variants = config.chromosomes * config.variants
    n_bytes = n_variants * (_BYTES_PER_VARIANT + config.people // 4 + 4 * config.tracks)
    require_free_space(directory.absolute().parent, n_bytes, directory.name)
    with new_directory(directory, overwrite, kind=_INDEX) as partial:
        world = GwasWorld(partial, config)
        drawn = []
        with Progress(config.chromosomes, "drawing", "chromosomes", mode=progress) as shown:
            for index in range(config.chromosomes):
                drawn.append(draw_chromosome(config, index))
                shown.update()
        truth, numbers = _effects(config, drawn)
        _write(world, drawn, truth)
        write_json(partial / _INDEX, _description(world, numbers))
        report.results.update(n_variants=n_variants, mean_f=float(np.exp(truth.logf).mean()))
        report.write(partial / "run.json")
    return GwasWorld.open(directory)


def _effects(config: GwasConfig, drawn: Sequence[Chromosome]) -> tuple[TruthTable, dict[str, Any]]:
    """Log f and effects of all variants, and the numbers of the truth."""
    variants = concatenated([chromosome.variants for chromosome in drawn])
    observed = np.ones(len(variants), bool)
    if config.truth == "null":
        none = np.full(len(variants), -np.inf)
        return TruthTable(variants, none, np.zeros(len(variants)), observed), {"kind": "null"}
    spec = TruthSpec(
        kind=config.truth,
        sd=config.sd,
        mean_f=config.mean_f,
        freq_exponent=config.freq_exponent,
        **_TRUTHS[config.truth],
    )
    batches = [chromosome.features for chromosome in drawn]
    truth = fit_truth(spec, FeatureShape(FEATURES), batches)
    logf = [truth.log_f(x.annotations, x.frequency) for x in batches]
    b = [
        np.exp(0.5 * values) * rng.standard_normal(len(values))
        for values, rng in zip(logf, config.generators("effects"), strict=True)
    ]
    numbers = dict(truth.description)
    numbers["columns"] = [_COLUMNS[name] for name in numbers["features"]]
    return TruthTable(variants, np.concatenate(logf), np.concatenate(b), observed), numbers


def _write(world: GwasWorld, drawn: Sequence[Chromosome], truth: TruthTable) -> None:
    """Writes everything but `world.json`."""
    config = world.config
    z, start = [], 0
    for chromosome, rng in zip(drawn, config.generators("noise"), strict=True):
        rows = slice(start, start + len(chromosome.variants))
        start = rows.stop
        z.append(draw_z(chromosome, truth.b[rows], config.sigma, rng))
    write_panel(world.panel, drawn, config.n_panel)
    write_statistics(world.statistics, drawn, z, config.n, config.generators("file"))
    write_annotations(world.directory, drawn)
    write_intervals(world.peaks, world.blocks, drawn)
    write_signal(world.signal, drawn)
    write_scores(world.scores, drawn)
    write_truth(world.truth, truth)


def _description(world: GwasWorld, numbers: dict[str, Any]) -> dict[str, Any]:
    """What `world.json` says."""
    files = {
        "panel.bed": "genotypes of the panel, with .bim and .fam (PLINK)",
        "gwas.fastGWA.gz": "summary statistics (fastGWA)",
        "blocks.bed": "LD blocks",
        "annot.@.annot.gz": "annotations (LDSC), @ is the chromosome",
        "peaks.bed": "peaks",
        "signal.bw": "signal (bigWig)",
        "scores.h5": "scores of a sequence model (score store)",
        "truth.tsv.gz": "log f and effect of every variant on the z scale",
    }
    return {
        "format_version": FORMAT_VERSION,
        "build": BUILD,
        "config": dataclasses.asdict(world.config),
        "files": files,
        "truth": numbers,
        "commands": [" ".join(command) for command in world.commands],
    }
