"""Exports an Enformer as a SavedModel and loads it back.

The SavedModel needs nothing but TensorFlow: `model = tf.saved_model.load(folder)`, then
`model.predict_on_batch(x)` as long as `model` is kept (its functions alone do not keep its
variables). The variables lie under the keys of the published SavedModel, so that they restore like
those. Loading here rebuilds the model from `model.json` and the variables; no stored graph is run.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from tfgen.enformer.card import CARD_NAME, ModelCard
from tfgen.enformer.checkpoint import READ_ERRORS, CheckpointFile, first_line, published_tree
from tfgen.enformer.config import BIN_SIZE
from tfgen.enformer.model import Enformer
from tfgen.errors import InputMismatchError, UsageError
from tfgen.io import new_directory, read_table, require_free_space

_SPARE_BYTES = 64 << 20
_PREDICTION_RANK = 3


def export_saved_model(
    model: Enformer,
    directory: Path,
    *,
    input_length: int | None = None,
    targets: Mapping[str, Path] | None = None,
    contig_lengths: Mapping[str, int] | None = None,
    source: str = "",
    overwrite: bool = False,
) -> ModelCard:
    """Writes `model` as a SavedModel folder with a `model.json`.

    The functions, each an attribute and a signature: `predict_on_batch` (also under `.model`, as
    in the published one), `embed`, `tower` and `from_tower`; `model.json` gives their shapes.

    Args:
        model: The model.
        directory: Output folder; it appears only when it is complete.
        input_length: Bases that `predict_on_batch` and `embed` take; the trunk sees the centre.
            By default twice the model's sequence length (393,216 for the published model).
        targets: Head -> targets table to put into the folder: a TSV with the columns
            `identifier` and `description` and one row for each track.
        contig_lengths: Contigs of the assembly that the model was trained on.
        source: Where the weights come from, in words.
        overwrite: Whether an existing folder is replaced.

    Returns:
        The card that was written.

    Raises:
        UsageError: `input_length` or a name in `targets` does not suit the model.
        InputFormatError: A targets table is malformed.
        InputMismatchError: A targets table has another number of rows than the head has tracks.
        OutputError: The folder exists, or the disk is too full.
    """
    config = model.config
    length = 2 * config.sequence_length if input_length is None else input_length
    if length < config.sequence_length or (length - config.sequence_length) % 2:
        raise UsageError(
            f"input length {length} cannot be cropped to the {config.sequence_length} bases of "
            "this model equally on both sides"
        )
    tables = dict(targets or {})
    for organism, path in tables.items():
        _check_targets(path, organism, config.head_tracks(organism))
    n_bytes = sum(v.shape.num_elements() * v.dtype.size for v in model.variables)
    directory.parent.mkdir(parents=True, exist_ok=True)
    require_free_space(directory.parent, n_bytes + _SPARE_BYTES, f"the model {directory.name}")
    with new_directory(directory, overwrite, kind=CARD_NAME) as partial:
        root = _root(model, length)
        names = ("predict_on_batch", "embed", "tower", "from_tower")
        tf.saved_model.save(root, str(partial), {name: getattr(root, name) for name in names})
        for organism, path in tables.items():
            shutil.copyfile(path, partial / f"targets_{organism}.txt")
        ModelCard(
            config=config,
            input_length=length,
            targets={organism: f"targets_{organism}.txt" for organism in tables},
            contig_lengths=dict(contig_lengths or {}),
            source=source,
        ).write(partial)
    return ModelCard.read(directory)


def load_saved_model(directory: Path) -> tuple[Enformer, ModelCard]:
    """Rebuilds a model that `export_saved_model` wrote, after checking its digest.

    Raises:
        InputFormatError: The folder is no tfgen model.
        InputMismatchError: Its files changed after the export, or do not fit its card.
    """
    # The prefix is given in full: the folder's own name may be that of a checkpoint beside it.
    card = ModelCard.read(directory)
    card.verify(directory)
    model = Enformer(card.config)
    CheckpointFile(variables_prefix(directory)).restore(model)
    return model, card


def variables_prefix(directory: Path) -> Path:
    """Checkpoint prefix of a SavedModel's variables."""
    return directory / "variables" / "variables"


def _check_targets(path: Path, organism: str, tracks: int) -> None:
    rows = len(read_table(path, required=("identifier", "description"))["identifier"])
    if rows != tracks:
        raise InputMismatchError(
            f"{path}: has {rows} rows, but the head {organism!r} has {tracks} tracks; give a "
            "table with one row for each track, in order"
        )


