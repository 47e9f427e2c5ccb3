"""From the text of a summary-statistics file to checked records."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from tfgen.genome import VariantTable
from tfgen.prior.sumstats.effective_n import bolt_ratios, case_control_n, constant_n, n_fields
from tfgen.prior.sumstats.munge_config import LARGEST_N, MungeConfig
from tfgen.prior.sumstats.munge_ledger import FAULTS, Ledger
from tfgen.prior.sumstats.sumstats_numbers import (
    Column,
    Floats,
    Mask,
    is_missing,
    log_p,
    numbers,
    positions,
)
from tfgen.prior.sumstats.sumstats_reader import Block
from tfgen.prior.sumstats.z_scores import Effects, abs_z_from_log_p, z_scores

_LETTERS: Final = frozenset("ACGT")
_LETTERED: Final = {"23": "X", "24": "Y", "26": "MT", "M": "MT", "X": "X", "Y": "Y", "MT": "MT"}
_SSF_MITOCHONDRION: Final = "25"
_LARGEST_MAF: Final = 0.5
_FREQUENCY_DIGITS: Final = 12
_COMPARED: Final = 20_000
_LEAST_COMPARED: Final = 100
_LEAST_Z: Final = 0.5  # rounded effects say little about smaller ones
_RANGES: Final = {"OR": "OR_RANGE", "SE": "SE_RANGE"}
_CHISQ: Final = ("CHISQ_BOLT_LMM", "CHISQ_BOLT_LMM_INF", "CHISQ_LINREG")

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class SumstatsRecords:
    """Variants with their statistics, as columns.

    Attributes:
        variants: The variants; `alt` is the effect allele, `af` its frequency [n]. Without
            positions, contigs are "" and positions 0.
        line: 1-based line, or record of a parquet file [n] int64.
        z: z-score of `alt` [n].
        n: Sample size [n].
        maf: Minor allele frequency [n], NaN where unknown.
        beta: Effect of one copy of `alt`, or its log odds ratio [n], NaN where unknown.
        se: Its standard error [n], NaN where unknown.
        bolt_ratio: See `bolt_ratios` [n].
    """

    variants: VariantTable
    line: npt.NDArray[np.int64]
    z: Floats
    n: Floats
    maf: Floats
    beta: Floats
    se: Floats
    bolt_ratio: Floats

    def __len__(self) -> int:
        """Number of variants."""
        return len(self.z)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The records of some rows: indices or a mask."""
        return replace(
            self, **{field.name: _take(getattr(self, field.name), rows) for field in fields(self)}
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All records of at least one part."""
        tables = [part.variants for part in parts]
        columns = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name != "variants"
        }
        table = VariantTable(
            **{
                field.name: np.concatenate([getattr(table, field.name) for table in tables])
                for field in fields(VariantTable)
            }
        )
        return cls(variants=table, **columns)

    def describe(self, row: int) -> tuple[Any, ...]:
        """A record as a ledger lists it: line, chrom, pos, id, ref, alt."""
        table = self.variants
        return (
            int(self.line[row]),
            table.chrom[row],
            int(table.pos[row]),
            table.id[row],
            table.ref[row],
            table.alt[row],
        )


def parse_block(block: Block, config: MungeConfig, ledger: Ledger) -> SumstatsRecords:
    """Reads the records of a block; those with a fault, and those below a threshold, leave.

    A record is counted under the first of these that it meets: another test, position, alleles,
    frequency and imputation quality, effect and z-score, sample size.

    Raises:
        UsageError: Nothing gives the sample size.
    """
    marks = _Marks(block)
    if "TEST" in block.columns:
        tests = block.values["TEST"]
        marks.add("TEST", np.array([test.upper() != "ADD" for test in tests], bool), "TEST")
    marks.add("EMPTY", _empty(block), "SNP")
    chrom, pos = _positions(block, marks)
    ref, alt = _alleles(block, marks)
    af, maf = _frequencies(block, marks)
    marks.add("LOW_MAF", maf < config.min_maf, "A1FREQ" if "A1FREQ" in block.columns else "MAF")
    info = marks.number("INFO")
    marks.add("NUMBER", info < 0, "INFO")
    marks.add("LOW_INFO", info < config.min_info, "INFO")
    effects, ratio = _effects(block, marks)
    z = _z(effects, marks)
    n = _n(config, block, marks)
    ids = block.values.get("SNP", np.full(len(block), "", object))
    table = VariantTable(chrom, pos, ref, alt, np.where(is_missing(ids), "", ids), af)
    lines = np.arange(block.first, block.first + len(block))
    records = SumstatsRecords(table, lines, z, n, maf, effects.beta, effects.se, ratio)
    return records.take(marks.settle(ledger))


def other_frequency(af: Floats) -> Floats:
    """1 - af [n], rounded so that it is the number that a file for the other allele would hold."""
    return np.round(1 - af, _FREQUENCY_DIGITS)


def ratio_to_p(block: Block) -> float:
    """How |z| compares with the |z| that P stands for: the median ratio of the first 20,000 rows.

    About 1, unless columns do not hold what their names say. NaN if too few rows have both.
    """
    values = {field: column[:_COMPARED] for field, column in block.values.items()}
    block = replace(block, values=values)
    marks = _Marks(block)
    effects, _ = _effects(block, marks)
    missing = np.full(len(block), np.nan)
    z, _ = z_scores(replace(effects, log_p=missing))
    expected = abs_z_from_log_p(_log_p(block, marks, np.ones(len(block), bool)))
    both = np.isfinite(z) & np.isfinite(expected) & (expected > _LEAST_Z)
    enough = int(both.sum()) >= _LEAST_COMPARED
    return float(np.median(np.abs(z[both]) / expected[both])) if enough else float("nan")


class _Marks:
    """What is wrong with the records of a block: for each the first code that was found."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._code = np.full(len(block), "", object)
        self._field = np.full(len(block), "", object)

    def add(self, code: str, mask: Mask, field: str) -> None:
        """Marks records that have no mark yet; `field` is where it was found."""
        new = mask & (self._code == "")
        self._code[new], self._field[new] = code, field

    def number(self, field: str) -> Floats:
        """The values of a field, NaN where missing [n]; those that are no numbers are marked."""
        if field not in self._block.columns:
            return np.full(len(self._block), np.nan)
        values, bad = numbers(self._block.values[field])
        self.add("NUMBER", bad, field)
        return values

    def first_of(self, *names: str) -> str:
        """The first of some fields that the file has; the last if it has none."""
        return next((name for name in names if name in self._block.columns), names[-1])

    def settle(self, ledger: Ledger) -> Mask:
        """Tells the ledger; returns which records stay [n]."""
        for code in dict.fromkeys(self._code.tolist()):
            if code:
                ledger.drop(code, self._code == code, self._describe, FAULTS.get(code, ""))
        return np.asarray(self._code == "", bool)

    def _describe(self, row: int) -> tuple[Any, ...]:
        block = self._block
        texts = [_shown(block, field, row) for field in ("CHR", "BP", "SNP", "A2", "A1")]
        field = self._field[row]
        found = f"{block.columns.names.get(field, field)} is {_shown(block, field, row)!r}"
        return (block.first + row, *texts, found)


def _shown(block: Block, field: str, row: int) -> str:
    return str(block.values[field][row]) if field in block.values else ""


def _take(column: Any, rows: npt.NDArray[Any]) -> Any:
    return column.take(rows) if isinstance(column, VariantTable) else column[rows]


def _positions(block: Block, marks: _Marks) -> tuple[Texts, npt.NDArray[np.int64]]:
    """Contigs and positions [n]; "" and 0 in a file without them."""
    if not block.columns.has_positions:
        return np.full(len(block), "", object), np.zeros(len(block), np.int64)
    names = block.values["CHR"]
    known = {
        name: _contig(name, block.columns.format == "ssf") for name in dict.fromkeys(names.tolist())
    }
    chrom = np.array([known[name] for name in names], object)
    pos, bad = positions(block.values["BP"])
    marks.add("POSITION", chrom == "", "CHR")
    marks.add("POSITION", bad, "BP")
    return chrom, pos


def _contig(name: str, is_ssf: bool) -> str:
    """A contig without "chr" and leading zeros, X, Y and MT by letter; "" if it is missing."""
    bare = name[3:] if name[:3].lower() == "chr" else name
    bare = bare.removesuffix(".0").lstrip("0")
    if is_ssf and bare == _SSF_MITOCHONDRION:
        return "MT"  # 25 of PLINK is a pseudo-autosomal region
    return "" if is_missing(np.array([bare], object))[0] else _LETTERED.get(bare.upper(), bare)


def _empty(block: Block) -> Mask:
    """Which rows say nothing about their variant."""
    fields = [field for field in ("A1", "A2", "Z", "BETA", "OR") if field in block.columns]
    return np.logical_and.reduce([is_missing(block.values[field]) for field in fields])


def _alleles(block: Block, marks: _Marks) -> tuple[Texts, Texts]:
    """Other and effect alleles in capitals [n]."""
    alt = _capitals(block.values["A1"])
    if "A2" in block.columns:
        ref = _capitals(block.values["A2"])
    else:
        triples = zip(
            alt, _capitals(block.values["REF"]), _capitals(block.values["ALT"]), strict=True
        )
        ref = np.array([_untested(*triple) for triple in triples], object)
    for field, alleles in (("A1", alt), ("A2", ref)):
        good = {allele: _is_sequence(allele) for allele in dict.fromkeys(alleles.tolist())}
        bad = np.array([not good[allele] for allele in alleles], bool)
        marks.add("ALLELE", bad, field)
    marks.add("ALLELE", ref == alt, "A1")
    return ref, alt


def _untested(tested: str, ref: str, alts: str) -> str:
    """The other allele of a PLINK 2 row; "" if that is not one allele."""
    alternatives = alts.split(",")
    if tested in alternatives:
        return ref
    return alts if tested == ref and len(alternatives) == 1 else ""


def _capitals(column: Column) -> Texts:
    # One object per allele, not one per row.
    capitals = {text: text.upper() for text in dict.fromkeys(column.tolist())}
    return np.array([capitals[text] for text in column], object)


def _is_sequence(allele: str) -> bool:
    return bool(allele) and _LETTERS.issuperset(allele)


def _frequencies(block: Block, marks: _Marks) -> tuple[Floats, Floats]:
    """Frequency of the effect allele and of the minor one [n]."""
    af, other = marks.number("A1FREQ"), marks.number("MAF")
    for field, values in (("A1FREQ", af), ("MAF", other)):
        marks.add("FREQUENCY", (values < 0) | (values > 1), field)
    known = np.where(np.isnan(af), other, af)
    return af, np.where(known > _LARGEST_MAF, other_frequency(known), known)


def _effects(block: Block, marks: _Marks) -> tuple[Effects, Floats]:
    """Effects, and the ratio of the statistics of BOLT-LMM and linear regression [n]."""
    z, beta, odds, se = (marks.number(field) for field in ("Z", "BETA", "OR", "SE"))
    for field, values in (("OR", odds), ("SE", se)):
        marks.add(_RANGES[field], values <= 0, field)
    se = np.where(se > 0, se, np.nan)
    logs = np.log(np.where(odds > 0, odds, np.nan))
    beta = np.where(np.isnan(beta), logs, beta)
    statistics = []
    for field in _CHISQ:
        values = marks.number(field)
        marks.add("CHISQ_RANGE", values < 0, field)
        statistics.append(np.where(values >= 0, values, np.nan))
    mixed, infinitesimal, linear = statistics
    chisq = np.where(np.isnan(mixed), infinitesimal, mixed)
    # P is only looked at where nothing better is known: some programs write 0 for small ones.
    needed = np.isnan(z) & (np.isnan(beta) | np.isnan(se)) & np.isnan(chisq)
    logs = np.where(needed, _log_p(block, marks, needed), np.nan)
    return Effects(z, beta, se, chisq, logs), bolt_ratios(mixed, linear)


def _log_p(block: Block, marks: _Marks, needed: Mask) -> Floats:
    """Ln P from -log10 P or P [n]."""
    with np.errstate(over="ignore"):
        logs = -np.log(10) * marks.number("LOG10P")
    marks.add("P_RANGE", needed & (logs > 0), "LOG10P")
    logs = np.where(logs > 0, np.nan, logs)
    if "P" in block.columns:
        needed = needed & np.isnan(logs)
        others, bad = log_p(block.values["P"])
        marks.add("P_RANGE", needed & bad, "P")
        marks.add("P_ZERO", needed & np.isneginf(others), "P")
        logs = np.where(needed, others, logs)
    return logs


def _z(effects: Effects, marks: _Marks) -> Floats:
    """The z-score [n]."""
    z, no_sign = z_scores(effects)
    marks.add("NUMBER", np.isinf(z), "BETA")
    marks.add("NO_SIGN", no_sign, "BETA")
    marks.add("INCONSISTENT", np.sign(z) * np.sign(effects.beta) < 0, "Z")
    marks.add("MISSING", np.isnan(z), marks.first_of("Z", "BETA", "OR"))
    return z


def _n(config: MungeConfig, block: Block, marks: _Marks) -> Floats:
    """The sample size [n]."""
    used = n_fields(config, block.columns)
    values = [marks.number(field) for field in used]
    for field, column in zip(used, values, strict=True):
        marks.add("N_RANGE", (column <= 0) | (column > LARGEST_N), field)
        marks.add("MISSING", np.isnan(column), field)
    if not values:
        return np.full(len(block), constant_n(config))
    return case_control_n(*values) if len(values) > 1 else values[0]
