"""A trained prior as those who use it see it: for every block the model that never saw it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError, UsageError
from tfgen.prior.features.feature_store import Features, FeatureStore
from tfgen.prior.heads.model_card import ModelCard, select_features, select_tracks
from tfgen.prior.heads.saved_prior import SavedPrior, load_saved_prior
from tfgen.prior.training.block_data import BlockData
from tfgen.prior.training.prior_folder import PriorIndex

Doubles = npt.NDArray[np.float64]

MEAN = "mean"
"""What stands for a fold where log f is the mean over all of them."""

FOLDS, FINAL, IN_SAMPLE = "folds", "final", "in_sample"
"""How a block is tested: by the fold that never saw it; by the mean over the folds, none of which
saw it; by the mean over the folds, all of which saw it."""


class TrainedPrior:
    """A folder that `prior_train.py` wrote.

    Every model is built once, when it is first used. Where a block is the test of no single fold,
    log f is the mean over the folds (the geometric mean of f), and so is log sigma: that is so for
    blocks that were kept out of every fold, and for those that none kept out.

    Args:
        folder: The folder.
        features: Where the features will come from; None for a prior without any. Its columns are
            chosen by name.
        micro_batch: Variants that go through the network at once.

    Attributes:
        folder: The folder.
        index: Traits, folds and digests.
        cards: What every model says about itself, by fold.
        warnings: What the user should know about the features.

    Raises:
        InputFormatError: No trained prior.
        InputMismatchError: The features lack some that the prior reads, or its models are of
            different traits.
        UsageError: The prior reads features and there are none.
    """

    def __init__(
        self, folder: Path, features: FeatureStore | None = None, micro_batch: int = 8192
    ) -> None:
        self.folder = folder
        self.index = PriorIndex.read(folder)
        self.cards: Mapping[str, ModelCard] = {
            fold.name: ModelCard.read(self._model(fold.name)) for fold in self.index.folds
        }
        if not self.cards:
            raise InputMismatchError(f"{folder}: has no models; train the prior again")
        self.card = next(iter(self.cards.values()))
        for name, card in self.cards.items():
            if card.traits != self.index.traits or card.shape != self.card.shape:
                raise InputMismatchError(
                    f"{self._model(name)}: is not of the traits and features that the folder "
                    "states; copy or train the prior again"
                )
        self.warnings: list[str] = []
        self._columns, self._tracks = self._select(features)
        self._micro_batch = micro_batch
        self._fold_of = self.index.fold_of
        self._kept_out = frozenset(self.index.kept_out)
        self._models: dict[str, SavedPrior] = {}

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds."""
        return tuple(self.cards)

    @property
    def needs_features(self) -> bool:
        """Whether the prior reads any."""
        return bool(self.card.shape.annotation_names or self.card.shape.track_names)

    @property
    def needs_frequency(self) -> bool:
        """Whether log f depends on allele frequency."""
        return self.card.config.freq_mode != "off"

    def trait_columns(self, names: Sequence[str]) -> list[int]:
        """Where traits are among the columns of the prior.

        Raises:
            UsageError: The prior has no such trait.
        """
        own = [trait.name for trait in self.index.traits]
        for name in names:
            if name not in own:
                raise UsageError(
                    f"traits: {self.folder} has no {name!r}, only {', '.join(own)}; give NAME=PATH "
                    "with one of these names"
                )
        return [own.index(name) for name in names]

    def test_of(self, block_id: str) -> str:
        """How a block is tested: one of `FOLDS`, `FINAL` and `IN_SAMPLE`."""
        if block_id in self._fold_of:
            return FOLDS
        return FINAL if block_id in self._kept_out else IN_SAMPLE

    def fold(self, block_id: str, in_sample: bool = False) -> str:
        """The fold whose test a block is; `mean` where there is none.

        Raises:
            UsageError: There is none, the block was not kept out of every fold either, and
                `in_sample` is false.
        """
        test = self.test_of(block_id)
        if test == FOLDS:
            return self._fold_of[block_id]
        if test == IN_SAMPLE and not in_sample:
            raise UsageError(
                f"{self.folder}: every model was fitted to block {block_id}, or knows nothing of "
                "it; train with --folds or --test_chrom and use the LD of the training, or pass "
                "--in_sample"
            )
        return MEAN

    def log_f(self, data: BlockData, in_sample: bool = False) -> Doubles:
        """Log f of a block by the fold that never saw it [n, T].

        Args:
            data: The block, its features those of the store given at the start.
            in_sample: Also where every fold saw the block.

        Raises:
            UsageError: As `fold`.
        """
        fold = self.fold(data.id, in_sample)
        features = Features(data.annotations, data.tracks)
        names = self.folds if fold == MEAN else (fold,)
        return np.asarray(self.log_f_by_fold(features, data.frequency, names).mean(axis=0))

    def sigma(self, block_id: str, in_sample: bool = False) -> Doubles:
        """Noise of every trait by the fold that never saw a block [T].

        Raises:
            UsageError: As `fold`.
        """
        fold = self.fold(block_id, in_sample)
        names = self.folds if fold == MEAN else (fold,)
        return np.exp(np.mean([np.log(self.cards[name].sigma) for name in names], axis=0))

    def log_f_by_fold(
        self, features: Features, frequency: npt.NDArray[Any], names: Sequence[str] = ()
    ) -> Doubles:
        """Log f of variants by some folds, or by all [folds, n, T].

        Args:
            features: In the columns of the feature store given at the start.
            frequency: Of the counted allele [n].
            names: Folds; all if empty.

        Raises:
            InputFormatError: A feature is infinite, or a frequency is not from 0 to 1.
        """
        names = names or self.folds
        n = len(frequency)
        values = np.empty((len(names), n, len(self.index.traits)), np.float64)
        for row, name in enumerate(names):
            for start in range(0, n, self._micro_batch):
                part = slice(start, start + self._micro_batch)
                values[row, part] = self._saved(name).log_f(
                    features.annotations[part][:, self._columns],
                    self._own_tracks(features, part),
                    frequency[part],
                )
        return values

    def filled(self) -> dict[str, int]:
        """Features that were missing now but never in training, and how many values so far."""
        total: dict[str, int] = {}
        for model in self._models.values():
            for name, n in model.n_filled.items():
                total[name] = max(total.get(name, 0), n)
        return total

    def _own_tracks(self, features: Features, part: slice) -> npt.NDArray[Any] | None:
        if not self._tracks.size or features.tracks is None:
            return None
        return np.asarray(features.tracks[part][:, :, self._tracks])

    def _model(self, fold: str) -> Path:
        return self.folder / "folds" / fold

    def _saved(self, fold: str) -> SavedPrior:
        if fold not in self._models:
            self._models[fold] = load_saved_prior(self._model(fold))
        return self._models[fold]

    def _select(
        self, features: FeatureStore | None
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Columns and tracks of the store that the models read, in their order."""
        if features is None:
            if self.needs_features:
                raise UsageError(
                    f"{self.folder}: reads {self.card.shape.n_annotations} annotations and "
                    f"{self.card.shape.n_tracks} tracks; give --features"
                )
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        if features.digest != self.index.features_digest and self.needs_features:
            self.warnings.append(
                f"{features.path}: is not the feature store of the training; its columns are "
                "taken by name"
            )
        return (
            select_features(self.card, features.annotation_names),
            select_tracks(self.card, features.track_names, features.length),
        )
