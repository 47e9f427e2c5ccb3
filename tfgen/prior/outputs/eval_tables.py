"""The tables of an evaluation."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfgen.io import write_table
from tfgen.prior.ld.block_fit import chi2_statistic
from tfgen.prior.outputs.calibration import Enrichment, Group
from tfgen.prior.outputs.held_out import BASELINES, TraitResult

Key = tuple[str, str]
"""A trait, and how its blocks are tested."""

_UNITS = "likelihoods in nats; f and sigma on the z scale"


def write_blocks(path: Path, results: Sequence[TraitResult]) -> None:
    """One row per trait and block that was scored."""
    rows: list[dict[str, object]] = []
    for result in results:
        for block in result.blocks:
            fit = chi2_statistic(block.residuals)
            rows.append(
                {
                    "TRAIT": result.trait.name,
                    "BLOCK": block.block.id,
                    "CHR": block.block.chrom,
                    "START": block.block.start,
                    "END": block.block.end,
                    "TEST": block.test,
                    "FOLD": block.fold,
                    "N_VARIANTS": block.block.n,
                    "N_OBSERVED": block.n_observed,
                    "K": block.k,
                    "SIGMA": number(block.sigma),
                    "MEAN_F": number(block.mean_f),
                    "NLL": number(block.nll),
                    **{
                        f"LLR_{name.upper()}": number(block.baselines[name] - block.nll)
                        for name in BASELINES
                    },
                    "MAHALANOBIS": number(fit.chi2),
                    "MAHALANOBIS_PER_K": number(fit.chi2 / fit.k),
                    "P_UPPER": number(fit.p_upper),
                    "P_LOWER": number(fit.p_lower),
                }
            )
    write_rows(path, rows, _UNITS)


def write_deciles(path: Path, groups: Mapping[Key, Sequence[Group]]) -> None:
    """One row per trait, test and tenth of the observed variants by prior variance."""
    rows: list[dict[str, object]] = [
        {
            "TRAIT": trait,
            "TEST": test,
            "DECILE": i + 1,
            "N": group.n,
            "MEAN_F": number(group.mean_f),
            "Z2_OBSERVED": number(group.z_squared),
            "Z2_EXPECTED": number(group.expected),
            "Z2_RATIO": number(group.z_ratio),
            "Z2_RATIO_SE": number(group.z_ratio_se),
            "EM_RATIO": number(group.em_ratio),
            "EM_RATIO_SE": number(group.em_ratio_se),
        }
        for (trait, test), found in groups.items()
        for i, group in enumerate(found)
    ]
    write_rows(path, rows, "EM_RATIO: mean of E[b^2 | z] over mean f")


def write_enrichments(path: Path, found: Mapping[Key, Sequence[Enrichment]]) -> None:
    """One row per trait, test and annotation."""
    rows: list[dict[str, object]] = [
        {
            "TRAIT": trait,
            "TEST": test,
            "ANNOTATION": row.annotation,
            "N": row.n,
            "SHARE": number(row.share),
            "MEAN_F": number(row.mean_f),
            "ENRICHMENT": number(row.enrichment),
            "ENRICHMENT_SE": number(row.se),
        }
        for (trait, test), rows in found.items()
        for row in rows
    ]
    empty = ("TRAIT", "TEST", "ANNOTATION", "N", "SHARE", "MEAN_F", "ENRICHMENT", "ENRICHMENT_SE")
    text = "ENRICHMENT: mean f where the annotation is not 0 over mean f of all observed variants"
    write_rows(path, rows, text, empty)


def write_rows(
    path: Path, rows: Sequence[Mapping[str, object]], comment: str, names: Sequence[str] = ()
) -> None:
    """Writes a TSV table of rows with the same names; with none, `names` alone."""
    names = list(rows[0]) if rows else names
    write_table(path, {name: [row[name] for row in rows] for name in names}, [comment])


def number(value: float) -> str:
    """A number with eight digits, or NA."""
    return "NA" if math.isnan(value) else f"{value:.8g}"
