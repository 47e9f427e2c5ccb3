"""Blocks as they lie on disk: LD, traits and features, joined when they are read."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable
from tfgen.prior.features.feature_store import Features, FeatureStore
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.projection import Projection, observed_ld, project
from tfgen.prior.training.block_data import BlockData, BlockSize, TraitRows
from tfgen.prior.training.traits import Trait

_CACHE_BYTES = 4 << 30


class DiskBlocks:
    """A `BlockSource` over an LD store, a feature store and traits.

    Blocks are kept in the memory while they fit; what is expensive to find out (projections of
    traits with missing z-scores) is found out once.

    Args:
        store: The LD.
        features: The features, or None for a prior without any.
        traits: The traits; their order is that of the prior's columns.
        with_ld: Also give the LD of the observed variants, for LD-score regression.
        cache_bytes: Memory for blocks that were read, and as much as a quarter of it for the
            rotations of traits with missing z-scores.
        needs_frequency: Whether the prior reads allele frequencies; if not, unknown ones are given
            as one half.

    Attributes:
        n_without_features: Variants of blocks read so far that the feature store does not have.

    Raises:
        InputMismatchError: No block of the store has a z-score, or a variant has no frequency.
    """

    def __init__(
        self,
        store: LdStore,
        features: FeatureStore | None,
        traits: Sequence[Trait],
        with_ld: bool = False,
        cache_bytes: int = _CACHE_BYTES,
        needs_frequency: bool = True,
    ) -> None:
        self._store, self._features, self._traits = store, features, tuple(traits)
        self._with_ld, self._cache_bytes = with_ld, cache_bytes
        self._needs_frequency = needs_frequency
        self._cache: OrderedDict[int, BlockData] = OrderedDict()
        self._cached = 0
        # A reader thread and the evaluation may ask at once, and HDF5 files are not shared safely.
        self._lock = threading.Lock()
        self._projections: dict[int, tuple[Projection, ...]] = {}
        self._rotation_bytes = 0
        self._without: dict[int, int] = {}
        self.sizes: tuple[BlockSize, ...] = tuple(
            BlockSize(
                info.id, info.chrom, info.n, info.k, self._observed(info.id), info.start, info.end
            )
            for info in store.blocks
        )
        if not any(size.n_observed for size in self.sizes):
            raise InputMismatchError(f"{store.path}: no block has a z-score of the traits")

    @property
    def n_without_features(self) -> int:
        """Variants of the blocks read so far without features."""
        return sum(self._without.values())

    def read(self, index: int) -> BlockData:
        """One block.

        Raises:
            InputMismatchError: A variant has no allele frequency.
        """
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
            data = self._load(index)
            size = _bytes(data)
            while self._cache and self._cached + size > self._cache_bytes:
                self._cached -= _bytes(self._cache.popitem(last=False)[1])
            if size <= self._cache_bytes:
                self._cache[index] = data
                self._cached += size
            return data

    def read_inputs(self, index: int) -> dict[str, Any]:
        """What a prior takes of a block; its LD is not read.

        Raises:
            InputMismatchError: A variant has no allele frequency.
        """
        with self._lock:
            if index in self._cache:
                return self._cache[index].inputs()
            variants, _ = self._store.read_variants(self.sizes[index].id)
            features = self._features_of(variants, index)
            frequency = self._frequency(variants, index)
        info = self.sizes[index]
        return BlockData(
            info.id, info.chrom, features.annotations, frequency, (), features.tracks
        ).inputs()

    def _observed(self, block_id: str) -> int:
        return sum(int(np.count_nonzero(~np.isnan(trait.z[block_id]))) for trait in self._traits)

    def _load(self, index: int) -> BlockData:
        block = self._store.read(self.sizes[index].id)
        pairs = zip(self._traits, self._projected(block, index), strict=True)
        rows = tuple(self._rows(block, trait, projection) for trait, projection in pairs)
        features = self._features_of(block.variants, index)
        frequency = self._frequency(block.variants, index)
        return BlockData(
            block.info.id, block.info.chrom, features.annotations, frequency, rows, features.tracks
        )

    def _projected(self, block: LdBlock, index: int) -> tuple[Projection, ...]:
        """The traits in the coordinates of a block; kept while their rotations are few."""
        if index in self._projections:
            return self._projections[index]
        found = tuple(project(block, trait.z[block.info.id]) for trait in self._traits)
        size = sum(0 if x.rotation is None else x.rotation.nbytes for x in found)
        if self._rotation_bytes + size <= self._cache_bytes // 4:
            self._projections[index] = found
            self._rotation_bytes += size
        return found

    def _frequency(self, variants: VariantTable, index: int) -> npt.NDArray[np.float32]:
        frequency = variants.af.astype(np.float32)
        unknown = np.isnan(frequency)
        if unknown.any() and self._needs_frequency:
            row = int(np.flatnonzero(unknown)[0])
            raise InputMismatchError(
                f"block {self.sizes[index].id}: {variants.label(row)} has no allele frequency; "
                "build the LD with frequencies (--variants of munged statistics gives them), or "
                "train with --freq_mode=off"
            )
        frequency[unknown] = 0.5
        return frequency

    def _rows(self, block: LdBlock, trait: Trait, projection: Projection) -> TraitRows:
        q = projection.rotate(block.q)
        if not self._with_ld:
            return TraitRows(q, projection.y, projection.n_observed)
        z = trait.z[block.info.id][projection.observed].astype(np.float32)
        return TraitRows(q, projection.y, projection.n_observed, observed_ld(block, projection), z)

    def _features_of(self, variants: VariantTable, index: int) -> Features:
        if self._features is None:
            return Features(np.zeros((len(variants), 0), np.float32), None)
        features, found = self._features.read_for(variants)
        self._without[index] = int(np.count_nonzero(~found))
        return features


def _bytes(data: BlockData) -> int:
    total = data.annotations.nbytes + data.frequency.nbytes
    total += 0 if data.tracks is None else data.tracks.nbytes
    for trait in data.traits:
        total += trait.q.nbytes + (0 if trait.ld is None else trait.ld.nbytes)
    return total
