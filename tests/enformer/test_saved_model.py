import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from enformer.small import SMALL, TINY, random_one_hot, values_of
from tfgen.enformer import saved_model
from tfgen.enformer.card import ModelCard
from tfgen.enformer.keys import KEY_SUFFIX, published_variables
from tfgen.enformer.saved_model import ForeignModel, export_saved_model, load_saved_model
from tfgen.errors import InputFormatError, InputMismatchError, OutputError, UsageError

FUNCTIONS = ("predict_on_batch", "embed", "tower", "from_tower")
CROP = 2048


@pytest.fixture(scope="module")
def sequence():
    """An input of the exported model."""
    return random_one_hot(1, 8192, seed=6)


@pytest.fixture(scope="module")
def centre(sequence):
    """What its trunk sees."""
    return tf.constant(sequence[:, CROP:-CROP])


def as_graph(function):
    return tf.function(function, autograph=False)


def test_the_hub_way_of_calling_works(loaded, small, sequence, centre):
    found = loaded.model.predict_on_batch(sequence)
    expected = as_graph(lambda x: small(x, False))(centre)
    assert set(found) == {"human", "mouse"}
    for organism, tracks in SMALL.heads:
        assert found[organism].shape == (1, 16, tracks)
        np.testing.assert_allclose(found[organism], expected[organism], atol=1e-6)


def test_the_length_of_the_input_is_told_by_the_function(loaded):
    # calico/basenji asks the hub model like this; a loaded function has it in its signatures.
    (specs,), _ = loaded.predict_on_batch.concrete_functions[0].structured_input_signature
    assert specs.shape.as_list() == [None, 8192, 4]


def test_all_functions_are_attributes(loaded, small, sequence, centre):
    tower = loaded.tower(tf.constant(sequence))
    assert tower.shape == (1, 64, 96)
    np.testing.assert_allclose(
        loaded.embed(sequence), as_graph(lambda x: small.embed(x, False))(centre), atol=2e-5
    )
    own = as_graph(lambda x: small.tower(x, False))(centre)
    predictions = loaded.from_tower(own)
    for organism, expected in loaded.predict_on_batch(sequence).items():
        np.testing.assert_allclose(predictions[organism], expected, atol=1e-5)


def test_all_functions_are_signatures(loaded, sequence):
    assert set(loaded.signatures) == set(FUNCTIONS)
    x = tf.constant(sequence)
    tower = tf.zeros([1, 32, 96])
    for name in FUNCTIONS:
        argument = {"tower": tower} if name == "from_tower" else {"sequence": x}
        signature = loaded.signatures[name](**argument)
        attribute = getattr(loaded, name)(*argument.values())
        values = attribute if isinstance(attribute, dict) else {"output_0": attribute}
        assert set(signature) == set(values)
        for key, value in values.items():
            np.testing.assert_array_equal(signature[key], value)


@pytest.mark.parametrize("bins", [1, 2, 7, 40])
def test_the_tower_takes_any_multiple_of_128_and_crops_nothing(loaded, small, bins):
    x = tf.constant(random_one_hot(2, 128 * bins, seed=bins))
    found = loaded.tower(x)
    assert found.shape == (2, bins, 96)
    np.testing.assert_allclose(found, as_graph(lambda x: small.tower(x, False))(x), atol=1e-5)


def test_a_tower_of_another_length_is_refused(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be a multiple of 128"):
        loaded.tower(tf.zeros([1, 200, 4]))


@pytest.mark.parametrize("length", [4096, 8191, 8320])
def test_an_input_of_another_length_is_refused(loaded, length):
    for function in (loaded.predict_on_batch, loaded.model.predict_on_batch, loaded.embed):
        with pytest.raises((TypeError, ValueError)):
            function(tf.zeros([1, length, 4]))


def test_any_batch_size_is_taken(loaded, sequence):
    single = loaded.predict_on_batch(sequence)["human"]
    both = loaded.predict_on_batch(np.concatenate([sequence, sequence]))["human"]
    np.testing.assert_allclose(both, np.repeat(single, 2, axis=0), atol=1e-5)


def test_bases_outside_the_centre_change_nothing(loaded, sequence):
    changed = random_one_hot(1, 8192, seed=99)
    changed[:, CROP:-CROP] = sequence[:, CROP:-CROP]
    assert (changed != sequence).any()
    for organism, expected in loaded.predict_on_batch(sequence).items():
        found = loaded.predict_on_batch(changed)[organism].numpy()
        assert found.tobytes() == expected.numpy().tobytes()


def test_gradients_reach_the_input_and_only_its_centre(loaded, small, sequence):
    x = tf.constant(sequence)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        stored = tf.reduce_sum(loaded.predict_on_batch(x)["human"])
        own = tf.reduce_sum(small(x[:, CROP:-CROP], False)["human"])
    gradient = tape.gradient(stored, x).numpy()
    np.testing.assert_allclose(gradient, tape.gradient(own, x), atol=1e-5)
    assert not gradient[:, :CROP].any()
    assert not gradient[:, -CROP:].any()
    assert np.abs(gradient[:, CROP:-CROP]).max() > 1e-4


def test_variables_lie_under_the_keys_of_the_hub_model(exported, small):
    reader = tf.train.load_checkpoint(str(exported / "variables" / "variables"))
    assert set(reader.get_variable_to_shape_map()) == {
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        f"save_counter{KEY_SUFFIX}",
        *(item.key("hub") for item in published_variables(small)),
    }


def test_tables_and_contigs_travel(exported, tables):
    card = ModelCard.read(exported)
    assert card.contig_lengths == {"chr1": 248_956_422, "chr2": 242_193_529}
    assert card.source == "random numbers"
    for organism, path in tables.items():
        assert card.targets_path(exported, organism).read_bytes() == path.read_bytes()


def test_tensorflow_hub_loads_it(exported, loaded, sequence):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_hub as hub

        model = hub.load(str(exported)).model
    np.testing.assert_array_equal(
        model.predict_on_batch(sequence)["mouse"], loaded.predict_on_batch(sequence)["mouse"]
    )


@pytest.mark.slow
def test_it_loads_where_tfgen_is_not_installed(exported, tmp_path):
    code = (
        "import sys, tensorflow as tf; m = tf.saved_model.load(sys.argv[1]);"
        "assert m.predict_on_batch(tf.zeros([1, 8192, 4]))['human'].shape == (1, 16, 7);"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('tfgen', 'sonnet')]"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-P", "-c", code, exported],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_model_comes_back_with_its_card(exported, small):
    model, card = load_saved_model(exported)
    assert card == ModelCard.read(exported)
    assert model.config == SMALL
    loaded_values = values_of(model)
    for path, value in values_of(small).items():
        np.testing.assert_array_equal(loaded_values[path], value)


