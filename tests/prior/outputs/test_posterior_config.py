from pathlib import Path

import pytest

from tfgen.prior.outputs.posterior_config import PosteriorConfig


def test_mismatch_and_double_use_of_data_must_be_asked_for():
    with pytest.raises(TypeError, match="prior"):
        PosteriorConfig()
    config = PosteriorConfig(prior=Path("p"), ld=Path("l"), traits=("t",), output=Path("o.gz"))
    assert not config.allow_mismatch
    assert not config.in_sample
