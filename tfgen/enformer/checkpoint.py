"""Reads and writes Enformer checkpoints in the two published layouts.

Reading goes by key, so it needs neither an object graph nor the code that wrote the file. A
partial match is refused. Writing mirrors the published object graph, so that the published code
and `tf.train.Checkpoint` restore what is written here.
"""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfgen.enformer.config import PUBLISHED_HEADS, TOWER_STAGES, EnformerConfig
from tfgen.enformer.keys import KEY_SUFFIX, ROOTS, SAVE_COUNTER, Layout, published_variables
from tfgen.enformer.model import Enformer
from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.io import sha256_files

_MARKS: tuple[tuple[Layout, re.Pattern[str]], ...] = (
    ("hub", re.compile(r"^(?:(.*)/)?_stem/_layers/0/w$")),
    ("sonnet", re.compile(r"^(?:(.*)/)?_trunk/_layers/0/_layers/0/w$")),
)
_PUBLISHED_DIVISOR = 128
_BIAS_WITHOUT_BLOCKS = (1, 1, 1, 64)
_LISTED = 5
READ_ERRORS = (tf.errors.OpError, OSError, ValueError, IndexError, RuntimeError)
"""What TensorFlow raises on damaged files; a data file that is too short is an IndexError."""


class CheckpointFile:
    """An Enformer checkpoint on disk: its layout, its tensors' shapes, its configuration.

    Attributes:
        prefix: Path without `.index`.
        layout: `sonnet` or `hub`, told from the keys.
        root: Name below which the model's keys lie (`module` and `model` as published); empty
            if they lie at the top.
        shapes: Key without suffix -> shape, for every variable below the root.
        dtypes: Key without suffix -> type of its values.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens a prefix, a folder holding one checkpoint, or a SavedModel folder.

        Raises:
            InputFormatError: There is no readable Enformer checkpoint at `path`.
        """
        self.prefix = checkpoint_prefix(path)
        try:
            # Unlike tf.train.load_checkpoint, it reads a prefix that is a folder as well.
            self._reader = tf.compat.v1.train.NewCheckpointReader(self.prefix)
        except READ_ERRORS as error:
            raise InputFormatError(
                f"{self.prefix}: not a readable checkpoint: {first_line(error)}; copy or download "
                "it again"
            ) from error
        shapes = {
            key.removesuffix(KEY_SUFFIX): tuple(shape)
            for key, shape in sorted(self._reader.get_variable_to_shape_map().items())
            if key.endswith(KEY_SUFFIX) and ".OPTIMIZER_SLOT" not in key
        }
        shapes.pop(SAVE_COUNTER, None)
        self.layout, self.root = _layout(self.prefix, shapes)
        below = f"{self.root}/" if self.root else ""
        self.shapes = {key: shape for key, shape in shapes.items() if key.startswith(below)}
        dtypes = self._reader.get_variable_to_dtype_map()
        self.dtypes: dict[str, tf.DType] = {key: dtypes[key + KEY_SUFFIX] for key in self.shapes}

    def read(self, key: str) -> np.ndarray:
        """The tensor stored under a key of `shapes`.

        Raises:
            InputFormatError: Its data is missing or corrupt.
        """
        try:
            return np.asarray(self._reader.get_tensor(key + KEY_SUFFIX))
        except READ_ERRORS as error:
            raise InputFormatError(
                f"{self.prefix}: cannot read {key}: {first_line(error)}; copy or download the "
                "checkpoint again"
            ) from error

    def sha256(self) -> str:
        """Digest of the checkpoint's files."""
        folder, name = Path(self.prefix).parent, Path(self.prefix).name
        own = re.compile(rf"{re.escape(name)}\.(index|data-\d+-of-\d+)")
        return sha256_files(folder, [p.name for p in folder.iterdir() if own.fullmatch(p.name)])

    def config(self) -> EnformerConfig:
        """The architecture that the shapes tell.

        What shapes cannot tell is as published: windows of 196,608 bp, 896 output bins, a
        position basis for 1,536 bins. Use `dataclasses.replace` where it was something else.

        Raises:
            InputFormatError: The shapes are not those of an Enformer.
        """
        try:
            return self._config()
        except UsageError as error:
            raise InputFormatError(
                f"{self.prefix}: its shapes are not those of an Enformer: {error}"
            ) from error

    def _shape(self, key: str, rank: int) -> tuple[int, ...]:
        shape = self.shapes.get(key)
        if shape is None or len(shape) != rank:
            found = "is missing" if shape is None else f"has the shape {list(shape)}"
            raise InputFormatError(f"{self.prefix}: {key} {found}; expected {rank} dimensions")
        return shape

    def _config(self) -> EnformerConfig:
        hub = self.layout == "hub"
        below = f"{self.root}/" if self.root else ""
        tower = f"{below}_downres" if hub else f"{below}_trunk/_layers/1"
        final = f"{below}_final_pointwise" if hub else f"{below}_trunk/_layers/4"
        channels = self._shape(f"{final}/_layers/0/_layers/2/w", 3)[1]
        filters = tuple(
            self._shape(f"{tower}/_layers/{i}/_layers/0/_layers/2/w", 3)[2]
            for i in range(TOWER_STAGES)
        )
        pooling = any(key.endswith("_logit_linear/w") for key in self.shapes)
        biases = [key for key in self.shapes if key.endswith("/_r_w_bias")]
        bias = self._shape(biases[0], 4) if biases else _BIAS_WITHOUT_BLOCKS
        head = re.compile(rf"^{re.escape(below)}_heads/([^/]+)/_layers/0/b$")
        heads = {m[1]: self._shape(k, 1)[0] for k in self.shapes if (m := head.match(k))}
        published = [name for name, _ in PUBLISHED_HEADS]
        order = sorted(heads, key=lambda name: (name not in published, name))
        return EnformerConfig(
            channels=channels,
            num_transformer_layers=len(biases),
            num_heads=bias[1],
            key_size=bias[3],
            heads=tuple((name, heads[name]) for name in order),
            pooling_type="attention" if pooling else "max",
            divisible_by=_rounding(channels, filters),
        )

    def restore(self, model: Enformer) -> None:
        """Sets every variable of `model` from this file.

        Raises:
            InputMismatchError: A variable is missing or has another shape or type, or the file
                holds variables of the model's root that this architecture does not have.
            InputFormatError: The data of a variable are missing or corrupt.

        In both cases the model keeps its former values.
        """
        wanted = {
            item.key(self.layout, self.root).removesuffix(KEY_SUFFIX): item.variable
            for item in published_variables(model)
        }
        problems = [f"{key} is missing" for key in wanted if key not in self.shapes]
        problems += [
            f"{key} is {self.dtypes[key].name} {list(self.shapes[key])}, expected "
            f"{variable.dtype.name} {variable.shape.as_list()}"
            for key, variable in wanted.items()
            if key in self.shapes
            and (self.dtypes[key], self.shapes[key]) != (variable.dtype, tuple(variable.shape))
        ]
        problems += [f"{key} has no place" for key in sorted(self.shapes) if key not in wanted]
        if problems:
            more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
            raise InputMismatchError(
                f"{self.prefix}: does not match the architecture, nothing was restored: "
                + "; ".join(problems[:_LISTED])
                + more
            )
        # All are read before the first is set, so that a corrupt file changes nothing.
        values = {key: self.read(key) for key in wanted}
        for key, variable in wanted.items():
            variable.assign(values.pop(key))


