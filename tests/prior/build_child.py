"""A build in a process of its own, which may die where it is told to.

Arguments: one JSON object with `config` (fields of BuildLdConfig), and optionally `die_in`, that
is `block` (before a block is computed), `save` (before its piece has its name), `write` (while the
store is written), `report` (before run.json), `rename` (before the store has its name) or
`published` (after that), with `die_after` (how many times the step may pass).
"""

import json
import os
import signal
import sys
from pathlib import Path

from tfgen.errors import TfgenError
from tfgen.io import RunReport, atomic, pieces
from tfgen.prior.ld import build_ld as module
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.panel_input import PanelInput


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
    if step == "block":
        PanelInput.block = dying(PanelInput.block, passes)
    elif step == "save":
        pieces.publish = dying(pieces.publish, passes)
    elif step == "write":
        write = module.write_ld_store
        module.write_ld_store = lambda folder, attributes, blocks, between: write(
            folder, attributes, blocks, dying(between, passes)
        )
    elif step == "report":
        RunReport.write = dying(RunReport.write, passes)
    elif step == "rename":
        atomic._publish_directory = dying(atomic._publish_directory, passes)
    else:
        pieces.PartialRun.remove = dying(pieces.PartialRun.remove, passes)


def main():
    options = json.loads(sys.argv[1])
    settings = options["config"]
    for name in ("output", "bed", "block_file"):
        settings[name] = Path(settings[name])
    if "die_in" in options:
        arm(options["die_in"], options.get("die_after", 0))
    try:
        summary = module.build_ld(BuildLdConfig(**settings))
    except TfgenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    answer = {"resumed": summary.n_resumed, "warnings": summary.warnings}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
