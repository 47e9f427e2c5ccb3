"""DNA letters as small integers."""

from typing import Final

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError

LETTERS: Final = "ACGTNRYSWKMBDHV"
"""IUPAC letters of DNA in the order of their codes: A C G T = 0 1 2 3, N = 4, ambiguity 5-14."""

AMBIGUITY: Final[dict[str, str]] = {
    "N": "ACGT",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
}
"""The bases that each ambiguity letter stands for (NC-IUB 1984, doi:10.1093/nar/13.9.3021)."""

N_CODE: Final = LETTERS.index("N")
"""Code of N, which is also what positions outside a contig read as."""

INVALID_CODE: Final = 255
"""What `CODES` holds for a byte that is no DNA letter."""


def _code_of_every_byte() -> bytes:
    table = bytearray([INVALID_CODE]) * 256
    for code, letter in enumerate(LETTERS):
        table[ord(letter)] = table[ord(letter.lower())] = code
    return bytes(table)


_TRANSLATION: Final = _code_of_every_byte()

CODES: Final = np.frombuffer(_TRANSLATION, np.uint8)
"""uint8 [256]: code of every byte, upper and lower case alike; 255 for what is no DNA letter."""

_CODE_TO_LETTER: Final = np.frombuffer(LETTERS.encode(), np.uint8)


def encode(sequence: str | bytes) -> npt.NDArray[np.uint8]:
    """Codes of a DNA sequence.

    Args:
        sequence: IUPAC letters in any case. U is RNA and is refused, as are '.', '-' and '*'.

    Returns:
        uint8 [length], see `LETTERS`; writeable and not shared.

    Raises:
        InputFormatError: A letter is not one of DNA; the message has its 0-based index.
    """
    text = sequence.encode("ascii", "replace") if isinstance(sequence, str) else sequence
    # Several times faster than indexing a table with an array.
    codes = bytearray(text).translate(_TRANSLATION)
    index = codes.find(INVALID_CODE)
    if index >= 0:
        raise InputFormatError(
            f"{sequence[index : index + 1]!r} at index {index} of a sequence is not a DNA letter; "
            f"expected one of {LETTERS}"
        )
    return np.frombuffer(codes, np.uint8)


def decode(codes: npt.NDArray[np.uint8]) -> str:
    """The letters of a sequence of codes, upper case.

    Args:
        codes: uint8 [length], values 0-14.

    Raises:
        InputFormatError: A value is not a code.
    """
    if codes.size and codes.max() >= len(LETTERS):
        raise InputFormatError(
            f"code {codes.max()} is not that of a DNA letter; expected 0-{len(LETTERS) - 1}"
        )
    return _CODE_TO_LETTER[codes].tobytes().decode("ascii")
