"""Joins the shards of a scoring run into the store that one run would have written."""

import dataclasses
import resource
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.effects.identity import ROW_ATTRIBUTES
from tfgen.effects.results import in_order, rejects_path, report_path, status_counts
from tfgen.effects.schema import ROW_COLUMNS, TEXT_COLUMNS, StoreSchema
from tfgen.effects.store import ScoreStore
from tfgen.effects.writer import write_store
from tfgen.errors import InputMismatchError, OutputError, UsageError
from tfgen.io import (
    OutputLock,
    RunReport,
    StopRequest,
    input_fingerprint,
    new_file,
    publish,
    require_free_space,
)
from tfgen.io.shards import RowRange

_OTHER_FILES = 64
_N_EXAMPLES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergeConfig:
    """What to merge; each field is a flag.

    Raises:
        UsageError: No inputs, or the output is among them.
    """

    inputs: tuple[str, ...] = dataclasses.field(
        metadata={"help": "Score stores of one run that cover its rows once, in any order."}
    )
    output: Path = dataclasses.field(metadata={"help": "Score store to write (HDF5)."})
    overwrite: bool = dataclasses.field(
        default=False, metadata={"help": "Replace an existing output."}
    )

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError("nothing to merge; name the score stores of all shards")
        if self.output.resolve() in [Path(name).resolve() for name in self.inputs]:
            raise UsageError(f"{self.output}: is an input as well; choose another output")


@dataclasses.dataclass(frozen=True)
class MergeSummary:
    """What was merged.

    Attributes:
        output: The merged store.
        n_rows: Its rows.
        counts: Rows of each status, `OK` first.
        n_shards: Stores that it was merged from.
        warnings: What the user should know.
    """

    output: Path
    n_rows: int
    counts: Mapping[str, int]
    n_shards: int
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Shard:
    store: ScoreStore
    rows: RowRange


class _ShardRows:
    """The rows of all shards, in order, as the rows of one store."""

    def __init__(self, shards: Sequence[_Shard]) -> None:
        self._shards = shards

    def read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """See `tfgen.effects.writer.RowSource`."""
        parts: dict[str, list[npt.NDArray[Any]]] = {column: [] for column in columns}
        for shard in self._shards:
            first = max(start, shard.rows.start) - shard.rows.start
            last = min(stop, shard.rows.stop) - shard.rows.start
            if first < last:
                for column in columns:
                    parts[column].append(_values(shard.store, column, first, last))
        return {column: np.concatenate(values) for column, values in parts.items()}


def merge_stores(config: MergeConfig, command: str = "variants_merge") -> MergeSummary:
    """Merges shards; the result is byte for byte the store of a run that was not divided.

    Percentiles are computed anew from all rows. The lists of rejects beside the shards are joined
    as well.

    Args:
        config: What to merge.
        command: Name for the run report.

    Raises:
        InputMismatchError: The stores are not of one run, or do not cover its rows exactly once.
        InputFormatError: An input is no score store.
        OutputError: The output exists, is being written, or the disk is full.
        InterruptedRunError: SIGINT or SIGTERM.
    """
    output, inputs = config.output, [Path(name) for name in config.inputs]
    report = RunReport(command, dataclasses.asdict(config))
    with OutputLock(output), StopRequest() as stop, ExitStack() as stack:
        if output.exists() and not config.overwrite:
            raise OutputError(f"{output}: exists; choose another output or pass --overwrite")
        _allow_open_files(len(inputs))
        stores = [stack.enter_context(ScoreStore(path)) for path in inputs]
        shards = sorted((_shard(store) for store in stores), key=lambda shard: shard.rows)
        _require_same_run(stores)
        _require_whole(shards)
        schema = _merged_schema(stores[0])
        require_free_space(output.absolute().parent, schema.size, output.name)
        partial = output.with_name(output.name + ".merging")
        try:
            write_store(partial, schema, _ShardRows(shards), stop.raise_if_requested)
            warnings = _merge_rejects([shard.store.path for shard in shards], output)
            report.inputs = {str(path): input_fingerprint(path) for path in inputs}
            counts = in_order(sum((status_counts(store) for store in stores), Counter()))
            report.results = {
                "rows": schema.n_rows,
                "counts": counts,
                "shards": len(shards),
                "warnings": warnings,
            }
            report.write(report_path(output))
            publish(partial, output)
        finally:
            partial.unlink(missing_ok=True)
    return MergeSummary(output, schema.n_rows, counts, len(shards), tuple(warnings))


