import dataclasses
import functools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from enformer.small import SMALL, TINY, randomise, values_of
from tfgen.enformer.checkpoint import (
    CheckpointFile,
    checkpoint_prefix,
    published_tree,
    write_checkpoint,
)
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.keys import KEY_SUFFIX, ROOTS, published_variables
from tfgen.enformer.model import Enformer
from tfgen.errors import InputFormatError, InputMismatchError

LAYOUTS = ("sonnet", "hub")


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


@pytest.fixture
def copy(checkpoints, layout, tmp_path):
    """Prefix of a copy of a checkpoint, to be damaged."""
    source = Path(checkpoints[layout])
    for path in source.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / source.name


def write(objects, prefix):
    """Writes any tree of variables as TensorFlow does."""
    return tf.train.Checkpoint(**objects).write(str(prefix))


def tree_without(model, *left_out, layout="sonnet"):
    """The published tree of a model without the variables at some paths."""
    tree = published_tree(model, layout)
    for path in left_out:
        *steps, leaf = path.split("/")
        delattr(functools.reduce(getattr, steps, tree), leaf)
    return tree


def assert_same(values, expected):
    assert values.keys() == expected.keys()
    for path, value in values.items():
        np.testing.assert_array_equal(value, expected[path], err_msg=path)


def test_a_round_trip_keeps_every_value(checkpoints, layout, small):
    model = Enformer(SMALL)
    CheckpointFile(checkpoints[layout]).restore(model)
    assert_same(values_of(model), values_of(small))


def test_a_checkpoint_has_the_published_keys_a_counter_and_an_object_graph(
    checkpoints, layout, small
):
    reader = tf.train.load_checkpoint(checkpoints[layout])
    expected = {item.key(layout) for item in published_variables(small)}
    assert set(reader.get_variable_to_shape_map()) == expected | {
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        f"save_counter{KEY_SUFFIX}",
    }
    # The published name ends in the counter: enformer-fine-tuned-human-1.
    assert checkpoints[layout].endswith("-1")
    assert reader.get_tensor(f"save_counter{KEY_SUFFIX}") == 1


def test_layout_and_root_are_told_from_the_keys(checkpoints, layout):
    file = CheckpointFile(checkpoints[layout])
    assert (file.layout, file.root) == (layout, ROOTS[layout])
    assert len(file.shapes) == len(file.dtypes) == 185
    assert set(file.dtypes.values()) == {tf.float32, tf.int64}


@pytest.mark.parametrize(
    ("nest", "root"),
    [
        (lambda tree: {"net": tree}, "net"),
        (lambda tree: {"trainer": tf.train.Checkpoint(ema=tree)}, "trainer/ema"),
        (lambda tree: {"root": tree}, ""),
    ],
)
def test_other_roots_are_found(tiny, layout, nest, root, tmp_path):
    file = CheckpointFile(write(nest(published_tree(tiny, layout)), tmp_path / "ck"))
    assert (file.layout, file.root) == (layout, root)
    model = Enformer(TINY)
    file.restore(model)
    assert_same(values_of(model), values_of(tiny))
    assert file.config().channels == 24


def test_other_things_beside_the_model_are_passed_over(tiny, layout, tmp_path):
    optimizer = tf.Module()
    optimizer.step = tf.Variable(7)
    objects = {ROOTS[layout]: published_tree(tiny, layout), "optimizer": optimizer}
    model = Enformer(TINY)
    CheckpointFile(write(objects, tmp_path / "ck")).restore(model)
    assert_same(values_of(model), values_of(tiny))


def test_slots_of_an_optimizer_are_passed_over(tiny, tmp_path):
    tree = published_tree(tiny, "sonnet")
    slots = tf.compat.v1.train.AdamOptimizer()
    variable = tiny.trainable_variables[0]
    slots.apply_gradients([(tf.zeros_like(variable), variable)])
    prefix = write({"module": tree, "optimizer": slots}, tmp_path / "ck")
    keys = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    assert any(".OPTIMIZER_SLOT" in key for key in keys)
    CheckpointFile(prefix).restore(Enformer(TINY))


