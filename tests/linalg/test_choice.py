"""The choice of the solver and the counts it rests on."""

import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.linalg.choice import (
    LARGEST_FOR_CHOLESKY,
    cg_cost,
    cg_memory,
    cholesky_cost,
    cholesky_memory,
    choose_solver,
)


@pytest.mark.parametrize(
    ("k", "n_probes", "iterations", "expected"),
    [
        (6000, 1, 1, "chol"),  # always, up to this size
        (6001, 1, 1, "cg"),
        (8000, 15, 375, "cg"),  # 16 * 375 = 0.75 * 8000
        (8000, 15, 376, "chol"),
        (8000, 16, 375, "chol"),
        (20_000, 16, 200, "cg"),
    ],
)
def test_the_rule(k, n_probes, iterations, expected):
    assert choose_solver(k, 3 * k, n_probes, iterations) == expected


@pytest.mark.parametrize("requested", ["chol", "cg"])
@pytest.mark.parametrize("k", [10, 100_000])
def test_a_request_wins(k, requested):
    assert choose_solver(k, k, 16, 200, requested) == requested


def test_other_solvers_are_refused():
    with pytest.raises(UsageError, match="no solver is called 'lu'; expected auto, chol or cg"):
        choose_solver(10, 10, 1, 1, "lu")


def test_costs_of_a_window_of_3_mb():
    # By hand: 3 * 12900 * 1200^2 + 1200^3 / 3, and 20 * 26 * 4 * 1200 * 12900.
    assert cholesky_cost(1200, 12_900) == 55_728_000_000 + 576_000_000
    assert cg_cost(1200, 12_900, 26, 20) == 32_198_400_000


@given(
    st.integers(LARGEST_FOR_CHOLESKY + 1, 10**5),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(1, 1000),
)
def test_the_choice_follows_the_costs(k, times, n_probes, iterations):
    assume((n_probes + 1) * iterations != 0.75 * k)  # where rounding would decide
    # The rule leaves out k^3 / 3, so that it decides as for n much larger than k.
    n = k * times
    exact = cholesky_cost(k, n) - k**3 / 3
    cheaper = "chol" if cg_cost(k, n, n_probes + 1, iterations) > exact else "cg"
    assert choose_solver(k, n, n_probes, iterations) == cheaper


def test_memory_by_hand():
    assert cholesky_memory(1000, 5000) == 4 * (3 * 5_000_000 + 2 * 1_000_000)
    assert cholesky_memory(1000, 5000, 8) == 2 * cholesky_memory(1000, 5000)
    assert cg_memory(1000, 5000, 17) == 4 * (5_000_000 + 17 * (7000 + 10_000))


@pytest.mark.parametrize(
    "call",
    [
        lambda: choose_solver(0, 10, 1, 1),
        lambda: cholesky_cost(0, 10),
        lambda: cg_cost(0, 10, 1, 1),
        lambda: cholesky_memory(0, 10),
        lambda: cg_memory(0, 10, 1),
    ],
)
def test_sizes_must_be_positive(call):
    with pytest.raises(UsageError, match="k is 0; expected a positive number"):
        call()


@pytest.mark.parametrize("module", ["choice", "eigen"])
def test_it_is_imported_without_tensorflow(module):
    code = f"import sys, tfgen.linalg.{module}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
