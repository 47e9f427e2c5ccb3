"""Do z-scores and LD belong together? The constant prior in one or more LD stores, side by side.

Under the right LD and without confounding, the constant prior with sigma = 1 has
y'K^-1 y of about k. Where the panel is small or of other people, eigenvectors that it hardly
determines carry more of z than they should; keeping fewer of them, or shrinking the LD, mends it.
"""

import dataclasses
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfgen.errors import InputMismatchError, NumericalError
from tfgen.io import (
    OutputLock,
    Progress,
    RunReport,
    StopRequest,
    input_fingerprint,
    refuse_overlap,
    write_table,
)
from tfgen.prior.constant_fit import Spectrum, fit_constant
from tfgen.prior.ld.block_fit import block_fits, noise_test
from tfgen.prior.ld.check_ld_config import CheckLdConfig
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.calibration import is_mismatch
from tfgen.prior.outputs.eval_tables import number
from tfgen.prior.outputs.variant_output import require_new
from tfgen.prior.projection import project
from tfgen.prior.sumstats.munged import read_munged
from tfgen.prior.training.traits import Trait, align_trait, parse_traits


@dataclass(frozen=True)
class LdCheck:
    """One trait on one LD store.

    Attributes:
        store: The store.
        trait: Name of the trait.
        var_kept: Share of the variance that the store was to keep; NaN if it does not say.
        shrink: How far its LD was shrunk to the identity; NaN if it does not say.
        n_blocks: Blocks with z-scores.
        n_observed: z-scores.
        k: Rows of y.
        discarded: Share of the variance of the LD that is not in the store.
        f: Constant prior variance by maximum likelihood at sigma = 1.
        mahalanobis_per_k: y'K^-1 y / k there, 1 if all is well.
        n_bad_blocks: Blocks that do not fit beyond chance, for all blocks together: see
            `block_fit`. None if the constant prior cannot be fitted; then the figures are NaN.
        ml_f: f by maximum likelihood together with sigma.
        ml_sigma: sigma by maximum likelihood, 1 if all is well.
        p_sigma: Probability of a sigma as far from 1 by chance.
        warning: Why the constant prior cannot be fitted, or empty.
    """

    store: Path
    trait: str
    var_kept: float
    shrink: float
    n_blocks: int
    n_observed: int
    k: int
    discarded: float
    f: float
    mahalanobis_per_k: float
    n_bad_blocks: int | None
    ml_f: float
    ml_sigma: float
    p_sigma: float
    warning: str = ""

    @property
    def verdict(self) -> str:
        """OK, MISMATCH, or NA if the constant prior cannot be fitted."""
        if self.warning:
            return "NA"
        return "MISMATCH" if is_mismatch(self.mahalanobis_per_k, self.k) else "OK"

    def row(self) -> dict[str, object]:
        """The figures by the names of the columns."""
        return {
            "STORE": str(self.store),
            "TRAIT": self.trait,
            "VAR_KEPT": number(self.var_kept),
            "SHRINK": number(self.shrink),
            "BLOCKS": self.n_blocks,
            "W": self.n_observed,
            "K": self.k,
            "K_PER_W": f"{self.k / self.n_observed:.4g}",
            "DISCARDED": f"{self.discarded:.4g}",
            "MEAN_F": _figure(self.f),
            "MAHALANOBIS_PER_K": _figure(self.mahalanobis_per_k),
            "BAD_BLOCKS": "NA" if self.n_bad_blocks is None else self.n_bad_blocks,
            "ML_SIGMA": _figure(self.ml_sigma),
            "P_SIGMA": _figure(self.p_sigma),
            "ML_MEAN_F": _figure(self.ml_f),
            "VERDICT": self.verdict,
        }


