"""What is minimised, block by block, as a function of log f and log sigma.

An objective gives its value and its gradients for one block; the network is not its affair. Values
and gradients of blocks add up; the trainer divides by the number of z-scores.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfgen.prior.cg_likelihood import CgOptions, Gram, cg_terms
from tfgen.prior.likelihood import Tensor, block_terms

LDSR_HERITABILITY = 0.5  # of the published weights
_PROBE_SEED = 0x5EED


class TraitTensors(NamedTuple):
    """One trait of a block as tensors.

    Attributes:
        Q: Whitened LD [k, n].
        y: Whitened z-scores [k].
        rank: Rows without padding, a scalar.
        ld: LD of the observed variants [m, n], for `ldsr` only, else [0, n].
        z: Their z-scores [m].
    """

    Q: Tensor
    y: Tensor
    rank: Tensor
    ld: Tensor
    z: Tensor


class ObjectiveTerms(NamedTuple):
    """Value and gradients of one block for T traits.

    Attributes:
        value: Sum over the traits, a scalar.
        d_logf: [n, T].
        d_log_sigma: [T].
        faults: Traits whose matrix needed jitter or whose solve did not converge, a scalar.
    """

    value: Tensor
    d_logf: Tensor
    d_log_sigma: Tensor
    faults: Tensor


def likelihood_terms(
    logf: Tensor, log_sigma: Tensor, traits: Sequence[TraitTensors]
) -> ObjectiveTerms:
    """The exact negative log-likelihood.

    Args:
        logf: Log prior variances [n, T].
        log_sigma: Log noise [T].
        traits: One entry per trait.
    """
    parts = []
    for i, trait in enumerate(traits):
        terms = block_terms(logf[:, i], log_sigma[i], trait.Q, trait.y, trait.rank)
        fault = tf.cast(~tf.equal(terms.jitter, 0.0), tf.int32)  # NaN where all attempts failed
        parts.append((terms.nll, terms.d_logf, terms.d_log_sigma, fault))
    return _stack(parts)


def cg_likelihood_terms(
    logf: Tensor,
    log_sigma: Tensor,
    traits: Sequence[TraitTensors],
    options: CgOptions,
    block: Tensor,
) -> ObjectiveTerms:
    """The negative log-likelihood by conjugate gradients.

    Args:
        logf: Log prior variances [n, T].
        log_sigma: Log noise [T].
        traits: One entry per trait, without padding.
        options: How exactly.
        block: Number of the block: it keeps its probes from step to step, so that the noise of the
            estimate does not look like progress.
    """
    parts = []
    for i, trait in enumerate(traits):
        seed = tf.stack([tf.cast(block, tf.int32), _PROBE_SEED + i])
        # Without flanks QQ' is diagonal and this is its spectrum; with flanks it is its diagonal.
        gram = Gram(tf.reduce_sum(tf.square(trait.Q), 1))
        terms = cg_terms(logf[:, i], log_sigma[i], trait.Q, trait.y, options, seed, gram)
        fault = tf.cast(~terms.converged, tf.int32)
        nll = tf.cast(terms.nll, trait.Q.dtype)
        parts.append((nll, terms.d_logf, terms.d_log_sigma, fault))
    return _stack(parts)


def ldsr_terms(
    logf: Tensor, log_sigma: Tensor, traits: Sequence[TraitTensors], n_over_m: Tensor
) -> ObjectiveTerms:
    """LD-score regression on chi-squares, with fixed weights.

    predicted_j = sum_i R_ij^2 f_i + sigma, observed_j = z_j^2, and with the LD score
    l_j = sum_i R_ij^2 the loss is the sum of ((predicted - observed) / scale_j)^2 / l_j,
    scale_j = (N/M) h l_j + 1 with h = 0.5: the inverse variance and the over-counting weight of
    Bulik-Sullivan et al. (2015, doi:10.1038/ng.3211) at a fixed heritability.

    Args:
        logf: Log prior variances [n, T].
        log_sigma: Log noise [T].
        traits: One entry per trait.
        n_over_m: N / M of every trait [T].
    """
    parts = []
    for i, trait in enumerate(traits):
        squares = tf.square(trait.ld)
        f, sigma = tf.exp(logf[:, i]), tf.exp(log_sigma[i])
        score = tf.reduce_sum(squares, 1)
        residual = tf.linalg.matvec(squares, f) + sigma - tf.square(trait.z)
        scale = n_over_m[i] * LDSR_HERITABILITY * score + 1.0
        weight = tf.math.divide_no_nan(1.0, tf.square(scale) * score)
        slope = 2.0 * weight * residual
        value = tf.reduce_sum(weight * tf.square(residual))
        d_logf = f * tf.linalg.matvec(squares, slope, transpose_a=True)
        parts.append((value, d_logf, sigma * tf.reduce_sum(slope), tf.zeros((), tf.int32)))
    return _stack(parts)


def _stack(parts: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]) -> ObjectiveTerms:
    values, d_logf, d_log_sigma, faults = zip(*parts, strict=True)
    return ObjectiveTerms(
        tf.add_n(values), tf.stack(d_logf, 1), tf.stack(d_log_sigma), tf.add_n(faults)
    )
