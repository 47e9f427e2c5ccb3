"""The logarithm of a determinant from the by-products of conjugate gradients."""

from typing import NamedTuple

import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.linalg.conjugate_gradient import CgResult
from tfgen.linalg.lanczos import quadrature
from tfgen.linalg.preconditioners import Preconditioner
from tfgen.linalg.probes import Probes


class LogDeterminant(NamedTuple):
    """An estimate of log |A|.

    Attributes:
        value: float64 `[...]`; NaN where a probe broke down.
        standard_error: Of the mean over probes, float64 `[...]`; NaN with a single probe.
    """

    value: tf.Tensor
    standard_error: tf.Tensor


def log_determinant(
    result: CgResult, probes: Probes, preconditioner: Preconditioner
) -> LogDeterminant:
    """Stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974).

    log |A| = log |M| + tr log(S^-1 A S^-T) with M = S S'. For probes p with E[p p'] = M the starts
    v = S^-1 p have E[v v'] = I, so that the trace is the mean of v' log(S^-1 A S^-T) v, and each of
    these is p'M^-1 p times e1' log(T) e1 with the T of the conjugate gradients on p
    (Gardner et al. 2018, arXiv:1809.11165). log |M| is exact: the better M, the less is left to
    chance.

    To be called outside of functions compiled by XLA (see `tfgen.linalg.lanczos.quadrature`).

    Args:
        result: Of `conjugate_gradient` with the probes as last columns of its right-hand side, and
            `initial` for all the columns before them or for none.
        probes: The probes.
        preconditioner: M, of the probes and of the conjugate gradients.

    Returns:
        The estimate and its standard error, which says nothing about the error of stopping after T
        steps; with enough of them to reach a relative residual of 1e-2 that one is smaller.

    Raises:
        UsageError: The result has no coefficients for the probes.
    """
    n_probes = probes.weights.shape[-1]
    n_steps, n_cold = result.alpha.shape[-2:]
    if not n_steps or n_cold is None or n_probes is None or n_cold < n_probes:
        raise UsageError(
            f"{n_steps} Lanczos coefficients of {n_cold} columns for {n_probes} probes; expected "
            "coefficients of them all: start the probes at zero, as the last columns"
        )
    first = n_cold - n_probes
    logarithm = quadrature(result.alpha[..., first:], result.beta[..., first:], tf.math.log)
    terms = tf.cast(probes.weights, tf.float64) * logarithm
    mean = tf.reduce_mean(terms, axis=-1)
    squares = tf.reduce_sum((terms - mean[..., tf.newaxis]) ** 2, axis=-1)
    error = tf.sqrt(squares / (n_probes - 1) / n_probes) if n_probes > 1 else mean * float("nan")
    return LogDeterminant(tf.cast(preconditioner.log_determinant(), tf.float64) + mean, error)
