"""Which rows of an input one run works on."""

from dataclasses import dataclass

from tfgen.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class RowRange:
    """Rows start..stop of an input, 0-based and half-open; a VCF has one row per ALT.

    Raises:
        UsageError: The range is negative or ends before it starts.
    """

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise UsageError(
                f"rows {self.start}:{self.stop}; expected START:STOP with 0 <= START <= STOP"
            )

    def __len__(self) -> int:
        """Number of rows."""
        return self.stop - self.start

    def __str__(self) -> str:
        return f"{self.start}:{self.stop}"


def shard_range(n_rows: int, shard_index: int, num_shards: int) -> RowRange:
    """The rows of one shard: consecutive shards of nearly equal size cover 0..n_rows once.

    Args:
        n_rows: Rows of the whole input.
        shard_index: 0-based index of the shard.
        num_shards: Number of shards.

    Raises:
        UsageError: `shard_index` is not in 0..num_shards-1.
    """
    if num_shards < 1 or not 0 <= shard_index < num_shards:
        raise UsageError(
            f"shard_index {shard_index} of num_shards {num_shards}; expected "
            "0 <= shard_index < num_shards"
        )
    return RowRange(shard_index * n_rows // num_shards, (shard_index + 1) * n_rows // num_shards)


def parse_rows(text: str) -> RowRange:
    """A range from START:STOP.

    Raises:
        UsageError: Not two whole numbers, or not in order.
    """
    start, colon, stop = text.partition(":")
    if not colon or not all(part.isascii() and part.isdecimal() for part in (start, stop)):
        raise UsageError(
            f"rows {text!r}; expected START:STOP, 0-based and without the row STOP, "
            "for example 0:100000"
        )
    return RowRange(int(start), int(stop))


def choose_rows(n_rows: int, rows: str, shard_index: int, num_shards: int) -> RowRange:
    """The rows of a run: those named, else those of its shard.

    Args:
        n_rows: Rows of the whole input.
        rows: START:STOP, or empty.
        shard_index: 0-based index of the shard.
        num_shards: Number of shards.

    Raises:
        UsageError: The range reaches past the input.
    """
    if not rows:
        return shard_range(n_rows, shard_index, num_shards)
    chosen = parse_rows(rows)
    if chosen.stop > n_rows:
        raise UsageError(f"rows {chosen} reach past the {n_rows} rows of the input")
    return chosen
