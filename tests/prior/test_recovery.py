"""What was planted is found again, with the errors that are stated; single precision is enough.

Data are drawn from the model with fixed seeds; bounds are those of the binomial and the normal
distribution, so that a wrong factor in a gradient, an information or a variance shows.
"""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import binom, chi2, norm

from prior.small_blocks import ar_ld, panel_ld, toy, whiten
from prior.small_fits import draw, make_model
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_block import quantise
from tfgen.prior.ld.panel_input import PanelInput
from tfgen.prior.likelihood import block_llr, block_nll, block_terms
from tfgen.prior.linear_fit import fit_log_linear
from tfgen.prior.posterior import block_posterior
from tfgen.prior.training.block_data import MemoryBlocks
from tfgen.prior.training.fit import Fit
from tfgen.prior.training.fit_loop import FitData
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.objectives import TraitTensors, ldsr_terms

LEVELS = (0.5, 0.9, 0.95)


@pytest.fixture(scope="module")
def panels():
    """Q of 12 panels of 50 people."""
    rng = np.random.default_rng(0)
    return [whiten(panel_ld(60, 50, rng), np.arange(60))[0] for _ in range(12)]


@pytest.fixture(scope="module")
def real_blocks(shared_data):
    """Q of the 24 LD blocks of chromosome 22 in 378 Europeans (MANIFEST section 9)."""
    config = BuildLdConfig(
        output="unused",
        bed=shared_data("gwas_ld/height_chr22/1000G_eur_chr22.bed"),
        blocks="bed",
        block_file=shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed"),
    )
    panel = PanelInput(config, lambda _: None)
    return [panel.block(plan).q.astype(np.float64) for plan in panel.summary.plans]


def plant(qs, truth, rng):
    """Blocks with an intercept and binary annotations whose log f is X truth."""
    blocks, designs = [], []
    for Q in qs:
        n = Q.shape[1]
        x = np.column_stack([np.ones(n), rng.random((n, len(truth) - 1)) < 0.3])
        b = np.exp(0.5 * x @ truth) * rng.normal(size=n)
        blocks.append((Q, Q @ b + rng.normal(size=len(Q))))
        designs.append(x)
    return blocks, designs


def bounds(n, level, error=1e-3):
    """Counts out of n that a coverage of `level` leaves with a probability of `error`."""
    return binom.ppf(error / 2, n, level), binom.ppf(1 - error / 2, n, level)


# ---- planted enrichment ------------------------------------------------------------------------


@pytest.mark.slow
def test_an_enrichment_is_found_within_its_standard_error(panels):
    truth, n_seeds = np.array([-0.7, 1.2]), 50
    errors = []
    for seed in range(n_seeds):
        fit = fit_log_linear(*plant(panels, truth, np.random.default_rng([seed, 1])))
        assert fit.converged
        errors.append((fit.coef - truth) / fit.standard_errors)
    errors = np.array(errors)
    low, high = bounds(n_seeds, 0.95)
    assert (low, high) == (41, 50)
    for i in range(2):
        covered = np.count_nonzero(np.abs(errors[:, i]) < norm.ppf(0.975))
        assert low <= covered <= high
        # Mean bias within two of its standard errors, and errors as large as stated.
        assert abs(errors[:, i].mean()) < 2 * errors[:, i].std(ddof=1) / np.sqrt(n_seeds)
        variance = (n_seeds - 1) * errors[:, i].var(ddof=1)
        assert chi2.ppf(5e-4, n_seeds - 1) < variance < chi2.ppf(1 - 5e-4, n_seeds - 1)


@pytest.mark.slow
@pytest.mark.parametrize("mean_f", [0.02, 0.2, 2.0])
def test_enrichments_are_found_on_real_ld(real_blocks, mean_f):
    rng = np.random.default_rng(0)
    enrichment = np.array([1.5, 0.7])
    level = np.log(mean_f) - np.log(1 + 0.3 * np.expm1(enrichment)).sum()
    truth = np.array([level, *enrichment])
    blocks, designs = plant(real_blocks, truth, rng)
    assert np.mean(np.exp(np.concatenate(designs) @ truth)) == pytest.approx(mean_f, rel=0.1)
    fit = fit_log_linear(blocks, designs, start=[np.log(mean_f), 0, 0])
    assert fit.converged
    # Twice the likelihood ratio of the truth is chi-square with as many degrees of freedom.
    nll = sum(
        float(block_nll(x @ truth, np.float64(0), *block))
        for block, x in zip(blocks, designs, strict=True)
    )
    assert 0 < 2 * (nll - fit.nll) < chi2.ppf(0.99, 3)
    assert (np.abs(fit.coef - truth) < 2 * fit.standard_errors).all()
    if mean_f >= 0.2:  # enough signal to tell an enrichment from none
        assert (fit.coef[1:] > 2 * fit.standard_errors[1:]).any()
        assert (fit.standard_errors < 0.4).all()


