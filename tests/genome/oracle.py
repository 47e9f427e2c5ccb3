"""Slow, plain-string answers that the tests compare with; nothing here uses the library."""

from collections.abc import Mapping

PARTNER = {
    "A": "T", "C": "G", "G": "C", "T": "A", "N": "N", "R": "Y", "Y": "R", "S": "S", "W": "W",
    "K": "M", "M": "K", "B": "V", "V": "B", "D": "H", "H": "D",
}  # fmt: skip
MEMBERS = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT",
    "M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG",
}  # fmt: skip


def base(contig: str, position: int) -> str:
    """Letter at a 0-based position, N outside the contig."""
    return contig[position].upper() if 0 <= position < len(contig) else "N"


def window(contig: str, start: int, end: int) -> str:
    """Letters of a 0-based half-open interval."""
    return "".join(base(contig, position) for position in range(start, end))


def alternative_window(contig: str, start: int, end: int, pos: int, ref: str, alt: str) -> str:
    """The window read from a contig that carries the variant; its left end stays in place."""
    letters = [base(contig, position) for position in range(start, pos - 1)]
    letters += list(alt)
    position = pos - 1 + len(ref)
    while len(letters) < end - start:
        letters.append(base(contig, position))
        position += 1
    return "".join(letters[: end - start])


def one_hot(sequence: str, n_value: float, iupac: str) -> list[list[float]]:
    """One row A C G T per letter."""
    rows = []
    for letter in sequence.upper():
        if letter == "N" or (iupac == "n" and letter not in "ACGT"):
            rows.append([n_value] * 4)
        else:
            share = 1 / len(MEMBERS[letter])
            rows.append([share if column in MEMBERS[letter] else 0.0 for column in "ACGT"])
    return rows


def reverse_complement(sequence: str) -> str:
    """The other strand, letter by letter."""
    return "".join(PARTNER[letter] for letter in reversed(sequence))


def fasta_text(contigs: Mapping[str, str], width: int = 60, end: str = "\n") -> str:
    """A FASTA file."""
    lines = []
    for name, sequence in contigs.items():
        lines.append(f">{name} some description")
        lines += [sequence[at : at + width] for at in range(0, len(sequence), width)]
    return end.join(lines) + end
