"""Against dense linear algebra on the z-scores themselves."""

import json
import signal

import numpy as np
import pytest

from prior.killed_outputs import left, start
from prior.outputs.test_score import numbers, read
from prior.trained_toys import (
    CHROMS,
    N,
    Rows,
    draw_z,
    joined,
    make_block,
    shared_study,
    train,
)
from tfgen.errors import InputMismatchError, OutputError, UsageError
from tfgen.genome import VariantTable
from tfgen.prior.features.feature_store import FeatureSchema, FeatureStore, write_feature_store
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.outputs.posterior_config import PosteriorConfig
from tfgen.prior.outputs.posterior_table import write_posterior
from tfgen.prior.outputs.score import score_prior
from tfgen.prior.outputs.score_config import ScorePriorConfig
from tfgen.prior.outputs.trained_prior import TrainedPrior
from tfgen.prior.sumstats.munged import MungedStats, read_munged, write_munged
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import parse_traits, read_traits

OFF = {"freq_mode": "off"}
HEADER = (
    "CHR SNP BP A1 A2 N A1FREQ BETA_MEAN BETA_SD BETA_MEAN_STD BETA_SD_STD E_BETA2 LOGF FOLD"
).split()


@pytest.fixture(scope="module")
def study():
    study = shared_study()
    train(study, "crossed")
    train(study, "both", traits=("bmi", "height"))
    train(study, "single", folds="none")
    return study


def config(study, folder, **options):
    return PosteriorConfig(
        **{
            "prior": study.folder / "crossed",
            "ld": study.ld,
            "traits": study.traits(),
            "features": study.features,
            "output": folder / "x.tsv.gz",
            "progress": "none",
            **options,
        }
    )


def dense_posterior(block, log_f, z):
    """Mean and variance of b from z ~ N(0, R_w F R_w' + R_ww)."""
    root = (block.p.astype(float) * block.eigenvalues[:, None]).T
    wide, ld = root @ block.q.astype(float), root @ root.T
    f = np.exp(log_f)
    solved = np.linalg.solve((wide * f) @ wide.T + ld, np.column_stack([z, wide]))
    variance = f - f**2 * np.einsum("ij,ij->j", wide, solved[:, 1:])
    return f * (wide.T @ solved[:, 0]), variance


def prior_log_f(study):
    with FeatureStore(study.features) as features, LdStore(study.ld) as store:
        prior = TrainedPrior(study.folder / "crossed", features)
        source = DiskBlocks(store, features, read_traits(store, parse_traits(study.traits())))
        sizes = source.sizes
        return {size.id: prior.log_f(source.read(i))[:, 0] for i, size in enumerate(sizes)}


def test_effects_are_those_of_the_dense_posterior(study, tmp_path):
    summary = write_posterior(config(study, tmp_path))
    found = read(tmp_path / "x.tsv.gz")
    assert list(found) == HEADER
    log_f = prior_log_f(study)
    means, variances = [], []
    for block in study.blocks:
        moments = dense_posterior(block, log_f[block.info.id], study.z[block.info.id])
        means.append(moments[0][block.in_centre])
        variances.append(moments[1][block.in_centre])
    mean, variance = np.concatenate(means), np.concatenate(variances)
    n, p = numbers(found["N"]), numbers(found["A1FREQ"])
    per_allele = 1 / np.sqrt(n * 2 * p * (1 - p))
    # float16 in the store.
    options = {"rtol": 5e-3, "atol": 2e-4}
    np.testing.assert_allclose(numbers(found["BETA_MEAN_STD"]), mean / np.sqrt(n), **options)
    sd = np.sqrt(variance)
    np.testing.assert_allclose(numbers(found["BETA_SD_STD"]), sd / np.sqrt(n), **options)
    np.testing.assert_allclose(numbers(found["BETA_MEAN"]), mean * per_allele, **options)
    np.testing.assert_allclose(numbers(found["BETA_SD"]), sd * per_allele, **options)
    second = (mean**2 + variance) / n
    np.testing.assert_allclose(numbers(found["E_BETA2"]), second, rtol=1e-2, atol=1e-5)
    assert summary.traits["height"].h2 == pytest.approx(second.sum(), rel=1e-2)
    assert summary.n_in_sample == 0