# ---- posterior ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_posterior_intervals_cover_under_the_fitted_prior(panels):
    # The prior is fitted to the same data: 120 blocks, two coefficients.
    rng = np.random.default_rng(3)
    truth, blocks, designs, effects = np.array([-0.7, 1.2]), [], [], []
    for _ in range(10):
        for Q in panels:
            x = np.column_stack([np.ones(60), rng.random(60) < 0.3])
            b = np.exp(0.5 * x @ truth) * rng.normal(size=60)
            blocks.append((Q, Q @ b + rng.normal(size=len(Q))))
            designs.append(x)
            effects.append(b)
    fit = fit_log_linear(blocks, designs)
    hits = {level: [] for level in LEVELS}
    for (Q, y), x, b in zip(blocks, designs, effects, strict=True):
        posterior = block_posterior(x @ fit.coef, np.float64(0), Q, y)
        error = np.abs(b - posterior.mean) / np.sqrt(posterior.variance)
        for level in LEVELS:
            hits[level].append(np.mean(error < norm.ppf(0.5 + level / 2)))
    for level in LEVELS:
        # Effects of a block are correlated: the error is that of 120 blocks.
        error = np.std(hits[level], ddof=1) / np.sqrt(len(blocks))
        assert error < 0.01
        assert np.mean(hits[level]) == pytest.approx(level, abs=3 * error)


# ---- null and baseline -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_data_without_effects_give_no_prior(seed):
    source = draw(60, seed=seed, logf=lambda x: np.full(len(x), -60.0))
    data = FitData(source, tuple(range(24)), tuple(range(24, 32)), (1.0,))
    model = make_model(source, "mlp")
    options = FitOptions(epochs=30, learning_rate=0.01, patience=6)
    Fit(model, tf.Variable([0.0]), data, options).run()
    unseen = range(32, 60)
    scores = score_blocks(source, unseen, lambda b: model(b.inputs()).numpy(), [0.0])
    llr = scores.null[:, 0] - scores.nll[:, 0]
    assert llr.sum() < 2 * llr.std(ddof=1) * np.sqrt(len(llr))
    # The start (mean f 0.5) is far worse: the test has power.
    start = make_model(source, "mlp")
    before = score_blocks(source, unseen, lambda b: start(b.inputs()).numpy(), [0.0])
    assert before.null.sum() - before.nll.sum() < -20
    assert abs(llr.sum()) < 5


@pytest.mark.slow
def test_the_likelihood_finds_log_f_better_than_ld_score_regression():
    rmse = {"mll": [], "ldsr": []}
    for seed in range(3):
        source = draw(24, seed=seed)
        x = np.concatenate([source.read(i).annotations for i in range(24)])
        inputs = {"annotations": x, "frequency": np.full(len(x), 0.3, np.float32)}
        for objective, found in rmse.items():
            model = make_model(source)
            options = FitOptions(
                objective=objective, epochs=25, learning_rate=0.05, patience=0, blocks_per_step=6
            )
            data = FitData(source, tuple(range(24)), (), (0.5,))
            Fit(model, tf.Variable([0.0]), data, options).run()
            error = model(inputs).numpy()[:, 0] - np.log(0.5) - x[:, 0]
            found.append(np.sqrt(np.mean(error**2)))
    assert np.mean(rmse["mll"]) < np.mean(rmse["ldsr"])
    assert (np.array(rmse["mll"]) < rmse["ldsr"]).all()


def test_windows_of_one_observed_variant_agree_with_ld_score_regression():
    # Amin, Potapczynski and Wilson 2025, section 3: with a single observed variant the likelihood
    # knows chi-square_j alone, whose mean is sum_i R_ij^2 f_i + sigma. At data that have this
    # mean both objectives are stationary, at any log f; elsewhere neither is.
    rng = np.random.default_rng(1)
    R, logf, log_sigma = ar_ld(30), rng.normal(size=30), 0.2
    expected = R**2 @ np.exp(logf) + np.exp(log_sigma)
    for factor in (1.0, 1.5):
        z = np.sqrt(factor * expected)
        slope = np.zeros(30)
        for j in range(30):
            Q, P, _ = whiten(R, np.array([j]))
            slope += block_terms(logf, np.float64(log_sigma), Q, P @ z[[j]]).d_logf.numpy()
        empty = np.zeros(0)
        trait = TraitTensors(empty, empty, 0, tf.constant(R), tf.constant(z))
        terms = ldsr_terms(logf[:, None], np.array([log_sigma]), [trait], np.array([0.5]))
        if factor == 1.0:
            np.testing.assert_allclose(slope, 0, atol=1e-12)
            np.testing.assert_allclose(terms.d_logf, 0, atol=1e-12)
        else:
            assert (slope < 0).all()
            assert (terms.d_logf.numpy() < 0).all()


