"""A study on the disk, from which priors are trained: LD, features and statistics of two traits.

Effects are drawn from a known prior: log f is larger where the annotation `dhs` is 1.
"""

import atexit
import functools
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prior.small_blocks import panel_ld
from tfgen.genome import VariantTable
from tfgen.prior.features.feature_store import FeatureSchema, write_feature_store
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.sumstats.munged import MungedStats, write_munged
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.train_config import TrainConfig

CHROMS = ("20", "21", "22")
N_BLOCKS, N, FLANK = 4, 60, 10
N_EFF = 1000.0


@dataclass(frozen=True)
class Study:
    """Paths of a study, and what it was drawn from.

    Attributes:
        folder: Where everything is.
        blocks: The LD blocks, float64 Q.
        logf: Log f of every variant of every block, by block.
        z: z-scores of the centre of every block.
    """

    folder: Path
    blocks: tuple
    logf: dict
    z: dict

    @property
    def ld(self):
        return self.folder / "ld"

    @property
    def features(self):
        return self.folder / "features.h5"

    @property
    def height(self):
        return self.folder / "height.tsv.gz"

    def traits(self, *names):
        return tuple(f"{name}={self.folder / name}.tsv.gz" for name in names or ("height",))


class Rows:
    """Features in the memory."""

    def __init__(self, annotations):
        self._annotations = annotations

    def read(self, columns, start, stop):
        return {"annotations": self._annotations[start:stop]}


def make_block(chrom, number, rng, people=400, flank=FLANK, rho=0.5):
    """A block of N variants every 10 bases; its middle is observed."""
    R = panel_ld(N, people, rng, rho)
    start = number * 10 * N
    centre = np.zeros(N, bool)
    centre[flank : N - flank] = True
    values, vectors = np.linalg.eigh(R[np.ix_(centre, centre)])
    kept = values > 1e-4
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    p = (vectors / np.sqrt(values)).T
    table = VariantTable.of(
        [chrom] * N,
        start + 10 * np.arange(N) + 5,
        ["A"] * N,
        ["G"] * N,
        [f"rs{chrom}_{number}_{i}" for i in range(N)],
        rng.uniform(0.05, 0.95, N),
    )
    info = BlockInfo(
        f"chr{chrom}_{start}_{start + 10 * N}",
        chrom,
        start,
        start + 10 * N,
        start + 10 * flank,
        start + 10 * (N - flank),
        N,
        int(centre.sum()),
        len(values),
        0.0,
    )
    q = (p @ R[centre]).astype(np.float32)
    return LdBlock(info, table, centre, q, p.astype(np.float32), values)


def draw_z(block, logf, sigma, rng):
    """z-scores of the centre from the model."""
    b = np.exp(0.5 * logf) * rng.normal(size=block.info.n)
    y = block.q @ b + np.sqrt(sigma) * rng.normal(size=block.info.k)
    return (block.p * block.eigenvalues[:, None]).T @ y


def joined(tables):
    columns = vars(tables[0])
    return VariantTable(**{k: np.concatenate([getattr(t, k) for t in tables]) for k in columns})


def make_study(folder, seed=0, sigma=1.0, strength=3.0, mean_log_f=0.5):
    """Writes LD, features and the statistics of `height` and `bmi` (noise only)."""
    rng = np.random.default_rng(seed)
    blocks = [make_block(chrom, i, rng) for chrom in CHROMS for i in range(N_BLOCKS)]
    save_ld_store(
        folder / "ld", {"build": "GRCh37", "panel": "toy", "var_kept": 1.0, "shrink": 0.0}, blocks
    )
    everything = joined([block.variants for block in blocks])
    annotations = np.stack(
        [
            rng.random(len(everything)) < 0.3,
            rng.normal(size=len(everything)),
            np.where(rng.random(len(everything)) < 0.1, np.nan, 1.0),
        ],
        axis=1,
    ).astype(np.float32)
    schema = FeatureSchema(("dhs", "noise", "gaps"), build="GRCh37", run_digest="x")
    write_feature_store(folder / "features.h5", schema, everything, Rows(annotations))
    logf, z = {}, {}
    for i, block in enumerate(blocks):
        dhs = annotations[i * N : (i + 1) * N, 0]
        logf[block.info.id] = mean_log_f + strength * (dhs - 0.3)
        z[block.info.id] = draw_z(block, logf[block.info.id], sigma, rng)
    observed = joined([block.variants.take(block.in_centre) for block in blocks])
    heights = np.concatenate([z[block.info.id] for block in blocks])
    sizes = np.full(len(observed), N_EFF)
    sizes[::2] -= 0.5
    write_munged(folder / "height.tsv.gz", MungedStats(observed, heights, sizes))
    noise = [draw_z(block, np.full(N, -40.0), sigma, rng) for block in blocks]
    write_munged(folder / "bmi.tsv.gz", MungedStats(observed, np.concatenate(noise), sizes))
    return Study(folder, tuple(blocks), logf, z)


def train(study, name, folds="chrom", traits=("height",), features=True, **options):
    """Trains a small prior into the folder of the study, unless it is there."""
    from tfgen.prior.training.train import train_prior

    output = study.folder / name
    if not output.exists():
        head = {"arch": "linear" if features else "constant", "freq_mode": "fixed"}
        head |= options.pop("head", {})
        fit = {"epochs": 12, "learning_rate": 0.1, "warmup_steps": 2, "blocks_per_step": 2}
        fit |= options.pop("fit", {})
        train_prior(
            TrainConfig(
                ld=study.ld,
                traits=study.traits(*traits),
                output=output,
                features=study.features if features else None,
                folds=folds,
                progress="none",
                head=HeadConfig(**head),
                fit=FitOptions(**fit),
                **options,
            )
        )
    return output


def of_format_1_0(prior, folder):
    """A copy of a trained prior as it was written before blocks had their places in it."""
    shutil.copytree(prior, folder)
    index = json.loads((folder / "prior.json").read_text())
    del index["kept_out"], index["blocks"]
    (folder / "prior.json").write_text(json.dumps({**index, "format_version": "1.0"}))
    return folder


@functools.cache
def shared_study():
    """One study for all tests of a process, with its trained priors."""
    folder = Path(tempfile.mkdtemp(prefix="tfgen-study-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_study(folder)
