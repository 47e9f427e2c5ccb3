import numpy as np
import pytest

from tfgen.errors import InputFormatError
from tfgen.prior.features.score_components import fit_components


def scores(n_rows=60, n_tracks=5, seed=1):
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, n_tracks))
    return (mixed * np.array([1, 10, 0.1, 5, 2]) + 0.01).astype(np.float32)


def test_components_are_those_of_a_singular_value_decomposition():
    values = scores()
    found = fit_components([values[:20], values[20:]], 5, 2)
    scaled = values / np.sqrt((values.astype(float) ** 2).mean(axis=0))
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    expected = left[:, :2] * singular[:2]
    np.testing.assert_allclose(np.abs(found.of(values)), np.abs(expected), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.explained, singular[:2] ** 2 / (singular**2).sum(), rtol=1e-5)


def test_blocks_do_not_matter_and_neither_do_alleles():
    values = scores()
    whole = fit_components([values], 5, 2)
    flipped = values * np.where(np.arange(60) % 3, 1, -1)[:, None]
    other = fit_components([flipped[:7], flipped[7:]], 5, 2)
    np.testing.assert_allclose(whole.loadings, other.loadings, rtol=1e-5)
    np.testing.assert_allclose(whole.of(-values), -whole.of(values))


def test_a_track_without_scores_has_no_weight():
    values = scores()
    values[:, 2] = 0
    found = fit_components([values], 5, 1)
    assert found.loadings[2, 0] == 0
    assert np.abs(found.loadings[[0, 1, 3, 4], 0]).min() > 0
    assert found.loadings[np.abs(found.loadings * [[1], [10], [0.1], [5], [2]]).argmax(), 0] > 0


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_without_scores_there_are_no_components(fill):
    with pytest.raises(InputFormatError, match="3 variants are zero or not finite"):
        fit_components([np.full((3, 2), fill, np.float32)], 2, 1)
    with pytest.raises(InputFormatError, match="0 variants"):
        fit_components([], 2, 1)
