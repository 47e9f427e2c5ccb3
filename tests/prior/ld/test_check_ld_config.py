import pytest

from tfgen.errors import UsageError
from tfgen.prior.ld.check_ld_config import CheckLdConfig


@pytest.mark.parametrize("stores", [(), ("a", "b", "a")])
def test_stores_are_given_once_each(stores):
    with pytest.raises(UsageError, match="one or more LD stores, each once"):
        CheckLdConfig(ld=stores, traits=("t",))
    assert CheckLdConfig(ld=("a", "b"), traits=("t",)).output is None
