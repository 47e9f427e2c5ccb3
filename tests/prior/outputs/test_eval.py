import json
import signal
from dataclasses import replace

import numpy as np
import pytest

from prior.killed_outputs import left, start
from prior.trained_toys import N, Rows, joined, shared_study, train
from tfgen.errors import OutputError, UsageError
from tfgen.io import read_table
from tfgen.prior.features.feature_store import FeatureSchema, write_feature_store
from tfgen.prior.outputs import eval as evaluation
from tfgen.prior.outputs.eval import evaluate_prior
from tfgen.prior.outputs.eval_config import EvalConfig
from tfgen.prior.sumstats.munged import MungedStats, read_munged, write_munged


@pytest.fixture(scope="module")
def study():
    study = shared_study()
    train(study, "crossed")
    train(study, "both", traits=("bmi", "height"))
    return study


@pytest.fixture(autouse=True)
def quick_figures(monkeypatch):
    """Saving takes seconds; the test of the program draws them."""
    monkeypatch.setattr(evaluation, "save_figure", lambda figure, path: path.touch())


def config(study, folder, name="crossed", traits=("height",), **options):
    return EvalConfig(
        **{
            "prior": study.folder / name,
            "ld": study.ld,
            "traits": study.traits(*traits),
            "features": study.features,
            "output": folder / "evaluation",
            "progress": "none",
            **options,
        }
    )


def test_a_prior_that_is_right_gains_and_is_calibrated(study, tmp_path):
    pytest.importorskip("matplotlib")
    summary = evaluate_prior(config(study, tmp_path))
    (trait,) = summary.traits
    # The truth is an annotation with log f higher by 3.
    assert all(gain.per_1000.is_above_zero for gain in trait.gains)
    assert not trait.is_mismatch
    assert summary.warnings == ()
    names = {path.name for path in (tmp_path / "evaluation").iterdir()}
    assert names == {
        *("eval.json", "run.json", "blocks.tsv", "deciles.tsv", "enrichment.tsv"),
        *("gain.png", "calibration.png"),
    }
    enrichment = read_table(tmp_path / "evaluation" / "enrichment.tsv", comment="#")
    assert enrichment["ANNOTATION"] == ["dhs", "noise", "gaps"]
    # exp(3) over 0.3 exp(3) + 0.7 is 3.0.
    assert 2 < float(enrichment["ENRICHMENT"][0]) < 4
    tenths = read_table(tmp_path / "evaluation" / "deciles.tsv", comment="#")
    assert [int(n) for n in tenths["N"]] == [48] * 10


def test_the_summary_is_in_the_tables_and_in_json(study, tmp_path):
    summary = evaluate_prior(config(study, tmp_path))
    blocks = read_table(tmp_path / "evaluation" / "blocks.tsv", comment="#")
    gains = np.array([float(x) for x in blocks["LLR_CONSTANT"]])
    observed = np.array([int(x) for x in blocks["N_OBSERVED"]])
    value = json.loads((tmp_path / "evaluation" / "eval.json").read_text())
    found = value["traits"]["height"]["gains"]["constant"]["per_1000"]
    assert found["estimate"] == pytest.approx(1000 * gains.sum() / observed.sum())
    assert found["estimate"] == summary.traits[0].gains[1].per_1000.estimate
    assert set(value["models"]) == {"chr20", "chr21", "chr22"}
    assert not {"host", "started", "path"} & set(value)
    assert "host" in json.loads((tmp_path / "evaluation" / "run.json").read_text())