def test_every_observed_variant_comes_once_in_genome_order(study, tmp_path):
    write_posterior(config(study, tmp_path))
    found = read(tmp_path / "x.tsv.gz")
    observed = joined([block.variants.take(block.in_centre) for block in study.blocks])
    assert found["SNP"] == observed.id.tolist()
    assert found["FOLD"] == [f"chr{chrom}" for chrom in found["CHR"]]
    stats = read_munged(study.height)
    np.testing.assert_array_equal(numbers(found["N"]), stats.n)
    np.testing.assert_allclose(numbers(found["A1FREQ"]), observed.af, rtol=1e-7)


def test_a_variant_in_several_windows_is_taken_from_its_centre(tmp_path):
    """Two windows that share half of their variants, observed in one of them each."""
    rng = np.random.default_rng(0)
    whole = make_block("22", 0, rng, flank=0)
    r = (whole.p * whole.eigenvalues[:, None]).T @ whole.q
    blocks = []
    for first, centre in ((0, slice(0, 20)), (20, slice(0, 40))):
        rows = slice(first, first + 40)
        ld = r[rows, rows]
        in_centre = np.zeros(40, bool)
        in_centre[centre] = True
        values, vectors = np.linalg.eigh(ld[np.ix_(in_centre, in_centre)])
        p = (vectors / np.sqrt(values)).T[::-1]
        info = BlockInfo(
            f"chr22_{first}", "22", 10 * first, 10 * first + 400, 10 * first,
            10 * (first + int(in_centre.sum())), 40, int(in_centre.sum()), len(values), 0.0,
        )  # fmt: skip
        q = (p @ ld[in_centre]).astype(np.float32)
        table = whole.variants.take(rows)
        blocks.append(LdBlock(info, table, in_centre, q, p.astype(np.float32), values[::-1]))
    save_ld_store(tmp_path / "ld", {"build": "GRCh37", "panel": "toy"}, blocks, q_dtype="float32")
    z = np.concatenate([draw_z(block, np.zeros(40), 1.0, rng) for block in blocks])
    write_munged(tmp_path / "height.tsv.gz", MungedStats(whole.variants, z, np.full(N, 1e3)))

    class Windows:
        folder, ld, features = tmp_path, tmp_path / "ld", None

        def traits(self, *names):
            return (f"height={tmp_path / 'height.tsv.gz'}",)

    output = train(Windows(), "flat", "none", features=False, head=OFF, held_out_share=0.0)
    options = {"prior": output, "ld": tmp_path / "ld", "features": None, "in_sample": True}
    write_posterior(config(Windows(), tmp_path, **options, allow_mismatch=True))
    found = read(tmp_path / "x.tsv.gz")
    assert found["SNP"] == whole.variants.id.tolist()
    log_f = numbers(found["LOGF"])[0]
    first = dense_posterior(blocks[0], np.full(40, log_f), z[:20])[0][:20]
    second = dense_posterior(blocks[1], np.full(40, log_f), z[20:])[0]
    expected = np.concatenate([first, second]) / np.sqrt(1e3)
    np.testing.assert_allclose(numbers(found["BETA_MEAN_STD"]), expected, rtol=1e-3, atol=1e-6)


def test_variants_and_blocks_without_statistics_have_effects_all_the_same(study, tmp_path):
    stats = read_munged(study.height)
    keep = np.ones(len(stats), bool)
    keep[::4] = False
    keep[:40] = False
    path = tmp_path / "z.tsv.gz"
    swapped = stats.variants.take(keep)
    swapped = VariantTable(**{**vars(swapped), "ref": swapped.alt, "alt": swapped.ref})
    write_munged(path, MungedStats(swapped, -stats.z[keep], stats.n[keep]))
    options = {"traits": (f"height={path}",), "allow_mismatch": True}
    summary = write_posterior(config(study, tmp_path, **options))
    found = read(tmp_path / "x.tsv.gz")
    assert summary.traits["height"].n_with_statistics == keep.sum() == 480 - found["N"].count("NA")
    mean = numbers(found["BETA_MEAN_STD"])
    assert np.all(mean[:40] == 0)
    assert np.count_nonzero(mean[40:]) == 440
    # The prior itself, with the median sample size.
    log_f = numbers(found["LOGF"])[:40]
    median = np.median(stats.n[keep])
    np.testing.assert_allclose(numbers(found["E_BETA2"])[:40], np.exp(log_f) / median, rtol=1e-6)
    block = study.blocks[1]
    known = keep[40:80]
    root = (block.p.astype(float) * block.eigenvalues[:, None]).T
    wide, ld = root[known] @ block.q.astype(float), root[known] @ root[known].T
    f = np.exp(prior_log_f(study)[block.info.id] + np.log(median / 999.75))
    z = study.z[block.info.id][known]
    expected = f * (wide.T @ np.linalg.solve((wide * f) @ wide.T + ld, z))
    n = np.where(known, stats.n[40:80], median)
    expected = expected[block.in_centre] / np.sqrt(n)
    np.testing.assert_allclose(mean[40:80], expected, rtol=1e-2, atol=2e-4)


