"""What a saved prior says about itself, and which columns it reads."""

import json
import subprocess
import sys

import pytest

from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.prior.heads.head_config import FeatureShape, HeadConfig, TraitScale
from tfgen.prior.heads.model_card import CARD_NAME, ModelCard, select_features, select_tracks

SHAPE = FeatureShape(("a", "b", "c", "d"), ("t", "u"), 16)
TRAITS = (TraitScale("height", 4e5, 1e6), TraitScale("bmi", 3e5, 1e6))


def card(**changes):
    entries = {
        "config": HeadConfig(),
        "shape": SHAPE,
        "traits": TRAITS,
        "sigma": (1.0, 0.9),
        "build": "GRCh37",
        "standardiser": {"constant": ["a"]},
        "training": {"objective": "mll", "folds": [1, 2]},
        "digest": "abc",
    }
    return ModelCard(**{**entries, **changes})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights.npz").write_bytes(b"weights")
    card().write(tmp_path)
    return tmp_path


def rewrite(folder, **changes):
    path = folder / CARD_NAME
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in value.items() if v != "absent"}))


def test_a_card_survives_its_file(folder):
    found = ModelCard.read(folder)
    assert found == card(sha256=found.sha256)
    found.verify(folder)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        (SHAPE, ["annotations", "frequency", "tracks"]),
        (FeatureShape(("a",)), ["annotations", "frequency"]),
    ],
)
def test_the_file_names_the_inputs(tmp_path, shape, names):
    card(shape=shape).write(tmp_path)
    signature = json.loads((tmp_path / CARD_NAME).read_text())["signature"]
    assert sorted(signature["inputs"]) == names
    assert signature["inputs"]["annotations"].startswith(f"[n, {shape.n_annotations}] float32")
    assert signature["output"].startswith("log_f [n, 2] float32")


def test_changed_files_are_noticed_and_hidden_ones_are_not(folder):
    (folder / ".DS_Store").write_bytes(b"browser")
    found = ModelCard.read(folder)
    found.verify(folder)
    (folder / "weights.npz").write_bytes(b"Weights")
    with pytest.raises(
        InputMismatchError, match=r"do not have the digest in model.json .*expected"
    ):
        found.verify(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "format version 2, this tfgen .* reads 1; use the tfgen version"),
        ({"architecture": "enformer"}, "does not describe a functional prior; expected the entry"),
        ({"sigma": ["1", 1.0]}, r"model.json: sigma is \['1', 1.0\]; expected numbers"),
        ({"sigma": [1.0]}, "sigma has 1 values for 2 traits; .*copy or train the model again"),
        ({"sigma": [1.0, -1.0]}, "sigma of 'bmi' is -1.0; expected a number above 0"),
        ({"build": 37}, "entry 'build' is missing or no str"),
        ({"traits": "absent"}, "entry 'traits' is missing or no list"),
        ({"traits": [{"name": "x"}, {}]}, "trait: unknown entries"),
        ({"config": {}}, "config: unknown entries"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(InputFormatError, match=message):
        ModelCard.read(folder)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000])
def test_a_file_that_is_no_card_is_refused(folder, text):
    (folder / CARD_NAME).write_text(text)
    with pytest.raises(InputFormatError, match="model.json: (not valid JSON|does not describe)"):
        ModelCard.read(folder)


@pytest.mark.parametrize("name", ["nothing", "weights.npz"])
def test_a_folder_without_a_card_is_refused(folder, name):
    with pytest.raises(InputFormatError, match="not found; expected the folder of a trained prior"):
        ModelCard.read(folder / name)


def test_sigma_must_be_a_positive_number():
    with pytest.raises(UsageError, match="sigma of 'height' is nan"):
        card(sigma=(float("nan"), 1.0))


def test_columns_are_found_in_any_order():
    assert select_features(card(), ["x", "d", "a", "c", "b"]).tolist() == [2, 4, 3, 1]
    assert select_tracks(card(), ["u", "v", "t"], 16).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("available", "message"),
    [
        ([], "4 of the 4 annotations .* the 0 features given: a, b, c, ...; make the features"),
        (["a", "c", "d"], "1 of the 4 annotations .* the 3 features given: b; make"),
        (["a", "b", "c", "d", "c"], "annotation 'c' comes twice among the features; keep one"),
    ],
)
def test_columns_that_are_not_there_are_named(available, message):
    with pytest.raises(InputMismatchError, match=message):
        select_features(card(), available)


def test_tracks_must_have_the_length_of_the_model():
    with pytest.raises(InputMismatchError, match="1 of the 2 tracks .*: u; make"):
        select_tracks(card(), ["t"], 16)
    with pytest.raises(
        InputMismatchError, match="the tracks have 32 positions, the model reads 16"
    ):
        select_tracks(card(), ["t", "u"], 32)
    assert select_tracks(card(shape=FeatureShape(("a",))), [], 0).size == 0


def test_cards_are_read_without_tensorflow():
    code = (
        "import sys; from tfgen.prior.heads import head_config, model_card, standardise\n"
        "assert not {'tensorflow', 'keras', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
