import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from prior.small_stores import write_stores, write_trait
from tfgen.errors import InputMismatchError, OutputError, UsageError
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.heads.saved_prior import load_prior
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.prior_folder import PriorIndex
from tfgen.prior.training.train import train_prior
from tfgen.prior.training.train_config import TrainConfig

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    blocks, annotations = write_stores(folder)
    return folder, blocks, annotations


def config(folder, output, **changes):
    fit = FitOptions(**({"epochs": 3, "learning_rate": 0.02} | changes.pop("fit", {})))
    head = HeadConfig(**({"arch": "linear", "freq_mode": "off"} | changes.pop("head", {})))
    settings = {
        "ld": folder / "ld",
        "traits": (f"t={folder / 'trait.tsv.gz'}",),
        "features": folder / "features.h5",
        "folds": "blocks:4",
        "progress": "none",
    }
    return TrainConfig(output=output, head=head, fit=fit, **(settings | changes))


def weights(output, fold):
    model, _ = load_prior(output / "folds" / fold)
    return [variable.numpy() for variable in model.trainable_variables]


def test_a_run_leaves_a_prior_per_fold(stores, tmp_path):
    folder, blocks, _ = stores
    summary = train_prior(config(folder, tmp_path / "prior", tensorboard=True))
    index = PriorIndex.read(tmp_path / "prior")
    assert [fold.name for fold in index.folds] == [f"group{i}" for i in range(4)]
    assert index.fold_of[blocks[0].info.id] == "group0"
    assert set(index.fold_of) == {block.info.id for block in blocks}
    assert summary.n_parameters == 4
    assert summary.solver == "chol"
    assert not (tmp_path / "prior.partial").exists()
    files = {path.name for path in (tmp_path / "prior").iterdir()}
    assert {"folds", "prior.json", "log.csv", "run.json", "training.png", "tensorboard"} == files
    log = (tmp_path / "prior" / "log.csv").read_text().splitlines()
    assert log[0].startswith("fold,epoch,step,training_nll_per_z,held_out_nll_per_z")
    assert len(log) == 1 + 4 * 3
    assert list((tmp_path / "prior" / "tensorboard" / "group1").iterdir())
    report = json.loads((tmp_path / "prior" / "run.json").read_text())
    assert report["results"]["traits"]["t"]["counts"]["same"] == 320
    _, card = load_prior(tmp_path / "prior" / "folds" / "group2")
    assert card.build == "synthetic"
    assert card.traits[0].n_eff == 100_000
    assert card.traits[0].n_variants == 320


def test_noise_in_the_test_blocks_leaves_the_prior_of_their_fold_as_it_is(stores, tmp_path):
    folder, blocks, _ = stores
    train_prior(config(folder, tmp_path / "whole"))
    index = PriorIndex.read(tmp_path / "whole")
    from tfgen.prior.sumstats.munged import read_munged

    z = read_munged(folder / "trait.tsv.gz").z.copy()
    own = [i for i, block in enumerate(blocks) if index.fold_of[block.info.id] == "group1"]
    for i in own:
        z[40 * i : 40 * (i + 1)] = np.random.default_rng(9).normal(size=40) * 5
    write_trait(tmp_path / "noise.tsv.gz", blocks, z)
    train_prior(config(folder, tmp_path / "noisy", traits=(f"t={tmp_path / 'noise.tsv.gz'}",)))
    for name, same in (("group1", True), ("group0", False)):
        pairs = zip(
            weights(tmp_path / "whole", name), weights(tmp_path / "noisy", name), strict=True
        )
        assert all(np.array_equal(a, b) for a, b in pairs) == same


@pytest.mark.parametrize("objective", ["mll", "em", "ldsr"])
def test_every_objective_trains(stores, tmp_path, objective):
    folder, *_ = stores
    fit = {"objective": objective, "em_batch": 128}
    summary = train_prior(config(folder, tmp_path / "prior", fit=fit, folds="none"))
    assert np.isfinite(summary.folds[0].held_out_nll)


def test_several_traits_with_different_variants(stores, tmp_path):
    folder, blocks, _ = stores
    rng = np.random.default_rng(5)
    write_trait(tmp_path / "second.tsv.gz", blocks, rng.normal(size=320), missing=50)
    traits = (f"t={folder / 'trait.tsv.gz'}", f"u={tmp_path / 'second.tsv.gz'}")
    summary = train_prior(
        config(folder, tmp_path / "prior", traits=traits, folds="none", fit={"sigma": "trained"})
    )
    assert [trait.n_matched for trait in summary.traits] == [320, 270]
    assert len(summary.folds[0].sigma) == 2
    model, card = load_prior(tmp_path / "prior" / "folds" / "all")
    assert [trait.name for trait in card.traits] == ["t", "u"]


