"""The demo from end to end, as small as it gets."""

import json

import numpy as np
import pysam
import pytest

from tfgen.effects import ScoreStore
from tfgen.enformer.digest import model_digest
from tfgen.enformer.saved_model import load_saved_model
from tfgen.errors import OutputError
from tfgen.synthetic import World, demo
from tfgen.synthetic.demo import run_demo
from tfgen.synthetic.demo_config import DemoConfig
from tfgen.synthetic.figures import FIGURES
from tfgen.synthetic.scorecard import mean_pearson


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A quick demo of a few steps over the remains of a former one."""
    folder = tmp_path_factory.mktemp("demos") / "demo"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "old").touch()
    (folder / "report.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    config = DemoConfig(folder, overwrite=True, quick=True, steps=4, progress="none")
    return folder, run_demo(config)


def test_everything_is_there(finished):
    folder, _ = finished
    found = {path.name for path in folder.iterdir()}
    assert found >= {*FIGURES, "world", "training", "model", "untrained", "report.json", "run.json"}
    for name in FIGURES:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_not_of_the_demo_stays_and_what_was_goes(finished):
    folder, _ = finished
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "model" / "old").exists()


def test_exactly_the_held_out_variants_are_scored_in_order(finished):
    folder, _ = finished
    truth = World.open(folder / "world").true_effects()
    expected = [v for v, split in zip(truth.variants, truth.split, strict=True) if split == "test"]
    with ScoreStore(folder / "scores.h5") as store:
        assert store.column("pos").tolist() == [variant.pos for variant in expected]
        assert set(store.column("status").tolist()) == {b"OK"}
        assert store.target_ids == ("dnase_alpha", "atac_beta", "cage_alpha", "cage_beta")
    with pysam.VariantFile(str(folder / "held_out.vcf.gz")) as vcf:
        assert [record.id for record in vcf] == [variant.id for variant in expected]


def test_the_report_follows_from_the_files(finished):
    folder, report = finished
    found = json.loads((folder / "report.json").read_text())
    truth = World.open(folder / "world").true_effects()
    rows = truth.split == "test"
    for name, key in (("scores.h5", "pearson_r"), ("untrained/scores.h5", "pearson_r_untrained")):
        with ScoreStore(folder / name) as store:
            sad = store.scores("SAD").astype(np.float64)
        assert found[key] == pytest.approx(mean_pearson(sad, truth.sad[rows]))
    assert found["n_variants"] == rows.sum() == 80
    assert found["self_check_max_abs"] < 1e-4
    assert found["steps"] == 4
    assert set(found["prediction_r"]) == {
        track.identifier for track in World.open(folder / "world").tracks
    }
    parts = ("setup", "train", "score", "score_untrained", "figures")
    assert sum(found[f"seconds_{part}"] for part in parts) <= found["seconds_total"] + 0.1
    assert report.trained.pearson_r == found["pearson_r"]


def test_the_models_are_those_that_were_scored(finished):
    folder, _ = finished
    trained, card = load_saved_model(folder / "model")
    untrained, _ = load_saved_model(folder / "untrained" / "model")
    assert card.targets_path(folder / "model", "human").read_text().startswith("index\t")
    assert (trained.stem.convolution.w.numpy() != untrained.stem.convolution.w.numpy()).any()
    with ScoreStore(folder / "scores.h5") as store:
        assert store.attributes["model_sha256"] == model_digest(trained)


def test_a_folder_with_files_is_kept(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(
        OutputError, match="is not empty; choose another output or pass --overwrite"
    ):
        run_demo(DemoConfig(tmp_path))
    assert (tmp_path / "report.json").read_text() == "{}"


def test_a_demo_that_fails_leaves_no_report(tmp_path, monkeypatch):
    def fail(*_arguments, **_options):
        raise MemoryError("no world")

    (tmp_path / "report.json").write_text("{}")
    monkeypatch.setattr(demo, "make_world", fail)
    with pytest.raises(MemoryError, match="no world"):
        run_demo(DemoConfig(tmp_path, overwrite=True, quick=True))
    assert not (tmp_path / "report.json").exists()