# ---- numbers -----------------------------------------------------------------------------------


def test_the_whitened_matrix_is_well_conditioned():
    # The example of the derivation: AR(0.9) LD, n = 240, 80 observed, mean f small against sigma.
    block = toy(0, n=240, flank=80, mean_f=0.5)
    f = np.exp(block.logf)
    plain = (block.R * f) @ block.R.T + 1e-4 * np.eye(240)  # without the noise term
    B = np.eye(240) + np.sqrt(f)[:, None] * (block.Q.T @ block.Q) * np.sqrt(f)
    K = (block.Q * f) @ block.Q.T + np.eye(len(block.Q))
    assert np.linalg.norm(K, 2) == pytest.approx(np.linalg.norm(B, 2), rel=1e-9)
    assert np.linalg.cond(K) <= np.linalg.cond(B) < 20
    assert np.linalg.cond(K) < 0.05 * np.linalg.cond(block.covariance)
    assert np.linalg.cond(block.covariance) < np.linalg.cond(plain)
    # K is at least sigma I, whatever the LD.
    assert np.linalg.eigvalsh(K)[0] >= 1 - 1e-9


def both_precisions(Q, y, logf):
    """LLR and gradient of the same stored numbers in float32 and float64."""
    results = []
    for dtype in (np.float32, np.float64):
        x = tf.constant(logf.astype(np.float32).astype(dtype))
        with tf.GradientTape() as tape:
            tape.watch(x)
            stored = Q.astype(np.float32).astype(dtype), y.astype(np.float32).astype(dtype)
            value = block_llr(x, dtype(0), *stored)
        results.append((float(value), tape.gradient(value, x).numpy().astype(np.float64)))
    return results


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("mean_f", [0.02, 0.2, 2.0])
def test_single_precision_is_enough_on_real_ld(real_blocks, mean_f):
    rng = np.random.default_rng(0)
    for Q in real_blocks[::4]:
        logf = np.log(mean_f) + 0.5 * rng.normal(size=Q.shape[1])
        b = np.exp(0.5 * logf) * rng.normal(size=len(logf))
        y = Q @ b + rng.normal(size=len(Q))
        (low, slope), (high, reference) = both_precisions(Q, y, logf)
        assert abs(low - high) < 1e-3
        assert cosine(slope, reference) > 0.99999


def test_half_precision_of_a_stored_real_block_costs_little(real_blocks):
    # Reported apart from the arithmetic: what rounding Q to float16 does to the same likelihood.
    rng = np.random.default_rng(0)
    Q = real_blocks[3]
    rows, scales = quantise(Q)
    stored = rows.astype(np.float64) * scales[:, None]
    logf = np.log(0.2) + 0.5 * rng.normal(size=Q.shape[1])
    y = Q @ (np.exp(0.5 * logf) * rng.normal(size=len(logf))) + rng.normal(size=len(Q))
    terms = [block_terms(logf, np.float64(0), matrix, y) for matrix in (Q, stored)]
    loss = abs(float(terms[0].nll - terms[1].nll))
    assert 0 < loss < 1e-2
    assert cosine(terms[0].d_logf.numpy(), terms[1].d_logf.numpy()) > 0.99999


def test_the_order_of_the_blocks_does_not_matter():
    source = draw(4)
    blocks = [source.read(i) for i in range(4)]
    shuffled = MemoryBlocks([replace(blocks[i]) for i in (2, 0, 3, 1)])
    values = []
    for some in (source, shuffled):
        logf = [np.log(0.5) + some.read(i).annotations[:, 0].astype(float) for i in range(4)]
        rows = [some.read(i).traits[0] for i in range(4)]
        parts = [
            float(block_nll(x, np.float64(0), r.q.astype(float), r.y))
            for x, r in zip(logf, rows, strict=True)
        ]
        values.append(sum(parts))
    assert values[0] == pytest.approx(values[1], rel=1e-13)