def check_ld(config: CheckLdConfig, command: str = "prior_check_ld") -> tuple[LdCheck, ...]:
    """Compares LD stores on the same statistics.

    Args:
        config: The settings.
        command: Name for the run report.

    Returns:
        One entry per store and trait.

    Raises:
        InputFormatError: An input cannot be parsed.
        InputMismatchError: A trait has no variant of a store.
        InterruptedRunError: SIGINT or SIGTERM; nothing was written.
        OutputError: The output exists, or is being written by another run.
        UsageError: The output is an input.
    """
    files = parse_traits(config.traits)
    report = RunReport(command, dataclasses.asdict(config))
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        if config.output is not None:
            refuse_overlap(config.output, [*map(Path, config.ld), *files.values()])
            stack.enter_context(OutputLock(config.output))
            require_new([config.output], config.overwrite)
        statistics = {name: read_munged(path) for name, path in files.items()}
        stores = [stack.enter_context(LdStore(Path(path).expanduser())) for path in config.ld]
        total = sum(len(store.blocks) for store in stores) * len(files)
        rows = []
        with Progress(total, "comparing", "blocks", mode=config.progress) as progress:

            def between_blocks() -> None:
                progress.update()
                stop.raise_if_requested()

            for store in stores:
                for name, stats in statistics.items():
                    trait = align_trait(store, name, stats, files[name])
                    rows.append(check_trait(store, trait, between_blocks))
        if config.output is not None:
            table = [row.row() for row in rows]
            write_table(config.output, {name: [row[name] for row in table] for name in table[0]})
            report.inputs = {name: input_fingerprint(path) for name, path in files.items()}
            report.results = {
                "ld_digests": {str(s.path): s.digest for s in stores},
                "warnings": [row.warning for row in rows if row.warning],
            }
            report.write(config.output.with_name(config.output.name + ".run.json"))
    return tuple(rows)


def check_trait(
    store: LdStore, trait: Trait, between_blocks: Callable[[], None] = lambda: None
) -> LdCheck:
    """One trait on one store.

    Args:
        store: The LD.
        trait: Its z-scores.
        between_blocks: Called after every block; may raise to stop.

    Raises:
        InputMismatchError: No block has a z-score that the LD can tell from noise.
    """
    spectra: list[Spectrum] = []
    n_observed, discarded = 0, 0.0
    for info in store.blocks:
        z = trait.z[info.id]
        if not np.isnan(z).all():
            block = store.read(info.id)
            projection = project(block, z)
            if len(projection.y):
                q = projection.rotate(block.q)
                spectra.append(Spectrum.of(q, projection.y))
                n_observed += projection.n_observed
                discarded += info.discarded_variance * projection.n_observed
        between_blocks()
    if not spectra:
        raise InputMismatchError(f"{store.path}: no block has a z-score of {trait.name}")
    k = sum(len(spectrum.squares) for spectrum in spectra)
    return LdCheck(
        store=store.path,
        trait=trait.name,
        var_kept=_stated(store, "var_kept"),
        shrink=_stated(store, "shrink"),
        n_blocks=len(spectra),
        n_observed=n_observed,
        k=k,
        discarded=discarded / n_observed,
        **_figures(spectra, f"{store.path}: {trait.name}"),
    )


def _figures(spectra: list[Spectrum], name: str) -> dict[str, Any]:
    """What follows from the constant prior; NaN and a warning if it cannot be fitted."""
    try:
        fixed, free = fit_constant(spectra, 1.0), fit_constant(spectra)
        bad = sum(fit.is_flagged(len(spectra)) for fit in block_fits(spectra))
        p_sigma = noise_test(spectra).p
    except NumericalError as error:
        names = ("f", "mahalanobis_per_k", "ml_f", "ml_sigma", "p_sigma")
        unknown = dict.fromkeys(names, math.nan)
        return {**unknown, "n_bad_blocks": None, "warning": f"{name}: {error}"}
    chi2 = sum(spectrum.mahalanobis(fixed.f, fixed.sigma) for spectrum in spectra)
    return {
        "f": fixed.f,
        "mahalanobis_per_k": chi2 / sum(len(spectrum.squares) for spectrum in spectra),
        "n_bad_blocks": bad,
        "ml_f": free.f,
        "ml_sigma": free.sigma,
        "p_sigma": p_sigma,
    }


def _figure(value: float) -> str:
    return "NA" if math.isnan(value) else f"{value:.4g}"


def _stated(store: LdStore, name: str) -> float:
    value = store.attributes.get(name)
    return float(value) if isinstance(value, int | float) else float("nan")