class Layers(snt.Module):
    """A sequence of layers, some of them plain functions."""

    def __init__(self, *layers):
        super().__init__()
        self._layers = list(layers)


class Residual(snt.Module):
    """A wrapped module."""

    def __init__(self, module):
        super().__init__()
        self._module = module


def batch_norm(channels):
    norm = snt.BatchNorm(create_scale=True, create_offset=True, decay_rate=0.9)
    norm(tf.zeros([1, 2, channels]), is_training=True)
    return norm


def layer_norm(channels):
    norm = snt.LayerNorm(-1, create_scale=True, create_offset=True)
    norm(tf.zeros([1, 2, channels]))
    return norm


def linear(inputs, outputs, **options):
    layer = snt.Linear(outputs, **options)
    layer(tf.zeros([1, inputs]))
    return layer


def convolution(inputs, outputs, width):
    layer = snt.Conv1D(outputs, width)
    layer(tf.zeros([1, width, inputs]))
    return layer


class PublishedAttention(snt.Module):
    """The attributes that hold variables in the published code."""

    def __init__(self, config):
        super().__init__()
        channels, keys = config.channels, config.num_heads * config.key_size
        self._q_layer = linear(channels, keys, with_bias=False)
        self._k_layer = linear(channels, keys, with_bias=False)
        self._v_layer = linear(channels, channels, with_bias=False)
        self._r_k_layer = linear(config.value_size, keys, with_bias=False)
        self._embedding_layer = linear(channels, channels)
        shape = [1, config.num_heads, 1, config.key_size]
        self._r_w_bias, self._r_r_bias = tf.Variable(tf.zeros(shape)), tf.Variable(tf.zeros(shape))


class PublishedPooling(snt.Module):
    """Softmax pooling."""

    def __init__(self, channels):
        super().__init__()
        self._logit_linear = linear(channels, channels, with_bias=False)


def conv_block(inputs, outputs, width):
    return Layers(batch_norm(inputs), tf.nn.relu, convolution(inputs, outputs, width))


def published_part(config):
    """Stem, last tower stage, first transformer block and a head, as Sonnet itself builds them."""
    half, channels = config.channels // 2, config.channels
    stem = Layers(convolution(4, half, 15), Residual(conv_block(half, half, 1)))
    stage = Layers(
        conv_block(config.tower_channels[-2], channels, 5),
        Residual(conv_block(channels, channels, 1)),
        PublishedPooling(channels),
    )
    mha = Residual(Layers(layer_norm(channels), PublishedAttention(config), tf.nn.relu))
    expand, contract = linear(channels, 2 * channels), linear(2 * channels, channels)
    mlp = Residual(Layers(layer_norm(channels), expand, tf.nn.relu, tf.nn.relu, contract))
    model = snt.Module()
    model._trunk = Layers(stem, Layers(*[tf.nn.relu] * 5, stage), Layers(Layers(mha, mlp)))
    model._heads = {"human": Layers(linear(2 * channels, 3), tf.nn.softplus)}
    return model


