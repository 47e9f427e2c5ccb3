"""Reads and writes Enformer checkpoints in the two published layouts.

Reading goes by key, so it needs neither an object graph nor the code that wrote the file. A
partial match is refused. Writing mirrors the published object graph, so that the published code
and `tf.train.Checkpoint` restore what is written here.
"""

import glob
import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfgen.enformer.config import PUBLISHED_HEADS, EnformerConfig
from tfgen.enformer.keys import KEY_SUFFIX, ROOTS, SAVE_COUNTER, Layout, published_variables
from tfgen.enformer.model import Enformer
from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.io import sha256_files

_HUB_MARK = re.compile(r"^(.*?)/_stem/_layers/0/w$")
_SONNET_MARK = re.compile(r"^(.*?)/_trunk/_layers/0/_layers/0/w$")
_DATA_FILE = re.compile(r"\.(index|data-\d+-of-\d+)$")
_LISTED = 5


class CheckpointFile:
    """An Enformer checkpoint on disk: its layout, its tensors' shapes, its configuration.

    Attributes:
        prefix: Path without `.index`.
        layout: `sonnet` or `hub`, told from the keys.
        root: Name below which the model's keys lie (`module` and `model` as published).
        shapes: Key without suffix -> shape, for every variable below the root.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens a prefix, a folder holding one checkpoint, or a SavedModel folder.

        Raises:
            InputFormatError: There is no readable Enformer checkpoint at `path`.
        """
        self.prefix = checkpoint_prefix(path)
        try:
            self._reader = tf.train.load_checkpoint(self.prefix)
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputFormatError(f"{self.prefix}: not a readable checkpoint: {reason}") from error
        shapes = {
            key.removesuffix(KEY_SUFFIX): tuple(shape)
            for key, shape in self._reader.get_variable_to_shape_map().items()
            if key.endswith(KEY_SUFFIX) and ".OPTIMIZER_SLOT" not in key
        }
        self.layout, self.root = _layout(self.prefix, shapes)
        below = f"{self.root}/"
        self.shapes = {key: shape for key, shape in shapes.items() if key.startswith(below)}

    def read(self, key: str) -> np.ndarray:
        """The tensor stored under a key of `shapes`.

        Raises:
            InputFormatError: Its data is missing or corrupt.
        """
        try:
            return np.asarray(self._reader.get_tensor(key + KEY_SUFFIX))
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputFormatError(f"{self.prefix}: cannot read {key}: {reason}") from error

    def sha256(self) -> str:
        """Digest of the checkpoint's files."""
        folder, name = Path(self.prefix).parent, Path(self.prefix).name
        files = [path.name for path in folder.glob(f"{glob.escape(name)}.*") if path.is_file()]
        return sha256_files(folder, [f for f in files if _DATA_FILE.search(f)])

    def config(self) -> EnformerConfig:
        """The architecture that the shapes tell.

        What shapes cannot tell is as published: windows of 196,608 bp, 896 output bins, a
        position basis for 1,536 bins. Use `dataclasses.replace` where it was something else.

        Raises:
            InputFormatError: The shapes are not those of an Enformer.
        """
        try:
            return self._config()
        except (KeyError, IndexError, UsageError) as error:
            raise InputFormatError(
                f"{self.prefix}: its shapes are not those of an Enformer: {error}"
            ) from error

    def _config(self) -> EnformerConfig:
        hub = self.layout == "hub"
        trunk = self.root if hub else f"{self.root}/_trunk"
        tower = f"{trunk}/_downres" if hub else f"{trunk}/_layers/1"
        blocks = f"{trunk}/_transformer" if hub else f"{trunk}/_layers/2"
        final = f"{trunk}/_final_pointwise" if hub else f"{trunk}/_layers/4"
        channels = self.shapes[f"{final}/_layers/0/_layers/2/w"][1]
        filters = tuple(
            self.shapes[f"{tower}/_layers/{i}/_layers/0/_layers/2/w"][2] for i in range(6)
        )
        pooling = any(key.endswith("_logit_linear/w") for key in self.shapes)
        biases = {k: s for k, s in self.shapes.items() if k.endswith("_r_w_bias")}
        layers = {key.removeprefix(f"{blocks}/_layers/").split("/")[0] for key in biases}
        bias = next(iter(biases.values()), (1, 8, 1, 64))
        head = re.compile(rf"^{re.escape(self.root)}/_heads/([^/]+)/_layers/0/b$")
        heads = {m[1]: shape[0] for k, shape in self.shapes.items() if (m := head.match(k))}
        published = [name for name, _ in PUBLISHED_HEADS]
        order = sorted(heads, key=lambda name: (name not in published, name))
        return EnformerConfig(
            channels=channels,
            num_transformer_layers=len(layers),
            num_heads=bias[1],
            key_size=bias[3],
            heads=tuple((name, heads[name]) for name in order),
            pooling_type="attention" if pooling else "max",
            divisible_by=_rounding(channels, filters),
        )

    def restore(self, model: Enformer) -> None:
        """Sets every variable of `model` from this file.

        Raises:
            InputMismatchError: A variable is missing or has another shape, or the file holds
                variables of the model's root that this architecture does not have.
        """
        wanted = {
            item.key(self.layout, self.root).removesuffix(KEY_SUFFIX): item.variable
            for item in published_variables(model)
        }
        problems = [f"{key} is missing" for key in wanted if key not in self.shapes]
        problems += [
            f"{key} is {list(self.shapes[key])}, expected {variable.shape.as_list()}"
            for key, variable in wanted.items()
            if key in self.shapes and list(self.shapes[key]) != variable.shape.as_list()
        ]
        problems += [f"{key} has no place" for key in sorted(self.shapes) if key not in wanted]
        if problems:
            more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
            raise InputMismatchError(
                f"{self.prefix}: does not match the architecture, nothing was restored: "
                + "; ".join(problems[:_LISTED])
                + more
            )
        for key, variable in wanted.items():
            variable.assign(self.read(key))


