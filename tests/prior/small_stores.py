"""Files that a training run reads, small and with a known prior."""

import numpy as np

from prior.small_blocks import panel_ld
from tfgen.genome import VariantTable
from tfgen.prior.features.feature_store import FeatureSchema, write_feature_store
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.sumstats.munged import MungedStats, write_munged

N_EFF = 100_000
NAMES = ("a", "b", "c")


class Arrays:
    """Rows of features as `write_feature_store` reads them."""

    def __init__(self, **columns):
        self.columns = columns

    def read(self, names, start, stop):
        return {name: self.columns[name][start:stop] for name in names}


def logf_of(x):
    return np.log(0.5) + x[:, 0]


def make_blocks(n_blocks=8, n=40, people=60, seed=0, chroms=("21", "22")):
    """Blocks side by side; returns them with the annotations of their variants."""
    rng = np.random.default_rng(seed)
    blocks = []
    for i in range(n_blocks):
        chrom = chroms[i * len(chroms) // n_blocks]
        R = panel_ld(n, people, rng)
        values, vectors = np.linalg.eigh(R)
        kept = values > 1e-4
        values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
        p = (vectors / np.sqrt(values)).T
        start = 10_000 * i
        pos = start + 1 + np.sort(rng.choice(9_000, n, replace=False))
        variants = VariantTable.of(
            [chrom] * n,
            pos,
            ["A"] * n,
            ["C"] * n,
            [f"rs{i}_{j}" for j in range(n)],
            rng.uniform(0.05, 0.5, n),
        )
        info = BlockInfo(
            f"chr{chrom}_{start}_{start + 10_000}",
            chrom,
            start,
            start + 10_000,
            start,
            start + 10_000,
            n,
            n,
            len(values),
            0.0,
        )
        q, p = (p @ R).astype(np.float32), p.astype(np.float32)
        blocks.append(LdBlock(info, variants, np.ones(n, bool), q, p, values))
    annotations = rng.normal(size=(n_blocks * n, 3)).astype(np.float32)
    return blocks, annotations


def draw_z(blocks, annotations, rng, logf=logf_of, sigma=1.0):
    """z-scores of all variants."""
    z, start = [], 0
    for block in blocks:
        n = block.info.n
        b = np.exp(0.5 * logf(annotations[start : start + n])) * rng.normal(size=n)
        y = block.q @ b + np.sqrt(sigma) * rng.normal(size=block.info.k)
        z.append((block.p * block.eigenvalues[:, None]).T @ y)
        start += n
    return np.concatenate(z)


def all_variants(blocks):
    columns = [vars(block.variants) for block in blocks]
    return VariantTable(**{name: np.concatenate([c[name] for c in columns]) for name in columns[0]})


def write_stores(folder, seed=0, missing=0, length=0, **options):
    """Writes ld/, features.h5 and trait.tsv.gz; returns the blocks and their annotations.

    With a `length` the features have two tracks of so many positions.
    """
    blocks, annotations = make_blocks(seed=seed, **options)
    save_ld_store(folder / "ld", {"build": "synthetic"}, blocks, q_dtype="float32")
    variants = all_variants(blocks)
    rng = np.random.default_rng([seed, 1])
    columns, tracks = {"annotations": annotations}, {}
    if length:
        columns["tracks"] = rng.normal(size=(len(variants), length, 2)).astype(np.float16)
        bins = tuple((i - length // 2, i - length // 2 + 1) for i in range(length))
        tracks = {"track_names": ("u", "v"), "bins": bins}
    write_feature_store(
        folder / "features.h5",
        FeatureSchema(NAMES, (False,) * 3, build="synthetic", **tracks),
        variants,
        Arrays(**columns),
    )
    write_trait(folder / "trait.tsv.gz", blocks, draw_z(blocks, annotations, rng), missing)
    return blocks, annotations


def write_trait(path, blocks, z, missing=0):
    """Munged statistics without the first `missing` variants."""
    variants = all_variants(blocks)
    rows = np.arange(missing, len(z))
    write_munged(path, MungedStats(variants.take(rows), z[rows], np.full(len(rows), float(N_EFF))))
