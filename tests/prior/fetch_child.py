"""A download in a process of its own, which dies where it is told to.

Arguments: one JSON object with `config` (fields of FetchConfig) and optionally `die_at_byte` (bytes
that have come), or `die_in` (`complete`: a file is checked but not noted, `publish`: noted, but
without its name, `published`: it has its name, `manifest`: all is fetched, `report`: the manifest
is written, `list`: before the list of a group is kept) with `die_after` (how often to pass).
"""

import json
import os
import signal
import sys
from pathlib import Path

from tfgen.errors import TfgenError
from tfgen.io import RunReport, download
from tfgen.io.remote import WebClient
from tfgen.prior.fetch import fetch
from tfgen.prior.fetch.fetch_config import FetchConfig
from tfgen.prior.fetch.fetch_manifest import Manifest


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function, passes, after=False):
    """`function`, but the process dies before (or after) the call number `passes`."""
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
    if step == "complete":
        Manifest.add = dying(Manifest.add, passes)
    elif step in ("publish", "published"):
        download.publish = dying(download.publish, passes, after=step == "published")
    elif step == "manifest":
        Manifest.__exit__ = dying(Manifest.__exit__, passes)
    elif step == "report":
        RunReport.write = dying(RunReport.write, passes)
    elif step == "list":
        fetch.keep_list = dying(fetch.keep_list, passes)


def die_at_byte(n_bytes):
    came = []
    grow = download._Partial.grow

    def counting(self, n):
        grow(self, n)
        came.append(n)
        if sum(came) >= n_bytes:
            die()

    download._Partial.grow = counting


def main():
    options = json.loads(sys.argv[1])
    settings = options["config"]
    settings["output"] = Path(settings["output"])
    for name in ("group", "mirror", "chroms"):
        settings[name] = tuple(settings.get(name, ()))
    if "die_in" in options:
        arm(options["die_in"], options.get("die_after", 0))
    if "die_at_byte" in options:
        die_at_byte(options["die_at_byte"])
    try:
        fetch.fetch_data(FetchConfig(**settings), WebClient(attempts=2, timeout_s=20))
    except TfgenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