def test_the_same_inputs_give_the_same_numbers(study, tmp_path):
    for name in ("a", "b"):
        evaluate_prior(config(study, tmp_path, output=tmp_path / name))
    for name in ("eval.json", "blocks.tsv", "deciles.tsv", "enrichment.tsv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_noise_gains_nothing_and_that_is_said(study, tmp_path):
    summary = evaluate_prior(config(study, tmp_path, "both", ("bmi",)))
    over_constant = summary.traits[0].gains[1]
    assert not over_constant.per_1000.is_above_zero
    assert "not above zero" in over_constant.text()


def test_z_scores_that_do_not_fit_the_ld_are_a_mismatch(study, tmp_path):
    stats = read_munged(study.height)
    signs = np.random.default_rng(0).choice([-1, 1], len(stats))
    write_munged(tmp_path / "z.tsv.gz", MungedStats(stats.variants, 2 * signs * stats.z, stats.n))
    traits = (f"height={tmp_path / 'z.tsv.gz'}",)
    summary = evaluate_prior(EvalConfig(**{**vars(config(study, tmp_path)), "traits": traits}))
    assert summary.traits[0].is_mismatch
    assert any(line.startswith("MISMATCH: height") for line in summary.warnings)
    value = json.loads((tmp_path / "evaluation" / "eval.json").read_text())
    assert value["traits"]["height"]["mismatch"] is True


def test_a_final_test_has_figures_of_its_own(study, tmp_path):
    """They are those of the blocks alone, and nothing is called in sample."""
    train(study, "final", test_chrom=("22",))
    summary = evaluate_prior(config(study, tmp_path, "final"))
    assert summary.warnings == ()
    folds, final = summary.traits
    assert [(t.test, len(t.result.blocks)) for t in summary.traits] == [("folds", 8), ("final", 4)]
    folder = tmp_path / "evaluation"
    value = json.loads((folder / "eval.json").read_text())
    assert value["traits"]["height"]["n_blocks"] == 8
    assert value["final_test"]["height"]["n_blocks"] == 4
    blocks = read_table(folder / "blocks.tsv", comment="#")
    assert blocks["TEST"] == ["folds"] * 8 + ["final"] * 4
    assert blocks["FOLD"] == ["chr20"] * 4 + ["chr21"] * 4 + ["mean"] * 4
    for trait, rows in ((folds, slice(0, 8)), (final, slice(8, 12))):
        nats = sum(float(x) for x in blocks["LLR_CONSTANT"][rows])
        assert trait.gains[1].nats == pytest.approx(nats, rel=1e-6)
    tenths = read_table(folder / "deciles.tsv", comment="#")
    assert tenths["TEST"] == ["folds"] * 10 + ["final"] * 10
    assert [int(n) for n in tenths["N"]] == [32] * 10 + [16] * 10
    enrichment = read_table(folder / "enrichment.tsv", comment="#")
    assert enrichment["TEST"] == ["folds"] * 3 + ["final"] * 3


def test_a_trait_without_z_scores_where_it_is_evaluated_is_named(study, tmp_path):
    stats = read_munged(study.height)
    keep = stats.variants.chrom == "22"
    few = MungedStats(stats.variants.take(keep), stats.z[keep], stats.n[keep])
    write_munged(tmp_path / "few.tsv.gz", few)
    train(study, "both_one", traits=("bmi", "height"), folds="none", test_chrom=("20",))
    traits = (f"height={tmp_path / 'few.tsv.gz'}", *study.traits("bmi"))
    settings = replace(config(study, tmp_path, "both_one"), traits=traits)
    with pytest.raises(UsageError, match="height: has no z-score in the blocks that are evaluated"):
        evaluate_prior(settings)


@pytest.mark.parametrize(
    ("step", "passes", "resumed"), [("save", 4, 5), ("report", 0, 12), ("publish", 0, 12)]
)
def test_a_killed_evaluation_goes_on_to_the_same_numbers(
    study, tmp_path, monkeypatch, step, passes, resumed
):
    """Blocks without features are counted although a former run read them."""
    monkeypatch.setattr(evaluation.importlib.util, "find_spec", lambda name: None)
    features = features_of_chromosomes(study, tmp_path, ("20", "21"))
    whole = config(study, tmp_path, features=features, output=tmp_path / "whole")
    expected = evaluate_prior(whole)
    settings = config(study, tmp_path, features=features)
    killed = start("eval", settings, die_in=step, die_after=passes)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not settings.output.exists()
    again = evaluate_prior(settings)
    assert again.n_resumed == resumed
    assert again.warnings == expected.warnings
    assert any("240 variants have no features" in line for line in again.warnings)
    assert left(settings.output) == left(whole.output)
    assert [path.name for path in tmp_path.glob("evaluation*")] == ["evaluation"]


def test_work_of_other_settings_is_not_taken_up(study, tmp_path):
    settings = config(study, tmp_path)
    assert start("eval", settings, die_in="save").returncode == -signal.SIGKILL
    other = config(study, tmp_path, micro_batch=7)
    with pytest.raises(OutputError, match="was begun with other settings .*micro_batch was 8192"):
        evaluate_prior(other)
    replaced = config(study, tmp_path, micro_batch=7, overwrite=True)
    assert evaluate_prior(replaced).n_resumed == 0


def test_a_run_that_was_killed_after_publishing_left_a_whole_output(study, tmp_path):
    settings = config(study, tmp_path)
    assert start("eval", settings, die_in="remove", die_after=1).returncode == -signal.SIGKILL
    assert json.loads((settings.output / "eval.json").read_text())["traits"]["height"]
    with pytest.raises(OutputError, match="exists; choose another output or pass --overwrite"):
        evaluate_prior(settings)
    assert evaluate_prior(config(study, tmp_path, overwrite=True)).n_resumed == 12


def test_in_sample_is_said(study, tmp_path):
    train(study, "single", folds="none")
    with pytest.raises(UsageError, match="pass --in_sample"):
        evaluate_prior(config(study, tmp_path, "single"))
    assert list(tmp_path.iterdir()) == []
    summary = evaluate_prior(config(study, tmp_path, "single", in_sample=True))
    assert any("in sample" in line for line in summary.warnings)


def features_of_chromosomes(study, folder, chroms):
    table = joined([block.variants for block in study.blocks if block.info.chrom in chroms])
    schema = FeatureSchema(("dhs", "noise", "gaps"), run_digest="x")
    rows = Rows(np.zeros((len(table), 3), np.float32))
    write_feature_store(folder / "few.h5", schema, table, rows)
    return folder / "few.h5"


def test_variants_without_features_are_counted(study, tmp_path):
    features = features_of_chromosomes(study, tmp_path, ("20", "22"))
    summary = evaluate_prior(config(study, tmp_path, features=features))
    assert f"{4 * N} variants have no features; they count as missing" in summary.warnings
    assert any("is not the feature store of the training" in line for line in summary.warnings)


def test_other_ld_is_said(study, tmp_path):
    from tfgen.prior.ld.ld_store_writer import save_ld_store

    save_ld_store(tmp_path / "ld", {"build": "GRCh37", "panel": "other"}, study.blocks)
    summary = evaluate_prior(config(study, tmp_path, ld=tmp_path / "ld"))
    assert summary.warnings == (f"{tmp_path / 'ld'}: is not the LD that the prior was trained on",)


def test_without_matplotlib_there_are_no_figures(study, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation.importlib.util, "find_spec", lambda name: None)
    evaluate_prior(config(study, tmp_path))
    assert not list((tmp_path / "evaluation").glob("*.png"))


def test_a_constant_prior_without_features_is_evaluated(study, tmp_path):
    train(study, "constant", features=False)
    summary = evaluate_prior(config(study, tmp_path, "constant", features=None))
    text = (tmp_path / "evaluation" / "enrichment.tsv").read_text()
    assert text.splitlines()[-1].startswith("TRAIT\tTEST\tANNOTATION")
    assert summary.warnings == ()


def test_an_existing_output_needs_overwrite(study, tmp_path):
    evaluate_prior(config(study, tmp_path))
    with pytest.raises(OutputError, match="exists; choose another output or pass --overwrite"):
        evaluate_prior(config(study, tmp_path))
    evaluate_prior(config(study, tmp_path, overwrite=True))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(OutputError, match="holds something else"):
        evaluate_prior(config(study, tmp_path, output=tmp_path / "other", overwrite=True))


def test_traits_of_other_names_and_outputs_that_are_inputs_are_refused(study, tmp_path):
    traits = (f"weight={study.height}",)
    with pytest.raises(UsageError, match="has no 'weight'"):
        evaluate_prior(EvalConfig(**{**vars(config(study, tmp_path)), "traits": traits}))
    with pytest.raises(UsageError, match="is the input"):
        evaluate_prior(config(study, tmp_path, output=study.ld, overwrite=True))