def test_a_checkpoint_beside_the_folder_is_not_taken_for_it(exported, checkpoints, tmp_path):
    shutil.copytree(exported, tmp_path / "model")
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(f"{checkpoints['sonnet']}.{part}", tmp_path / f"model.{part}")
    load_saved_model(tmp_path / "model")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "saved_model.pb").write_bytes(b""),
        lambda folder: (folder / "targets_human.txt").write_text("identifier\tdescription\n"),
        lambda folder: os.truncate(folder / "variables" / "variables.data-00000-of-00001", 1000),
    ],
)
def test_a_changed_folder_is_not_loaded(exported, tmp_path, damage):
    shutil.copytree(exported, tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(InputMismatchError, match="its files do not have the digest in model.json"):
        load_saved_model(tmp_path / "model")


def test_a_folder_without_a_card_is_not_loaded(tmp_path):
    with pytest.raises(InputFormatError, match="model.json: not found"):
        load_saved_model(tmp_path)


def test_a_card_that_does_not_fit_the_variables_is_refused(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    ModelCard(TINY, 2048).write(folder)
    with pytest.raises(InputMismatchError, match="does not match the architecture"):
        load_saved_model(folder)


@pytest.mark.parametrize("length", [512, 1025, 0, -2])
def test_an_input_that_cannot_be_cropped_evenly_is_refused(tiny, tmp_path, length):
    with pytest.raises(UsageError, match=f"input length {length} cannot be cropped to the 1024"):
        export_saved_model(tiny, tmp_path / "model", input_length=length)
    assert list(tmp_path.iterdir()) == []


def test_targets_must_suit_the_heads(tiny, tables, tmp_path):
    output = tmp_path / "model"
    with pytest.raises(UsageError, match="no head is called 'mouse'"):
        export_saved_model(tiny, output, targets={"mouse": tables["mouse"]})
    with pytest.raises(InputMismatchError, match="has 7 rows, but the head 'human' has 3 tracks"):
        export_saved_model(tiny, output, targets={"human": tables["human"]})
    (tmp_path / "table.txt").write_text("index\tname\n0\tx\n")
    with pytest.raises(InputFormatError, match="no column identifier, description"):
        export_saved_model(tiny, output, targets={"human": tmp_path / "table.txt"})
    with pytest.raises(FileNotFoundError):
        export_saved_model(tiny, output, targets={"human": tmp_path / "missing.txt"})
    assert not output.exists()


def test_an_existing_folder_is_kept(tiny, tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputError, match="model: exists; choose another output or pass"):
        export_saved_model(tiny, tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


def test_an_export_at_the_length_of_the_trunk_over_an_existing_folder(tiny, tmp_path):
    output = tmp_path / "deep" / "model"
    output.mkdir(parents=True)
    (output / "former").write_text("")
    (output / "model.json").write_text("{}")
    card = export_saved_model(tiny, output, input_length=1024, overwrite=True)
    assert not (output / "former").exists()
    assert (card.input_length, card.crop_bases) == (1024, 0)
    sequence = random_one_hot(1, 1024)
    expected = tiny(tf.constant(sequence), False)["human"]
    model = tf.saved_model.load(str(output))
    np.testing.assert_allclose(model.predict_on_batch(sequence)["human"], expected, atol=1e-5)


def test_a_failed_export_leaves_nothing(tiny, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("stopped")

    monkeypatch.setattr(saved_model.tf.saved_model, "save", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        export_saved_model(tiny, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_before_the_work(tiny, tmp_path, monkeypatch):
    asked = []

    def none_left(folder, n_bytes, what):
        asked.append((folder, n_bytes, what))
        raise OutputError("no space")

    monkeypatch.setattr(saved_model, "require_free_space", none_left)
    with pytest.raises(OutputError, match="no space"):
        export_saved_model(tiny, tmp_path / "model")
    ((folder, n_bytes, what),) = asked
    assert (folder, what) == (tmp_path, "the model model")
    assert n_bytes > sum(v.numpy().nbytes for v in tiny.variables)


def save_foreign(folder, function, *, inside=True, length=256):
    """A SavedModel that only has `predict_on_batch`, as the published one."""
    holder = tf.Module()
    holder.weight = tf.Variable(2.0)
    holder.predict_on_batch = tf.function(
        lambda x: function(x, holder.weight),
        autograph=False,
        input_signature=[tf.TensorSpec([None, length, 4], tf.float32)],
    )
    root = holder
    if inside:
        root = tf.Module()
        root.model = holder
    tf.saved_model.save(root, str(folder))
    return folder


def two_heads(x, weight):
    summed = weight * tf.reduce_sum(tf.reshape(x, [-1, 2, 512]), axis=2, keepdims=True)
    return {"human": tf.tile(summed, [1, 1, 3]), "mouse": summed}


@pytest.mark.parametrize("inside", [True, False])
def test_a_foreign_model_tells_its_shapes_and_predicts(tmp_path, inside):
    model = ForeignModel(save_foreign(tmp_path / "m", two_heads, inside=inside))
    assert (model.input_length, model.target_length) == (256, 2)
    assert model.heads == {"human": 3, "mouse": 1}
    found = model.predict(tf.ones([2, 256, 4]))
    np.testing.assert_array_equal(found["human"], np.full([2, 2, 3], 1024))


def test_a_function_beside_an_attribute_called_model_is_found(tmp_path):
    root = tf.Module()
    root.model = tf.Module()
    root.model.weight = tf.Variable(1.0)
    root.predict_on_batch = tf.function(
        lambda x: two_heads(x, root.model.weight),
        autograph=False,
        input_signature=[tf.TensorSpec([None, 256, 4], tf.float32)],
    )
    tf.saved_model.save(root, str(tmp_path / "m"))
    assert ForeignModel(tmp_path / "m").heads == {"human": 3, "mouse": 1}


def test_an_exported_model_can_be_used_as_a_foreign_one(exported, loaded, sequence):
    model = ForeignModel(exported)
    assert (model.input_length, model.target_length) == (8192, 16)
    assert model.heads == dict(SMALL.heads)
    expected = loaded.predict_on_batch(sequence)["human"]
    np.testing.assert_array_equal(model.predict(tf.constant(sequence))["human"], expected)


@pytest.mark.parametrize("length", [None, 256])
@pytest.mark.parametrize("columns", [None, 5])
def test_a_foreign_model_of_another_input_is_refused(tmp_path, length, columns):
    holder = tf.Module()
    holder.predict_on_batch = tf.function(
        lambda x: {"human": x},
        autograph=False,
        input_signature=[tf.TensorSpec([None, length, columns])],
    )
    tf.saved_model.save(holder, str(tmp_path / "m"))
    with pytest.raises(InputMismatchError, match=r"no predict_on_batch that takes \[batch, len"):
        ForeignModel(tmp_path / "m")


@pytest.mark.parametrize("attribute", [None, tf.constant(1.0)])
def test_a_foreign_model_without_the_function_is_refused(tmp_path, attribute):
    holder = tf.Module()
    holder.predict_on_batch = attribute
    tf.saved_model.save(holder, str(tmp_path / "m"))
    with pytest.raises(InputMismatchError, match="a model to score with needs it"):
        ForeignModel(tmp_path / "m")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, w: w * x, "returns a EagerTensor; expected a dictionary of heads"),
        (lambda x, w: {"human": w * x[:, 0]}, r"returns {'human': \[1, 4\]}; expected"),
        (lambda x, w: {"a": w * x, "b": x[:, :5]}, r"'b': \[1, 5, 4\].* with the same bins"),
    ],
)
def test_a_foreign_model_of_another_output_is_refused(tmp_path, function, message):
    folder = save_foreign(tmp_path / "m", function)
    with pytest.raises(InputMismatchError, match=message):
        ForeignModel(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "saved_model.pb").write_bytes(b"junk" * 50),
        lambda folder: (folder / "saved_model.pb").write_bytes(b""),
        lambda folder: (folder / "saved_model.pb").unlink(),
        lambda folder: (folder / "variables" / "variables.index").unlink(),
        lambda folder: (folder / "variables" / "variables.data-00000-of-00001").unlink(),
        lambda folder: os.truncate(folder / "variables" / "variables.data-00000-of-00001", 1),
    ],
)
def test_a_damaged_foreign_model_is_reported(tmp_path, damage):
    folder = save_foreign(tmp_path / "m", two_heads)
    damage(folder)
    with pytest.raises(InputMismatchError, match=f"{folder}: cannot be loaded: "):
        ForeignModel(Path(folder))
