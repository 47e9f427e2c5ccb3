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
from tfgen.errors import UsageError
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
from tfgen.prior.outputs.block_pieces import BlockPieces, partial_run
from tfgen.prior.outputs.calibration import (
    Enrichment,
    Group,
    enrichments,
    groups_by_f,
    normal_quantiles,
)
from tfgen.prior.outputs.eval_config import EvalConfig
from tfgen.prior.outputs.eval_tables import Key, write_blocks, write_deciles, write_enrichments
from tfgen.prior.outputs.eval_trait import TraitEvaluation, evaluate_trait
from tfgen.prior.outputs.held_out import CONSTANT, score_held_out, scored_blocks
from tfgen.prior.outputs.jackknife import block_groups
from tfgen.prior.outputs.trained_prior import FINAL, TrainedPrior
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import Trait, parse_traits, read_traits

EVAL_JSON = "eval.json"
"""The file by which a folder is known to be an evaluation."""

FORMAT_VERSION = "1.1"


@dataclass(frozen=True)
class EvalSummary:
    """What an evaluation found.

    Attributes:
        output: The folder.
        traits: The figures of every trait; blocks that were kept out of every fold have an entry
            of their own.
        n_resumed: Blocks that a former run had done.
        warnings: What the user should know.
    """

    output: Path
    traits: tuple[TraitEvaluation, ...]
    n_resumed: int
    warnings: tuple[str, ...]


def evaluate_prior(config: EvalConfig, command: str = "prior_eval") -> EvalSummary:
    """Evaluates a trained prior.

    What was found in blocks is kept in `OUTPUT.partial/`; a run that was killed goes on from there
    and ends with the same numbers.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        The figures.

    Raises:
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other.
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
        NumericalError: The likelihood of a block is not finite.
        OutputError: The output exists, is being written by another run, or was begun with other
            settings.
        UsageError: There is nothing to evaluate on, or settings contradict the inputs.
    """
    files = parse_traits(config.traits)
    refuse_overlap(config.output, [config.prior, config.ld, config.features, *files.values()])
    report = RunReport(command, dataclasses.asdict(config))
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(OutputLock(config.output))
        # Looked at before anything is computed.
        folder = stack.enter_context(new_directory(config.output, config.overwrite, EVAL_JSON))
        features = stack.enter_context(FeatureStore(config.features)) if config.features else None
        prior = TrainedPrior(config.prior, features, config.micro_batch)
        prior.trait_columns(list(files))
        store = stack.enter_context(LdStore(config.ld))
        traits = read_traits(store, files)
        source = DiskBlocks(
            store,
            features,
            traits,
            with_ld=True,
            cache_bytes=0,
            needs_frequency=prior.needs_frequency,
        )
        scored_blocks(prior, source.sizes, config.in_sample)
        inputs = {name: input_fingerprint(path) for name, path in files.items()}
        digests = {name: str(entry["sha256"]) for name, entry in inputs.items()}
        settings = {"in_sample": config.in_sample, "micro_batch": config.micro_batch}
        work = partial_run(config.output, prior, store, features, digests, settings)
        pieces = BlockPieces(source, work, config.overwrite)
        found = _evaluated(config, prior, store, source, traits, pieces, stop)
        lines = _warnings(config, prior, store, pieces.n_without_features, found)
        summary = EvalSummary(config.output, found, pieces.n_resumed, tuple(lines))
        names = features.annotation_names if features is not None else ()
        _write(folder, summary, names)
        attributes = {
            "in_sample": config.in_sample,
            "ld_digest": store.digest,
            "features_digest": features.digest if features is not None else "",
            "models": {name: card.digest for name, card in prior.cards.items()},
            "statistics": digests,
        }
        write_json(folder / EVAL_JSON, _json(attributes, summary))
        report.inputs = inputs
        report.results = {"warnings": list(summary.warnings), "resumed": summary.n_resumed}
        report.write(folder / "run.json")
    work.remove()
    return summary


def _evaluated(
    config: EvalConfig,
    prior: TrainedPrior,
    store: LdStore,
    source: DiskBlocks,
    traits: tuple[Trait, ...],
    pieces: BlockPieces,
    stop: StopRequest,
) -> tuple[TraitEvaluation, ...]:
    """The figures of every trait, those of a final test on their own."""
    with Progress(len(source.sizes), "evaluating", "blocks", mode=config.progress) as progress:

        def between_blocks() -> None:
            progress.update()
            stop.raise_if_requested()

        results = score_held_out(
            prior, store, source, traits, config.in_sample, between_blocks, pieces
        )
    for result in results:
        if not result.blocks:
            raise UsageError(
                f"{result.trait.name}: has no z-score in the blocks that are evaluated; leave it "
                "out of --traits"
            )
    return tuple(evaluate_trait(part) for result in results for part in result.by_test())


def _warnings(
    config: EvalConfig,
    prior: TrainedPrior,
    store: LdStore,
    n_without_features: int,
    traits: tuple[TraitEvaluation, ...],
) -> list[str]:
    lines = list(prior.warnings)
    if store.digest != prior.index.ld_digest:
        lines.append(f"{store.path}: is not the LD that the prior was trained on")
    if config.in_sample:
        lines.append("in sample: the prior was fitted to these blocks, gains are too large")
    if n_without_features and prior.needs_features:
        lines.append(f"{n_without_features} variants have no features; they count as missing")
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
        "traits": {t.name: t.to_json() for t in summary.traits if t.test != FINAL},
        "final_test": {t.name: t.to_json() for t in summary.traits if t.test == FINAL},
        "warnings": list(summary.warnings),
    }


def _write(folder: Path, summary: EvalSummary, annotations: tuple[str, ...]) -> None:
    """Writes tables and figures."""
    groups: dict[Key, list[Group]] = {}
    enriched: dict[Key, list[Enrichment]] = {}
    for trait in summary.traits:
        blocks = trait.result.blocks
        deleted = block_groups([block.block for block in blocks])
        key = trait.name, trait.test
        groups[key] = groups_by_f([block.observed for block in blocks], deleted)
        enriched[key] = enrichments(annotations, [b.enrichment for b in blocks], deleted)
    write_blocks(folder / "blocks.tsv", [trait.result for trait in summary.traits])
    write_deciles(folder / "deciles.tsv", groups)
    write_enrichments(folder / "enrichment.tsv", enriched)
    if not importlib.util.find_spec("matplotlib"):
        return
    save_figure(gains(_gain_points(summary)), folder / "gain.png")
    points = [_calibration_points(t, groups[t.name, t.test]) for t in summary.traits]
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
        points.append(GainPoints(trait.label, rows, blocks))
    return points


def _calibration_points(trait: TraitEvaluation, groups: list[Group]) -> CalibrationPoints:
    blocks = trait.result.blocks
    expected, observed = normal_quantiles(np.concatenate([block.residuals for block in blocks]))
    return CalibrationPoints(
        trait=trait.label,
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