def test_sonnet_itself_restores_what_was_written(tiny, tmp_path):
    # Object-based: TensorFlow follows the graph in the file and reads no key by its name.
    prefix = write_checkpoint(tiny, tmp_path / "ck", "sonnet")
    model = published_part(TINY)
    status = tf.train.Checkpoint(module=model).restore(prefix)
    status.assert_existing_objects_matched()
    status.expect_partial()
    expected = values_of(tiny)

    def values(node, path):
        return {
            f"{path}/{name}": getattr(node, name).numpy()
            for name in ("w", "b", "scale", "offset", "_r_w_bias", "_r_r_bias")
            if getattr(node, name, None) is not None
        }

    stem, tower, transformer = model._trunk._layers
    mha, mlp = (half._module._layers for half in transformer._layers[0]._layers)
    norm, stage = stem._layers[1]._module._layers[0], tower._layers[5]
    trunk, half = "_trunk/_layers", "_trunk/_layers/2/_layers/0/_layers"
    found = {
        **values(stem._layers[0], f"{trunk}/0/_layers/0"),
        **values(norm, f"{trunk}/0/_layers/1/_module/_layers/0"),
        **values(stage._layers[0]._layers[2], f"{trunk}/1/_layers/5/_layers/0/_layers/2"),
        **values(stage._layers[2]._logit_linear, f"{trunk}/1/_layers/5/_layers/2/_logit_linear"),
        **values(mha[0], f"{half}/0/_module/_layers/0"),
        **values(mha[1], f"{half}/0/_module/_layers/1"),
        **values(mha[1]._r_k_layer, f"{half}/0/_module/_layers/1/_r_k_layer"),
        **values(mha[1]._embedding_layer, f"{half}/0/_module/_layers/1/_embedding_layer"),
        **values(mlp[1], f"{half}/1/_module/_layers/1"),
        **values(mlp[4], f"{half}/1/_module/_layers/4"),
        **values(model._heads["human"]._layers[0], "_heads/human/_layers/0"),
    }
    for average in ("moving_mean", "moving_variance"):
        for state in ("_counter", "_hidden", "average"):
            path = f"{trunk}/0/_layers/1/_module/_layers/0/{average}/{state}"
            found[path] = getattr(getattr(norm, average), state).numpy()
    assert len(found) == 26
    for path, value in found.items():
        np.testing.assert_array_equal(value, expected[path], err_msg=path)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_heads": 2, "key_size": 7},
        {"num_heads": 1},
        {"pooling_type": "max"},
        {"heads": (("liver", 5),)},
        {"heads": (("human", 2), ("mouse", 3), ("pig", 1))},
        {"num_transformer_layers": 1},
        {"channels": 48, "divisible_by": 12},
        {"channels": 384, "divisible_by": 192, "num_transformer_layers": 1, "num_heads": 8},
        {"channels": 384, "divisible_by": 128, "num_transformer_layers": 1, "num_heads": 8},
    ],
)
def test_the_architecture_follows_from_the_shapes(changes, layout, tmp_path):
    config = dataclasses.replace(TINY, **changes)
    prefix = write_checkpoint(Enformer(config), tmp_path / "ck", layout)
    told = CheckpointFile(prefix).config()
    for name in ("channels", "num_heads", "key_size", "heads", "pooling_type"):
        assert getattr(told, name) == getattr(config, name)
    assert told.num_transformer_layers == config.num_transformer_layers
    assert told.tower_channels == config.tower_channels
    # What shapes cannot tell is as published.
    assert (told.sequence_length, told.target_length, told.basis_length) == (196_608, 896, 1536)
    Enformer(told)


def test_the_published_width_has_the_published_rounding(tmp_path):
    config = EnformerConfig(channels=384, num_transformer_layers=1, heads=(("human", 3),))
    prefix = write_checkpoint(Enformer(config), tmp_path / "ck")
    assert CheckpointFile(prefix).config() == config


def test_a_model_without_transformer_is_recognised(tmp_path):
    config = dataclasses.replace(TINY, num_transformer_layers=0)
    file = CheckpointFile(write_checkpoint(Enformer(config), tmp_path / "ck"))
    assert file.config().num_transformer_layers == 0
    file.restore(Enformer(config))


STEM = "_trunk/_layers/0/_layers/0"
FINAL = "_trunk/_layers/4/_layers/0/_layers/2/w"
FIRST_STAGE = "_trunk/_layers/1/_layers/0/_layers/0/_layers/2/w"


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ((FINAL,), f"module/{FINAL} is missing; expected 3 dimensions"),
        ((FIRST_STAGE,), f"module/{FIRST_STAGE} is missing"),
        (("_heads",), r"its shapes are not those of an Enformer: heads are \(\)"),
    ],
)
def test_shapes_that_tell_no_architecture_are_refused(tiny, tmp_path, left_out, message):
    prefix = write({"module": tree_without(tiny, *left_out)}, tmp_path / "ck")
    with pytest.raises(InputFormatError, match=message):
        CheckpointFile(prefix).config()


