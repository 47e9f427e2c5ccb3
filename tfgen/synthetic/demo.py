"""The demo: a world, a model trained on it, and held-out variants scored and compared.

Every part is the one that users of real data call: `make_world` stands for their data,
`tfgen.enformer.training` trains, `export_saved_model` exports and `score_variants` scores.
"""

import dataclasses
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.effects import ScoreStore, ScoreSummary, ScoringConfig, score_variants
from tfgen.effects.engine import load_engine
from tfgen.enformer.evaluation import Predictor, evaluate
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import tiled_batches
from tfgen.enformer.saved_model import export_saved_model
from tfgen.errors import OutputError
from tfgen.io import OutputLock, RunReport, write_json
from tfgen.plots.style import new_figure
from tfgen.synthetic.demo_config import DemoConfig
from tfgen.synthetic.demo_report import DemoReport
from tfgen.synthetic.effects import TrueEffects, write_vcf
from tfgen.synthetic.figures import FIGURES, Comparison, draw_figures
from tfgen.synthetic.recipe import (
    HEAD,
    contigs,
    demo_architecture,
    demo_training,
    fit,
    new_model,
    training_data,
)
from tfgen.synthetic.scorecard import score_card, select
from tfgen.synthetic.variants import WorldVariant
from tfgen.synthetic.world import World, make_world

_REPORT = "report.json"
_DIRECTORIES = ("model", "training", "untrained", "world")
_FILES = (
    _REPORT,
    "run.json",
    *FIGURES,
    "scores.h5",
    "scores.h5.run.json",
    "scores.h5.rejects.tsv",
    "held_out.vcf.gz",
    "held_out.vcf.gz.tbi",
)
_VERIFIED = 0.05


def run_demo(config: DemoConfig) -> DemoReport:
    """Makes a world, trains a model on it, scores held-out variants and compares.

    The folder then holds `world/`, `training/` (log and checkpoint), `model/` and
    `untrained/model/` (SavedModels), `held_out.vcf.gz`, `scores.h5` and `untrained/scores.h5`
    with their reports, the figures, `run.json` and, written last, `report.json`.

    Args:
        config: What to do.

    Returns:
        What is in `report.json`, and the files.

    Raises:
        OutputError: The folder is not empty, or cannot be written.
        UsageError: matplotlib is not installed.
        InterruptedRunError: SIGINT or SIGTERM.
    """
    new_figure(1, 1)  # matplotlib is missed now, not after the training
    folder = config.output
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not config.overwrite:
        raise OutputError(f"{folder}: is not empty; choose another output or pass --overwrite")
    with OutputLock(folder / _REPORT):
        _remove_former(folder)
        report = _Demo(config).run()
        write_json(folder / _REPORT, report.to_json())
    return report


def _remove_former(folder: Path) -> None:
    """Removes a former demo, and nothing else."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    for name in _DIRECTORIES:
        shutil.rmtree(folder / name, ignore_errors=True)


class _Demo:
    """The parts of the demo and their wall times."""

    def __init__(self, config: DemoConfig) -> None:
        self._config = config
        self._folder = config.output
        self._seconds: dict[str, float] = {}

    def run(self) -> DemoReport:
        """Does everything but `report.json`."""
        config, folder = self._config, self._folder
        flags = dataclasses.asdict(config)
        record = RunReport("world_demo", flags, seeds={"demo": config.seed})
        with self._timed("total"):
            with self._timed("setup"):
                world = make_world(config.world, folder / "world", progress=config.progress)
                data = training_data(world)
                architecture = demo_architecture(world, config.channels)
                model = new_model(architecture, data, config.seed)
                truth = _held_out(world, folder / "held_out.vcf.gz")
            before, _ = self._scored(model, world, folder / "untrained", "score_untrained")
            recipe = demo_training(config.training_steps, config.seed, config.batch_size)
            with self._timed("train"):
                fit(model, data, recipe, folder / "training", config.progress)
            after, summary = self._scored(model, world, folder, "score")
            comparison = Comparison(
                after, truth, score_card(after, truth), score_card(before, truth)
            )
            with self._timed("figures"):
                predict = Predictor(model, HEAD, data.one_hot_table)
                tiles = tiled_batches(contigs(world, "test"), architecture, recipe.batch_size)
                prediction = evaluate(predict, tiles)
                draw_figures(folder, world, comparison, predict, folder / "training" / "log.csv")
        report = DemoReport(
            trained=comparison.trained,
            untrained=comparison.untrained,
            prediction_r=dict(zip(data.tracks, prediction.r.tolist(), strict=True)),
            seconds=self._seconds,
            self_check_max_abs=summary.check.largest,
            settings={
                "n_parameters": _n_parameters(model),
                "steps": recipe.steps,
                "seed": config.seed,
                "quick": config.quick,
            },
        )
        record.results = report.to_json()
        record.write(folder / "run.json")
        return report

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._seconds[part] = time.monotonic() - started

    def _scored(
        self, model: Enformer, world: World, folder: Path, part: str
    ) -> tuple[npt.NDArray[np.float64], ScoreSummary]:
        """Exports a model and scores the held-out variants with it: SAD `[variants, tracks]`."""
        config = self._config
        with self._timed(part):
            export_saved_model(
                model,
                folder / "model",
                targets={HEAD: world.targets},
                contig_lengths={c.name: c.length for c in world.chromosomes()},
                source="the demo: a small model of a synthetic world",
            )
            scoring = ScoringConfig(
                model=folder / "model",
                fasta=world.fasta,
                vcf=self._folder / "held_out.vcf.gz",
                output=folder / "scores.h5",
                verify_fraction=_VERIFIED,
                progress=config.progress,
            )
            summary = score_variants(scoring, load_engine)
            with ScoreStore(scoring.output) as store:
                return store.scores("SAD").astype(np.float64), summary


def _held_out(world: World, path: Path) -> TrueEffects:
    """Writes the variants of the test chromosomes to a VCF; returns their true effects."""
    everything = world.true_effects()
    truth = select(everything, everything.split == "test")
    rows = zip(truth.variants, truth.variant_class.tolist(), truth.frequency.tolist(), strict=True)
    write_vcf(path, world.chromosomes(), [WorldVariant(*row) for row in rows])
    return truth


def _n_parameters(model: Enformer) -> int:
    return sum(int(np.prod(variable.shape.as_list())) for variable in model.trainable_variables)
