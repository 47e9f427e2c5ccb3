"""The data of a study: LD blocks of a panel, and what is drawn on them. NumPy only."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError
from tfgen.prior.constant_fit import Spectrum
from tfgen.prior.heads.head_config import FeatureShape
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.simulation.simulate import simulate_block
from tfgen.prior.simulation.truths import TruthInputs, TruthKind, TruthSpec, fit_truth
from tfgen.prior.study.study_config import Setting, StudyConfig
from tfgen.prior.training.block_data import BlockData, MemoryBlocks, TraitRows
from tfgen.prior.training.folds import Fold, make_folds

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

_FEATURES, _EFFECTS = 0, 1  # purposes of random numbers
_CAUSAL = 3


@dataclass(frozen=True)
class StudyBlock:
    """An LD block, and its LD as LD-score regression wants it.

    Attributes:
        block: As the store has it.
        ld: R on the kept space [n, n].
    """

    block: LdBlock
    ld: Floats


@dataclass(frozen=True)
class StudyPanel:
    """The LD of a study.

    Attributes:
        blocks: All blocks, in genome order.
        fold: Which are learned from, held out and tested on.
    """

    blocks: tuple[StudyBlock, ...]
    fold: Fold


@dataclass(frozen=True)
class StudyData:
    """One simulated data set.

    Attributes:
        shape: Names of the annotations.
        blocks: Blocks for the likelihood.
        blocks_with_ld: The same for LD-score regression.
        logf: True log f by block [n].
        spectra: Blocks for the fit of a constant.
        mean_chisq: Mean z^2.
    """

    shape: FeatureShape
    blocks: MemoryBlocks
    blocks_with_ld: MemoryBlocks
    logf: tuple[Doubles, ...]
    spectra: tuple[Spectrum, ...]
    mean_chisq: float


def read_panel(path: Path, config: StudyConfig) -> StudyPanel:
    """Reads the LD of a study.

    Args:
        path: The LD store.
        config: Which chromosomes are tested on, how many blocks are held out.

    Raises:
        InputMismatchError: Blocks overlap, so that z-scores drawn block by block would not be those
            of one study.
        UsageError: A test chromosome has no block, or nothing is left to learn from.
    """
    blocks = []
    with LdStore(path) as store:
        for info in store.blocks:
            if info.w != info.n:
                raise InputMismatchError(
                    f"{path}: block {info.id} observes {info.w} of {info.n} variants; a study "
                    "needs blocks that do not overlap, build them with --blocks=bed"
                )
            block = store.read(info.id)
            blocks.append(StudyBlock(block, _root(block) @ block.q))
    empty = np.zeros(0, np.float32)
    sizes = MemoryBlocks(
        [
            BlockData(x.block.info.id, x.block.info.chrom, empty[:, None], empty, (_no_rows(x),))
            for x in blocks
        ]
    ).sizes
    (fold,) = make_folds(sizes, "none", config.test_chrom, config.held_out_share)
    return StudyPanel(tuple(blocks), fold)


def draw(panel: StudyPanel, config: StudyConfig, setting: Setting) -> StudyData:
    """Draws features, effects and z-scores.

    The features of a seed are the same for all truths and means, and so are the normal numbers
    behind effects and noise.

    Args:
        panel: The LD.
        config: Number of features, size of the truth.
        setting: The data set.
    """
    shape = FeatureShape(tuple(f"x{i + 1}" for i in range(config.n_features)))
    x = [
        _generator(setting, _FEATURES, i).standard_normal((b.block.info.n, config.n_features))
        for i, b in enumerate(panel.blocks)
    ]
    annotations = [part.astype(np.float32) for part in x]
    truth = fit_truth(_truth(config, setting, shape), shape, [TruthInputs(a) for a in annotations])
    logf = tuple(truth.log_f(a) for a in annotations)
    plain: list[BlockData] = []
    with_ld: list[BlockData] = []
    spectra = []
    total = count = 0.0
    for i, (one, values) in enumerate(zip(panel.blocks, logf, strict=True)):
        block = one.block
        drawn = simulate_block(block, values, 1.0, _generator(setting, _EFFECTS, i))
        rows = TraitRows(block.q, drawn.y, block.info.n)
        z = drawn.z.astype(np.float32)
        rows_with_ld = TraitRows(block.q, drawn.y, block.info.n, one.ld, z)
        frequency = np.full(block.info.n, 0.5, np.float32)  # not looked at
        for blocks, found in ((plain, rows), (with_ld, rows_with_ld)):
            data = BlockData(block.info.id, block.info.chrom, annotations[i], frequency, (found,))
            blocks.append(data)
        # With all variants observed Q = lambda^(1/2) U', so that Q Q' is diagonal.
        spectra.append(Spectrum(block.eigenvalues, drawn.y**2))
        total += float(drawn.z @ drawn.z)
        count += block.info.n
    return StudyData(
        shape, MemoryBlocks(plain), MemoryBlocks(with_ld), logf, tuple(spectra), total / count
    )


def _truth(config: StudyConfig, setting: Setting, shape: FeatureShape) -> TruthSpec:
    """Both truths read the same three annotations; log f has the same standard deviation."""
    names = shape.annotation_names[:_CAUSAL]
    kind: TruthKind = "ushape" if setting.truth == "ushape" else "linear"
    values = (1.0, 1.0) if kind == "ushape" else (1.0,) * _CAUSAL
    return TruthSpec(kind, names, values, sd=config.sd, mean_f=setting.mean_f)


def _generator(setting: Setting, purpose: int, block: int) -> np.random.Generator:
    seeds = np.random.SeedSequence(setting.seed, spawn_key=(purpose, block))
    return np.random.default_rng(seeds)


def _root(block: LdBlock) -> Floats:
    """H [w, k] with R_ww = H H'."""
    return np.asarray((block.p * block.eigenvalues.astype(np.float32)[:, None]).T)


def _no_rows(one: StudyBlock) -> TraitRows:
    """The size of a block without its numbers."""
    return TraitRows(one.block.q, np.zeros(one.block.info.k), one.block.info.n)
