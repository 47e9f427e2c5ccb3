"""Numbers as they stand in tables: missing values, and P values too small for a float."""

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
"""Values of a column [n]: str objects, or float64 where NaN is missing."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MISSING: Final = frozenset({"", ".", "na", "#na", "#n/a", "n/a", "nan", "-nan", "null", "none"})
"""What stands for a missing value, lower case."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SMALLEST = 1e-300  # a float below this has lost digits, or is 0
_LN10 = float(np.log(10))


def is_missing(column: Column) -> Mask:
    """Which values are missing [n]."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    return np.fromiter((text.lower() in MISSING for text in column), bool, len(column))


def numbers(column: Column) -> tuple[Floats, Mask]:
    """Reads numbers.

    Returns:
        The values [n], NaN where there is none, and whether what stands there is no finite decimal
        number although it is not missing [n].
    """
    if column.dtype.kind == "f":
        return np.where(np.isfinite(column), column, np.nan), np.isinf(column)
    values = np.full(len(column), np.nan)
    given = ~is_missing(column)
    values[given] = _floats(column[given].tolist())
    return values, given & np.isnan(values)


def log_p(column: Column) -> tuple[Floats, Mask]:
    """Reads P values as natural logarithms, also those below the smallest float.

    Returns:
        ln P [n], -inf where P is 0 and NaN where there is none, and whether what stands there is
        no number from 0 to 1 although it is not missing [n].
    """
    values, bad = numbers(column)
    bad |= (values < 0) | (values > 1)
    tiny = np.flatnonzero((values < _SMALLEST) & ~bad)
    values[bad] = np.nan
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    if column.dtype.kind != "f":
        logs[tiny] = [_log(text) for text in column[tiny]]
    return logs, bad


def positions(column: Column) -> tuple[npt.NDArray[np.int64], Mask]:
    """Reads 1-based positions; `1e+06` and `1000000.0` are positions too.

    Returns:
        The positions [n], 0 where there is none, and whether there is none [n].
    """
    values, bad = numbers(column)
    bad |= ~((values >= 1) & (values < 1 << 31) & (values == np.floor(values)))
    return np.where(bad, 0, values).astype(np.int64), bad


def _floats(texts: Sequence[str]) -> Floats:
    """The numbers [n]; NaN for what is no finite decimal number."""
    try:
        values = np.array([float(text) for text in texts], float)
    except ValueError:
        return np.array([_float(text) for text in texts], float)
    # float() takes more than a table should hold: 1_000, and digits of other scripts.
    joined = "".join(texts)
    if not joined.isascii() or "_" in joined:
        return np.array([_float(text) for text in texts], float)
    values[~np.isfinite(values)] = np.nan
    return values


def _float(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text.strip()) else np.nan
    return value if np.isfinite(value) else np.nan


def _log(text: str) -> float:
    """Natural logarithm of a number that need not fit into a float; -inf for 0."""
    mantissa, _, exponent = text.strip().lower().partition("e")
    digits = mantissa.lstrip("+-")
    whole, _, fraction = digits.partition(".")
    # The first digit that is not 0, so that a mantissa of any length is in reach.
    significant = (whole + fraction).lstrip("0")
    if not significant:
        return -np.inf
    power = len(whole) - (len(whole + fraction) - len(significant)) + float(exponent or 0)
    return float(np.log(float(f"0.{significant}"))) + power * _LN10
