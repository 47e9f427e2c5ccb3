"""The other strand."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tfgen.genome.codes import CODES, LETTERS, encode

_COMPLEMENT_LETTERS: Final = "TGCANYRSWMKVHDB"
"""Complement of each of `LETTERS`."""

_COMPLEMENT_CODES: Final = CODES[np.frombuffer(_COMPLEMENT_LETTERS.encode(), np.uint8)]

_TRANSLATION: Final = str.maketrans(
    LETTERS + LETTERS.lower(), _COMPLEMENT_LETTERS + _COMPLEMENT_LETTERS.lower()
)


def reverse_complement(sequence: str) -> str:
    """The reverse strand of a DNA sequence, its case kept.

    Raises:
        InputFormatError: A letter is not one of DNA.
    """
    encode(sequence)
    return sequence.translate(_TRANSLATION)[::-1]


def reverse_complement_codes(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The reverse strand of uint8 codes [..., length], as a new array."""
    return _COMPLEMENT_CODES[codes[..., ::-1]]


def reverse_complement_one_hot(one_hot: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The reverse strand of a one-hot array [..., length, 4] (columns A C G T), as a view.

    Reversing the columns complements, because A C G T read backwards is T G C A.
    """
    return one_hot[..., ::-1, ::-1]
