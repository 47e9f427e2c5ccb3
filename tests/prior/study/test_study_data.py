import numpy as np
import pytest

from prior.small_stores import make_blocks
from prior.study_toys import small, write_ld
from tfgen.errors import InputMismatchError
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.study.study_config import Setting
from tfgen.prior.study.study_data import draw, read_panel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("study")
    write_ld(path)
    return path


@pytest.fixture(scope="module")
def panel(folder):
    return read_panel(folder / "ld", small(folder))


def of(panel, folder, truth="ushape", mean_f=0.5, seed=0, **options):
    return draw(panel, small(folder, **options), Setting(truth, mean_f, seed))


def test_nothing_of_the_test_contig_is_learned_from(panel):
    chroms = [one.block.info.chrom for one in panel.blocks]
    fold = panel.fold
    assert {chroms[i] for i in fold.test} == {"2"}
    assert {chroms[i] for i in (*fold.training, *fold.held_out)} == {"1"}
    assert sorted((*fold.training, *fold.held_out, *fold.test)) == list(range(len(chroms)))


def test_the_ld_is_that_of_the_panel(panel):
    blocks, _ = make_blocks(n_blocks=10, n=30, chroms=("1", "2"))
    for one, block in zip(panel.blocks, blocks, strict=True):
        root = block.p.T * block.eigenvalues
        np.testing.assert_allclose(one.ld, root @ root.T, atol=1e-4)


def test_overlapping_blocks_are_refused(tmp_path):
    blocks, _ = make_blocks(n_blocks=1, n=20, chroms=("1",))
    block = blocks[0]
    info = type(block.info)(**{**vars(block.info), "w": 19})
    centre = np.arange(20) < 19
    save_ld_store(
        tmp_path / "ld",
        {},
        [LdBlock(info, block.variants, centre, block.q, block.p[:, :19], block.eigenvalues)],
    )
    with pytest.raises(InputMismatchError, match=r"observes 19 of 20 variants.*--blocks=bed"):
        read_panel(tmp_path / "ld", small(tmp_path))


@pytest.mark.parametrize("truth", ["ushape", "linear"])
@pytest.mark.parametrize("mean_f", [0.02, 2.0])
def test_the_truth_has_the_mean_and_spread_asked_for(panel, folder, truth, mean_f):
    logf = np.concatenate(of(panel, folder, truth, mean_f, sd=0.7).logf)
    assert np.exp(logf).mean() == pytest.approx(mean_f)
    assert logf.std() == pytest.approx(0.7)


def test_the_ushape_is_a_u_and_an_interaction_and_the_control_a_sum(panel, folder):
    for truth in ("ushape", "linear"):
        data = of(panel, folder, truth)
        x = np.concatenate([data.blocks.read(i).annotations for i in range(len(data.logf))])
        s = np.clip((x - x.mean(0)) / x.std(0), -3, 3)
        terms = [(s[:, 0] ** 2 - 1) / np.sqrt(2) + s[:, 1] * s[:, 2]]
        if truth == "linear":
            terms = [((x - x.mean(0)) / x.std(0))[:, :3].sum(1)]
        assert np.corrcoef(terms[0], np.concatenate(data.logf))[0, 1] > 0.99999


def test_a_seed_has_the_same_features_for_all_truths_and_another_seed_others(panel, folder):
    first = of(panel, folder).blocks.read(0).annotations
    np.testing.assert_array_equal(
        of(panel, folder, "linear", 2.0).blocks.read(0).annotations, first
    )
    assert not np.allclose(of(panel, folder, seed=1).blocks.read(0).annotations, first)
    assert not np.allclose(of(panel, folder).blocks.read(1).annotations, first)


def test_z_scores_have_the_variance_of_the_model(panel, folder):
    """E y'y = tr(Q F Q') + k."""
    ratios = []
    for seed in range(30):
        data = of(panel, folder, seed=seed)
        expected = found = 0.0
        for i, logf in enumerate(data.logf):
            rows = data.blocks.read(i).traits[0]
            expected += float(np.sum(rows.q.astype(float) ** 2 @ np.exp(logf))) + len(rows.y)
            found += float(rows.y @ rows.y)
        ratios.append(found / expected)
    assert np.mean(ratios) == pytest.approx(1, abs=4 * np.std(ratios) / np.sqrt(30))


def test_the_sources_hold_the_same_z_scores(panel, folder):
    data = of(panel, folder)
    squares = count = 0
    for i, one in enumerate(panel.blocks):
        plain, with_ld = data.blocks.read(i).traits[0], data.blocks_with_ld.read(i).traits[0]
        np.testing.assert_array_equal(plain.y, with_ld.y)
        np.testing.assert_allclose(one.block.p @ with_ld.z, plain.y, atol=1e-3)
        squares, count = squares + float(with_ld.z @ with_ld.z), count + len(with_ld.z)
        assert plain.ld is None
        K = plain.q.astype(float) @ plain.q.T * 0.3 + np.eye(len(plain.y))
        expected = plain.y @ np.linalg.solve(K, plain.y) + np.linalg.slogdet(2 * np.pi * K)[1]
        assert data.spectra[i].nll(0.3, 1.0) == pytest.approx(expected / 2)
    assert data.mean_chisq == pytest.approx(squares / count, rel=1e-5)
