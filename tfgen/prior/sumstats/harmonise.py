"""Brings summary statistics onto the variants, alleles and order of a panel."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from tfgen.genome import AlleleMatch, Join, VariantTable, is_palindromic, join_variants
from tfgen.prior.sumstats.munge_ledger import Ledger
from tfgen.prior.sumstats.sumstats_numbers import Floats, Mask
from tfgen.prior.sumstats.sumstats_records import SumstatsRecords, other_frequency

_NO_ID: Final = ("", ".")
_N_EXAMPLES: Final = 3


@dataclass(frozen=True)
class Harmonised:
    """Records with the alleles of a panel.

    Attributes:
        records: The records; without a panel as they were read.
        key: A number per variant that copies of it share [n] int64: the row of the panel.
        panel_af: Frequency of `alt` in the panel [n], NaN where unknown.
        match: `AlleleMatch` of the record and the panel [n] int8; None without a panel.
    """

    records: SumstatsRecords
    key: npt.NDArray[np.int64]
    panel_af: Floats
    match: npt.NDArray[np.int8] | None = None

    @property
    def matches(self) -> dict[str, int]:
        """How many records had the alleles of the panel in which way, by name in lower case."""
        if self.match is None:
            return {}
        return {
            match.name.lower(): int(np.sum(self.match == match))
            for match in AlleleMatch
            if match is not AlleleMatch.DIFFERENT
        }

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """Some of the records: indices or a mask."""
        return replace(
            self,
            records=self.records.take(rows),
            key=self.key[rows],
            panel_af=self.panel_af[rows],
            match=None if self.match is None else self.match[rows],
        )


def without_panel(records: SumstatsRecords) -> Harmonised:
    """The records as they are; copies are those with one position and the same two alleles."""
    table = records.variants
    keys: dict[tuple[Any, ...], int] = {}
    pairs = zip(table.chrom, table.pos.tolist(), table.ref, table.alt, strict=True)
    key = [
        keys.setdefault((chrom, pos, min(ref, alt), max(ref, alt)), len(keys))
        for chrom, pos, ref, alt in pairs
    ]
    return Harmonised(records, np.array(key, np.int64), np.full(len(records), np.nan))


def harmonise(
    records: SumstatsRecords, panel: VariantTable, by_id: bool, name: str, ledger: Ledger
) -> Harmonised:
    """Gives every record that is in the panel the alleles, position and identifier it has there.

    Where the panel counts the other allele, z and beta change sign and the frequency becomes
    1 - frequency. Records that are not in the panel leave.

    Args:
        records: The records [n].
        panel: Where to look for them.
        by_id: Look for the identifier instead of the position.
        name: Name of the panel, for messages.
        ledger: Counts those that leave.

    Raises:
        InputFormatError: A variant that is needed is more than once in the panel.
    """
    join = _join_by_id(records, panel, name) if by_id else _join(records, panel, name)
    ledger.drop("NOT_IN_PANEL", ~join.found & ~join.other_alleles, records.describe)
    ledger.drop("ALLELES_DIFFER", join.other_alleles, records.describe)
    kept = records.take(join.found)
    rows, signs = join.rows[join.found], join.signs[join.found]
    oriented = panel.take(rows)
    own, theirs = kept.variants, oriented
    ids = np.where(np.isin(theirs.id, _NO_ID), own.id, theirs.id)
    af = np.where(signs < 0, other_frequency(own.af), own.af)
    kept = replace(
        kept,
        variants=replace(theirs, id=ids, af=af),
        z=_signed(signs, kept.z),
        beta=_signed(signs, kept.beta),
    )
    return Harmonised(kept, rows, theirs.af, join.match[join.found])


def different_alleles(
    records: SumstatsRecords, panel: VariantTable, by_id: bool, name: str
) -> list[str]:
    """Up to three records that have other alleles in the panel, each beside what is there.

    Arguments as for `harmonise`.
    """
    join = _join_by_id(records, panel, name) if by_id else _join(records, panel, name)
    table, pairs = records.variants, []
    for row in np.flatnonzero(join.other_alleles)[:_N_EXAMPLES]:
        there = (
            panel.id == table.id[row]
            if by_id
            else (panel.chrom == table.chrom[row]) & (panel.pos == table.pos[row])
        )
        pairs.append(f"{table.label(row)}, there {panel.label(int(np.argmax(there)))}")
    return pairs


def possibly_in(panel: VariantTable, by_id: bool) -> Callable[[SumstatsRecords], Mask]:
    """A quick test for which records [n] can be in the panel at all.

    It sees identifiers, or positions without contigs, and so lets some pass that `harmonise` drops
    later. A file much larger than the panel then need not fit into memory.
    """
    if by_id:
        ids = frozenset(panel.id.tolist())
        return lambda records: np.array([name in ids for name in records.variants.id], bool)
    places = np.unique(panel.pos)

    def at_a_place(records: SumstatsRecords) -> Mask:
        pos = records.variants.pos
        nearest = np.minimum(np.searchsorted(places, pos), len(places) - 1)
        return np.asarray(places[nearest] == pos, bool)

    return at_a_place


def resolve_strands(harmonised: Harmonised, margin: float) -> tuple[Harmonised, Mask, int]:
    """Tells the strand of palindromic variants by their frequencies.

    Where both frequencies are at least `margin` from 0.5, the strands agree if both are on the
    same side of it, else the record is on the other strand and its effect is that of the other
    allele.

    Returns:
        The records on the strand of the panel, which of them stay unknown [n], and how many
        changed sign.
    """
    records, panel_af = harmonised.records, harmonised.panel_af
    af = records.variants.af
    palindromic = is_palindromic(records.variants.ref, records.variants.alt)
    known = (np.abs(af - 0.5) >= margin) & (np.abs(panel_af - 0.5) >= margin)
    other = palindromic & known & ((af - 0.5) * (panel_af - 0.5) < 0)
    signs = np.where(other, -1, 1)
    records = replace(
        records,
        variants=replace(records.variants, af=np.where(other, other_frequency(af), af)),
        z=_signed(signs, records.z),
        beta=_signed(signs, records.beta),
    )
    return replace(harmonised, records=records), palindromic & ~known, int(other.sum())


def genome_order(table: VariantTable) -> npt.NDArray[np.int64]:
    """Rows in the order of the genome: 1 to 22, X, Y, MT, other contigs by name; then position."""
    names = sorted(set(table.chrom.tolist()), key=_contig_rank)
    rank = {name: i for i, name in enumerate(names)}
    ranks = np.array([rank[name] for name in table.chrom], np.int64)
    alleles = [table.ref.astype(str), table.alt.astype(str), table.id.astype(str)]
    order = np.lexsort((*reversed(alleles), table.pos, ranks))
    return np.asarray(order, np.int64)


def _contig_rank(name: str) -> tuple[int, int, str]:
    if name.isascii() and name.isdigit():
        return 0, int(name), ""
    named = ("X", "Y", "MT")
    return (1, named.index(name), "") if name in named else (2, 0, name)


def _signed(signs: npt.NDArray[Any], values: Floats) -> Floats:
    """Values times signs, without a negative zero, which would be another text."""
    return np.asarray(signs * values + 0.0, float)


def _join(records: SumstatsRecords, panel: VariantTable, name: str) -> Join:
    return join_variants(records.variants, panel, name)


def _join_by_id(records: SumstatsRecords, panel: VariantTable, name: str) -> Join:
    """As `join_variants`, with identifiers in the place of contig and position."""
    named = np.flatnonzero(~np.isin(panel.id, _NO_ID))
    join = join_variants(_by_id(records.variants), _by_id(panel.take(named)), name)
    rows = np.where(join.found, named[join.rows] if len(named) else -1, -1)
    return replace(join, rows=rows)


def _by_id(table: VariantTable) -> VariantTable:
    return replace(table, chrom=table.id, pos=np.zeros(len(table), np.int64))
