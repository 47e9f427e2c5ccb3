"""Which solver is cheaper, by counting operations.

For K = sigma I + Q diag(f) Q' with Q `[k, n]`. Cholesky forms K (2 n k^2), factors it (k^3 / 3) and
solves for the columns of Q, whose norms are the gradient (n k^2). Conjugate gradients apply Q and
its transpose (4 k n) to m probes and the statistics in each of T iterations. For k much smaller
than n the two are equal at (m + 1) T = 0.75 k, whatever n; but the one is exact, and fast kernels
do it, so that it is also the choice for every matrix that fits.
"""

from typing import Literal

from tfgen.errors import UsageError

Solver = Literal["chol", "cg"]

LARGEST_FOR_CHOLESKY = 6000
"""Size k up to which Cholesky is taken whatever the count says."""


def choose_solver(
    k: int, n: int, n_probes: int, iterations: int, requested: str = "auto"
) -> Solver:
    """The solver for one block.

    Args:
        k: Rows of Q.
        n: Columns of Q.
        n_probes: Probes of the conjugate gradients.
        iterations: Iterations that they are expected to take.
        requested: "auto", or the answer.

    Returns:
        With "auto" "chol" if k <= 6,000 or (n_probes + 1) iterations > 0.75 k, otherwise "cg".

    Raises:
        UsageError: A size is not positive, or there is no such solver.
    """
    _check_positive(k=k, n=n, n_probes=n_probes, iterations=iterations)
    if requested not in {"auto", "chol", "cg"}:
        raise UsageError(f"no solver is called {requested!r}; expected auto, chol or cg")
    exact = k <= LARGEST_FOR_CHOLESKY or (n_probes + 1) * iterations > 0.75 * k
    if requested == "auto":
        return "chol" if exact else "cg"
    return "chol" if requested == "chol" else "cg"


def cholesky_cost(k: int, n: int) -> float:
    """Floating-point operations of the likelihood and its gradient by Cholesky: 3 n k^2 + k^3/3."""
    _check_positive(k=k, n=n)
    return 3.0 * n * k**2 + k**3 / 3.0


def cg_cost(k: int, n: int, columns: int, iterations: int) -> float:
    """Floating-point operations of conjugate gradients without forming K: 4 k n for each product.

    Args:
        k: Rows of Q.
        n: Columns of Q.
        columns: Right-hand sides, probes and statistics together.
        iterations: Iterations.
    """
    _check_positive(k=k, n=n, columns=columns, iterations=iterations)
    return 4.0 * k * n * columns * iterations


def cholesky_memory(k: int, n: int, bytes_per_value: int = 4) -> int:
    """Bytes for Q, Q scaled, L^-1 Q (k n each), K and its factor (k^2 each)."""
    _check_positive(k=k, n=n, bytes_per_value=bytes_per_value)
    return bytes_per_value * (3 * k * n + 2 * k**2)


def cg_memory(k: int, n: int, columns: int, bytes_per_value: int = 4) -> int:
    """Bytes for Q (k n), seven blocks of vectors (k columns each) and Q' times one of them.

    The seven are the right-hand side, solution, residual, direction, its image, the preconditioned
    residual and the solved probes.
    """
    _check_positive(k=k, n=n, columns=columns, bytes_per_value=bytes_per_value)
    return bytes_per_value * (k * n + (7 * k + 2 * n) * columns)


def _check_positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{name} is {size}; expected a positive number")
