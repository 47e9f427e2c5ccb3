#!/usr/bin/env python3
"""Variant scoring at full size: every mode of the engine against two plain passes a variant.

Example:
  python bench/variant_scoring.py --quick

Both sides run in this process, in float32, with the human head and all 896 bins: the plain side
is the published formulas in graph mode (bench/plain_enformer.py), two passes per variant; ours is
the engine of bin/variants_score.py. The last line is JSON.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tensorflow as tf

from bench import plain_enformer
from bench.costs import engine_costs, plain_costs, tower_costs
from bench.worlds import calibrated_model, centred_windows, shared_windows
from tfgen.effects.local import BLOCK_BINS
from tfgen.effects.shared_trunk import SharedTrunkEngine
from tfgen.effects.windows import WindowMode
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.genome import VariantWindow, one_hot_table

STATISTICS = ("SAD", "SAR", "tCRA")
HEAD = "human"
T = TypeVar("T")


class PlainScorer:
    """SAD by two plain passes."""

    def __init__(self, model: Enformer) -> None:
        self._letters = tf.constant(one_hot_table())
        self._pass = tf.function(
            lambda codes: plain_enformer.forward(model, tf.gather(self._letters, codes), HEAD),
            autograph=False,
        )

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """`[bins, tracks]` of one sequence of codes."""
        return self._pass(tf.constant(codes[np.newaxis], tf.int32))[0].numpy()

    def sad(self, window: VariantWindow) -> np.ndarray:
        """`[tracks]` of one variant."""
        reference, alternative = self.predict(window.ref_codes), self.predict(window.alt_codes)
        return (alternative - reference).sum(axis=0, dtype=np.float64)


def main() -> None:
    """Measures and prints."""
    options = _options()
    gpus = tf.config.list_physical_devices("GPU")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    config = EnformerConfig()
    _say(f"device: {gpus[0].name if gpus else 'CPU'}; float32; building the full-size model")
    model = calibrated_model(config)
    plain = PlainScorer(model)
    shared = shared_windows(config, options.n_shared)
    pairs = centred_windows(config, options.repeats + 1)
    # Each side is warmed up on its own shapes before it is timed.
    plain.predict(shared[0].ref_codes)
    engines = {mode: _engine(model, mode, options.batch_size) for mode in ("shared", "centred")}
    engines["shared"].score(shared_windows(config, 2, seed=11))
    engines["centred"].score(pairs[:1])
    plain_seconds, pair_seconds = [], []
    deviations, sizes = [], []
    for window in pairs[1:]:
        seconds, expected = _timed(lambda w=window: plain.sad(w))
        plain_seconds.append(seconds)
        seconds, scores = _timed(lambda w=window: engines["centred"].score([w]))
        pair_seconds.append(seconds)
        deviations.append(np.abs(scores["SAD"][0] - expected).max())
        sizes.append(np.abs(expected).max())
        _say(f"two plain passes {plain_seconds[-1]:.2f} s, exact pair {pair_seconds[-1]:.2f} s")
    shared_seconds, scores = _timed(lambda: engines["shared"].score(shared))
    for row in np.linspace(0, len(shared) - 1, options.checked).astype(int):
        seconds, expected = _timed(lambda r=row: plain.sad(shared[r]))
        plain_seconds.append(seconds)
        deviations.append(np.abs(scores["SAD"][row] - expected).max())
        sizes.append(np.abs(expected).max())
    two_passes = statistics.median(plain_seconds)
    per_variant = shared_seconds / len(shared)
    macs = _accounting(config, len(shared))
    _say(
        f"two plain passes: {two_passes:.2f} s ({macs['plain'] / 1e9:.0f} GMAC)\n"
        f"exact centred pair: {statistics.median(pair_seconds):.2f} s "
        f"({macs['pair'] / 1e9:.0f} GMAC)\n"
        f"{len(shared)} in a shared window, reference counted: {per_variant:.2f} s each "
        f"({macs['shared'] / 1e9:.0f} GMAC)\n"
        f"largest deviation of SAD {max(deviations):.1e}, of values up to {max(sizes):.1f}"
    )
    result = {
        "ratio_shared_fp32": round(two_passes / per_variant, 2),
        "n_shared": len(shared),
        "ratio_grid_fp32": None,
        "ratio_pair_fp32": round(two_passes / statistics.median(pair_seconds), 2),
        "max_abs_sad_fp32": float(max(deviations)),
        "plain_gflops": round(2 * macs["plain"] / two_passes / 1e9, 1),
    }
    print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 shared variants, one repeat")
    parser.add_argument("--n_shared", type=int, help="variants in the shared window (64)")
    parser.add_argument("--repeats", type=int, help="timed centred pairs (3)")
    parser.add_argument("--checked", type=int, help="shared variants compared in full (3)")
    parser.add_argument("--batch_size", type=int, default=1, help="windows per tower pass")
    options = parser.parse_args()
    options.n_shared = options.n_shared or (8 if options.quick else 64)
    options.repeats = options.repeats or (1 if options.quick else 3)
    options.checked = options.checked or (1 if options.quick else 3)
    return options


def _engine(model: Enformer, mode: WindowMode, batch_size: int) -> SharedTrunkEngine:
    return SharedTrunkEngine(model, HEAD, STATISTICS, windows=mode, batch_size=batch_size)


def _accounting(config: EnformerConfig, n_shared: int) -> dict[str, float]:
    """Multiply-accumulates per variant of each mode."""
    ours = engine_costs(config, config.target_length, config.head_tracks(HEAD))
    after = ours.blocks + ours.head
    local = 2 * tower_costs(config, BLOCK_BINS, pool_share=0.5)
    return {
        "plain": 2 * plain_costs(config, HEAD).total,
        "pair": ours.tower + local + 2 * after,
        "shared": local + after + (ours.tower + after) / n_shared,
    }


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, value


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