def _allow_open_files(n_files: int) -> None:
    """Raises the limit of open files, which is often 1,024, as far as this user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = n_files + _OTHER_FILES
    if soft < needed and soft != resource.RLIM_INFINITY:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _values(store: ScoreStore, column: str, start: int, stop: int) -> npt.NDArray[Any]:
    if column in ROW_COLUMNS:
        return store.column(column, start, stop)
    return store.scores(column, slice(start, stop))


def _shard(store: ScoreStore) -> _Shard:
    """The rows that a store says it holds."""
    try:
        start, stop = (int(store.attributes[name]) for name in ROW_ATTRIBUTES)
        int(store.attributes["rows_total"]), bool(store.attributes["float16"])
    except (KeyError, ValueError):
        raise InputMismatchError(
            f"{store.path}: does not say which rows it holds; expected a store of variants_score"
        ) from None
    rows = RowRange(start, stop)
    if len(rows) != store.n_rows:
        raise InputMismatchError(
            f"{store.path}: holds {store.n_rows} rows but says {rows}; it was changed"
        )
    return _Shard(store, rows)


def _require_same_run(stores: Sequence[ScoreStore]) -> None:
    """Stops at the first store that another run has written, naming what differs."""
    first = stores[0]
    for store in stores[1:]:
        names = sorted(first.attributes.keys() | store.attributes.keys())
        different = [
            f"{name} is {first.attributes.get(name)} and {store.attributes.get(name)}"
            for name in names
            if name not in ROW_ATTRIBUTES
            and first.attributes.get(name) != store.attributes.get(name)
        ]
        for what in ("target_ids", "target_labels", "statistics", "columns"):
            if getattr(first, what) != getattr(store, what):
                different.append(f"their {what} differ")
        if _types(first) != _types(store):
            different.append("their column types differ")
        if different:
            more = ", ..." if len(different) > _N_EXAMPLES else ""
            raise InputMismatchError(
                f"{first.path} and {store.path} are not of one run: "
                f"{', '.join(different[:_N_EXAMPLES])}{more}; score all shards with the same "
                "inputs, flags and versions"
            )


def _types(store: ScoreStore) -> list[np.dtype[Any]]:
    """Types of all columns, with the widths of text."""
    columns = [store.dtype(name) for name in store.columns]
    return columns + [store.dtype(name) for name in store.statistics]


def _require_whole(shards: Sequence[_Shard]) -> None:
    """Stops unless the shards cover all rows exactly once."""
    covered, total = 0, int(shards[0].store.attributes["rows_total"])
    for shard in (shard for shard in shards if len(shard.rows)):
        if shard.rows.start < covered:
            raise InputMismatchError(
                f"{shard.store.path}: rows {shard.rows} are in another shard as well; "
                "name each shard once"
            )
        if shard.rows.start > covered:
            raise _missing(RowRange(covered, shard.rows.start), total)
        covered = shard.rows.stop
    if covered != total:
        raise _missing(RowRange(covered, total), total)


def _missing(rows: RowRange, total: int) -> InputMismatchError:
    return InputMismatchError(
        f"rows {rows} of {total} are in no shard; name every shard, or score the missing rows "
        f"with --rows={rows}"
    )


def _merged_schema(store: ScoreStore) -> StoreSchema:
    """The shape of the merged store, from any one shard."""
    total = int(store.attributes["rows_total"])
    return StoreSchema(
        n_rows=total,
        text_widths={name: store.dtype(name).itemsize for name in TEXT_COLUMNS},
        statistics=store.statistics,
        target_ids=store.target_ids,
        target_labels=store.target_labels,
        float16=bool(store.attributes["float16"]),
        attributes={**store.attributes, "row_start": 0, "row_stop": total},
    )


def _merge_rejects(stores: Sequence[Path], output: Path) -> list[str]:
    """Joins the lists of rejects of the shards; returns a warning if one is missing."""
    paths = [rejects_path(store) for store in stores]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        rejects_path(output).unlink(missing_ok=True)
        return [f"no list of rejects was written, because {missing[0]} is missing"]
    with new_file(rejects_path(output)) as target:
        for index, path in enumerate(paths):
            with path.open(encoding="utf-8", newline="") as source:
                header = source.readline()
                if index == 0:
                    target.write(header)
                target.writelines(source)
    return []
