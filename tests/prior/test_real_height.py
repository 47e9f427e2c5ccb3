"""UK Biobank height on chromosome 22 with a panel of 378 people, from files to posterior effects.

What must hold whatever the prior is worth there: the counts of alleles, which LD fits, that no fold
has seen its blocks, and that posteriors come only from LD that fits.
"""

import json

import numpy as np
import pytest

from tfgen.errors import InputMismatchError
from tfgen.prior.features.features import build_features
from tfgen.prior.features.features_config import FeaturesConfig
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.ld.build_ld import build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.check_ld import check_ld
from tfgen.prior.ld.check_ld_config import CheckLdConfig
from tfgen.prior.outputs.eval import evaluate_prior
from tfgen.prior.outputs.eval_config import EvalConfig
from tfgen.prior.outputs.posterior_config import PosteriorConfig
from tfgen.prior.outputs.posterior_table import write_posterior
from tfgen.prior.sumstats.munge import munge
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.train import train_prior
from tfgen.prior.training.train_config import TrainConfig

QTL = "header=no:chrom=9:pos=10:columns=12:transform=neglog10:agg=max"
KEPT, SHRUNK = (0.8, 0.9, 0.95, 0.995), (0.0, 0.1)


@pytest.fixture(scope="module")
def chain(shared_data, tmp_path_factory):
    """Statistics, LD in eight settings, and features."""
    folder = tmp_path_factory.mktemp("height")
    panel = shared_data("gwas_ld/height_chr22/1000G_eur_chr22.bim")
    summary = munge(
        MungeConfig(
            input=shared_data("gwas_ld/height_chr22/ukb_height_chr22.fastGWA.gz"),
            panel=panel,
            build="GRCh37",
            output=folder / "height.tsv.gz",
            progress="none",
        )
    )
    for kept in KEPT:
        for shrunk in SHRUNK:
            build_ld(
                BuildLdConfig(
                    bed=panel.with_suffix(".bed"),
                    blocks="bed",
                    block_file=shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed"),
                    variants=folder / "height.tsv.gz",
                    var_kept=kept,
                    shrink=shrunk,
                    output=folder / f"ld_{kept}_{shrunk}",
                    progress="none",
                )
            )
    ld = folder / "ld_0.8_0.0"
    qtl = shared_data("eqtl/geuvadis_qtltools/expected_qtltools_nominal_1e-3.nocov.txt.gz")
    genes = shared_data("predictions/gene_list.csv")
    build_features(
        FeaturesConfig(
            variants=ld,
            ld_store=ld,
            bigwig=(f"H={shared_data('bigwig/ENCFF826FLP.chr22.hg19.bw')}",),
            bigwig_transform="log1p",
            distance_to=(f"tss={genes}:header=no:chrom=2:pos=3",),
            table=(f"qtl={qtl}:{QTL}:region=22:16000000-36000000:absent=zero",),
            annot=(f"base={shared_data('gwas_ld/polyfun/annotations.22.annot.parquet')}",),
            maf=True,
            ld_score=True,
            build="GRCh37",
            output=folder / "features.h5",
            progress="none",
        )
    )
    return folder, summary


def train(folder, ld, arch, **fit):
    return train_prior(
        TrainConfig(
            ld=folder / ld,
            traits=(f"height={folder / 'height.tsv.gz'}",),
            features=folder / "features.h5",
            folds="blocks:4",
            output=folder / f"{arch}_{ld}",
            progress="none",
            head=HeadConfig(arch=arch),
            fit=FitOptions(**fit),
        )
    )


def evaluate(folder, ld, arch):
    evaluate_prior(
        EvalConfig(
            prior=folder / f"{arch}_{ld}",
            ld=folder / ld,
            traits=(f"height={folder / 'height.tsv.gz'}",),
            features=folder / "features.h5",
            output=folder / f"eval_{arch}_{ld}",
            progress="none",
        )
    )
    return json.loads((folder / f"eval_{arch}_{ld}" / "eval.json").read_text())


def posterior(folder, ld, arch):
    write_posterior(
        PosteriorConfig(
            prior=folder / f"{arch}_{ld}",
            ld=folder / ld,
            traits=(f"height={folder / 'height.tsv.gz'}",),
            features=folder / "features.h5",
            output=folder / f"{arch}_{ld}.tsv",
            progress="none",
        )
    )


def test_alleles_are_counted_as_an_independent_script_did(chain):
    _, summary = chain
    assert (summary.matches["same"], summary.matches["swapped"]) == (4402, 11533)
    assert summary.counts == {"PALINDROMIC": 981}
    assert (summary.kept_matches["same"], summary.kept_matches["swapped"]) == (4124, 10830)


@pytest.mark.large
def test_a_small_panel_fits_only_with_few_eigenvectors_or_shrinkage(chain):
    folder, _ = chain
    stores = tuple(str(folder / f"ld_{kept}_{s}") for kept in KEPT for s in SHRUNK)
    rows = check_ld(
        CheckLdConfig(ld=stores, traits=(f"h={folder / 'height.tsv.gz'}",), progress="none")
    )
    found = {(row.var_kept, row.shrink): row.mahalanobis_per_k for row in rows}
    assert found[0.995, 0.0] == pytest.approx(1.79, abs=0.02)
    assert found[0.9, 0.0] == pytest.approx(1.10, abs=0.02)
    assert found[0.995, 0.1] == pytest.approx(0.93, abs=0.02)
    assert found[0.8, 0.0] == pytest.approx(1.03, abs=0.02)
    verdicts = {(row.var_kept, row.shrink): row.verdict for row in rows}
    assert verdicts[0.995, 0.0] == "MISMATCH"
    assert verdicts[0.8, 0.0] == "OK"


@pytest.mark.large
@pytest.mark.parametrize("arch", ["linear", "mlp"])
def test_posterior_effects_come_from_ld_that_fits(chain, arch):
    folder, _ = chain
    train(folder, "ld_0.8_0.0", arch, sigma="trained", epochs=30)
    height = evaluate(folder, "ld_0.8_0.0", arch)["traits"]["height"]
    assert 0.9 < height["mahalanobis_per_k"] < 1.1
    assert {"no_effects", "constant"} <= set(height["gains"])
    posterior(folder, "ld_0.8_0.0", arch)
    lines = (folder / f"{arch}_ld_0.8_0.0.tsv").read_text().splitlines()
    assert len(lines) == 1 + 14954
    header = lines[0].split("\t")
    table = np.array([line.split("\t") for line in lines[1:]])
    sd = table[:, header.index("BETA_SD")].astype(float)
    assert (sd > 0).all()
    assert set(table[:, header.index("FOLD")]) == {f"group{i}" for i in range(4)}


@pytest.mark.large
def test_posterior_effects_are_refused_from_ld_that_does_not_fit(chain):
    folder, _ = chain
    train(folder, "ld_0.995_0.0", "linear", epochs=3)
    evaluate(folder, "ld_0.995_0.0", "linear")
    with pytest.raises(InputMismatchError, match="Mahalanobis/k is 1"):
        posterior(folder, "ld_0.995_0.0", "linear")