def _root(model: Enformer, input_length: int) -> tf.Module:
    """The object whose attributes become those of the SavedModel."""
    config = model.config
    margin = (input_length - config.sequence_length) // 2
    sequence = tf.TensorSpec([None, input_length, 4], tf.float32, name="sequence")
    piece = tf.TensorSpec([None, None, 4], tf.float32, name="sequence")
    bins = tf.TensorSpec([None, config.num_bins, config.channels], tf.float32, name="tower")

    def heads(embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        return {organism: model.predict_head(embedding, organism) for organism in model.heads}

    def embed(sequence: tf.Tensor) -> tf.Tensor:
        return model.embed(sequence[:, margin : margin + config.sequence_length], False)

    def predict_on_batch(sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        return heads(embed(sequence))

    def tower(sequence: tf.Tensor) -> tf.Tensor:
        tf.debugging.assert_equal(
            tf.shape(sequence)[1] % BIN_SIZE, 0, f"the length must be a multiple of {BIN_SIZE}"
        )
        return model.tower(sequence, False)

    def from_tower(tower: tf.Tensor) -> dict[str, tf.Tensor]:
        return heads(model.embed_tower(tower, False))

    root = tf.Module()
    root.model = published_tree(model, "hub")
    root.save_counter = tf.Variable(1, dtype=tf.int64, name="save_counter", trainable=False)
    root.predict_on_batch = tf.function(
        predict_on_batch, autograph=False, input_signature=[sequence]
    )
    root.model.predict_on_batch = root.predict_on_batch
    root.embed = tf.function(embed, autograph=False, input_signature=[sequence])
    root.tower = tf.function(tower, autograph=False, input_signature=[piece])
    root.from_tower = tf.function(from_tower, autograph=False, input_signature=[bins])
    return root


class ForeignModel:
    """A SavedModel that tfgen did not write, of which only `predict_on_batch` is known.

    Loading it runs its code; the caller has asked the user.

    Attributes:
        input_length: Bases that it takes.
        heads: Head -> number of tracks.
        target_length: Output bins.
    """

    def __init__(self, directory: Path) -> None:
        """Loads the model.

        Raises:
            InputMismatchError: It has no usable `predict_on_batch`.
        """
        try:
            self._loaded = tf.saved_model.load(str(directory))
        except READ_ERRORS as error:
            raise InputMismatchError(
                f"{directory}: cannot be loaded: {first_line(error)}; copy or download it again"
            ) from error
        holders = (getattr(self._loaded, "model", None), self._loaded)
        functions = [getattr(holder, "predict_on_batch", None) for holder in holders]
        predict = next((f for f in functions if f is not None), None)
        input_length = _input_length(predict)
        if predict is None or input_length is None:
            raise InputMismatchError(
                f"{directory}: has no predict_on_batch that takes [batch, length, 4]; a model to "
                "score with needs it"
            )
        self._predict: Callable[[tf.Tensor], Mapping[str, tf.Tensor]] = predict
        self.input_length = input_length
        outputs = predict(tf.zeros([1, self.input_length, 4]))
        shapes = _head_shapes(outputs)
        if shapes is None:
            raise InputMismatchError(
                f"{directory}: its predict_on_batch returns {_kinds(outputs)}; expected a "
                "dictionary of heads, each [batch, bins, tracks] with the same bins"
            )
        self.heads = {name: tracks for name, (_, tracks) in shapes.items()}
        self.target_length = next(iter(shapes.values()))[0]

    def predict(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """`[batch, input_length, 4]` float32 -> head -> `[batch, target_length, tracks]`."""
        return dict(self._predict(sequence))


def _head_shapes(outputs: object) -> dict[str, tuple[int, int]] | None:
    """Head -> (bins, tracks), if a model's outputs are such."""
    if not isinstance(outputs, Mapping) or not outputs:
        return None
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    if any(len(shape) != _PREDICTION_RANK for shape in shapes.values()):
        return None
    if len({shape[1] for shape in shapes.values()}) > 1:
        return None
    return {name: (int(shape[1]), int(shape[2])) for name, shape in shapes.items()}


def _kinds(outputs: object) -> str:
    """The outputs of a model in a few words."""
    if isinstance(outputs, Mapping):
        return str({name: list(value.shape) for name, value in outputs.items()})
    return f"a {type(outputs).__name__}"


def _input_length(function: object) -> int | None:
    """Length of the one argument of a loaded function, if that is `[batch, length, 4]`."""
    concrete = getattr(function, "concrete_functions", None)
    if not concrete:
        return None
    match [
        spec.shape.as_list() for spec in tf.nest.flatten(concrete[0].structured_input_signature)
    ]:
        case [[_, int(length), 4]]:
            return length
    return None
