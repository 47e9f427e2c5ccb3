import dataclasses
import json
import re

import pytest

from enformer.small import SMALL, in_a_graph
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.keys import KEY_SUFFIX, published_variables
from tfgen.enformer.model import Enformer


@pytest.fixture(scope="module")
def full_size():
    """All variables of the published model, with shapes but without values."""
    model, graph = in_a_graph(EnformerConfig())
    with graph.as_default():
        return published_variables(model)


@pytest.fixture(scope="module")
def published(shared_data):
    """Key -> shape of the published SavedModel's variables."""
    return json.loads(shared_data("enformer_graph/checkpoint_keys.json").read_text())


def sonnet_from_hub(key):
    """The published rule between the two weight formats, applied to one hub key."""
    key = re.sub(r"^model/_heads/", "module/_heads/", key)
    for name, layer in (("stem", 0), ("downres", 1), ("transformer", 2), ("final_pointwise", 4)):
        key = key.replace(f"model/_{name}/", f"module/_trunk/_layers/{layer}/")
    # Wrappers of the hub model alone: moving averages, batch-norm scale and offset, pooling ...
    key = re.sub(r"_module/(moving_mean|moving_variance|_logit_linear)", r"\1", key)
    if "/_trunk/_layers/2/" in key:
        # ... layer norm and attention inside a transformer's attention half, projections.
        key = re.sub(r"(_layers/0/_module/_layers/[01]/)_module/", r"\1", key)
        return re.sub(r"_(q|k|v|r_k)_layer/_linear/", r"_\1_layer/", key)
    return re.sub(r"_module/(scale|offset)", r"\1", key)


def test_hub_keys_and_shapes_are_the_published_ones(full_size, published):
    ours = {item.key("hub"): item.variable.shape.as_list() for item in full_size}
    theirs = dict(published)
    assert theirs.pop("_CHECKPOINTABLE_OBJECT_GRAPH") == []
    assert theirs.pop(f"save_counter{KEY_SUFFIX}") == []
    assert len(full_size) == len(ours) == 329
    assert ours == theirs


def test_sonnet_keys_follow_from_the_published_hub_keys(full_size, published):
    expected = {
        sonnet_from_hub(key): shape for key, shape in published.items() if key.startswith("model/")
    }
    ours = {item.key("sonnet"): item.variable.shape.as_list() for item in full_size}
    assert len(expected) == 329
    assert ours == expected


# Paths of the published Sonnet code, read from a checkpoint that it wrote.
SONNET_PATHS = """
_heads/human/_layers/0/w
_heads/mouse/_layers/0/b
_trunk/_layers/0/_layers/0/w
_trunk/_layers/0/_layers/1/_module/_layers/0/moving_mean/_counter
_trunk/_layers/0/_layers/1/_module/_layers/2/b
_trunk/_layers/0/_layers/2/_logit_linear/w
_trunk/_layers/1/_layers/5/_layers/0/_layers/0/moving_variance/average
_trunk/_layers/1/_layers/5/_layers/0/_layers/2/w
_trunk/_layers/1/_layers/5/_layers/1/_module/_layers/0/scale
_trunk/_layers/1/_layers/5/_layers/2/_logit_linear/w
_trunk/_layers/2/_layers/10/_layers/0/_module/_layers/0/offset
_trunk/_layers/2/_layers/10/_layers/0/_module/_layers/1/_r_k_layer/w
_trunk/_layers/2/_layers/10/_layers/0/_module/_layers/1/_embedding_layer/b
_trunk/_layers/2/_layers/10/_layers/0/_module/_layers/1/_r_w_bias
_trunk/_layers/2/_layers/10/_layers/1/_module/_layers/0/scale
_trunk/_layers/2/_layers/10/_layers/1/_module/_layers/1/w
_trunk/_layers/2/_layers/10/_layers/1/_module/_layers/4/w
_trunk/_layers/4/_layers/0/_layers/0/moving_mean/_hidden
_trunk/_layers/4/_layers/0/_layers/2/w
""".split()


@pytest.mark.parametrize("path", SONNET_PATHS)
def test_known_sonnet_paths_are_there(full_size, path):
    assert path in {item.sonnet for item in full_size}


def test_the_two_linear_maps_of_a_block_are_told_apart(full_size):
    # Their variable names are the same in the published code; their paths are not.
    shapes = {item.sonnet: item.variable.shape.as_list() for item in full_size}
    mlp = "_trunk/_layers/2/_layers/0/_layers/1/_module/_layers"
    assert (shapes[f"{mlp}/1/w"], shapes[f"{mlp}/4/w"]) == ([1536, 3072], [3072, 1536])


@pytest.mark.parametrize("pooling", ["attention", "max"])
def test_every_variable_of_the_model_has_one_place(pooling):
    model = Enformer(dataclasses.replace(SMALL, pooling_type=pooling))
    items = published_variables(model)
    assert {id(item.variable) for item in items} == {id(v) for v in model.variables}
    for layout in ("sonnet", "hub"):
        assert len({item.path(layout) for item in items}) == len(items) == len(model.variables)
    assert any("_logit_linear" in item.hub for item in items) == (pooling == "attention")


def test_a_key_is_root_path_and_suffix(tiny):
    item = published_variables(tiny)[0]
    assert item.sonnet == "_trunk/_layers/0/_layers/0/w"
    assert item.key("sonnet") == f"module/{item.sonnet}/.ATTRIBUTES/VARIABLE_VALUE"
    assert item.key("hub") == "model/_stem/_layers/0/w/.ATTRIBUTES/VARIABLE_VALUE"
    assert item.key("hub", "a/b") == "a/b/_stem/_layers/0/w/.ATTRIBUTES/VARIABLE_VALUE"
    assert item.key("hub", "") == "_stem/_layers/0/w/.ATTRIBUTES/VARIABLE_VALUE"
