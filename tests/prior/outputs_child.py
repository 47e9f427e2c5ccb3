"""An evaluation, or posterior effects, in a process of its own, which may die where it is told to.

Arguments: one JSON object with `program` (`eval` or `posterior`), `config` (fields of its settings)
and optionally `die_in`: `save` (after the piece of a block), `write` (before an output is written),
`report` (before run.json), `publish` (before an output has its name) or `remove` (before the work
is removed), with `die_after` (how many times the step may pass).
"""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

from tfgen.errors import TfgenError
from tfgen.io import RunReport, atomic
from tfgen.io.pieces import PartialRun
from tfgen.io.work import WorkFolder
from tfgen.prior.outputs import posterior_table, variant_output
from tfgen.prior.outputs.eval import evaluate_prior
from tfgen.prior.outputs.eval_config import EvalConfig
from tfgen.prior.outputs.posterior_config import PosteriorConfig


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
    elif step == "write":
        posterior_table.write_variants = dying(posterior_table.write_variants, passes)
    elif step == "report":
        RunReport.write = dying(RunReport.write, passes)
    elif step == "publish":
        variant_output.publish = dying(variant_output.publish, passes)
        atomic._publish_directory = dying(atomic._publish_directory, passes)
    else:
        WorkFolder.remove = dying(WorkFolder.remove, passes)


def main():
    options = json.loads(sys.argv[1])
    if "die_in" in options:
        arm(options["die_in"], options.get("die_after", 0))
    settings = {
        name: Path(value) if isinstance(value, str) else value
        for name, value in options["config"].items()
    }
    settings |= {"traits": tuple(settings["traits"]), "progress": "none"}
    if options["program"] == "eval":
        # Figures are no part of what is compared, and take seconds.
        find_spec = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "matplotlib" else find_spec(name)
    try:
        if options["program"] == "eval":
            summary = evaluate_prior(EvalConfig(**settings))
        else:
            summary = posterior_table.write_posterior(PosteriorConfig(**settings))
    except TfgenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    answer = {"resumed": summary.n_resumed, "warnings": summary.warnings}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
