"""A run that annotates variants in a process of its own, which may die where it is told to.

Arguments: one JSON object with `config` (fields of FeaturesConfig) and optionally `die_in` (`save`:
after a piece, `block`: while the store is written, `report`, `publish`, `published`: after the
store has its name, `remove`) with `die_after` (how many times the step may pass).
"""

import json
import os
import signal
import sys
from pathlib import Path

from tfgen.errors import TfgenError
from tfgen.io import RunReport
from tfgen.io.pieces import PartialRun
from tfgen.prior.features import feature_store, features
from tfgen.prior.features.features_config import FeaturesConfig


def dying(function, passes, after=False):
    """`function`, but the process dies before (or after) call number `passes`."""
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) > passes and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if len(calls) > passes:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def arm(step, passes):
    if step == "save":
        PartialRun.save = dying(PartialRun.save, passes, after=True)
    elif step == "block":
        write = features.write_feature_store
        features.write_feature_store = lambda path, schema, variants, source, between: write(
            path, schema, variants, source, dying(between, passes)
        )
    elif step == "report":
        RunReport.write = dying(RunReport.write, passes)
    elif step in ("publish", "published"):
        features.publish = dying(features.publish, passes, after=step == "published")
    elif step == "remove":
        Path.unlink = dying(Path.unlink, passes)


def main():
    options = json.loads(sys.argv[1])
    # Many pieces and blocks of few rows; the output does not depend on the former.
    features._PIECE_BYTES = 1
    feature_store._BLOCK_BYTES = options.get("block_bytes", feature_store._BLOCK_BYTES)
    if "die_in" in options:
        arm(options["die_in"], options.get("die_after", 0))
    settings = {
        name: tuple(value)
        if isinstance(value, list)
        else Path(value)
        if name in ("variants", "output")
        else value
        for name, value in options["config"].items()
    }
    try:
        summary = features.build_features(FeaturesConfig(**settings, progress="none"))
    except TfgenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    outcome = {"resumed": summary.n_resumed, "warnings": summary.warnings}
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
