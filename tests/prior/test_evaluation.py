import numpy as np
import pytest
from scipy.stats import multivariate_normal

from prior.small_fits import draw
from tfgen.errors import NumericalError
from tfgen.prior.evaluation import BlockScores, exact_terms, score_blocks
from tfgen.prior.training.block_data import BlockData, MemoryBlocks, TraitRows

SIGMA = (1.2, 0.8)


def log_f(data):
    x = data.annotations.astype(np.float64)
    return np.stack([-0.5 + x[:, 0], 0.3 * x[:, 1]], 1)


def density(rows, logf, sigma):
    q = rows.q.astype(np.float64)
    K = (q * np.exp(logf)) @ q.T + sigma * np.eye(len(q))
    return multivariate_normal.logpdf(rows.y, cov=K), rows.y @ np.linalg.solve(K, rows.y)


def test_scores_are_gaussian_densities():
    source = draw(3, n=40, people=30, traits=2)
    scores = score_blocks(source, (2, 0), log_f, np.log(SIGMA))
    assert scores.ids == ("block2", "block0")
    for row, index in enumerate((2, 0)):
        data = source.read(index)
        logf = log_f(data)
        for t, rows in enumerate(data.traits):
            value, mahalanobis = density(rows, logf[:, t], SIGMA[t])
            null, _ = density(rows, np.full(40, -np.inf), SIGMA[t])
            assert scores.nll[row, t] == pytest.approx(-value, rel=1e-9)
            assert scores.null[row, t] == pytest.approx(-null, rel=1e-9)
            assert scores.mahalanobis[row, t] == pytest.approx(mahalanobis, rel=1e-9)
            assert scores.k[row, t] == len(rows.y)
            assert scores.sum_f[row, t] == pytest.approx(np.exp(logf[:, t]).sum())
    assert scores.n.tolist() == [40, 40]
    assert (scores.n_observed == 40).all()
    assert scores.nll_per_z() == pytest.approx(scores.nll.sum() / 160)


def test_a_trait_without_z_scores_in_a_block_adds_nothing():
    data = draw(1, n=20, people=15).read(0)
    nothing = TraitRows(np.zeros((0, 20), np.float32), np.zeros(0), 0)
    block = BlockData("b", "1", data.annotations, data.frequency, (nothing, data.traits[0]))
    scores = score_blocks(MemoryBlocks([block]), [0], log_f, np.zeros(2))
    assert scores.nll[0, 0] == scores.null[0, 0] == scores.k[0, 0] == scores.n_observed[0, 0] == 0
    assert scores.sum_f[0, 0] == pytest.approx(np.exp(log_f(data)[:, 0]).sum())
    assert scores.nll_per_z() == pytest.approx(scores.nll[0, 1] / 20)


def test_residuals_and_likelihood_of_a_trait_come_from_one_factor():
    data = draw(2, n=30, people=40, traits=2).read(1)
    logf, rows = log_f(data)[:, 1], data.traits[1]
    terms = exact_terms(data.id, rows, logf, np.log(0.8))
    q = rows.q.astype(np.float64)
    factor = np.linalg.cholesky((q * np.exp(logf)) @ q.T + 0.8 * np.eye(len(q)))
    expected = np.linalg.solve(factor, rows.y)
    np.testing.assert_allclose(terms.whitened, expected, rtol=1e-8, atol=1e-10)
    assert float(terms.mahalanobis) == pytest.approx(expected @ expected, rel=1e-10)
    assert float(terms.nll) == pytest.approx(-density(rows, logf, 0.8)[0], rel=1e-9)


@pytest.mark.parametrize("value", [800.0, np.nan])
def test_a_likelihood_that_is_not_finite_names_its_block(value):
    source = draw(2, n=20, people=30)

    def broken(data):
        found = log_f(data)[:, :1]
        return found + value if data.id == "block1" else found

    with pytest.raises(NumericalError, match="the likelihood of block block1 is nan; check its"):
        score_blocks(source, (0, 1), broken, np.zeros(1))
    data = source.read(1)
    with pytest.raises(NumericalError, match="the likelihood of block block1 is nan"):
        exact_terms(data.id, data.traits[0], broken(data)[:, 0], 0.0)


def test_no_blocks_have_empty_scores():
    scores = score_blocks(draw(1), [], log_f, np.zeros(2))
    assert isinstance(scores, BlockScores)
    assert scores.nll.shape == (0, 2)
    assert scores.nll_per_z() == 0