def checkpoint_prefix(path: str | Path) -> str:
    """The checkpoint prefix that a user means by `path`.

    Accepts a prefix, an `.index` file, a SavedModel folder, or a folder with one checkpoint.

    Raises:
        InputFormatError: No checkpoint is there, or several are and none is marked the latest.
    """
    path = Path(path)
    if path.name.endswith(".index") and path.is_file():
        return str(path).removesuffix(".index")
    inner = path / "variables" / "variables"
    if Path(f"{path}.index").is_file():
        if Path(f"{inner}.index").is_file():
            raise InputFormatError(
                f"{path}: is a SavedModel folder and the prefix of {path.name}.index beside it; "
                f"give {path}.index or {inner}.index"
            )
        return str(path)
    if Path(f"{inner}.index").is_file():
        return str(inner)
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
    found = [
        (layout, match[1] or "")
        for key in shapes
        for layout, mark in _MARKS
        if (match := mark.match(key))
    ]
    if not found:
        some = ", ".join([*shapes][:3]) or "none"
        raise InputFormatError(
            f"{prefix}: no Enformer in either published layout; its first variables are: {some}"
        )
    if len(found) > 1:
        names = ", ".join(root or "(the top)" for _, root in found)
        raise InputFormatError(
            f"{prefix}: holds {len(found)} Enformers, below {names}; expected a checkpoint of one"
        )
    return found[0]


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its kind if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _rounding(channels: int, filters: tuple[int, ...]) -> int:
    """A filter rounding that gives the filters of the file: the published one, else the coarsest.

    Only a divisor of `channels` can be one.
    """
    divisors = [n for n in range(channels, 0, -1) if channels % n == 0]
    for divisor in sorted(divisors, key=lambda n: n != _PUBLISHED_DIVISOR):
        try:
            config = EnformerConfig(channels=channels, divisible_by=divisor, num_heads=1)
        except UsageError:
            continue
        if config.tower_channels == filters:
            return divisor
    raise UsageError(f"tower filters {filters} do not follow from {channels} channels")
