"""A simulation in a process of its own, which may die where it is told to.

Arguments: one JSON object with `config` (fields of SimulateConfig) and optionally `die_in`, `save`
(before a piece has its name), `truth` (before the truth has its name), `report` (before run.json)
or `publish` (before the statistics have their name), with `die_after`.
"""

import json
import os
import signal
import sys
from pathlib import Path

from tfgen.io import RunReport, pieces
from tfgen.prior.simulation import simulate as module
from tfgen.prior.simulation import truth_table
from tfgen.prior.simulation.simulate_config import SimulateConfig
from tfgen.prior.sumstats import munged


def dying(function, passes):
    """`function`, but the process dies before call number `passes`."""
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) > passes:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return wrapped


def arm(step, passes):
    if step == "report":
        RunReport.write = dying(RunReport.write, passes)
    else:
        place = {"save": pieces, "truth": truth_table, "publish": munged}[step]
        place.publish = dying(place.publish, passes)


def main():
    options = json.loads(sys.argv[1])
    settings = options["config"]
    for name in ("ld", "output", "features"):
        settings[name] = Path(settings[name])
    if "die_in" in options:
        arm(options["die_in"], options.get("die_after", 0))
    summary = module.simulate_statistics(SimulateConfig(**settings, progress="none"))
    sys.stdout.write(json.dumps({"resumed": summary.n_resumed}) + "\n")


if __name__ == "__main__":
    main()
