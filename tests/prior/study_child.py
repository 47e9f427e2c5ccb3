"""A study in a process of its own, which may die after some fits.

Arguments: one JSON object with `config` (fields of StudyConfig), and optionally `die_after`, the
number of fits that are made before the process kills itself: in this process (no `jobs`) the next
one dies with its record, else this process dies and its processes are orphans.
"""

import json
import os
import signal
import sys
from pathlib import Path

from tfgen.errors import TfgenError
from tfgen.io import Progress
from tfgen.prior.study import study as module
from tfgen.prior.study.study_config import StudyConfig
from tfgen.prior.study.study_records import Records


def main():
    options = json.loads(sys.argv[1])
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in options["config"].items()}
    for name in ("output", "ld"):
        settings[name] = Path(settings[name])
    if "die_after" in options:
        where, name = (Progress, "update") if settings["jobs"] else (Records, "save")
        method, calls = getattr(where, name), []

        def dying(*args):
            calls.append(1)
            if len(calls) > options["die_after"]:
                os.kill(os.getpid(), signal.SIGKILL)
            method(*args)

        setattr(where, name, dying)
    try:
        summary = module.run_study(StudyConfig(**settings))
    except TfgenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(json.dumps({"resumed": summary.n_resumed}) + "\n")


if __name__ == "__main__":
    main()
