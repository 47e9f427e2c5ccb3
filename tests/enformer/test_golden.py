"""The full-size model against arrays that the published TF-Hub graph gave.

Its weights follow from the checkpoint keys (see recipe.py), so every path from a key to a
prediction is covered. The position weights of the recipe are too small to show an error in the
position basis; test_positions.py covers that.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from enformer.recipe import apply_recipe, recipe_value
from enformer.small import in_a_graph
from tfgen.enformer.checkpoint import CheckpointFile, write_checkpoint
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.keys import KEY_SUFFIX, SAVE_COUNTER, published_variables
from tfgen.enformer.model import Enformer
from tfgen.enformer.saved_model import export_saved_model

ROOT = Path(__file__).resolve().parents[2]

# Prediction, trunk, sum over the bins: the published Python model and graph differ by 3e-6; the
# rest is the order of summation, which oneDNN changes.
TOLERANCES = {"default": (5e-5, 1e-4, 5e-4), "without_onednn": (2e-5, 5e-5, 3e-4)}


@pytest.fixture(scope="module")
def golden(shared_data):
    """Folder of the golden arrays."""
    return shared_data("enformer_graph/golden_cd44.npz").parent


@pytest.fixture(scope="module")
def keys(golden):
    """Key without suffix -> shape, as published."""
    published = json.loads((golden / "checkpoint_keys.json").read_text())
    return {key.removesuffix(KEY_SUFFIX): shape for key, shape in published.items()}


@pytest.fixture(scope="module")
def written(golden, tmp_path_factory):
    """The recipe's model in both checkpoint layouts and as a SavedModel; 3 GB."""
    folder = tmp_path_factory.mktemp("full_size")
    model = Enformer(EnformerConfig())
    apply_recipe(model, np.load(golden / "batchnorm_averages_cd44.npz"))
    paths = {
        layout: write_checkpoint(model, folder / layout / "enformer", layout)
        for layout in ("sonnet", "hub")
    }
    export_saved_model(model, folder / "saved_model")
    del model
    yield {**paths, "saved_model": str(folder / "saved_model")}
    for path in folder.rglob("*.data-*"):
        path.unlink()


@pytest.mark.large
def test_both_layouts_hold_the_recipe_under_the_published_keys(written, keys, golden):
    averages = np.load(golden / "batchnorm_averages_cd44.npz")
    shapes_only, _ = in_a_graph(EnformerConfig())
    sonnet_path = {item.hub: item.sonnet for item in published_variables(shapes_only)}
    for layout, root in (("hub", "model"), ("sonnet", "module")):
        reader = tf.train.load_checkpoint(written[layout])
        expected = {}
        for key, shape in keys.items():
            path = key.removeprefix("model/")
            if path == "_CHECKPOINTABLE_OBJECT_GRAPH":
                expected[path] = shape
            elif path == SAVE_COUNTER:
                expected[path + KEY_SUFFIX] = shape
            else:
                place = path if layout == "hub" else sonnet_path[path]
                expected[f"{root}/{place}{KEY_SUFFIX}"] = shape
        assert reader.get_variable_to_shape_map() == expected
        file = CheckpointFile(written[layout])
        for hub, sonnet in sonnet_path.items():
            value = file.read(f"{root}/{hub if layout == 'hub' else sonnet}")
            own = recipe_value(f"model/{hub}", keys[f"model/{hub}"], averages)
            np.testing.assert_array_equal(value, own)


@pytest.mark.large
@pytest.mark.parametrize(
    ("model", "mode"),
    [
        ("sonnet", "default"),
        ("saved_model", "default"),
        ("hub", "without_onednn"),
        ("saved_model", "without_onednn"),
    ],
)
def test_predictions_are_those_of_the_published_graph(written, golden, model, mode):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    environment.pop("TF_ENABLE_ONEDNN_OPTS", None)
    if mode == "without_onednn":
        environment["TF_ENABLE_ONEDNN_OPTS"] = "0"
    route = "saved_model" if model == "saved_model" else "checkpoint"
    child = Path(__file__).with_name("golden_child.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", child, route, written[model], golden],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    logging.getLogger(__name__).info("%s, %s: %s", model, mode, done.stdout)
    assert report.pop("outside_changes_nothing", True)
    bin_, track, size = report.pop("largest_change")
    assert (bin_, track) == (447, 2418)
    assert size == pytest.approx(0.8366, abs=1e-4)
    assert len(report) == (18 if route == "saved_model" else 19)
    prediction, trunk, summed = TOLERANCES[mode]
    for name, deviation in report.items():
        limit = trunk if "trunk" in name else summed if "SA" in name else prediction
        assert deviation <= limit, name
