"""Priors on the disk: a SavedModel for everybody, weights from which tfgen builds the model again.

The SavedModel needs nothing but TensorFlow: `tf.saved_model.load(folder).log_f(...)`. Loading here
builds the model from `model.json` and `weights.npz`; no stored graph is run unless asked for.
"""

import dataclasses
import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.io import new_directory, require_free_space
from tfgen.io.npz import pack_arrays
from tfgen.prior.heads.model_card import CARD_NAME, ModelCard
from tfgen.prior.heads.prior_model import PriorModel, build_prior
from tfgen.prior.heads.standardise import Standardiser, check_features

WEIGHTS_NAME = "weights.npz"

_STANDARDISER = "standardiser/"
_WEIGHTS = "weights/"
_SPARE_BYTES = 64 << 20


def prior_card(
    model: PriorModel,
    sigma: Sequence[float],
    build: str = "",
    training: Mapping[str, Any] | None = None,
) -> ModelCard:
    """The card of a model; its digest of files is filled in by `save_prior`.

    Args:
        model: The model.
        sigma: Noise variance on the z scale of every trait.
        build: Genome build of the variants, for example "GRCh37".
        training: How it was trained, in JSON values.

    Raises:
        UsageError: Not one positive `sigma` for each trait.
    """
    return ModelCard(
        config=model.config,
        shape=model.features,
        traits=model.traits,
        sigma=tuple(float(value) for value in sigma),
        build=build,
        standardiser=model.standardiser.summary(),
        training=dict(training or {}),
        digest=model_digest(model),
    )


def save_prior(
    model: PriorModel, folder: Path, card: ModelCard, overwrite: bool = False
) -> ModelCard:
    """Writes a model as a SavedModel with the signature `log_f`, its weights and its card.

    Args:
        model: The model.
        folder: Output folder; it appears only when it is complete.
        card: What `prior_card` made of this model, possibly with more said about its training.
        overwrite: Whether an existing model is replaced.

    Returns:
        The card as it was written.

    Raises:
        UsageError: The card is that of another model.
        OutputError: The folder exists, or the disk is too full.
    """
    if card.digest != model_digest(model):
        raise UsageError("the card is that of another model; make it with prior_card")
    arrays = _arrays(model)
    n_bytes = 2 * sum(array.nbytes for array in arrays.values()) + _SPARE_BYTES
    folder.parent.mkdir(parents=True, exist_ok=True)
    require_free_space(folder.parent, n_bytes, f"the model {folder.name}")
    with new_directory(folder, overwrite, kind=CARD_NAME) as partial:
        root = _root(model)
        tf.saved_model.save(root, str(partial), {"log_f": root.log_f})
        (partial / WEIGHTS_NAME).write_bytes(pack_arrays(arrays))
        card.write(partial)
    return ModelCard.read(folder)


def load_prior(folder: Path) -> tuple[PriorModel, ModelCard]:
    """Builds a saved model again, variables in the strategy scope if any.

    Raises:
        InputFormatError: The folder is no saved prior.
        InputMismatchError: Its files changed, or do not fit its card.
    """
    card = ModelCard.read(folder)
    card.verify(folder)
    path = folder / WEIGHTS_NAME
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputFormatError(
            f"{path}: not a file of weights: {error}; copy or train the model again"
        ) from error
    try:
        standardiser = Standardiser.from_arrays(card.shape, _below(arrays, _STANDARDISER))
        model = build_prior(card.config, card.shape, card.traits, standardiser)
        _restore(model, _below(arrays, _WEIGHTS))
    except (InputMismatchError, UsageError) as error:
        raise InputMismatchError(f"{path}: {error}") from error
    if model_digest(model) != card.digest:
        raise InputMismatchError(
            f"{folder / CARD_NAME}: does not describe the weights beside it; copy or train the "
            "model again"
        )
    return model, card


