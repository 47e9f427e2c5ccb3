"""Small problems for the trainer: a known prior, blocks drawn from it."""

import numpy as np

from prior.small_blocks import panel_ld
from tfgen.prior.heads.head_config import FeatureShape, HeadConfig, TraitScale
from tfgen.prior.heads.prior_model import build_prior
from tfgen.prior.heads.standardise import Standardiser
from tfgen.prior.training.block_data import BlockData, MemoryBlocks, TraitRows

NAMES = ("a", "b", "c")


def draw(n_blocks=12, n=60, people=50, seed=0, logf=None, sigma=1.0, traits=1):
    """Blocks with three annotations; log f = logf(annotations), by default linear in the first."""
    rng = np.random.default_rng(seed)
    logf = logf or (lambda x: np.log(0.5) + 1.0 * x[:, 0])
    blocks = []
    for i in range(n_blocks):
        R = panel_ld(n, people, rng)
        values, vectors = np.linalg.eigh(R)
        kept = values > 1e-4
        Q = (np.sqrt(values[kept]) * vectors[:, kept]).T
        x = rng.normal(size=(n, 3)).astype(np.float32)
        rows = []
        for _ in range(traits):
            b = np.exp(0.5 * logf(x)) * rng.normal(size=n)
            y = Q @ b + np.sqrt(sigma) * rng.normal(size=len(Q))
            z = (vectors[:, kept] * np.sqrt(values[kept])) @ y
            rows.append(
                TraitRows(Q.astype(np.float32), y, n, R.astype(np.float32), z.astype(np.float32))
            )
        frequency = rng.uniform(0.05, 0.5, n).astype(np.float32)
        blocks.append(BlockData(f"block{i}", "22", x, frequency, tuple(rows)))
    return MemoryBlocks(blocks)


def make_model(source, arch="linear", traits=1, **options):
    shape = FeatureShape(NAMES)
    config = HeadConfig(arch=arch, **({"freq_mode": "off"} | options))
    batches = [(source.read(i).annotations, None) for i in range(len(source.sizes))]
    standardiser = Standardiser.fit(batches, shape)
    scales = [TraitScale(f"trait{i}", 1000.0, 1000.0) for i in range(traits)]
    model = build_prior(config, shape, scales, standardiser)
    model.set_start(0.5)
    return model
