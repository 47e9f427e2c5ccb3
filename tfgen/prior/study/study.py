"""The study of when larger priors help: simulations on a real panel, fits, claims with intervals.

The output folder holds `results.tsv` (every fit), `gains.tsv`, `claims.tsv`, `report.txt`,
`run.json` and, with matplotlib, `study.png`.
"""

import dataclasses
import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfgen.genome.plink import plink_files
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    input_fingerprint,
    library_versions,
    new_directory,
    refuse_overlap,
    write_text,
)
from tfgen.io.work import WorkFolder
from tfgen.plots.prior_study import prior_study_gains
from tfgen.plots.style import save_figure
from tfgen.prior.ld.build_ld import build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.study.study_config import StudyConfig
from tfgen.prior.study.study_records import Records, StudyResults, keys
from tfgen.prior.study.study_report import (
    Finding,
    find_claims,
    find_gains,
    report_text,
    write_tables,
)
from tfgen.prior.study.study_workers import StudyWork, run_here, run_workers

RESULTS = "results.tsv"
"""The file by which a folder is known to be a study."""


@dataclass(frozen=True)
class StudySummary:
    """What a study came to.

    Attributes:
        output: The folder.
        gains: Gain of every model over the best constant.
        claims: The paired differences.
        text: The same in words.
        n_fits: Fits.
        n_resumed: Those that an earlier, interrupted run had made.
        n_diverged: Those that diverged at their learning rate.
    """

    output: Path
    gains: tuple[Finding, ...]
    claims: tuple[Finding, ...]
    text: str
    n_fits: int
    n_resumed: int
    n_diverged: int


def run_study(config: StudyConfig, command: str = "prior_study") -> StudySummary:
    """Runs a study.

    Every finished fit is kept in `OUTPUT.partial/`; a run that was killed goes on from there, to
    the same tables, byte for byte.

    Args:
        config: The settings.
        command: Name for the run report.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; what was done is kept.
        InputFormatError: An input cannot be parsed.
        InputMismatchError: Inputs contradict each other, or the blocks of `ld` overlap.
        NumericalError: LD that is not positive semi-definite, or a likelihood that is not finite.
        OutputError: The output exists, is being written by another run, or was begun with other
            settings.
        UsageError: Settings contradict the inputs.
    """
    report = RunReport(command, dataclasses.asdict(config))
    config = config.effective
    report.seeds = {"first": 0, "last": config.seeds - 1}
    genotypes = plink_files(config.bed, config.bim, config.fam) if config.bed else ()
    inputs = [path for path in (*genotypes, config.block_file, config.ld) if path]
    refuse_overlap(config.output, inputs)
    config.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with OutputLock(config.output), StopRequest() as stop:
        if config.output.exists() and not config.overwrite:
            with new_directory(config.output, kind=RESULTS):
                pass  # raises
        report.inputs = {path.name: input_fingerprint(path) for path in inputs}
        work = WorkFolder(config.output, _attributes(config, inputs, report))
        work.take_up(config.overwrite)
        ld = config.ld or _build_ld(config, work.folder / "ld")
        records = Records(work.folder)
        n_resumed = records.count(config)
        _make_fits(config, StudyWork(config, ld, work.folder), n_resumed, stop.raise_if_requested)
        results = StudyResults.read(config, records)
        return _publish(results, work, report, n_resumed)


def _attributes(config: StudyConfig, inputs: list[Path], report: RunReport) -> dict[str, object]:
    """Everything that determines the results."""
    if config.ld is not None:
        with LdStore(config.ld) as store:
            ld: object = store.digest
    else:
        text = " ".join(str(report.inputs[path.name]["sha256"]) for path in inputs)  # type: ignore[index]
        ld = {
            "inputs": hashlib.sha256(text.encode()).hexdigest(),
            "var_kept": config.var_kept,
        }
    versions = library_versions()
    used = {name: versions.get(name) for name in ("tfgen", "numpy", "tensorflow")}
    return {**config.deciding(), "ld": ld, **used}


def _build_ld(config: StudyConfig, path: Path) -> Path:
    """Builds the LD of the panel, unless an earlier run has."""
    if not path.exists():
        build_ld(
            BuildLdConfig(
                output=path,
                bed=config.bed,
                bim=config.bim,
                fam=config.fam,
                blocks="bed",
                block_file=config.block_file,
                var_kept=config.var_kept,
                q_dtype="float32",
                progress=config.progress,
            )
        )
    return path


def _make_fits(config: StudyConfig, work: StudyWork, n_done: int, stop: Callable[[], None]) -> None:
    records = Records(work.folder)
    left = [
        setting
        for setting in config.settings
        if not records.has_reference(setting)
        or not all(records.has(key) for key in keys(config, setting))
    ]
    total = len(config.settings) * config.fits_per_setting
    with Progress(total, "fitting", "fits", mode=config.progress, initial=n_done) as progress:
        if config.jobs:
            run_workers(work, left, progress.update, stop)
        else:
            run_here(work, left, progress.update, stop)


def _publish(
    results: StudyResults, work: WorkFolder, report: RunReport, n_resumed: int
) -> StudySummary:
    config = results.config
    gains, claims = find_gains(results), find_claims(results)
    text = report_text(results, gains, claims)
    n_diverged = sum(record.held_out_nll == float("inf") for record in results.fits.values())
    summary = StudySummary(
        config.output, gains, claims, text, len(results.fits), n_resumed, n_diverged
    )
    report.results = {
        "attributes": work.text,
        "n_fits": summary.n_fits,
        "n_resumed": n_resumed,
        "n_diverged": n_diverged,
        "references": {
            f"{s.truth} {s.mean_f:g} {s.seed}": dataclasses.asdict(reference)
            for s, reference in results.references.items()
        },
    }
    with new_directory(config.output, config.overwrite, kind=RESULTS) as folder:
        write_tables(folder, results, gains, claims)
        write_text(folder / "report.txt", text)
        if importlib.util.find_spec("matplotlib"):
            save_figure(prior_study_gains(_curves(gains)), folder / "study.png")
        report.write(folder / "run.json")
    work.remove()
    return summary


def _curves(
    gains: tuple[Finding, ...],
) -> dict[str, dict[str, list[tuple[float, float, float, float]]]]:
    """Truth -> model -> (mean f, gain, ends of its interval)."""
    curves: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    for x in gains:
        point = (x.mean_f, x.interval.estimate, x.interval.low, x.interval.high)
        curves.setdefault(x.truth, {}).setdefault(x.name, []).append(point)
    return curves
