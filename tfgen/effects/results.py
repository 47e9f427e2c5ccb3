"""What a scoring run came to: counts, self-check, rejects, run report."""

import dataclasses
import resource
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfgen.effects.config import ScoringConfig
from tfgen.effects.pieces import PartialScores
from tfgen.effects.selfcheck import SelfCheck, combine
from tfgen.effects.store import ScoreStore
from tfgen.errors import TooManyRejectsError
from tfgen.genome import Status
from tfgen.io import RejectLog
from tfgen.io.shards import RowRange

_REJECT_TEXTS = {
    "chr": "chrom",
    "snp": "id",
    "ref_allele": "ref",
    "alt_allele": "alt",
    "detail": "detail",
}
"""Text columns of a piece and what the list of rejects calls them."""


@dataclasses.dataclass(frozen=True)
class ScoreSummary:
    """What a scoring run came to.

    Attributes:
        output: The score store.
        rows: The rows that it holds.
        counts: Rows of each status, `OK` first.
        n_resumed: Rows that an earlier, interrupted run had done.
        seconds: Time of this run for its rows, without loading.
        check: The self-check over all rows.
        warnings: What the user should know.
    """

    output: Path
    rows: RowRange
    counts: Mapping[str, int]
    n_resumed: int
    seconds: float
    check: SelfCheck
    warnings: tuple[str, ...]

    @property
    def n_rejected(self) -> int:
        """Rows without a score."""
        return len(self.rows) - self.counts.get(Status.OK.value, 0)

    @property
    def rows_per_second(self) -> float:
        """Rows that this run did per second; 0 if it had none to do."""
        n_done = len(self.rows) - self.n_resumed
        return n_done / self.seconds if n_done and self.seconds > 0 else 0.0

    def results(self) -> dict[str, object]:
        """The summary as the `results` of the run report."""
        return {
            "rows": len(self.rows),
            "row_start": self.rows.start,
            "row_stop": self.rows.stop,
            "counts": dict(self.counts),
            "rejected": self.n_rejected,
            "resumed_rows": self.n_resumed,
            "seconds_scoring": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second, 4),
            "self_check": {
                "rows": self.check.n_rows,
                "max_abs": dict(self.check.max_abs),
                "largest": self.check.largest,
            },
            "peak_memory_bytes": peak_memory(),
            "warnings": list(self.warnings),
        }

    def require_few_rejects(self, limit: float) -> None:
        """Raises if too many rows have no score.

        Args:
            limit: Largest share of rows without a score.

        Raises:
            TooManyRejectsError: There are more.
        """
        if self.n_rejected <= limit * len(self.rows):
            return
        codes = [f"{code} {n}" for code, n in self.counts.items() if code != Status.OK.value]
        raise TooManyRejectsError(
            f"{self.output}: {self.n_rejected} of {len(self.rows)} rows have no score "
            f"({', '.join(codes)}), more than max_rejected_fraction {limit:g} allows; the output "
            f"is complete, the records are in {rejects_path(self.output)}"
        )


def collect(
    run: PartialScores, pieces: Sequence[RowRange], config: ScoringConfig, rejects: RejectLog
) -> tuple[dict[str, int], SelfCheck]:
    """Goes through all pieces: fills the list of rejects, counts, and joins the self-checks.

    Returns:
        Rows of each status that occurs, `OK` first, and the self-check of the whole run.
    """
    counts: Counter[str] = Counter()
    checks = []
    for piece in pieces:
        checks.append(run.check(piece))
        columns = run.read(piece, ("status", "line", "given_pos", *_REJECT_TEXTS))
        statuses = [status.decode() for status in columns["status"].tolist()]
        counts.update(statuses)
        for row, status in enumerate(statuses):
            if status != Status.OK.value:
                texts = {
                    argument: columns[column][row].decode()
                    for column, argument in _REJECT_TEXTS.items()
                }
                line, pos = int(columns["line"][row]), int(columns["given_pos"][row])
                rejects.add(line, pos=pos, code=status, **texts)
    return in_order(counts), combine(checks, config.statistics)


def status_counts(store: ScoreStore) -> Counter[str]:
    """Rows of each status of a store."""
    return Counter(code.decode() for code in store.column("status").tolist())


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Rows of each status that occurs, `OK` first."""
    return {status.value: counts[status.value] for status in Status if counts.get(status.value)}


def rejects_path(output: Path) -> Path:
    """Where the records without a score are listed."""
    return output.with_name(output.name + ".rejects.tsv")


def report_path(output: Path) -> Path:
    """Where time, host, paths and checks of the run are reported."""
    return output.with_name(output.name + ".run.json")


def peak_memory() -> int:
    """Largest memory that this process has used, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kibibytes, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
