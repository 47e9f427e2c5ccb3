"""Reads the rows of a variant file, checked and with the sequences to score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tfgen.effects.config import ScoringConfig
from tfgen.effects.schema import LONGEST_STORED_ALLELE
from tfgen.effects.windows import WindowGeometry
from tfgen.errors import InputFormatError, InputMismatchError, TfgenError
from tfgen.genome import (
    CheckedVariant,
    ContigNames,
    Fasta,
    ReferencePolicy,
    Status,
    VariantRecord,
    VariantWindow,
    check_variant,
    longest_centred_allele,
    read_variants,
    variant_window,
)
from tfgen.io.shards import RowRange

FORMAT_FAULTS = frozenset(
    {
        Status.NO_ALT,
        Status.SYMBOLIC,
        Status.BREAKEND,
        Status.STAR,
        Status.NON_ACGT,
        Status.REF_EQ_ALT,
        Status.INDEL_TOO_LONG,
    }
)
"""Faults of a record alone; the others are contradictions between the record and the genome."""


@dataclass(frozen=True, slots=True)
class CheckedRecord:
    """A record of the variant file and what the genome says about it."""

    record: VariantRecord
    checked: CheckedVariant


@dataclass(frozen=True, slots=True)
class ScoringRow:
    """One row of the output before it is scored.

    Attributes:
        record: The record as the file has it.
        checked: The same after its check against the genome.
        window: Its sequences; None where the check failed.
    """

    record: VariantRecord
    checked: CheckedVariant
    window: VariantWindow | None

    @property
    def status(self) -> Status:
        """`OK`, or why the row gets no score."""
        return self.checked.status if self.window is None else self.window.status

    @property
    def detail(self) -> str:
        """What is wrong, in words."""
        return self.checked.detail if self.window is None else self.window.detail


class RowReader:
    """Reads and checks rows of one variant file.

    Args:
        config: Variant file and policies.
        fasta: The genome.
        names: Contig names of the variant file in the spelling of the genome.
    """

    def __init__(self, config: ScoringConfig, fasta: Fasta, names: ContigNames) -> None:
        self._config = config
        self._fasta = fasta
        self._names = names

    def checked(
        self, ranges: Sequence[RowRange], max_indel: int, max_allele: int | None = None
    ) -> Iterator[CheckedRecord]:
        """The rows of some ranges, each checked against the genome, in one pass over the file.

        Args:
            ranges: Rows to read: in order and disjoint.
            max_indel: Most bases that an indel may add or remove.
            max_allele: Most bases of either allele; None where the model is not known yet.

        Raises:
            InputMismatchError: The reference allele is not in the genome and the policy is
                `error`, or a record contradicts the genome and no bad record is allowed.
            InputFormatError: A record is faulty in itself and no bad record is allowed.
        """
        policy: ReferencePolicy = "swap" if self._config.ref_policy == "swap" else "skip"
        for record in self._records(ranges):
            checked = check_variant(
                record.variant, self._fasta, self._names, max_indel, policy, max_allele
            )
            self._refuse(record, checked.status, checked.detail)
            yield CheckedRecord(record, checked)

    def scoring_rows(
        self, ranges: Sequence[RowRange], geometry: WindowGeometry
    ) -> Iterator[ScoringRow]:
        """The rows of some ranges with the sequences to score.

        Raises:
            TfgenError: As `checked`.
        """
        longest = longest_indel(self._config, geometry), longest_allele(geometry)
        for item in self.checked(ranges, *longest):
            window = None
            if item.checked.status is Status.OK:
                interval = geometry.window(item.checked.variant, self._config.windows)
                window = variant_window(
                    self._fasta, item.checked, interval, self._config.max_n_fraction
                )
                self._refuse(item.record, window.status, window.detail)
            yield ScoringRow(item.record, item.checked, window)

    def _records(self, ranges: Sequence[RowRange]) -> Iterator[VariantRecord]:
        records = read_variants(self._config.vcf, self._config.variants_format)
        n_read = 0
        for rows in ranges:
            for record in islice(records, rows.start - n_read, rows.stop - n_read):
                n_read = record.row + 1
                yield record
            if n_read != rows.stop:
                raise InputMismatchError(
                    f"{self._config.vcf}: {n_read} rows, but at least {rows.stop} when the run "
                    "began; the file was changed meanwhile, start again"
                )

    def _refuse(self, record: VariantRecord, status: Status, detail: str) -> None:
        """Raises if a status is one that this run does not allow."""
        forbidden = status is not Status.OK and self._config.on_bad_record == "error"
        if status is Status.REF_MISMATCH and self._config.ref_policy == "error":
            forbidden = True
        if not forbidden:
            return
        kind: type[TfgenError] = InputMismatchError
        if status in FORMAT_FAULTS:
            kind = InputFormatError
        raise kind(
            f"{self._config.vcf}:{record.line}: {status}: {detail}; correct the record, or keep "
            "such rows without a score with --on_bad_record=keep and --ref_policy=skip"
        )


def longest_indel(config: ScoringConfig, geometry: WindowGeometry) -> int:
    """Most bases that an indel may add or remove in a run: as asked for, as far as they fit."""
    return min(config.max_indel, longest_allele(geometry) - 1)


def longest_allele(geometry: WindowGeometry) -> int:
    """Most bases of an allele: it must lie inside the right half of a centred window."""
    return min(longest_centred_allele(geometry.sequence_length), LONGEST_STORED_ALLELE)
