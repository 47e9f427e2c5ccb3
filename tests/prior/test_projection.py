import dataclasses

import numpy as np
import pytest

from prior.small_blocks import Toy, ar_ld, panel_ld, toy, whiten
from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.projection import observed_ld, project


def ld_block(small):
    n = len(small.R)
    k, w = len(small.eigenvalues), len(small.w)
    in_centre = np.zeros(n, bool)
    in_centre[small.w] = True
    variants = VariantTable.of(["22"] * n, np.arange(1, n + 1), ["A"] * n, ["C"] * n)
    info = BlockInfo("b", "22", 0, n, small.w[0], small.w[-1] + 1, n, w, k, 0.0)
    return LdBlock(
        info,
        variants,
        in_centre,
        small.Q.astype(np.float32),
        small.P.astype(np.float32),
        small.eigenvalues,
    )


def z_of(small, block):
    z = np.full(len(small.R), np.nan)
    z[block.in_centre] = small.z
    return z


def test_a_complete_trait_is_the_stored_projection():
    small = toy(0)
    block = ld_block(small)
    z = z_of(small, block)
    z[0] = 7.0  # in the flank: not observed
    projection = project(block, z)
    assert projection.rotation is None
    assert projection.n_observed == 20
    np.testing.assert_allclose(projection.y, block.p.astype(np.float64) @ small.z, rtol=1e-12)
    assert projection.rotate(block.q) is block.q


@pytest.mark.parametrize("people", [None, 25])
def test_missing_z_scores_give_the_model_of_those_that_are_there(people):
    # Against the whitening of the observed rows of the dense matrix.
    R = None if people is None else panel_ld(60, people, np.random.default_rng(0))
    small = toy(1, R=R)
    block = ld_block(small)
    z = z_of(small, block)
    z[[22, 25, 33]] = np.nan
    projection = project(block, z)
    rows = np.flatnonzero(projection.observed)
    Q, P, _ = whiten(small.R, rows)
    rotated = projection.rotate(block.q).astype(np.float64)
    # The same up to a rotation: compare what is invariant.
    np.testing.assert_allclose(rotated.T @ rotated, Q.T @ Q, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(rotated.T @ projection.y, Q.T @ (P @ z[rows]), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(projection.y @ projection.y, ((P @ z[rows]) ** 2).sum(), rtol=1e-3)


def test_what_the_store_left_out_is_not_blown_up_where_z_scores_are_missing():
    # z ~ N(0, R), of whose variance the store keeps 99 %, and half of the z-scores.
    rng = np.random.default_rng(0)
    totals = {None: np.zeros(2), 1e-4: np.zeros(2)}
    for _ in range(30):
        people = rng.normal(size=(150, 60)) @ np.linalg.cholesky(ar_ld(60, 0.97)).T
        R = np.corrcoef(people.T)
        values, vectors = (x[..., ::-1] for x in np.linalg.eigh(R))
        k = int(np.searchsorted(np.cumsum(values) / 60, 0.99)) + 1
        values, vectors = values[:k], vectors[:, :k]
        P = (vectors / np.sqrt(values)).T
        zero = np.zeros(60)
        block = ld_block(Toy(R, np.arange(60), zero, zero, 0.0, P @ R, P, values))
        z = np.linalg.cholesky(R + 1e-12 * np.eye(60)) @ rng.normal(size=60)
        z[rng.choice(60, 30, replace=False)] = np.nan
        for eps, total in totals.items():
            y = project(block, z, eps).y
            total += [y @ y, len(y)]
    ratios = {eps: total[0] / total[1] for eps, total in totals.items()}
    # 474 rows: a standard error of 0.065, and some of the one per cent leaks in.
    assert ratios[None] == pytest.approx(1, abs=0.25)
    assert ratios[1e-4] > 2


def test_a_missing_z_score_costs_one_row_of_shrunk_ld():
    """Fewer people than variants: all other eigenvalues are s, and equal but for rounding."""
    R = 0.9 * panel_ld(60, 25, np.random.default_rng(1)) + 0.1 * np.eye(60)
    small = toy(1, flank=0, R=R)
    block = ld_block(small)
    assert len(small.eigenvalues) == 60
    z = z_of(small, block)
    z[7] = np.nan
    assert len(project(block, z).y) == 59


def test_no_observed_variant_gives_no_rows():
    small = toy(2)
    block = ld_block(small)
    projection = project(block, np.full(60, np.nan))
    assert projection.y.shape == (0,)
    assert projection.rotate(block.q).shape == (0, 60)


def test_the_ld_of_the_observed_comes_back():
    small = toy(3)
    block = ld_block(small)
    z = z_of(small, block)
    z[30] = np.nan
    projection = project(block, z)
    expected = small.R[projection.observed]
    np.testing.assert_allclose(observed_ld(block, projection), expected, atol=1e-5)


def test_faulty_z_scores_are_refused():
    block = ld_block(toy(0))
    with pytest.raises(InputMismatchError, match="block b: 3 z-scores for 60 variants"):
        project(block, np.zeros(3))
    z = np.zeros(60)
    z[4] = np.inf
    with pytest.raises(InputMismatchError, match="the z-score of 22:5:A:C is infinite"):
        project(block, z)


def test_the_rows_of_a_block_may_be_the_whole_block():
    small = toy(4, flank=0)
    block = dataclasses.replace(ld_block(small))
    assert project(block, small.z).n_observed == 60