@pytest.mark.parametrize(
    ("path", "shape", "message"),
    [
        (FINAL, [24, 48], rf"module/{FINAL} has the shape \[24, 48\]; expected 3 dimensions"),
        (FINAL, [1, 25, 48], "not those of an Enformer: tower filters .* from 25 channels"),
        (FIRST_STAGE, [5, 12, 13], "tower filters .* do not follow from 24 channels"),
        ("_heads/human/_layers/0/b", [3, 1], r"b has the shape \[3, 1\]; expected 1 dim"),
    ],
)
def test_shapes_that_contradict_each_other_are_refused(tiny, tmp_path, path, shape, message):
    tree = published_tree(tiny, "sonnet")
    *steps, leaf = path.split("/")
    setattr(functools.reduce(getattr, steps, tree), leaf, tf.Variable(tf.zeros(shape)))
    with pytest.raises(InputFormatError, match=message):
        CheckpointFile(write({"module": tree}, tmp_path / "ck")).config()


def refused(prefix, message, config=TINY):
    """Checks that a model keeps its values when a checkpoint is refused."""
    model = randomise(Enformer(config), seed=9)
    before = values_of(model)
    with pytest.raises(InputMismatchError, match=message):
        CheckpointFile(prefix).restore(model)
    assert_same(values_of(model), before)


def test_missing_variables_are_listed_and_nothing_is_restored(tiny, layout, tmp_path):
    items = {item.sonnet: item.path(layout) for item in published_variables(tiny)}
    gone = [items[f"{STEM}/b"], items["_heads/human/_layers/0/w"]]
    prefix = write({ROOTS[layout]: tree_without(tiny, *gone, layout=layout)}, tmp_path / "ck")
    refused(
        prefix,
        f"{prefix}: does not match the architecture, nothing was restored: "
        f"{ROOTS[layout]}/{gone[0]} is missing; {ROOTS[layout]}/{gone[1]} is missing$",
    )


def test_only_the_first_problems_are_listed(tiny, tmp_path):
    prefix = write({"module": tree_without(tiny, "_trunk/_layers/2")}, tmp_path / "ck")
    refused(prefix, r"(module/_trunk/_layers/2/\S+ is missing; ){5}and 27 more$")


def test_extra_variables_are_refused(tiny, tmp_path):
    tree = published_tree(tiny, "sonnet")
    tree._trunk.extra = tf.Variable(tf.zeros([2]))
    refused(write({"module": tree}, tmp_path / "ck"), "module/_trunk/extra has no place$")


def test_a_deeper_checkpoint_is_refused(tiny, tmp_path):
    prefix = write_checkpoint(tiny, tmp_path / "ck")
    shallow = dataclasses.replace(TINY, num_transformer_layers=1)
    refused(prefix, "_layers/2/_layers/1/.* has no place; and 11 more$", shallow)


def test_another_shape_is_refused(tiny, tmp_path):
    prefix = write_checkpoint(tiny, tmp_path / "ck")
    other = dataclasses.replace(TINY, heads=(("human", 4),))
    refused(
        prefix,
        r"_heads/human/_layers/0/w is float32 \[48, 3\], expected float32 \[48, 4\]; "
        r"module/_heads/human/_layers/0/b is float32 \[3\], expected float32 \[4\]$",
        other,
    )


def test_another_type_is_refused(tiny, tmp_path):
    tree = published_tree(tiny, "sonnet")
    stem = functools.reduce(getattr, STEM.split("/"), tree)
    stem.b = tf.Variable(tf.cast(stem.b, tf.float16))
    refused(
        write({"module": tree}, tmp_path / "ck"),
        rf"{STEM}/b is float16 \[12\], expected float32 \[12\]$",
    )


def data_file(prefix):
    return Path(f"{prefix}.data-00000-of-00001")


def damage_end(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [damage_end, damage_middle, Path.unlink])
def test_damaged_data_are_reported_and_nothing_is_restored(copy, damage):
    damage(data_file(copy))
    model = randomise(Enformer(SMALL), seed=9)
    before = values_of(model)
    with pytest.raises(InputFormatError, match=rf"{copy}: cannot read \S+: .*; copy or download"):
        CheckpointFile(copy).restore(model)
    assert_same(values_of(model), before)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint" * 100, None], ids=["empty", "foreign", "cut"]
)
def test_a_damaged_index_is_reported(copy, content):
    index = Path(f"{copy}.index")
    index.write_bytes(index.read_bytes()[:-50] if content is None else content)
    with pytest.raises(InputFormatError, match=f"{copy}: not a readable checkpoint: .*copy or"):
        CheckpointFile(copy)


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    other = tf.Module()
    other.kernel, other.bias = tf.Variable(tf.zeros([2, 2])), tf.Variable(tf.zeros([2]))
    prefix = write({"layer": other}, tmp_path / "ck")
    with pytest.raises(
        InputFormatError,
        match="no Enformer in either published layout; its first variables are: "
        "layer/bias, layer/kernel$",
    ):
        CheckpointFile(prefix)


