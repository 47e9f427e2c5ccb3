"""Evaluates a trained prior on blocks that it never saw: what it gains, and whether it is right.

The output folder holds `eval.json`, the tables `blocks.tsv`, `deciles.tsv` and `enrichment.tsv`,
`run.json` and, with matplotlib, `gain.png` and `calibration.png`. See docs/prior-outputs.md.
"""

import dataclasses
import importlib.util
import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfgen import __version__
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    input_fingerprint,
    new_directory,
    refuse_overlap,
    write_json,
)
from tfgen.plots.prior_evaluation import CalibrationPoints, GainPoints, calibration, gains
from tfgen.plots.style import save_figure
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.calibration import Group, enrichments, groups_by_f, normal_quantiles
from tfgen.prior.outputs.eval_config import EvalConfig
from tfgen.prior.outputs.eval_tables import write_blocks, write_deciles, write_enrichments
from tfgen.prior.outputs.eval_trait import TraitEvaluation, evaluate_trait
from tfgen.prior.outputs.held_out import CONSTANT, score_held_out, scored_blocks
from tfgen.prior.outputs.trained_prior import TrainedPrior
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import parse_traits, read_traits

EVAL_JSON = "eval.json"
"""The file by which a folder is known to be an evaluation."""

FORMAT_VERSION = "1.0"


@dataclass(frozen=True)
class EvalSummary:
    """What an evaluation found.

    Attributes:
        output: The folder.
        traits: The figures of every trait.
        warnings: What the user should know.
    """

    output: Path
    traits: tuple[TraitEvaluation, ...]
    warnings: tuple[str, ...]


def evaluate_prior(config: EvalConfig, command: str = "prior_eval") -> EvalSummary:
    """Evaluates a trained prior.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        The figures.

    Raises:
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other.
        InterruptedRunError: SIGINT or SIGTERM; nothing was written.
        OutputError: The output exists, or is being written by another run.
        UsageError: There is nothing to evaluate on, or settings contradict the inputs.
    """
    files = parse_traits(config.traits)
    refuse_overlap(config.output, [config.prior, config.ld, config.features, *files.values()])
    report = RunReport(command, dataclasses.asdict(config))
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(OutputLock(config.output))
        folder = stack.enter_context(new_directory(config.output, config.overwrite, EVAL_JSON))
        features = stack.enter_context(FeatureStore(config.features)) if config.features else None
        prior = TrainedPrior(config.prior, features, config.micro_batch)
        prior.trait_columns(list(files))
        store = stack.enter_context(LdStore(config.ld))
        traits = read_traits(store, files)
        source = DiskBlocks(store, features, traits, with_ld=True, cache_bytes=0)
        scored_blocks(prior, source.sizes, config.in_sample)
        inputs = {name: input_fingerprint(path) for name, path in files.items()}
        with Progress(len(source.sizes), "evaluating", "blocks", mode=config.progress) as progress:

            def between_blocks() -> None:
                progress.update()
                stop.raise_if_requested()

            results = score_held_out(prior, store, source, traits, config.in_sample, between_blocks)
        found = tuple(evaluate_trait(result) for result in results)
        summary = EvalSummary(
            config.output, found, tuple(_warnings(config, prior, store, source, found))
        )
        names = features.annotation_names if features is not None else ()
        _write(folder, summary, names)
        digests = {name: entry["sha256"] for name, entry in inputs.items()}
        digest = features.digest if features is not None else ""
        attributes = {
            "in_sample": config.in_sample,
            "ld_digest": store.digest,
            "features_digest": digest,
            "models": {name: card.digest for name, card in prior.cards.items()},
            "statistics": digests,
        }
        write_json(folder / EVAL_JSON, _json(attributes, summary))
        report.inputs = inputs
        report.results = {"warnings": list(summary.warnings)}
        report.write(folder / "run.json")
    return summary


def _warnings(
    config: EvalConfig,
    prior: TrainedPrior,
    store: LdStore,
    source: DiskBlocks,
    traits: tuple[TraitEvaluation, ...],
) -> list[str]:
    lines = list(prior.warnings)
    if store.digest != prior.index.ld_digest:
        lines.append(f"{store.path}: is not the LD that the prior was trained on")
    if config.in_sample:
        lines.append("in sample: the prior was fitted to these blocks, gains are too large")
    if source.n_without_features and prior.needs_features:
        lines.append(
            f"{source.n_without_features} variants have no features; they count as missing"
        )
    for trait in traits:
        if trait.is_mismatch:
            lines.append(trait.mismatch_text())
    return lines


def _json(attributes: dict[str, Any], summary: EvalSummary) -> dict[str, Any]:
    """Everything that determined the numbers, and the numbers."""
    return {
        "format_version": FORMAT_VERSION,
        "tfgen": __version__,
        **attributes,
        "traits": {trait.name: trait.to_json() for trait in summary.traits},
        "warnings": list(summary.warnings),
    }


def _write(folder: Path, summary: EvalSummary, annotations: tuple[str, ...]) -> None:
    """Writes tables and figures."""
    results = [trait.result for trait in summary.traits]
    groups: dict[str, list[Group]] = {
        result.trait.name: groups_by_f([block.observed for block in result.blocks])
        for result in results
    }
    write_blocks(folder / "blocks.tsv", results)
    write_deciles(folder / "deciles.tsv", groups)
    write_enrichments(
        folder / "enrichment.tsv",
        {
            result.trait.name: enrichments(annotations, [b.enrichment for b in result.blocks])
            for result in results
        },
    )
    if not importlib.util.find_spec("matplotlib"):
        return
    save_figure(gains(_gain_points(summary)), folder / "gain.png")
    points = [_calibration_points(trait, groups[trait.name]) for trait in summary.traits]
    save_figure(calibration(points), folder / "calibration.png")


def _gain_points(summary: EvalSummary) -> list[GainPoints]:
    points = []
    for trait in summary.traits:
        rows = [
            (gain.baseline, gain.per_1000.estimate, gain.per_1000.low, gain.per_1000.high)
            for gain in trait.gains
        ]
        blocks = [
            1000 * (b.baselines[CONSTANT] - b.nll) / b.n_observed for b in trait.result.blocks
        ]
        points.append(GainPoints(trait.name, rows, blocks))
    return points


def _calibration_points(trait: TraitEvaluation, groups: list[Group]) -> CalibrationPoints:
    blocks = trait.result.blocks
    expected, observed = normal_quantiles(np.concatenate([block.residuals for block in blocks]))
    return CalibrationPoints(
        trait=trait.name,
        normal=expected.tolist(),
        residuals=observed.tolist(),
        k=[block.k for block in blocks],
        mahalanobis_per_k=[block.mahalanobis / block.k for block in blocks],
        mean_f=[group.mean_f for group in groups],
        z_ratio=[(group.z_ratio, _finite(group.z_ratio_se)) for group in groups],
        em_ratio=[(group.em_ratio, _finite(group.em_ratio_se)) for group in groups],
    )


def _finite(se: float) -> float:
    return 0.0 if math.isnan(se) else se
