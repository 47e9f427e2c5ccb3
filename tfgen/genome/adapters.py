"""kipoiseq's intervals and variants in place of ours, and back.

kipoiseq is imported when one of these functions is called, never before.
"""

import contextlib
import importlib
import io
import logging
import warnings
from functools import cache
from typing import Any, overload

from tfgen.errors import UnsupportedInputError, UsageError
from tfgen.genome.intervals import Interval
from tfgen.genome.variants import Variant


def from_kipoiseq(thing: Any) -> Interval | Variant:
    """Our form of a `kipoiseq.Interval` or a `kipoiseq.Variant`.

    Both use the coordinates that we use: 0-based half-open intervals, 1-based variant positions.
    Names, scores, filters and other attributes do not come along.

    Raises:
        UnsupportedInputError: The interval lies on the reverse strand, which ours cannot say.
        UsageError: `thing` is neither.
    """
    kipoiseq = _kipoiseq()
    if isinstance(thing, kipoiseq.Interval):
        if thing.strand == "-":
            raise UnsupportedInputError(
                f"interval {thing.chrom}:{thing.start}-{thing.end} lies on the reverse strand; "
                "use the forward strand and reverse_complement on the sequence"
            )
        return Interval(str(thing.chrom), int(thing.start), int(thing.end))
    if isinstance(thing, kipoiseq.Variant):
        name = str(thing.id or ".")
        ref, alt = str(thing.ref).upper(), str(thing.alt).upper()
        return Variant(str(thing.chrom), int(thing.pos), ref, alt, name)
    raise UsageError(f"{type(thing).__name__}: expected a kipoiseq Interval or Variant")


@overload
def to_kipoiseq(thing: Interval) -> Any: ...
@overload
def to_kipoiseq(thing: Variant) -> Any: ...
def to_kipoiseq(thing: Interval | Variant) -> Any:
    """The `kipoiseq.Interval` or `kipoiseq.Variant` of one of ours."""
    kipoiseq = _kipoiseq()
    if isinstance(thing, Interval):
        return kipoiseq.Interval(thing.chrom, thing.start, thing.end)
    return kipoiseq.Variant(thing.chrom, thing.pos, thing.ref, thing.alt, thing.id)


@cache
def _kipoiseq() -> Any:
    """kipoiseq, without what its import says about packages that it does not find."""
    logging_was_disabled_at = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            return importlib.import_module("kipoiseq")
    finally:
        logging.disable(logging_was_disabled_at)
