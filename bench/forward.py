#!/usr/bin/env python3
"""One forward pass at full size: ours against enformer-pytorch and against the plain form.

Example:
  python bench/forward.py --quick

196,608 bp, batch 1, float32, human head. enformer-pytorch runs in its own process and virtual
environment with the same number of threads; without it its ratio is null. The last line is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import tensorflow as tf

from bench import plain_enformer
from bench.worlds import calibrated_model, random_codes
from tfgen.enformer.config import EnformerConfig
from tfgen.genome import one_hot_table

HEAD = "human"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
INSTALL = (
    "enformer-pytorch is absent, its ratio is null; install it with: python3.11 -m venv "
    ".venv-bench && .venv-bench/bin/pip install -r bench/requirements.txt"
)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one timed pass of each")
    parser.add_argument("--repeats", type=int, help="timed passes of each (5)")
    options = parser.parse_args()
    repeats = options.repeats or (1 if options.quick else 5)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    config = EnformerConfig()
    peer = _peer(config.sequence_length, repeats)
    model = calibrated_model(config)
    codes = random_codes(config.sequence_length, 3)
    sequence = tf.constant(one_hot_table()[codes][None])
    keys = tf.function(model.relative_keys, autograph=False)()
    passes: dict[str, Callable[[], tf.Tensor]] = {
        "plain tower": _compiled(lambda: plain_enformer.tower(model, sequence)),
        "our tower": _compiled(lambda: model.tower(sequence, False)),
        "plain pass": _compiled(lambda: plain_enformer.forward(model, sequence, HEAD)),
        "our pass": _compiled(
            lambda: model.predict_head(
                model.embed_tower(model.tower(sequence, False), False, keys), HEAD
            )
        ),
    }
    for run in passes.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(repeats):
        for name, run in passes.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    deviation = float(abs(passes["plain pass"]() - passes["our pass"]()).max())
    for name, value in medians.items():
        _say(f"{name}: {value:.2f} s")
    if peer:
        _say(f"enformer-pytorch ({peer['torch']}, {peer['device']}): {peer['median']:.2f} s")
    print(
        json.dumps(
            {
                "ratio_fp32": round(peer["median"] / medians["our pass"], 2) if peer else None,
                "ratio_tower_fp32": round(medians["plain tower"] / medians["our tower"], 2),
                "ratio_plain_to_peer_fp32": (
                    round(medians["plain pass"] / peer["median"], 2) if peer else None
                ),
                "seconds_ours": round(medians["our pass"], 3),
                "seconds_plain": round(medians["plain pass"], 3),
                "seconds_peer": round(peer["median"], 3) if peer else None,
                "max_abs_deviation_from_plain": deviation,
            }
        )
    )


def _compiled(work: Callable[[], tf.Tensor]) -> Callable[[], object]:
    """`work` as one graph; the result is fetched, so that the time is that of the whole pass."""
    graph = tf.function(work, autograph=False)
    return lambda: graph().numpy()


def _peer(length: int, repeats: int) -> dict | None:
    """What forward_peer.py measured, or None where the peer is not installed."""
    if not PEER_PYTHON.is_file():
        _say(INSTALL)
        return None
    threads = len(os.sched_getaffinity(0))
    command = [str(PEER_PYTHON), str(Path(__file__).with_name("forward_peer.py"))]
    command += [f"--length={length}", f"--repeats={repeats}", f"--threads={threads}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        _say(f"{INSTALL} ({done.stderr.strip().splitlines()[-1:]})")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
