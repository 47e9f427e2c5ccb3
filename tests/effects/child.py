"""A scoring run in a process of its own, which may die where it is told to.

Arguments: one JSON object with `config` (fields of ScoringConfig) and optionally `rows_per_piece`,
`tracks`, `die_at_call` (call of the engine), `die_in` (`blocks`: while the store is written,
`rejects`, `report`, `publish`, `remove`: before that step, `published`: after the store has its
name) with `die_after` (how many times the step may pass), and `announce` (a line on stdout for
every call of the engine).
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path

from effects.toy_engines import SuicidalEngine, SumEngine, loaded
from tfgen.effects import ScoringConfig, score, score_variants
from tfgen.errors import TfgenError
from tfgen.io import RejectLog, RunReport
from tfgen.io.pieces import PartialRun


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function, passes, after=False):
    """`function`, but the process dies before (or after) call number `passes`."""
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) > passes and not after:
            die()
        result = function(*args, **kwargs)
        if len(calls) > passes:
            die()
        return result

    return wrapped


def arm(step, passes):
    """Makes the process die in one of the steps that follow the scoring."""
    if step == "blocks":
        write = score.write_store
        score.write_store = lambda path, schema, source, between: write(
            path, schema, source, dying(between, passes)
        )
    elif step == "rejects":
        RejectLog.write = dying(RejectLog.write, passes)
    elif step == "report":
        RunReport.write = dying(RunReport.write, passes)
    elif step in ("publish", "published"):
        score.publish = dying(score.publish, passes, after=step == "published")
    elif step == "remove":
        # The folder is emptied file by file; it is also looked at when a run begins.
        unlink = dying(Path.unlink, passes)
        remove = PartialRun.remove

        def removed(self):
            Path.unlink = unlink
            remove(self)

        PartialRun.remove = removed


class AnnouncingEngine(SuicidalEngine):
    """Works for a while in every call, says so, and notes its memory."""

    memory = None

    def score(self, windows):
        scores = super().score(windows)
        for _ in range(20):
            SumEngine._counts(self, windows, 0)
        sys.stdout.write(f"call {len(self.calls)}\n")
        sys.stdout.flush()
        return scores


class MeasuringEngine(SumEngine):
    """Notes the peak memory, in kB, at the first call after row 1000."""

    at_row_1000 = 0

    def score(self, windows):
        if not self.at_row_1000 and sum(self.calls) > 1000:
            MeasuringEngine.at_row_1000 = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return super().score(windows)


def main():
    options = json.loads(sys.argv[1])
    settings = options["config"]
    for name in ("model", "fasta", "vcf", "output"):
        settings[name] = Path(settings[name])
    if "die_in" in options:
        arm(options["die_in"], options.get("die_after", 0))
    kind = SuicidalEngine
    if options.get("announce"):
        kind = AnnouncingEngine
    if options.get("measure"):
        kind = MeasuringEngine
    engine = kind(n_tracks=options.get("tracks", 3))
    if "die_at_call" in options:
        engine.calls_to_live = options["die_at_call"]
    pieces = options.get("rows_per_piece", 16)
    try:
        summary = score_variants(
            ScoringConfig(**settings), lambda config: loaded(engine, rows_per_piece=pieces)
        )
    except TfgenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    measured = {
        "resumed": summary.n_resumed,
        "counts": dict(summary.counts),
        "checked": summary.check.n_rows,
        "warnings": list(summary.warnings),
        "memory_at_row_1000": MeasuringEngine.at_row_1000,
        "memory_at_end": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
