"""Where each variable of an Enformer lives in the two published checkpoint layouts.

`sonnet`: `tf.train.Checkpoint(module=enformer)` of the published training code.
`hub`: the variables of the published SavedModel, whose root holds the model as `model` and wraps
some layers once more (`_module`, `_linear`).
"""

import dataclasses
from collections.abc import Iterator
from typing import Literal

import sonnet as snt
import tensorflow as tf

from tfgen.enformer.layers import AttentionPool, BatchNorm, Conv, ConvBlock, Linear
from tfgen.enformer.model import Enformer, TowerStage, TransformerBlock

Layout = Literal["sonnet", "hub"]
ROOTS: dict[Layout, str] = {"sonnet": "module", "hub": "model"}
KEY_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
SAVE_COUNTER = "save_counter"

_TRUNK_ROOMS = (
    # (part, Sonnet path, hub path)
    ("stem", "_trunk/_layers/0", "_stem"),
    ("tower", "_trunk/_layers/1", "_downres"),
    ("transformer", "_trunk/_layers/2", "_transformer"),
    ("final", "_trunk/_layers/4", "_final_pointwise"),
)


@dataclasses.dataclass(frozen=True)
class _Path:
    """The same place in both layouts."""

    sonnet: str
    hub: str

    def __truediv__(self, step: str) -> "_Path":
        return _Path(f"{self.sonnet}/{step}", f"{self.hub}/{step}")

    def hub_only(self, step: str) -> "_Path":
        return _Path(self.sonnet, f"{self.hub}/{step}")


@dataclasses.dataclass(frozen=True)
class PublishedVariable:
    """One variable with its path below the root of each layout."""

    variable: tf.Variable
    sonnet: str
    hub: str

    def path(self, layout: Layout) -> str:
        """The path below the root, without the suffix that every key carries."""
        return self.hub if layout == "hub" else self.sonnet

    def key(self, layout: Layout, root: str | None = None) -> str:
        """The checkpoint key; `root` replaces the published name of the root, "" is no root."""
        name = ROOTS[layout] if root is None else root
        return f"{name}/{self.path(layout)}".removeprefix("/") + KEY_SUFFIX


def published_variables(model: Enformer) -> list[PublishedVariable]:
    """All variables of `model` in a fixed order, each with its published paths."""
    rooms = {part: _Path(sonnet, hub) for part, sonnet, hub in _TRUNK_ROOMS}
    found = [*_stage(model.stem, rooms["stem"])]
    for i, stage in enumerate(model.stages):
        found += _stage(stage, rooms["tower"] / f"_layers/{i}")
    for i, block in enumerate(model.blocks):
        found += _transformer_block(block, rooms["transformer"] / f"_layers/{i}")
    found += _conv_block(model.final, rooms["final"] / "_layers/0")
    for organism, head in model.heads.items():
        path = f"_heads/{organism}/_layers/0"
        found += _weights(head, _Path(path, path))
    return found


def _at(variable: tf.Variable, path: _Path) -> PublishedVariable:
    return PublishedVariable(variable, path.sonnet, path.hub)


def _weights(layer: Conv | Linear, path: _Path) -> Iterator[PublishedVariable]:
    yield _at(layer.w, path / "w")
    if layer.b is not None:
        yield _at(layer.b, path / "b")


def _stage(stage: TowerStage, path: _Path) -> Iterator[PublishedVariable]:
    if isinstance(stage.convolution, Conv):
        yield from _weights(stage.convolution, path / "_layers/0")
    else:
        yield from _conv_block(stage.convolution, path / "_layers/0")
    yield from _conv_block(stage.pointwise, path / "_layers/1/_module")
    if isinstance(stage.pool, AttentionPool):
        yield _at(stage.pool.logits.w, (path / "_layers/2").hub_only("_module") / "_logit_linear/w")


def _conv_block(block: ConvBlock, path: _Path) -> Iterator[PublishedVariable]:
    yield from _batch_norm(block.norm, (path / "_layers/0").hub_only("_module"))
    yield from _weights(block.conv, path / "_layers/2")


def _batch_norm(norm: BatchNorm, path: _Path) -> Iterator[PublishedVariable]:
    yield _at(norm.scale, path / "scale")
    yield _at(norm.offset, path / "offset")
    for name in ("moving_mean", "moving_variance"):
        average: snt.ExponentialMovingAverage = getattr(norm, name)
        for state in ("_counter", "_hidden", "average"):
            yield _at(getattr(average, state), path / f"{name}/{state}")


def _transformer_block(block: TransformerBlock, path: _Path) -> Iterator[PublishedVariable]:
    attention_part = path / "_layers/0/_module/_layers"
    norm = (attention_part / "0").hub_only("_module")
    yield _at(block.attention_norm.scale, norm / "scale")
    yield _at(block.attention_norm.offset, norm / "offset")
    attention, place = block.attention, (attention_part / "1").hub_only("_module")
    for name in ("q_layer", "k_layer", "v_layer", "r_k_layer"):
        projection = (place / f"_{name}").hub_only("_linear")
        yield from _weights(getattr(attention, name), projection)
    yield from _weights(attention.embedding_layer, place / "_embedding_layer")
    yield _at(attention.r_w_bias, place / "_r_w_bias")
    yield _at(attention.r_r_bias, place / "_r_r_bias")
    mlp = path / "_layers/1/_module/_layers"
    yield _at(block.mlp_norm.scale, mlp / "0/scale")
    yield _at(block.mlp_norm.offset, mlp / "0/offset")
    yield from _weights(block.expand, mlp / "1")
    yield from _weights(block.contract, mlp / "4")