def test_with_unequal_sample_sizes_every_effect_has_the_variance_of_the_prior(study, tmp_path):
    """Var(beta_j) = SNPVAR_j, so that f_j = N_j SNPVAR_j, which the dense model has as well."""
    stats = read_munged(study.height)
    sizes = np.random.default_rng(0).uniform(300, 3000, len(stats))
    path = tmp_path / "z.tsv.gz"
    write_munged(path, MungedStats(stats.variants, stats.z, sizes))
    options = {"traits": (f"height={path}",), "allow_mismatch": True}
    write_posterior(config(study, tmp_path, **options))
    found = read(tmp_path / "x.tsv.gz")
    score = ScorePriorConfig(
        prior=study.folder / "crossed",
        variants=study.ld,
        features=study.features,
        output=tmp_path / "s.snpvar.gz",
        progress="none",
    )
    score_prior(score)
    scored = read(score.output)
    of = dict(zip(scored["SNP"], numbers(scored["SNPVAR"]), strict=True))
    expected = [of[name] for name in found["SNP"]]
    n = numbers(found["N"])
    np.testing.assert_allclose(n, sizes, rtol=1e-6)
    np.testing.assert_allclose(np.exp(numbers(found["LOGF"])) / n, expected, rtol=1e-4)
    block = study.blocks[2]
    size = np.full(N, np.median(sizes))
    size[block.in_centre] = sizes[80:120]
    log_f = prior_log_f(study)[block.info.id] + np.log(size / 999.75)
    mean, variance = dense_posterior(block, log_f, study.z[block.info.id])
    own = numbers(found["E_BETA2"])[80:120]
    second = ((mean**2 + variance) / size)[block.in_centre]
    np.testing.assert_allclose(own, second, rtol=1e-2, atol=1e-5)


def test_blocks_kept_out_of_every_fold_are_not_in_sample(study, tmp_path):
    train(study, "final", test_chrom=("22",))
    options = {"prior": study.folder / "final", "allow_mismatch": True}
    summary = write_posterior(config(study, tmp_path, **options))
    assert summary.n_in_sample == 0
    found = read(tmp_path / "x.tsv.gz")
    names = {"20": "chr20", "21": "chr21", "22": "mean"}
    assert found["FOLD"] == [names[chrom] for chrom in found["CHR"]]


@pytest.mark.parametrize(
    ("step", "passes", "resumed"),
    [("save", 2, 3), ("write", 1, 12), ("publish", 1, 12), ("report", 0, 12), ("remove", 1, 12)],
)
def test_a_killed_run_goes_on_to_the_same_bytes(study, tmp_path, step, passes, resumed):
    """Also between the tables of two traits, and with blocks that have no features."""
    variants = joined([block.variants for block in study.blocks]).take(slice(0, 11 * N))
    schema = FeatureSchema(("dhs", "noise", "gaps"), run_digest="x")
    rows = Rows(np.zeros((len(variants), 3), np.float32))
    write_feature_store(tmp_path / "few.h5", schema, variants, rows)
    options = {
        "prior": study.folder / "both",
        "traits": study.traits("height", "bmi"),
        "features": tmp_path / "few.h5",
        "allow_mismatch": True,
    }
    (tmp_path / "whole").mkdir()
    expected = write_posterior(config(study, tmp_path / "whole", **options))
    (tmp_path / "own").mkdir()
    settings = config(study, tmp_path / "own", **options)
    killed = start("posterior", settings, die_in=step, die_after=passes)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = write_posterior(settings)
    assert again.n_resumed == resumed
    assert again.warnings == expected.warnings
    assert left(tmp_path / "own") == left(tmp_path / "whole")
    assert not list((tmp_path / "own").glob("*.partial"))


