import numpy as np

from bench.windows import make_window
from tfgen.prior import reference_forms
from tfgen.prior.likelihood import block_llr


def test_a_window_has_its_rank_and_the_same_likelihood_in_both_forms():
    window = make_window(90, 30, 12, seed=0)
    assert window.Q.shape == (12, 90)
    assert np.linalg.matrix_rank(window.R[np.ix_(window.w, window.w)], tol=1e-6) == 12
    parts = reference_forms.decompose(window.R, window.w, window.z)
    published = reference_forms.wasp_new(window.logf, np.float64(0), parts)
    ours = block_llr(window.logf, np.float64(0), window.Q, window.y)
    np.testing.assert_allclose(ours, published, rtol=1e-9)


def test_whitening_the_z_scores_gives_y():
    window = make_window(60, 20, 8, seed=1)
    values, vectors = np.linalg.eigh(window.R[np.ix_(window.w, window.w)])
    kept = values > 1e-8
    y = (vectors[:, kept] / np.sqrt(values[kept])).T @ window.z
    np.testing.assert_allclose((y**2).sum(), (window.y**2).sum(), rtol=1e-9)
