import dataclasses

import numpy as np
import pytest

from tfgen.errors import UsageError
from tfgen.synthetic.gwas_config import PURPOSES, QUICK, GwasConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"truth": "cubic"}, "truth is 'cubic'; use one of linear, ushape, null"),
        ({"chromosomes": 0}, "chromosomes is 0; expected 1 to 22"),
        ({"sigma": 0.0}, "sigma is 0.0; expected 0.01 to inf"),
        ({"panel_people": 2000}, "expected no more than people, 1200"),
        ({"panel_people": 5}, "expected 20 or more, or 0"),
        ({"variants": 100}, "block_variants is 220; expected no more than variants, 100"),
    ],
)
def test_values_out_of_range_are_usage_errors(settings, message):
    with pytest.raises(UsageError, match=message):
        GwasConfig(**settings)


def test_the_panel_is_everybody_or_the_first_people():
    assert GwasConfig().n_panel == 1200
    assert GwasConfig(panel_people=300).n_panel == 300


def test_every_purpose_and_chromosome_has_random_numbers_of_its_own():
    config = GwasConfig()
    draws = [g.random() for purpose in PURPOSES for g in config.generators(purpose)]
    assert len(set(draws)) == len(PURPOSES) * 4
    again = GwasConfig(chromosomes=2).generators("panel")
    np.testing.assert_array_equal([g.random() for g in again], draws[:2])


def test_the_quick_world_is_smaller():
    usual = GwasConfig()
    assert QUICK.chromosomes * QUICK.variants < usual.chromosomes * usual.variants / 2
    assert dataclasses.replace(QUICK, seed=3).people == QUICK.people
