"""Sample sizes: from columns or flags, of cases and controls, and the gain of a mixed model."""

from typing import Final

import numpy as np

from tfgen.errors import InputFormatError, UsageError
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.sumstats_columns import ColumnMap
from tfgen.prior.sumstats.sumstats_numbers import Floats

STRONG_CHISQ: Final = 30.0
"""Chi-squared statistic of BOLT-LMM above which a variant tells its gain in power."""


def n_fields(config: MungeConfig, columns: ColumnMap) -> tuple[str, ...]:
    """The columns that give N: none if flags do, else those of cases and controls, else N.

    Raises:
        UsageError: Neither a flag nor a column gives N.
    """
    if config.n is not None or config.n_cases is not None:
        return ()
    if "N_CASES" in columns and "N_CONTROLS" in columns:
        return ("N_CASES", "N_CONTROLS")
    if "N" in columns:
        return ("N",)
    raise UsageError(
        f"{config.input}: no column with the sample size; pass --n, or --n_cases and --n_controls"
    )


def constant_n(config: MungeConfig) -> float:
    """N as the flags give it; NaN if they do not."""
    if config.n is not None:
        return config.n
    if config.n_cases is not None and config.n_controls is not None:
        return float(case_control_n(np.array([config.n_cases]), np.array([config.n_controls]))[0])
    return float("nan")


def case_control_n(cases: Floats, controls: Floats) -> Floats:
    """N of the balanced study of equal power, 4 / (1 / cases + 1 / controls) [n]."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        n: Floats = 4 / (1 / cases + 1 / controls)
    return n


def bolt_ratios(mixed: Floats, linear: Floats) -> Floats:
    """Chi-squared of BOLT-LMM over that of linear regression [n].

    NaN where the former is not above 30: the ratio of small statistics is noise.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = mixed / linear
    usable = (mixed > STRONG_CHISQ) & np.isfinite(ratio)
    return np.where(usable, ratio, np.nan)


def bolt_factor(ratios: Floats, source: str) -> float:
    """By what N of a BOLT-LMM study is multiplied: the median ratio (Loh et al. 2018, NG 50:906).

    Raises:
        InputFormatError: No variant tells it.
    """
    known = ratios[~np.isnan(ratios)]
    if not known.size:
        raise InputFormatError(
            f"{source}: no variant has CHISQ_BOLT_LMM above {STRONG_CHISQ:g} and CHISQ_LINREG, so "
            "that --n_eff=auto has nothing to go by; pass --n_eff=none"
        )
    return float(np.median(known))
