from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.prior.outputs.score_config import ScorePriorConfig

NEEDED = {"prior": Path("p"), "variants": Path("v"), "output": Path("x.gz")}


def test_three_settings_are_enough():
    config = ScorePriorConfig(**NEEDED)
    assert config.constrain
    assert config.max_ratio == 100


@pytest.mark.parametrize(
    ("name", "value"), [("max_ratio", 0.5), ("max_rejected_fraction", 1.5), ("micro_batch", 0)]
)
def test_values_without_a_meaning_are_refused(name, value):
    with pytest.raises(UsageError, match=f"{name} is {value}; expected"):
        ScorePriorConfig(**NEEDED, **{name: value})