def test_a_killed_run_leaves_what_others_wrote(study, tmp_path):
    """Killed before it may replace an output, its work gives nobody leave to do so."""
    settings = config(study, tmp_path, overwrite=True)
    settings.output.write_text("mine")
    assert start("posterior", settings, die_in="save").returncode == -signal.SIGKILL
    with pytest.raises(OutputError, match="exists; choose another output or pass --overwrite"):
        write_posterior(config(study, tmp_path))
    assert settings.output.read_text() == "mine"
    assert write_posterior(settings).n_resumed == 1


def test_z_scores_that_do_not_fit_are_refused(study, tmp_path):
    stats = read_munged(study.height)
    signs = np.random.default_rng(0).choice([-1, 1], len(stats))
    path = tmp_path / "z.tsv.gz"
    write_munged(path, MungedStats(stats.variants, 2 * signs * stats.z, stats.n))
    traits = (f"height={path}",)
    with pytest.raises(
        InputMismatchError,
        match=r"height: Mahalanobis/k is \d+\.?\d* over all blocks \(p \S+\), .*smaller "
        "--var_kept or a larger --shrink.*--allow_mismatch",
    ):
        write_posterior(config(study, tmp_path, traits=traits))
    assert [path.name for path in tmp_path.iterdir()] == ["z.tsv.gz"]
    summary = write_posterior(config(study, tmp_path, traits=traits, allow_mismatch=True))
    assert summary.warnings[0].startswith("MISMATCH: height")


def test_data_are_not_used_twice_unless_asked_for(study, tmp_path):
    single = {"prior": study.folder / "single"}
    with pytest.raises(UsageError, match="every model was fitted to block chr20_0_600"):
        write_posterior(config(study, tmp_path, **single))
    summary = write_posterior(config(study, tmp_path, **single, in_sample=True))
    assert summary.n_in_sample == 480
    assert set(read(tmp_path / "x.tsv.gz")["FOLD"]) == {"mean"}


def test_several_traits_have_a_table_each(study, tmp_path):
    options = {"prior": study.folder / "both", "traits": study.traits("height", "bmi")}
    summary = write_posterior(config(study, tmp_path, **options, allow_mismatch=True))
    assert set(summary.traits) == {"height", "bmi"}
    assert {path.name for path in tmp_path.glob("*.gz")} == {"x.height.tsv.gz", "x.bmi.tsv.gz"}
    # Noise has smaller effects.
    sizes = [summary.traits[name].h2 for name in ("height", "bmi")]
    assert sizes[0] > 3 * sizes[1]


def test_the_same_command_gives_the_same_bytes(study, tmp_path):
    for name in ("a.tsv.gz", "b.tsv.gz"):
        write_posterior(config(study, tmp_path, output=tmp_path / name))
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    report = json.loads((tmp_path / "a.tsv.gz.run.json").read_text())
    assert report["results"]["traits"]["height"]["n"] == 480


def test_parquet_says_what_made_it(study, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_posterior(config(study, tmp_path, output=tmp_path / "x.parquet"))
    info = json.loads(parquet.read_schema(tmp_path / "x.parquet").metadata[b"tfgen"])
    assert (info["trait"], info["build"], len(info["models"])) == ("height", "GRCh37", 3)


def test_variants_without_features_are_counted(study, tmp_path):
    table = joined([block.variants for block in study.blocks]).take(slice(0, 11 * N))
    schema = FeatureSchema(("dhs", "noise", "gaps"), run_digest="x")
    rows = Rows(np.zeros((len(table), 3), np.float32))
    write_feature_store(tmp_path / "few.h5", schema, table, rows)
    options = {"features": tmp_path / "few.h5", "allow_mismatch": True}
    summary = write_posterior(config(study, tmp_path, **options))
    assert f"{N} variants have no features; they count as missing" in summary.warnings


def test_outputs_are_guarded(study, tmp_path):
    write_posterior(config(study, tmp_path))
    with pytest.raises(OutputError, match="exists; choose another output or pass --overwrite"):
        write_posterior(config(study, tmp_path))
    write_posterior(config(study, tmp_path, overwrite=True))
    with pytest.raises(UsageError, match="is the input"):
        write_posterior(config(study, tmp_path, output=study.height, overwrite=True))
    options = (f"weight={study.height}",)
    with pytest.raises(UsageError, match="has no 'weight'"):
        write_posterior(config(study, tmp_path, traits=options, overwrite=True))
    assert CHROMS[0] in read(tmp_path / "x.tsv.gz")["CHR"]
