from pathlib import Path

import pytest

from tfgen.prior.outputs.eval_config import EvalConfig


def test_four_settings_are_needed():
    with pytest.raises(TypeError, match="prior"):
        EvalConfig()
    config = EvalConfig(prior=Path("p"), ld=Path("l"), traits=("a=b",), output=Path("o"))
    assert not config.in_sample
    assert config.features is None
