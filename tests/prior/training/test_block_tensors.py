from dataclasses import replace

import numpy as np
import pytest

from prior.small_fits import draw
from tfgen.prior.cg_likelihood import CgOptions
from tfgen.prior.training.block_tensors import K_STEP, N_STEP, block_arrays, empty_block
from tfgen.prior.training.objectives import (
    TraitTensors,
    cg_likelihood_terms,
    ldsr_terms,
    likelihood_terms,
)


@pytest.fixture(scope="module")
def data():
    """A block of two traits with tracks, the second trait without LD."""
    block = draw(1, n=40, people=30, traits=2).read(0)
    tracks = np.ones((40, 4, 2), np.float32)
    second = replace(block.traits[1], ld=None, z=None)
    return replace(block, tracks=tracks, traits=(block.traits[0], second))


def tensors(arrays):
    return [TraitTensors(*trait) for trait in arrays.traits]


def test_a_block_becomes_its_arrays(data):
    arrays = block_arrays(data, 7)
    assert (arrays.block, arrays.weight) == (7, 1)
    assert set(arrays.inputs) == {"annotations", "frequency", "tracks"}
    first, second = tensors(arrays)
    np.testing.assert_array_equal(first.Q, data.traits[0].q)
    np.testing.assert_array_equal(first.y, data.traits[0].y.astype(np.float32))
    np.testing.assert_array_equal(first.ld, data.traits[0].ld)
    assert first.rank == len(data.traits[0].y)
    assert second.ld.shape == (0, 40)
    assert second.z.shape == (0,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_likelihood_has_the_precision_that_was_asked_for(data, dtype):
    for trait in block_arrays(data, 0, dtype, pad=True).traits:
        assert {array.dtype for array in trait} == {np.dtype(dtype)}


def test_sizes_are_padded_to_few(data):
    arrays = block_arrays(data, 0, pad=True)
    assert arrays.inputs["annotations"].shape == (N_STEP, 3)
    assert arrays.inputs["tracks"].shape == (N_STEP, 4, 2)
    # The logarithm of a frequency of 0 is not finite.
    assert (arrays.inputs["frequency"][40:] == 0.5).all()
    np.testing.assert_array_equal(arrays.inputs["frequency"][:40], data.frequency)
    assert tensors(arrays)[0].Q.shape == (K_STEP, N_STEP)
    assert tensors(arrays)[0].ld.shape == (40, N_STEP)
    large = draw(1, n=N_STEP + 1, people=K_STEP + 10).read(0)
    assert tensors(block_arrays(large, 0, pad=True))[0].Q.shape == (2 * K_STEP, 2 * N_STEP)


@pytest.mark.parametrize("objective", ["mll", "ldsr"])
def test_padding_changes_no_objective(data, objective):
    plain, padded = (block_arrays(data, 0, np.float64, pad) for pad in (False, True))
    rng = np.random.default_rng(0)
    logf, log_sigma = rng.normal(size=(N_STEP, 2)), np.array([0.1, 0.3])

    def terms(arrays, n):
        if objective == "mll":
            return likelihood_terms(logf[:n], log_sigma, tensors(arrays))
        return ldsr_terms(logf[:n, :1], log_sigma[:1], tensors(arrays)[:1], np.ones(1))

    found, expected = terms(padded, N_STEP), terms(plain, 40)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
    np.testing.assert_allclose(found.d_logf[:40], expected.d_logf, atol=1e-11)
    np.testing.assert_array_equal(found.d_logf[40:], 0)
    np.testing.assert_allclose(found.d_log_sigma, expected.d_log_sigma, rtol=1e-9)


def test_an_empty_block_adds_nothing(data):
    arrays = block_arrays(data, 3, np.float64)
    empty = empty_block(arrays)
    assert (empty.weight, empty.block) == (0, 0)
    assert {name: x.shape[1:] for name, x in empty.inputs.items()} == {
        name: x.shape[1:] for name, x in arrays.inputs.items()
    }
    assert empty.inputs["frequency"] == 0.5
    for mine, other in zip(empty.traits, arrays.traits, strict=True):
        assert [x.ndim for x in mine] == [x.ndim for x in other]
        assert [x.dtype for x in mine] == [x.dtype for x in other]
    logf, log_sigma = np.array([[0.4, -0.3]]), np.array([0.2, -0.1])
    for terms in (
        likelihood_terms(logf, log_sigma, tensors(empty)),
        ldsr_terms(logf, log_sigma, tensors(empty), np.ones(2)),
    ):
        assert float(terms.value) == pytest.approx(0, abs=1e-15)
        np.testing.assert_allclose(terms.d_logf, 0, atol=1e-15)
        np.testing.assert_allclose(terms.d_log_sigma, 0, atol=1e-15)
        assert int(terms.faults) == 0
    # Its weight of 0 removes what conjugate gradients give, unless that is not finite.
    terms = cg_likelihood_terms(logf, log_sigma, tensors(empty), CgOptions(4), 0)
    assert all(np.isfinite(x).all() for x in (terms.value, terms.d_logf, terms.d_log_sigma))


def test_a_trait_without_z_scores_adds_nothing(data):
    trait = data.traits[0]
    nothing = replace(
        trait, q=trait.q[:0], y=trait.y[:0], n_observed=0, ld=trait.ld[:0], z=trait.z[:0]
    )
    block = replace(data, traits=(nothing,))
    logf, log_sigma = np.zeros((40, 1)), np.zeros(1)
    traits = tensors(block_arrays(block, 0, np.float64))
    terms = likelihood_terms(logf, log_sigma, traits)
    assert float(terms.value) == 0
    np.testing.assert_array_equal(terms.d_logf, 0)
    assert int(terms.faults) == 0
    terms = cg_likelihood_terms(logf, log_sigma, traits, CgOptions(4), 0)
    assert float(terms.value) == 0
    np.testing.assert_array_equal(terms.d_logf, 0)
    assert int(terms.faults) == 0