def test_a_checkpoint_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputFormatError, match="its first variables are: none"):
        CheckpointFile(tf.train.Checkpoint().save(str(tmp_path / "ck")))


def test_a_checkpoint_of_two_models_is_refused(tiny, tmp_path):
    objects = {"a": published_tree(tiny, "sonnet"), "b": published_tree(Enformer(TINY), "hub")}
    with pytest.raises(
        InputFormatError, match="holds 2 Enformers, below a, b; expected a .* of one"
    ):
        CheckpointFile(write(objects, tmp_path / "ck"))


def test_prefix_index_and_folder_all_name_a_checkpoint(copy):
    for path in (copy, str(copy), f"{copy}.index", copy.parent):
        assert checkpoint_prefix(path) == str(copy)


def test_a_saved_model_folder_names_its_variables(exported):
    assert checkpoint_prefix(exported) == str(exported / "variables" / "variables")


def test_a_folder_with_one_checkpoint_needs_no_state_file(copy):
    (copy.parent / "checkpoint").unlink()
    assert checkpoint_prefix(copy.parent) == str(copy)


def test_links_are_followed(copy, tmp_path):
    (tmp_path / "links").mkdir()
    for path in (data_file(copy), Path(f"{copy}.index")):
        (tmp_path / "links" / path.name).symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path / "links", target_is_directory=True)
    linked = CheckpointFile(tmp_path / "folder")
    linked.restore(Enformer(SMALL))
    assert linked.sha256() == CheckpointFile(copy).sha256()


def test_of_several_checkpoints_the_latest_is_read(tiny, tmp_path):
    checkpoint = tf.train.Checkpoint(module=published_tree(tiny, "sonnet"))
    paths = [checkpoint.save(str(tmp_path / "ck")) for _ in range(2)]
    assert checkpoint_prefix(tmp_path) == paths[1]
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(
        InputFormatError, match=r"holds 2 checkpoints \(ck-1.index, ck-2.index\); name the one"
    ):
        checkpoint_prefix(tmp_path)


def test_a_checkpoint_beside_a_folder_of_its_name_is_read(copy):
    copy.mkdir()
    assert CheckpointFile(copy).prefix == str(copy)
    CheckpointFile(copy).restore(Enformer(SMALL))


def test_a_name_of_both_a_checkpoint_and_a_saved_model_is_refused(copy, exported):
    shutil.copytree(exported, copy)
    with pytest.raises(InputFormatError, match=rf"give {copy}.index or {copy}/variables/var"):
        CheckpointFile(copy)
    assert CheckpointFile(f"{copy}.index").prefix == str(copy)


@pytest.mark.parametrize("name", ["", "missing", "empty", "file"])
def test_where_there_is_no_checkpoint_the_message_says_what_is_expected(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputFormatError, match="no checkpoint here; expected PREFIX.index with PREFIX.data-"
    ):
        CheckpointFile(tmp_path / name)


def test_the_digest_is_that_of_the_files_of_this_checkpoint(copy):
    before = CheckpointFile(copy).sha256()
    for name in (f"{copy.name}.notes", f"{copy.name}.5.index", "checkpoint"):
        (copy.parent / name).write_text("something else")
    assert CheckpointFile(copy).sha256() == before
    damage_middle(data_file(copy))
    assert CheckpointFile(copy).sha256() != before


def test_a_checkpoint_makes_its_folder(tiny, tmp_path):
    prefix = write_checkpoint(tiny, tmp_path / "a" / "b" / "ck")
    assert prefix == str(tmp_path / "a" / "b" / "ck-1")
    assert os.path.exists(f"{prefix}.index")
