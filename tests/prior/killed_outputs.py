"""Starts `outputs_child.py` and reads what it left."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHILD = Path(__file__).with_name("outputs_child.py")


def start(program, config, **options):
    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(config).items()
        if name != "progress"
    }
    words = json.dumps({"program": program, "config": settings, **options})
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, CHILD, words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": path},
    )


def left(folder):
    """Bytes of every file of a folder but the reports, which have the time."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("run.json") and ".lock" not in path.name
    }
