"""The whitened form against dense linear algebra."""

import numpy as np
import pytest

from prior.ld_toys import haplotypes
from tfgen.errors import InputFormatError, NumericalError
from tfgen.prior.ld.ld_decomposition import (
    DecompositionOptions,
    decompose,
    decompose_genotypes,
    decomposition_bytes,
    genotype_bytes,
    n_kept,
)
from tfgen.prior.ld.ld_matrix import correlation_rows, standardise

ALL = DecompositionOptions(eps=1e-8, var_kept=1.0)


def block(n_samples, n, seed=0):
    genotypes = haplotypes(n_samples, n, seed)
    genotypes = genotypes[:, genotypes.std(axis=0) > 0]
    n = genotypes.shape[1]
    in_centre = np.zeros(n, bool)
    in_centre[n // 3 : 2 * n // 3] = True
    return standardise(genotypes), in_centre


@pytest.mark.parametrize("options", [ALL, DecompositionOptions()])
def test_the_whitened_form_reproduces_the_ld(options):
    x, in_centre = block(300, 90)
    rows = correlation_rows(x, in_centre)
    dense = rows.copy()
    found = decompose(rows, in_centre, options, "b")
    values = np.linalg.eigvalsh(dense[:, in_centre])[::-1]
    k = len(found.eigenvalues)
    np.testing.assert_allclose(found.eigenvalues, values[:k], rtol=1e-9)
    # P whitens the kept space: P R_ww P' = I, and Q = P R_w.
    np.testing.assert_allclose(found.p @ dense[:, in_centre] @ found.p.T, np.eye(k), atol=1e-8)
    np.testing.assert_allclose(found.q, found.p @ dense, atol=1e-10)
    assert found.min_eigenvalue == pytest.approx(values[-1], abs=1e-9)
    assert found.discarded_variance == pytest.approx(1 - values[:k].sum() / values.sum(), abs=1e-12)
    assert found.discarded_variance <= 1 - options.var_kept + 1e-12


def test_the_whitened_likelihood_is_that_of_z():
    x, in_centre = block(500, 60)
    rows = correlation_rows(x, in_centre)
    dense = rows.copy()
    found = decompose(rows, in_centre, ALL, "b")
    assert len(found.eigenvalues) == in_centre.sum()
    rng = np.random.default_rng(0)
    f = np.exp(rng.normal(-1, 1, x.shape[1]))
    z = rng.normal(size=in_centre.sum())
    covariance = (dense * f) @ dense.T + dense[:, in_centre]
    k = (found.q * f) @ found.q.T + np.eye(len(z))
    y = found.p @ z
    assert y @ np.linalg.solve(k, y) == pytest.approx(z @ np.linalg.solve(covariance, z))
    difference = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(k)[1]
    assert difference == pytest.approx(np.log(found.eigenvalues).sum())


@pytest.mark.parametrize("options", [DecompositionOptions(), DecompositionOptions(1e-4, 0.9999)])
@pytest.mark.parametrize("flanks", [True, False])
def test_genotypes_of_few_people_give_the_same_as_their_ld(options, flanks):
    x, in_centre = block(40, 200)
    if not flanks:
        in_centre[:] = True
    thin = decompose_genotypes(x, in_centre, options)
    dense = decompose(correlation_rows(x, in_centre), in_centre, options, "b")
    np.testing.assert_allclose(thin.eigenvalues, dense.eigenvalues, rtol=1e-10)
    assert len(thin.eigenvalues) <= 39
    # Single vectors may differ where eigenvalues are close; what the model uses may not.
    np.testing.assert_allclose(thin.q.T @ thin.q, dense.q.T @ dense.q, atol=1e-10)
    np.testing.assert_allclose(thin.p.T @ thin.q, dense.p.T @ dense.q, atol=1e-10)
    assert thin.discarded_variance == pytest.approx(dense.discarded_variance, abs=1e-12)
    assert thin.min_eigenvalue == 0
    assert dense.min_eigenvalue == pytest.approx(0, abs=1e-12)


def test_genotypes_of_many_people_too():
    x, in_centre = block(200, 30)
    thin = decompose_genotypes(x, in_centre, ALL)
    dense = decompose(correlation_rows(x, in_centre), in_centre, ALL, "b")
    np.testing.assert_allclose(thin.q.T @ thin.q, dense.q.T @ dense.q, atol=1e-10)
    assert thin.min_eigenvalue == pytest.approx(dense.min_eigenvalue, abs=1e-10)


def test_two_runs_give_the_same_signs():
    x, in_centre = block(60, 90)
    first = decompose_genotypes(x, in_centre, ALL)
    second = decompose_genotypes(x.copy(), in_centre, ALL)
    np.testing.assert_array_equal(first.p, second.p)
    largest = np.take_along_axis(first.p, np.abs(first.p).argmax(axis=1)[:, None], axis=1)
    assert np.all(largest > 0)


@pytest.mark.parametrize(
    ("values", "eps", "var_kept", "k"),
    [
        ([6.0, 3.0, 1.0], 1e-4, 0.5, 1),
        ([6.0, 3.0, 1.0], 1e-4, 0.6, 1),
        ([6.0, 3.0, 1.0], 1e-4, 0.61, 2),
        ([6.0, 3.0, 1.0], 1e-4, 1.0, 3),
        ([6.0, 3.0, 1.0, 0.0], 1e-4, 1.0, 3),
        ([6.0, 3.0, 1.0], 1.0, 1.0, 2),
        ([6.0, 4.0, -1.0], 1e-4, 1.0, 2),
    ],
)
def test_the_smallest_number_of_eigenvalues_is_kept(values, eps, var_kept, k):
    found, discarded = n_kept(np.array(values), eps, var_kept)
    assert found == k
    positive = np.clip(values, 0, None)
    assert discarded == pytest.approx(1 - positive[:k].sum() / positive.sum())


def indefinite():
    """R of three variants with an eigenvalue of -0.8, and one more that is only an effect."""
    rows = np.full((3, 4), -0.9)
    rows[:, 0] = [0.5, 0.2, 0.1]
    rows[np.arange(3), [1, 2, 3]] = 1
    return rows, np.array([False, True, True, True])


def test_indefinite_ld_is_refused_by_default():
    rows, in_centre = indefinite()
    message = r"block b1: LD with --ld_fix=error: .* eigenvalue -0\.8; .* with 'clip' or 'shrink'"
    with pytest.raises(NumericalError, match=message):
        decompose(rows, in_centre, DecompositionOptions(), "b1")


def test_indefinite_ld_is_clipped_and_scaled_back():
    rows, in_centre = indefinite()
    flank = rows[:, 0].copy()
    found = decompose(rows, in_centre, DecompositionOptions(ld_fix="clip"), "b1")
    ld = np.linalg.pinv(found.p) @ found.q
    values, vectors = np.linalg.eigh(indefinite()[0][:, 1:])
    clipped = (vectors * np.clip(values, 0, None)) @ vectors.T
    expected = clipped / np.sqrt(np.outer(np.diag(clipped), np.diag(clipped)))
    np.testing.assert_allclose(ld[:, 1:], expected, atol=1e-10)
    np.testing.assert_allclose(np.diag(ld[:, 1:]), 1)
    assert found.min_eigenvalue == pytest.approx(-0.8)
    # The effect of the flank is projected on what remains.
    np.testing.assert_allclose(found.q[:, 0], found.p @ flank, atol=1e-12)


def test_indefinite_ld_is_shrunk_by_the_least_that_mends_it():
    rows, in_centre = indefinite()
    options = DecompositionOptions(eps=1e-3, var_kept=1.0, ld_fix="shrink")
    found = decompose(rows, in_centre, options, "b1")
    s = 0.8 / 1.8
    expected = (1 - s) * indefinite()[0]
    expected[np.arange(3), [1, 2, 3]] += s
    values = np.linalg.eigvalsh(expected[:, 1:])
    assert values[0] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.eigenvalues, values[:0:-1], rtol=1e-9)
    np.testing.assert_allclose(found.q, found.p @ expected, atol=1e-12)


