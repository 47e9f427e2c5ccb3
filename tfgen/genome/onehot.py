"""DNA as one row of four numbers per base."""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError
from tfgen.genome.codes import AMBIGUITY, LETTERS, N_CODE, encode

IupacPolicy = Literal["n", "mean"]
"""Ambiguity letters read as N, or as the mean of the bases they stand for."""

BASES: Final = "ACGT"
"""Order of the four columns."""

_TABLE_ROWS: Final = 16


def one_hot_table(n_value: float = 0.0, iupac: IupacPolicy = "n") -> npt.NDArray[np.float32]:
    """One-hot row of every code, to be indexed with codes on the host or on a device.

    Args:
        n_value: The four entries of N. Zero is what Enformer was trained with
            (Avsec et al. 2021, doi:10.1038/s41592-021-01252-x); some tools use 0.25.
        iupac: "n" gives ambiguity letters the row of N, "mean" the mean of the bases that they
            stand for. N itself always has `n_value`.

    Returns:
        float32 [16, 4], columns A C G T. Row 15 belongs to no letter and is zero.

    Raises:
        UsageError: `iupac` is neither "n" nor "mean".
    """
    if iupac not in ("n", "mean"):
        raise UsageError(f"iupac policy {iupac!r}: expected 'n' or 'mean'")
    table = np.zeros((_TABLE_ROWS, len(BASES)), np.float32)
    for code, letter in enumerate(LETTERS):
        if letter in BASES:
            table[code, BASES.index(letter)] = 1.0
        elif code == N_CODE or iupac == "n":
            table[code] = n_value
        else:
            bases = AMBIGUITY[letter]
            table[code, [BASES.index(base) for base in bases]] = 1.0 / len(bases)
    return table


def one_hot(
    sequence: str | bytes | npt.NDArray[np.uint8],
    n_value: float = 0.0,
    iupac: IupacPolicy = "n",
) -> npt.NDArray[np.float32]:
    """One-hot form of a DNA sequence.

    Args:
        sequence: IUPAC letters in any case, or uint8 codes of any shape.
        n_value: The four entries of N.
        iupac: What ambiguity letters become, see `one_hot_table`.

    Returns:
        float32 [length, 4], columns A C G T; for codes, their shape plus that last axis.

    Raises:
        InputFormatError: A letter is not one of DNA.
        UsageError: `iupac` is neither "n" nor "mean".
    """
    codes = sequence if isinstance(sequence, np.ndarray) else encode(sequence)
    return one_hot_table(n_value, iupac)[codes]