def test_a_constant_prior_needs_no_features(stores, tmp_path):
    folder, *_ = stores
    summary = train_prior(
        config(
            folder,
            tmp_path / "p",
            features=None,
            head={"arch": "constant"},
            test_chrom=("22",),
            folds="none",
        )
    )
    assert summary.n_parameters == 1
    assert summary.folds[0].n_test == 4
    with pytest.raises(UsageError, match="arch mlp needs --features"):
        config(folder, tmp_path / "p", features=None, head={"arch": "mlp"})


CHILD = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from prior.training.test_train import config
from tfgen.prior.training.train import train_prior
train_prior(config(Path({folder!r}), Path({output!r}), fit={{"epochs": 6, "patience": 0}}))
"""


def start_child(folder, output):
    code = CHILD.format(
        root=str(ROOT), tests=str(ROOT / "tests"), folder=str(folder), output=str(output)
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


def test_a_killed_run_resumes_to_the_same_prior_and_curve(stores, tmp_path):
    folder, *_ = stores
    fit = {"epochs": 6, "patience": 0}
    train_prior(config(folder, tmp_path / "whole", fit=fit))
    child = start_child(folder, tmp_path / "killed")
    state = tmp_path / "killed.partial" / "group1.state.npz"
    while not state.exists():
        assert child.poll() is None, child.stderr.read().decode()
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not (tmp_path / "killed").exists()
    train_prior(config(folder, tmp_path / "killed", fit=fit))
    for fold in ("group0", "group1", "group2", "group3"):
        pairs = zip(
            weights(tmp_path / "whole", fold), weights(tmp_path / "killed", fold), strict=True
        )
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert (tmp_path / "whole" / "log.csv").read_bytes() == (
        tmp_path / "killed" / "log.csv"
    ).read_bytes()


def test_work_begun_with_other_settings_is_refused(stores, tmp_path):
    folder, *_ = stores
    (tmp_path / "p.partial").mkdir()
    (tmp_path / "p.partial" / "run.json").write_text(
        '{"unfinished": "p", "attributes": {"folds": "chrom"}}'
    )
    (tmp_path / "p.partial" / "group0.state.npz").write_bytes(b"")
    with pytest.raises(OutputError, match="was begun with other settings"):
        train_prior(config(folder, tmp_path / "p"))
    train_prior(config(folder, tmp_path / "p", overwrite=True, folds="none"))


def test_an_output_that_exists_is_refused_before_training(stores, tmp_path):
    folder, *_ = stores
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.txt").write_text("")
    with pytest.raises(OutputError, match="holds something else"):
        train_prior(config(folder, tmp_path / "p"))
    assert not (tmp_path / "p.partial").exists()


def test_an_input_is_never_the_output(stores):
    folder, *_ = stores
    with pytest.raises(UsageError, match="ld"):
        train_prior(config(folder, folder / "ld", overwrite=True))


def test_what_does_not_converge_or_help_is_said(stores, tmp_path):
    folder, *_ = stores
    fit = {"epochs": 1, "learning_rate": 20.0, "warmup_steps": 0}
    summary = train_prior(config(folder, tmp_path / "p", folds="none", fit=fit))
    assert "training never improved the held-out likelihood" in " ".join(summary.warnings)
    assert np.isfinite(summary.folds[0].held_out_nll)
    summary = train_prior(config(folder, tmp_path / "q", folds="none", fit={"epochs": 1}))
    assert "still falling after 1 epochs" in " ".join(summary.warnings)
    assert summary.folds[0].clipped == 0


def test_variants_at_the_limit_of_the_head_are_counted(stores, tmp_path):
    folder, *_ = stores
    # N / M is 312, so that f of about 0.6, where training starts, has an h of -6.25.
    fit = {"learning_rate": 0.1, "epochs": 6, "patience": 0}
    head = {"clip": 6.4}
    summary = train_prior(config(folder, tmp_path / "q", folds="none", head=head, fit=fit))
    assert summary.folds[0].clipped > 0.01
    assert "of the variants lies at its limit" in " ".join(summary.warnings)


def test_a_trait_without_the_variants_of_the_store_stops_the_run(stores, tmp_path):
    folder, blocks, _ = stores
    from tfgen.genome import VariantTable
    from tfgen.prior.sumstats.munged import MungedStats, write_munged

    table = VariantTable.of(["7"], [5], ["A"], ["G"])
    write_munged(tmp_path / "x.tsv.gz", MungedStats(table, np.ones(1), np.ones(1)))
    with pytest.raises(InputMismatchError, match="no variant of"):
        train_prior(config(folder, tmp_path / "p", traits=(f"t={tmp_path / 'x.tsv.gz'}",)))
