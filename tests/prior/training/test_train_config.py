import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.prior.heads.head_config import HeadConfig
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.train_config import TrainConfig

CONFIG = TrainConfig(
    ld=Path("ld"), traits=("t=t.tsv.gz",), output=Path("prior"), features=Path("features.h5")
)

DECIDING = {
    "folds": "chrom",
    "test_chrom": ("22",),
    "held_out_share": 0.3,
    "n_variants": 7,
    "head": HeadConfig(arch="mlp"),
    "fit": FitOptions(seed=3),
}
NOT_DECIDING = {
    "strategy": "mirrored",
    "replicas": 3,
    "tensorboard": True,
    "cache_gb": 1.0,
    "overwrite": True,
    "progress": "none",
}


@pytest.mark.parametrize("arch", ["linear", "mlp"])
def test_only_a_constant_prior_needs_no_features(arch):
    with pytest.raises(UsageError, match=f"arch {arch} needs --features; give a feature store or"):
        replace(CONFIG, features=None, head=HeadConfig(arch=arch))
    assert replace(CONFIG, features=None, head=HeadConfig(arch="constant")).features is None


@pytest.mark.parametrize("name", DECIDING)
def test_what_decides_the_result_is_kept_with_it(name):
    changed = replace(CONFIG, **{name: DECIDING[name]})
    assert json.loads(json.dumps(changed.deciding())) != json.loads(json.dumps(CONFIG.deciding()))


@pytest.mark.parametrize("name", NOT_DECIDING)
def test_devices_and_display_do_not_decide_the_result(name):
    assert replace(CONFIG, **{name: NOT_DECIDING[name]}).deciding() == CONFIG.deciding()


def test_every_setting_decides_or_does_not():
    inputs = {"ld", "traits", "output", "features"}  # by the digest of what they hold
    assert {field.name for field in fields(TrainConfig)} == {*DECIDING, *NOT_DECIDING, *inputs}


def test_every_setting_has_the_help_of_its_flag():
    for field in fields(TrainConfig):
        assert f"{field.name}: " in TrainConfig.__doc__
        if field.name not in {"head", "fit"}:
            assert field.metadata["help"].endswith("."), field.name