def checkpoint_prefix(path: str | Path) -> str:
    """The checkpoint prefix that a user means by `path`.

    Accepts a prefix, an `.index` file, a SavedModel folder, or a folder with one checkpoint.

    Raises:
        InputFormatError: No checkpoint is there, or several are and none is marked the latest.
    """
    path = Path(path)
    if path.name.endswith(".index") and path.is_file():
        return str(path).removesuffix(".index")
    if Path(f"{path}.index").is_file():
        return str(path)
    if (path / "variables" / "variables.index").is_file():
        return str(path / "variables" / "variables")
    if path.is_dir():
        latest = tf.train.latest_checkpoint(str(path))
        if latest is not None:
            return str(latest)
        found = sorted(path.glob("*.index"))
        if len(found) == 1:
            return str(found[0]).removesuffix(".index")
        if found:
            names = ", ".join(item.name for item in found[:3])
            raise InputFormatError(
                f"{path}: holds {len(found)} checkpoints ({names}); name the one to read"
            )
    raise InputFormatError(
        f"{path}: no checkpoint here; expected PREFIX.index with PREFIX.data-*, or a SavedModel "
        "folder with variables/variables.index"
    )


def write_checkpoint(model: Enformer, prefix: str | Path, layout: Layout = "sonnet") -> str:
    """Writes all variables of `model` under the published keys.

    Args:
        model: The model.
        prefix: Path prefix; TensorFlow appends `-1`, the save counter.
        layout: `sonnet` or `hub`.

    Returns:
        The prefix with the counter.
    """
    Path(prefix).parent.mkdir(parents=True, exist_ok=True)
    checkpoint = tf.train.Checkpoint(**{ROOTS[layout]: published_tree(model, layout)})
    return str(checkpoint.save(str(prefix)))


def published_tree(model: Enformer, layout: Layout) -> tf.Module:
    """A tree of trackable nodes whose paths to the variables are the published ones."""
    root = tf.Module()
    for item in published_variables(model):
        *steps, leaf = item.path(layout).split("/")
        node = root
        for step in steps:
            child = getattr(node, step, None)
            if child is None:
                child = tf.Module()
                setattr(node, step, child)
            node = child
        setattr(node, leaf, item.variable)
    return root


def _layout(prefix: str, shapes: dict[str, tuple[int, ...]]) -> tuple[Layout, str]:
    for key in shapes:
        if match := _HUB_MARK.match(key):
            return "hub", match[1]
        if match := _SONNET_MARK.match(key):
            return "sonnet", match[1]
    some = ", ".join(sorted(set(shapes) - {SAVE_COUNTER})[:3]) or "none"
    raise InputFormatError(
        f"{prefix}: no Enformer in either published layout; its first variables are: {some}"
    )


def _rounding(channels: int, filters: tuple[int, ...]) -> int:
    """The coarsest filter rounding, from 128 down, that gives the filters of the file."""
    for divisor in range(128, 0, -1):
        try:
            config = EnformerConfig(channels=channels, divisible_by=divisor, num_heads=1)
        except UsageError:
            continue
        if config.tower_channels == filters:
            return divisor
    raise UsageError(f"tower filters {filters} do not follow from {channels} channels")
