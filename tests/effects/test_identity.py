"""The attributes of a store change with what determines the scores, and with nothing else."""

import shutil

import h5py
import pytest

from effects.toy_engines import SumEngine, factory
from tfgen.effects import score_variants

SAME = (
    {"max_rejected_fraction": 1.0},
    {"verify_fraction": 1.0},
    {"seed": 7},
    {"on_bad_record": "error"},
)
OTHER = (
    ({"float16": True}, {"float16"}),
    ({"max_indel": 3}, {"max_indel"}),
    ({"ref_policy": "swap"}, {"ref_policy"}),
    ({"windows": "shared"}, {"windows"}),
    ({"max_n_fraction": 0.25}, {"max_n_fraction"}),
    ({"statistics": ("SAD",)}, {"statistics"}),
    ({"rows": "0:2"}, {"row_stop"}),
)


def attributes(world, vcf, **settings):
    config = world.config(vcf, **{"overwrite": True, **settings})
    score_variants(config, factory(SumEngine(statistics=config.statistics)))
    with h5py.File(config.output) as store:
        return dict(store.attrs)


def differing(first, second):
    return {name for name in {**first, **second} if first.get(name) != second.get(name)}


@pytest.mark.parametrize("settings", SAME, ids=str)
def test_settings_that_move_no_score_leave_the_attributes_alone(world, settings):
    vcf = world.snvs(3)
    assert attributes(world, vcf) == attributes(world, vcf, **settings)


@pytest.mark.parametrize(("settings", "names"), OTHER, ids=str)
def test_settings_that_can_move_a_score_are_attributes(world, settings, names):
    vcf = world.snvs(3)
    assert differing(attributes(world, vcf), attributes(world, vcf, **settings)) == names


def test_inputs_are_known_by_their_contents_and_not_by_their_paths(world):
    vcf = world.snvs(3)
    copy = world.folder / "copy.vcf"
    shutil.copy(vcf, copy)
    assert attributes(world, vcf) == attributes(world, copy)
    copy.write_text(copy.read_text().replace("v1", "x1"))
    assert differing(attributes(world, vcf), attributes(world, copy)) == {"vcf_sha256"}
