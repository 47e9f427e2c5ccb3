"""What is saved is what is loaded, by every way, and nothing else is."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from prior.prior_toys import CONFIGS, SCALARS, SHAPE, TRAITS, features, fitted, prior, shake
from tfgen.errors import InputFormatError, InputMismatchError, OutputError, UsageError
from tfgen.io.npz import pack_arrays
from tfgen.prior.heads.head_config import FeatureShape, HeadConfig
from tfgen.prior.heads.model_card import CARD_NAME, ModelCard
from tfgen.prior.heads.prior_model import build_prior
from tfgen.prior.heads.saved_prior import (
    WEIGHTS_NAME,
    load_prior,
    load_saved_prior,
    model_digest,
    prior_card,
    save_prior,
)

INPUTS = features(12)
SIGMA = (1.0, 0.9)


def saved(model, folder):
    return save_prior(model, folder, prior_card(model, SIGMA, "GRCh37", {"objective": "mll"}))


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A model and its folder, which no test changes."""
    model = prior("linear")
    folder = tmp_path_factory.mktemp("models") / "linear"
    saved(model, folder)
    return model, folder


@pytest.fixture
def folder(linear, tmp_path):
    """A folder for a test to spoil."""
    path = tmp_path / "model"
    saved(linear[0], path)
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_loaded_is_what_was_saved(name, tmp_path):
    model = prior(name)
    expected = model(INPUTS).numpy()
    card = saved(model, tmp_path / "model")
    again, found = load_prior(tmp_path / "model")
    assert found == card
    assert (found.sigma, found.build, found.training) == (SIGMA, "GRCh37", {"objective": "mll"})
    np.testing.assert_array_equal(again(INPUTS), expected)
    seed = np.array([1, 2], np.int32)
    np.testing.assert_array_equal(
        again(INPUTS, training=True, seed=seed), model(INPUTS, training=True, seed=seed)
    )
    for stored_graph in (False, True):
        opened = load_saved_prior(tmp_path / "model", stored_graph)
        assert opened.card == card
        log_f = opened.log_f(**INPUTS)
        assert log_f.dtype == np.float32
        np.testing.assert_allclose(log_f, expected, rtol=1e-5, atol=1e-5)
        for n in (0, 1, 5):
            part = {key: values[:n] for key, values in INPUTS.items()}
            np.testing.assert_allclose(opened.log_f(**part), expected[:n], rtol=1e-4, atol=1e-5)


def test_the_saved_model_needs_nothing_but_tensorflow(linear, tmp_path):
    model, folder = linear
    np.savez(tmp_path / "inputs.npz", **INPUTS)
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "inputs = {k: tf.constant(v) for k, v in np.load(sys.argv[2]).items()}\n"
        "np.save(sys.argv[3], model.signatures['log_f'](**inputs)['log_f'].numpy())\n"
        "assert 'tfgen' not in sys.modules\n"
    )
    files = (folder, tmp_path / "inputs.npz", tmp_path / "log_f.npy")
    subprocess.run([sys.executable, "-c", code, *files], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(files[2]), model(INPUTS), rtol=1e-5, atol=1e-5)


def test_nothing_is_pickled_and_no_keras_archive_is_written(linear):
    _, folder = linear
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {CARD_NAME, WEIGHTS_NAME, "saved_model.pb"} <= names
    assert not [name for name in names if name.endswith((".h5", ".keras", ".pkl"))]


def test_the_digest_is_that_of_the_function():
    model = prior("mlp")
    digest = model_digest(model)
    assert model_digest(prior("mlp")) == digest
    less = dataclasses.replace(CONFIGS["mlp"], dropout=0.0)
    assert model_digest(prior(less)) == digest
    moved = dataclasses.replace(fitted().annotations, mean=np.zeros(3))
    others = (
        prior(dataclasses.replace(CONFIGS["mlp"], clip=14.0)),
        prior("mlp", traits=TRAITS[::-1]),
        prior("mlp", standardiser=dataclasses.replace(fitted(), annotations=moved)),
    )
    shaken = prior("mlp")
    shake(shaken, seed=6)
    digests = {model_digest(other) for other in (*others, shaken)}
    assert len(digests | {digest}) == 5


def test_missing_values_that_training_never_saw_are_counted(linear):
    _, folder = linear
    opened = load_saved_prior(folder)
    inputs = {key: values.copy() for key, values in INPUTS.items()}
    inputs["annotations"][:3, 2] = np.nan
    before = opened.n_filled.total()
    opened.log_f(**inputs)
    opened.log_f(**inputs)
    assert before == 0
    assert dict(opened.n_filled) == {"score": 6}


