"""A synthetic GWAS goes through the programs of the functional prior."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tfgen.errors import InputFormatError, OutputError, UnsupportedInputError
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.features.features import build_features
from tfgen.prior.features.features_config import FeaturesConfig
from tfgen.prior.ld.build_ld import build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.projection import project
from tfgen.prior.sumstats.munge import munge
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.training.traits import read_traits
from tfgen.synthetic.gwas import GwasWorld, make_gwas_world
from tfgen.synthetic.gwas_config import QUICK

FILES = {
    "annot.1.annot.gz", "annot.2.annot.gz", "annot.3.annot.gz", "annot.4.annot.gz",
    "blocks.bed", "gwas.fastGWA.gz",
    "panel.bed", "panel.bim", "panel.fam", "peaks.bed", "run.json", "scores.h5", "signal.bw",
    "truth.tsv.gz", "world.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_gwas_world(QUICK, tmp_path_factory.mktemp("gwas") / "world", progress="none")


@pytest.fixture(scope="module")
def built(world, tmp_path_factory):
    """Statistics, LD store and features of the world, made by the settings that it states."""
    folder = tmp_path_factory.mktemp("built")
    paths = {name: folder / name for name in ("gwas.tsv.gz", "ld", "features.h5")}
    munge(
        MungeConfig(
            input=world.statistics,
            panel=world.panel.with_suffix(".bim"),
            output=paths["gwas.tsv.gz"],
            progress="none",
        )
    )
    build_ld(
        BuildLdConfig(
            bed=world.panel,
            blocks="bed",
            block_file=world.blocks,
            build="synthetic",
            var_kept=1.0,
            output=paths["ld"],
            progress="none",
        )
    )
    build_features(
        FeaturesConfig(
            variants=paths["ld"],
            annot=(f"baseline={world.annotations}",),
            bed=(f"peaks={world.peaks}",),
            bigwig=(f"signal={world.signal}",),
            scores=(f"enformer={world.scores}",),
            maf=True,
            output=paths["features.h5"],
            progress="none",
        )
    )
    return paths


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_world_has_these_files_and_no_others(world):
    assert set(contents(world.directory)) == FILES


def test_the_same_seed_gives_the_same_bytes(world, tmp_path):
    first = contents(world.directory)
    again = contents(make_gwas_world(QUICK, tmp_path / "w", progress="none").directory)
    assert [name for name in FILES - {"run.json"} if first[name] != again[name]] == []
    other = dataclasses.replace(QUICK, seed=3)
    other_files = contents(make_gwas_world(other, tmp_path / "o", progress="none").directory)
    assert all(first[name] != other_files[name] for name in FILES - {"panel.fam"})


def test_the_truth_has_the_mean_and_spread_that_were_asked_for(world):
    truth = world.read_truth()
    assert np.exp(truth.logf).mean() == pytest.approx(QUICK.mean_f)
    p = truth.variants.af
    features = truth.logf - 0.7 * np.log(2 * p * (1 - p))
    assert features.std() == pytest.approx(QUICK.sd)
    deviates = truth.b * np.exp(-0.5 * truth.logf)
    assert abs(np.mean(deviates**2) - 1) < 4 * math.sqrt(2 / len(deviates))


def test_the_columns_of_the_truth_are_those_of_the_feature_store(world, built):
    # Independent of the world's own features: what prior_features reads from the files.
    truth = world.read_truth()
    numbers = json.loads((world.directory / "world.json").read_text())["truth"]
    with FeatureStore(built["features.h5"]) as store:
        columns = [store.annotation_names.index(name) for name in numbers["columns"]]
        assert store.variants.pos.tolist() == truth.variants.pos.tolist()
        values = store.read(slice(None)).annotations[:, columns].astype(float)
    standardised = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    x = np.nan_to_num(standardised) @ numbers["values"]
    p = truth.variants.af
    expected = numbers["intercept"] + numbers["scale"] * x + 0.7 * np.log(2 * p * (1 - p))
    np.testing.assert_allclose(truth.logf, expected, atol=1e-4)


def test_munged_statistics_fit_the_ld_and_the_true_prior(world, built):
    # With y ~ N(0, Q F Q' + I), y'K^-1 y is chi-squared with k degrees of freedom. Wrong signs,
    # alleles or positions would make it many times larger.
    truth = world.read_truth()
    total = k = 0
    with LdStore(built["ld"]) as store:
        trait = read_traits(store, {"gwas": built["gwas.tsv.gz"]})[0]
        assert 0.6 < trait.n_matched / len(truth.b) < 0.95
        start = 0
        for info in store.blocks:
            block = store.read(info.id)
            f = np.exp(truth.logf[start : start + info.n])
            start += info.n
            projection = project(block, trait.z[info.id])
            q = projection.rotate(block.q).astype(float)
            K = (q * f) @ q.T + np.eye(len(q))
            total += projection.y @ np.linalg.solve(K, projection.y)
            k += len(q)
    assert abs(total / k - 1) < 4 * math.sqrt(2 / k)


@pytest.mark.parametrize("truth", ["ushape", "null"])
def test_other_truths(truth, tmp_path):
    config = dataclasses.replace(QUICK, truth=truth, panel_people=100)
    world = make_gwas_world(config, tmp_path / "w", progress="none")
    found = world.read_truth()
    assert "--var_kept=0.9" in world.commands[1]
    assert len((world.directory / "panel.fam").read_text().splitlines()) == 100
    if truth == "null":
        assert not found.b.any()
        return
    numbers = json.loads((world.directory / "world.json").read_text())["truth"]
    assert numbers["columns"] == ["baseline.conserved", "enformer.SAD:0:track0", "signal:0"]
    assert np.exp(found.logf).mean() == pytest.approx(0.5)


def test_the_commands_are_flags_of_the_programs(world):
    record = json.loads((world.directory / "world.json").read_text())
    assert record["commands"] == [" ".join(command) for command in world.commands]
    assert [command[0] for command in world.commands] == [
        f"prior_{verb}.py"
        for verb in ("munge", "build_ld", "features", "train", "eval", "posterior")
    ]
    one = dataclasses.replace(world, config=dataclasses.replace(QUICK, chromosomes=1))
    assert "--folds=blocks:2" in one.commands[3]
    assert "--folds=chrom" in world.commands[3]
    assert "--var_kept=1" in world.commands[1]


def test_a_world_can_be_opened_again(world):
    assert GwasWorld.open(world.directory) == world


def test_another_folder_is_no_world(world, tmp_path):
    with pytest.raises(InputFormatError, match=r"expected a world of world_gwas\.py"):
        GwasWorld.open(tmp_path)
    record = json.loads((world.directory / "world.json").read_text())
    record["format_version"] = 99
    (tmp_path / "world.json").write_text(json.dumps(record))
    with pytest.raises(UnsupportedInputError, match="format 99"):
        GwasWorld.open(tmp_path)


def test_an_existing_world_is_replaced_on_request_only(world, tmp_path):
    make_gwas_world(QUICK, tmp_path / "w", progress="none")
    with pytest.raises(OutputError, match="exists"):
        make_gwas_world(QUICK, tmp_path / "w", progress="none")
    other = dataclasses.replace(QUICK, seed=3)
    assert make_gwas_world(other, tmp_path / "w", overwrite=True, progress="none").config.seed == 3