class SavedPrior:
    """A prior to score variants with.

    Attributes:
        card: What the model says about itself.
        n_filled: Name of a feature -> how many of its values were missing so far although none was
            in training; they counted as the mean.
    """

    def __init__(self, card: ModelCard, standardiser: Standardiser, holder: Any) -> None:
        self.card = card
        self.n_filled: Counter[str] = Counter()
        self._standardiser = standardiser
        # The functions of a SavedModel alone do not keep its variables.
        self._holder = holder

    def log_f(
        self,
        annotations: npt.NDArray[Any],
        tracks: npt.NDArray[Any] | None = None,
        frequency: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Log f of variants; as many at once as the memory holds.

        Args:
            annotations: Raw annotations in the order of `card.shape` [n, A], NaN where missing.
            tracks: Raw tracks [n, L, T], NaN where missing; None without tracks.
            frequency: Of either allele [n]; None only where `card.config.freq_mode` is off.

        Returns:
            [n, traits].

        Raises:
            InputMismatchError: An array has another shape.
            InputFormatError: A feature is infinite, or a frequency is not from 0 to 1.
            UsageError: No frequencies are given to a model that needs them.
        """
        shape, n = self.card.shape, len(annotations)
        check_features(shape, annotations, tracks)
        inputs = {"annotations": annotations, "frequency": self._frequency(frequency, n)}
        if tracks is not None:
            inputs["tracks"] = tracks
        self.n_filled.update(self._standardiser.unseen_missing(annotations, tracks))
        if not n:
            # Convolutions of nothing give tensors of wrong shapes.
            return np.zeros((0, len(self.card.traits)), np.float32)
        tensors = {name: tf.constant(values, tf.float32) for name, values in inputs.items()}
        return np.asarray(self._holder.log_f(**tensors)["log_f"].numpy())

    def _frequency(self, frequency: npt.NDArray[Any] | None, n: int) -> npt.NDArray[Any]:
        if self.card.config.freq_mode == "off":
            return np.full(n, 0.5)
        if frequency is None:
            raise UsageError("this prior depends on allele frequency; give the frequencies")
        if frequency.shape != (n,):
            raise InputMismatchError(
                f"frequencies have the shape {frequency.shape}; expected ({n},)"
            )
        bad = np.flatnonzero(~((frequency >= 0) & (frequency <= 1)))
        if bad.size:
            raise InputFormatError(
                f"{bad.size} of {n} variants have no allele frequency from 0 to 1, the first at "
                f"index {bad[0]} ({frequency[bad[0]]}); fill in frequencies or leave them out"
            )
        return frequency


def load_saved_prior(folder: Path, stored_graph: bool = False) -> SavedPrior:
    """Opens a saved prior to score variants with.

    Args:
        folder: What `save_prior` wrote.
        stored_graph: Run the graph of the SavedModel instead of building the model from its card
            and weights. The numbers are the same, but a graph is a program: only for folders of
            your own.

    Raises:
        InputFormatError: The folder is no saved prior.
        InputMismatchError: Its files changed, or do not fit its card.
    """
    model, card = load_prior(folder)
    holder = tf.saved_model.load(str(folder)) if stored_graph else _root(model)
    return SavedPrior(card, model.standardiser, holder)


def model_digest(model: PriorModel) -> str:
    """SHA-256, in hex, of all that decides log f: equal digests mean equal functions.

    Dropout, which matters in training alone, does not count.
    """
    described = {
        "config": dataclasses.replace(model.config, dropout=0.0).to_json(),
        "features": model.features.to_json(),
        "traits": [trait.to_json() for trait in model.traits],
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, values in sorted(_arrays(model).items()):
        digest.update(f"\n{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _root(model: PriorModel) -> tf.Module:
    """The object whose attributes become those of the SavedModel."""
    shape = model.features
    specs = {
        "annotations": tf.TensorSpec([None, shape.n_annotations], tf.float32, "annotations"),
        "frequency": tf.TensorSpec([None], tf.float32, "frequency"),
    }
    if shape.track_names:
        specs["tracks"] = tf.TensorSpec([None, shape.length, shape.n_tracks], tf.float32, "tracks")

    def log_f(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"log_f": model(inputs)}

    root = tf.Module()
    root.weights = [weight.value for weight in model.weights]
    root.log_f = tf.function(log_f, autograph=False).get_concrete_function(**specs)
    return root


def _arrays(model: PriorModel) -> dict[str, npt.NDArray[Any]]:
    """Everything that `_restore` and the standardiser need, by name."""
    arrays = {
        _STANDARDISER + name: values for name, values in model.standardiser.to_arrays().items()
    }
    for weight in model.weights:
        arrays[_WEIGHTS + weight.path] = np.asarray(weight.value.numpy())
    return arrays


def _below(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _restore(model: PriorModel, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Gives a model its weights.

    Raises:
        InputMismatchError: One is missing, left over or of another shape.
    """
    weights = {weight.path: weight for weight in model.weights}
    found = {name: array.shape for name, array in arrays.items()}
    expected = {name: tuple(weight.shape) for name, weight in weights.items()}
    if found != expected:
        differing = sorted(
            name for name in found | expected if found.get(name) != expected.get(name)
        )
        raise InputMismatchError(
            f"{len(differing)} weights are not those of the architecture in {CARD_NAME}, such as "
            f"{differing[0]!r}; copy or train the model again"
        )
    for name, weight in weights.items():
        weight.assign(arrays[name])