def test_a_prior_without_tracks_or_frequency_takes_none(tmp_path):
    model = prior(HeadConfig(freq_mode="off"), SCALARS)
    saved(model, tmp_path / "model")
    inputs = features(5, SCALARS)
    for stored_graph in (False, True):
        opened = load_saved_prior(tmp_path / "model", stored_graph)
        found = opened.log_f(inputs["annotations"])
        np.testing.assert_allclose(found, model(inputs), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frequency": None}, UsageError, "this prior depends on allele frequency"),
        ({"frequency": np.zeros(3)}, InputMismatchError, r"\(3,\); expected \(12,\)"),
        (
            {"frequency": np.array([0.5] * 10 + [np.nan, 1.5])},
            InputFormatError,
            r"2 of 12 variants have no allele frequency from 0 to 1, the first at index 10 \(nan\)",
        ),
        ({"tracks": None}, InputMismatchError, "tracks have the shape None"),
        ({"annotations": np.full((12, 3), np.inf)}, InputFormatError, "'coding' has an infinite"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(linear, change, error, message):
    with pytest.raises(error, match=message):
        load_saved_prior(linear[1]).log_f(**{**INPUTS, **change})


def test_a_model_is_not_replaced_unless_asked(linear, folder):
    model, _ = linear
    with pytest.raises(OutputError, match="exists; choose another output or pass --overwrite"):
        saved(model, folder)
    other = prior("constant")
    save_prior(other, folder, prior_card(other, SIGMA), overwrite=True)
    assert ModelCard.read(folder).config.arch == "constant"


def test_a_folder_of_something_else_is_never_replaced(linear, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something else"):
        save_prior(linear[0], tmp_path, prior_card(linear[0], SIGMA), overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_card_must_be_that_of_the_model(linear, tmp_path):
    with pytest.raises(UsageError, match="the card is that of another model"):
        save_prior(prior("mlp"), tmp_path / "model", prior_card(linear[0], SIGMA))
    assert not (tmp_path / "model").exists()


def test_changed_files_are_refused(folder):
    with (folder / WEIGHTS_NAME).open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(InputMismatchError, match="changed or were copied incompletely"):
        load_prior(folder)


def rewritten(folder, arrays=None, **changes):
    """Makes a folder whose own digest is right again after a change."""
    if arrays is not None:
        (folder / WEIGHTS_NAME).write_bytes(arrays)
    dataclasses.replace(ModelCard.read(folder), **changes).write(folder)


def stored(folder):
    with np.load(folder / WEIGHTS_NAME) as arrays:
        return dict(arrays)


def test_weights_that_do_not_suit_the_card_are_refused(folder):
    arrays = stored(folder)
    rewritten(folder, config=CONFIGS["mlp"])
    with pytest.raises(InputMismatchError, match="7 weights are not those of the architecture"):
        load_prior(folder)
    rewritten(folder, config=CONFIGS["linear"], shape=SCALARS)
    with pytest.raises(InputMismatchError, match="standardiser: tracks_mean is missing or does"):
        load_prior(folder)
    rewritten(folder, shape=SHAPE, config=dataclasses.replace(CONFIGS["linear"], clip=9.0))
    with pytest.raises(InputMismatchError, match="does not describe the weights beside it"):
        load_prior(folder)
    arrays["weights/head/bias"] = arrays["weights/head/bias"][:1]
    rewritten(folder, pack_arrays(arrays), config=CONFIGS["linear"])
    with pytest.raises(InputMismatchError, match="1 weights .*such as 'head/bias'; copy or train"):
        load_prior(folder)


def test_files_that_are_no_weights_are_refused(folder):
    rewritten(folder, b"not an archive")
    with pytest.raises(InputFormatError, match="weights.npz: not a file of weights"):
        load_prior(folder)
    (folder / WEIGHTS_NAME).unlink()
    rewritten(folder)
    with pytest.raises(InputFormatError, match="weights.npz: not a file of weights"):
        load_prior(folder)


def test_a_card_that_describes_an_impossible_model_is_refused(folder):
    rewritten(folder, config=HeadConfig(arch="transformer", target_length=16))
    with pytest.raises(InputMismatchError, match="weights.npz: the tracks have 16 positions"):
        load_prior(folder)


def test_a_model_of_one_constant_is_saved(tmp_path):
    shape = FeatureShape()
    model = build_prior(CONFIGS["constant"], shape, TRAITS[:1], fitted(shape))
    save_prior(model, tmp_path / "model", prior_card(model, (1.0,)))
    value = json.loads((tmp_path / "model" / CARD_NAME).read_text())
    assert value["signature"]["inputs"]["annotations"].startswith("[n, 0]")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.log_f(annotations=tf.zeros([3, 0]), frequency=tf.fill([3], 0.5))["log_f"]
    np.testing.assert_allclose(found, np.full((3, 1), TRAITS[0].log_scale + 0.7 * np.log(0.5)))
