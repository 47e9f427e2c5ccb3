import pytest

from tfgen.errors import UsageError
from tfgen.prior.fetch.fetch_config import FetchConfig
from tfgen.prior.fetch.recipe import group_names


@pytest.mark.parametrize("action", ["dry_run", "download"])
def test_one_action_with_a_folder(tmp_path, action):
    config = FetchConfig(**{action: True}, output=tmp_path)
    assert config.groups == group_names()
    assert config.mirrors == {}


def test_a_list_needs_no_folder():
    assert FetchConfig(list=True, group=("phylo", "ukb_ld")).groups == ("ukb_ld", "phylo")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "give one of --list, --dry_run and --download, not none of them"),
        ({"list": True, "download": True}, "not --list and --download"),
        ({"download": True}, "--download needs --output=FOLDER"),
        ({"dry_run": True}, "--dry_run needs --output=FOLDER"),
        ({"list": True, "group": ("phylos",)}, "group 'phylos' is unknown; use ld_blocks, ukb_ld"),
        ({"list": True, "chroms": ("X",)}, "chroms 'X' is unknown; use 1, 2"),
        ({"list": True, "max_gb": 0.0}, "max_gb is 0.0; expected more than 0"),
        ({"list": True, "max_gb": float("nan")}, "max_gb is nan"),
        ({"list": True, "jobs": 0}, "jobs is 0; expected 1 to 32"),
        ({"list": True, "jobs": 33}, "jobs is 33"),
        ({"list": True, "progress": "fast"}, "progress is 'fast'; use one of auto"),
        ({"list": True, "mirror": ("phylo",)}, "mirror 'phylo': expected GROUP=URL"),
        ({"list": True, "mirror": ("x=https://e.org",)}, "expected GROUP=URL with a group of"),
        ({"list": True, "mirror": ("phylo=http://e.org",)}, "http is refused; use https"),
    ],
)
def test_what_has_no_meaning_is_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        FetchConfig(**fields)


def test_mirrors_end_with_a_slash():
    config = FetchConfig(
        list=True, mirror=("phylo=http://127.0.0.1:8000/a", "encode=https://e.org/")
    )
    assert config.mirrors == {"phylo": "http://127.0.0.1:8000/a/", "encode": "https://e.org/"}
