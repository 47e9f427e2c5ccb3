#!/usr/bin/env python3
"""One training step of the functional prior: the published form against the whitened one.

Example:
  python bench/prior_step.py --quick

A step is value and gradient of the likelihood of one window; the network is left out. The
published form decomposes the LD of the observed variants and factorises an n x n matrix in float64
at every step, with automatic differentiation; ours factorises k x k, with the gradient in closed
form. Same window, same process, medians of warm runs. The last line is JSON.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np
import tensorflow as tf

from bench.windows import Window, make_window
from tfgen.plots.prior_step import step_cost_figure
from tfgen.plots.style import save_figure
from tfgen.prior import reference_forms
from tfgen.prior.cg_likelihood import CgOptions, cg_terms
from tfgen.prior.likelihood import block_llr

N, W, K = 2400, 800, 280
UKB = (13_000, 4_333, 1_200)  # a window of 3 Mb of UK Biobank
GROWTH = (300, 600, 1200, 2400, 4800, 9600, UKB[0])
LARGEST_PUBLISHED = 2400  # larger ones take minutes and are estimated
FORMS = ("published fp64", "cholesky fp64", "cholesky fp32", "cg fp32")
_MIB = 1 << 20


class Outcome(NamedTuple):
    """Value and gradients of a step."""

    value: float
    gradient: np.ndarray


Step = Callable[[], Outcome]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only the comparison, 5 runs of each")
    parser.add_argument("--repeats", type=int, default=0, help="warm runs of each form (9)")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "bench")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if options.device == "gpu" and not tf.config.list_physical_devices("GPU"):
        sys.exit("error: TensorFlow finds no GPU; run without --device=gpu")
    with tf.device(f"/{options.device.upper()}:0"):
        if options.memory:
            _print_memory(options.memory)
            return
        repeats = max(5, options.repeats or (5 if options.quick else 9))
        result = _comparison(repeats, options.device)
        if not options.quick:
            result |= _growth(options.output, options.device)
    print(json.dumps(result))


def _comparison(repeats: int, device: str) -> dict[str, object]:
    """All forms on one window of n = 2,400."""
    window = make_window(N, W, K, seed=1)
    steps = {form: _step(form, window) for form in FORMS}
    outcomes = {form: step() for form, step in steps.items()}
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for _ in range(repeats):
        for form, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[form].append(time.perf_counter() - start)
    median = {form: statistics.median(values) for form, values in seconds.items()}
    _say(f"n = {N}, |w| = {W}, k = {K}, {device}, medians of {repeats} warm runs")
    reference = outcomes[FORMS[0]]
    deviations = {form: _deviation(outcomes[form], reference) for form in FORMS}
    for form in FORMS:
        value, gradient = deviations[form]
        _say(
            f"{form:15} {median[form] * 1e3:10.2f} ms  ratio {median[FORMS[0]] / median[form]:7.1f}"
            f"  deviation of value {value:.1e}, gradient {gradient:.1e}"
        )
    return {
        "device": device,
        "n": N,
        "w": W,
        "k": K,
        "ratio_fp64": round(median[FORMS[0]] / median["cholesky fp64"], 1),
        "ratio_fp32": round(median[FORMS[0]] / median["cholesky fp32"], 1),
        "ratio_cg_fp32": round(median[FORMS[0]] / median["cg fp32"], 1),
        "max_rel_value": deviations["cholesky fp64"][0],
        "max_rel_gradient": deviations["cholesky fp64"][1],
        "max_rel_value_fp32": deviations["cholesky fp32"][0],
        "max_rel_gradient_fp32": deviations["cholesky fp32"][1],
        "seconds": {form: round(value, 6) for form, value in median.items()},
    }


def _growth(output: Path, device: str) -> dict[str, object]:
    """Time and memory by the size of the window, and the figure."""
    measured: dict[str, dict[int, float]] = {form: {} for form in FORMS}
    memory: dict[str, dict[int, float]] = {form: {} for form in FORMS}
    for n in GROWTH:
        w, k = (UKB[1], UKB[2]) if n == UKB[0] else (n // 3, n * K // N)
        window = make_window(n, w, k, seed=1)
        for form in FORMS:
            if form == FORMS[0] and n > LARGEST_PUBLISHED:
                continue
            step = _step(form, window)
            step()
            runs = []
            for _ in range(3):
                start = time.perf_counter()
                step()
                runs.append(time.perf_counter() - start)
            measured[form][n] = statistics.median(runs)
            if device == "cpu":
                memory[form][n] = _memory(form, n, w, k)
        row = ", ".join(
            f"{form} {measured[form][n]:.4g} s" for form in FORMS if n in measured[form]
        )
        _say(f"n = {n:6}, k = {k:5}: {row}")
    # Cubic in n: eigendecomposition, products and factorisation all are.
    last = LARGEST_PUBLISHED
    estimate = measured[FORMS[0]][last] * (UKB[0] / last) ** 3
    _say(f"published form at n = {UKB[0]}: {estimate:.0f} s (ESTIMATED, cubic from n = {last})")
    for form, values in memory.items():
        row = ", ".join(f"n = {n}: {x:.0f} MiB" for n, x in values.items())
        _say(f"memory of a step beyond its data, {form}: {row or 'not measured'}")
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"prior_step_{device}.png"
    save_figure(step_cost_figure(measured, {UKB[0]: estimate}), path)
    _say(f"{path}")
    return {
        "n_ukb": UKB[0],
        "k_ukb": UKB[2],
        "seconds_ukb_fp32": round(measured["cholesky fp32"][UKB[0]], 4),
        "seconds_ukb_cg_fp32": round(measured["cg fp32"][UKB[0]], 4),
        "memory_mib_ukb_fp32": memory["cholesky fp32"].get(UKB[0]),
        "seconds_ukb_published_estimated": round(estimate, 1),
    }


def _step(form: str, window: Window) -> Step:
    """A function that makes one step and fetches its results."""
    if form == "published fp64":
        return _published(window)
    dtype = np.float64 if form.endswith("64") else np.float32
    logf, Q, y = (tf.constant(x.astype(dtype)) for x in (window.logf, window.Q, window.y))
    log_sigma = tf.constant(dtype(window.log_sigma))
    if form == "cg fp32":
        options = CgOptions(probes=16, tolerance=1e-2, preconditioner="jacobi")
        null = float(0.5 * np.sum(window.y**2)) + 0.5 * len(window.y) * float(np.log(2 * np.pi))

        @tf.function(autograph=False)
        def estimate(logf: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            terms = cg_terms(logf, log_sigma, Q, y, options, tf.constant([0, 0]))
            return terms.nll, terms.d_logf

        return lambda: _fetch(estimate(logf), null)

    @tf.function(autograph=False)
    def exact(logf: tf.Tensor, log_sigma: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([logf, log_sigma])
            value = block_llr(logf, log_sigma, Q, y)
        return value, tape.gradient(value, [logf, log_sigma])[0]

    return lambda: _fetch(exact(logf, log_sigma))


def _published(window: Window) -> Step:
    """Everything anew at every step, as the published programs do it."""
    R, z = tf.constant(window.R), tf.constant(window.z)
    logf, log_sigma = tf.constant(window.logf), tf.constant(np.float64(window.log_sigma))

    def eigh(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # LAPACK is several times faster than TensorFlow's own on a CPU: the peer gets the best.
        return tuple(tf.constant(x) for x in np.linalg.eigh(matrix.numpy()))

    fast = None if R.device.endswith("GPU:0") else eigh

    def step() -> Outcome:
        with tf.GradientTape() as tape:
            tape.watch([logf, log_sigma])
            parts = reference_forms.decompose(R, window.w, z, eigh=fast)
            value = reference_forms.wasp_new(logf, log_sigma, parts)
        return _fetch((value, tape.gradient(value, [logf, log_sigma])[0]))

    return step


def _fetch(results: tuple[tf.Tensor, tf.Tensor], null: float = 0.0) -> Outcome:
    value, gradient = results
    return Outcome(float(value) - null, gradient.numpy())


def _deviation(found: Outcome, reference: Outcome) -> tuple[float, float]:
    """Largest differences, relative to the largest reference."""
    gradient = np.abs(found.gradient - reference.gradient).max() / np.abs(reference.gradient).max()
    return abs(found.value - reference.value) / abs(reference.value), float(gradient)


def _memory(form: str, n: int, w: int, k: int) -> float:
    """Peak memory of one step beyond its data in MiB, in a process of its own."""
    command = [sys.executable, __file__, f"--memory={form},{n},{w},{k}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def _print_memory(what: str) -> None:
    form, *sizes = what.split(",")
    small = _step(form, make_window(60, 20, 10, seed=1))
    small()
    window = make_window(*(int(size) for size in sizes), seed=1)
    if form == FORMS[0]:
        _ = window.R
    step = _step(form, window)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / _MIB)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
