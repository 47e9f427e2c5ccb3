"""What was found in every block, kept on disk at once, so that a killed run goes on.

Reading a block, and its likelihood in float64, are what takes time; the rest is done again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen import __version__
from tfgen.io.pieces import PartialRun
from tfgen.io.shards import RowRange
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.trained_prior import TrainedPrior
from tfgen.prior.training.block_data import BlockData
from tfgen.prior.training.disk_blocks import DiskBlocks

Arrays = dict[str, npt.NDArray[Any]]

_NAMES, _WITHOUT = "names", "without_features"


class BlockPieces:
    """Arrays of every block, from a former run or computed now.

    Args:
        source: The blocks.
        partial: Where arrays are kept; None keeps them nowhere.
        overwrite: Discard the work of a run with other settings.

    Attributes:
        n_without_features: Variants without features of the blocks asked for so far.
        n_resumed: Blocks that a former run had done.

    Raises:
        OutputError: A run with other settings left its work there, or it cannot be written.
    """

    def __init__(
        self, source: DiskBlocks, partial: PartialRun | None = None, overwrite: bool = False
    ) -> None:
        self._source, self._partial = source, partial
        done = partial.open(overwrite) if partial is not None else []
        self._done = {rows.start for rows in done}
        self.n_without_features = 0
        self.n_resumed = len(self._done)

    def get(self, index: int, compute: Callable[[BlockData], Arrays]) -> Arrays:
        """The arrays of a block.

        Args:
            index: Its place in the source.
            compute: Gives them from the block, if no run has done so yet; no objects.

        Raises:
            OutputError: They cannot be written.
        """
        rows = RowRange(index, index + 1)
        if self._partial is not None and index in self._done:
            (names,) = self._partial.read(rows, (_NAMES,)).values()
            arrays = self._partial.read(rows, (*names.tolist(), _WITHOUT))
            self.n_without_features += int(arrays.pop(_WITHOUT))
            return arrays
        before = self._source.n_without_features
        arrays = compute(self._source.read(index))
        without = self._source.n_without_features - before
        self.n_without_features += without
        if self._partial is not None:
            names = np.array(list(arrays), np.str_)
            self._partial.save(rows, {**arrays, _NAMES: names, _WITHOUT: np.int64(without)})
        return arrays


def partial_run(
    output: Path,
    prior: TrainedPrior,
    store: LdStore,
    features: FeatureStore | None,
    statistics: Mapping[str, str],
    settings: Mapping[str, object],
) -> PartialRun:
    """The folder for the pieces of a run.

    Args:
        output: The final file or directory.
        prior: The prior.
        store: The LD.
        features: The features.
        statistics: SHA-256 of the statistics of every trait.
        settings: What else determines the numbers, in the types of JSON.
    """
    import tensorflow as tf

    index = json.dumps(prior.index.to_json(), sort_keys=True)
    attributes = {
        **settings,
        "prior": hashlib.sha256(index.encode()).hexdigest(),
        "models": {name: card.digest for name, card in prior.cards.items()},
        "ld": store.digest,
        "features": features.digest if features is not None else "",
        "statistics": dict(statistics),
        "tfgen": __version__,
        "tensorflow": tf.__version__,
    }
    return PartialRun(output, attributes)
