"""Scoring runs in processes of their own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("child.py")


def command(config, **options):
    """How to start a run in a process of its own."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(config).items()
        if value != defaults[name]
    }
    return [sys.executable, str(CHILD), json.dumps({"config": settings, **options})]


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


def start(config, **options):
    return subprocess.run(
        command(config, **options), env=environment(), capture_output=True, text=True, check=False
    )


def finish(config, **options):
    """Runs to the end; returns what the run says about itself."""
    done = start(config, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