def test_shrinkage_comes_first():
    x, in_centre = block(100, 30)
    rows = correlation_rows(x, in_centre)
    shrunk = 0.9 * rows
    shrunk[np.arange(in_centre.sum()), np.flatnonzero(in_centre)] = 1
    found = decompose(rows, in_centre, DecompositionOptions(1e-8, 1.0, 0.1), "b")
    np.testing.assert_allclose(found.p @ shrunk, found.q, atol=1e-12)
    assert found.min_eigenvalue >= 0.1 - 1e-12
    with pytest.raises(ValueError, match="shrinkage needs the LD matrix"):
        decompose_genotypes(x, in_centre, DecompositionOptions(shrink=0.1))


def test_ld_that_cannot_be_decomposed_names_the_block(monkeypatch):
    rows = np.full((2, 2), np.nan)
    with pytest.raises(InputFormatError, match=r"block chr1_0_9: .* 4 entries are not finite"):
        decompose(rows, np.ones(2, bool), ALL, "chr1_0_9")

    def fail(_):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "eigh", fail)
    with pytest.raises(NumericalError, match="block chr1_0_9: .* did not converge"):
        decompose(np.eye(2), np.ones(2, bool), ALL, "chr1_0_9")


def test_estimates_of_memory_grow_with_the_block():
    # One UK Biobank window: R_w alone is 8 x 4300 x 12900 = 444 MB.
    assert decomposition_bytes(12_900, 4_300) > 444e6
    assert genotype_bytes(12_900, 4_300, 400) < decomposition_bytes(12_900, 4_300)
