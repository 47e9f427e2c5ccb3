"""The recipe: what it lists, and that its commands exist."""

import gzip
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError
from tfgen.io.remote import require_safe_url
from tfgen.prior.fetch import recipe as recipe_module
from tfgen.prior.fetch.recipe import check_relative_path, group_names, ld_windows, recipe

ROOT = Path(__file__).resolve().parents[3]
GROUPS = [recipe()[name] for name in group_names()]


def names(groups):
    return [group.name for group in groups]


def test_the_groups_have_their_order():
    assert group_names() == (
        "ld_blocks",
        "ukb_ld",
        "baselineLF",
        "phylo",
        "phylo_grch37",
        "fantom",
        "fantom_all",
        "encode",
        "encode_more",
        "ukbb_sumstats",
        "dbnsfp",
    )


@pytest.mark.parametrize("group", GROUPS, ids=names(GROUPS))
def test_a_group_says_all_that_a_user_needs(group):
    assert group.title
    assert group.terms.endswith(".")
    assert group.build in ("GRCh37", "GRCh38")
    assert "{folder}" in group.then
    ways = [bool(group.manual), bool(group.entries), bool(group.index), bool(group.search)]
    assert ways.count(True) == 1
    assert bool(group.manual) == (group.access != "none")
    if not group.manual:
        require_safe_url(group.base)
        assert group.base.endswith("/")
    paths = [entry.path for entry in group.entries]
    assert len(set(paths)) == len(paths)
    assert all("," not in path and ":" not in path for path in paths)


@pytest.mark.parametrize("group", GROUPS, ids=names(GROUPS))
def test_sizes_and_checksums_are_known_or_said_to_be_unknown(group):
    for entry in group.entries:
        assert entry.size is None or entry.size > 0
        assert entry.about == "" or entry.about.startswith("about ")
        if entry.checksum:
            assert re.fullmatch("[0-9a-f]{64}", entry.checksum.value)


def test_fifteen_conservation_tracks_with_tables_of_checksums():
    # The conservation tracks of GRCh38 at UCSC.
    depths = {
        "phyloP": (447, 470, 100, 30, 20, 17, 7, 4),
        "phastCons": (470, 100, 30, 20, 17, 7, 4),
    }
    tracks = [f"{kind}{depth}way" for kind in depths for depth in depths[kind]]
    entries = recipe()["phylo"].entries
    assert [entry.url for entry in entries] == [f"{track}/hg38.{track}.bw" for track in tracks]
    assert [entry.md5sums for entry in entries] == [f"{track}/md5sum.txt" for track in tracks]


def test_the_windows_are_those_of_the_published_list(shared_data):
    # ukb_regions.tsv.gz of PolyFun: CHR START END URL_PREFIX, 2,763 windows.
    lines = gzip.open(shared_data("gwas_ld/polyfun/ukb_regions.tsv.gz"), "rt").read().splitlines()
    prefixes = [line.split("\t")[3] for line in lines[1:]]
    group = recipe()["ukb_ld"]
    urls = [group.base + entry.url for entry in group.entries]
    assert urls == [prefix + end for prefix in prefixes for end in (".gz", ".npz")]
    assert len(urls) == 2 * 2763


def test_windows_without_a_matrix_are_named_and_left_out():
    group = recipe()["ukb_ld"]
    assert len(group.without_npz) == 10
    assert group.without_npz[0] == "chr6_26000001_29000001"
    listed = {entry.path.partition(".")[0] for entry in group.entries}
    assert not listed & set(group.without_npz)


def test_chromosomes_choose_among_windows_only():
    group = recipe()["ukb_ld"]
    chosen = group.of_chroms(("22",))
    assert {entry.chrom for entry in chosen} == {"22"}
    assert len(chosen) == 2 * 38
    assert chosen[0].path == "chr22_14000001_17000001.gz"
    assert chosen[-1].path == "chr22_51000001_54000001.npz"
    assert len(recipe()["phylo"].of_chroms(("22",))) == 15
    assert group.of_chroms(()) == group.entries


def test_windows_of_two_runs():
    assert ld_windows(30, 10, {"7": [(1, 11), (101, 101)]}) == [
        ("7", 1, 31),
        ("7", 11, 41),
        ("7", 101, 131),
    ]


def test_the_checksum_of_the_block_table_is_that_of_the_published_file(shared_data):
    import hashlib

    entry = recipe()["ld_blocks"].entries[0]
    content = shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed").read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (entry.size, entry.checksum.value)


@pytest.mark.parametrize("path", ["a.bw", "a/b.c-d_e", "A B", "a..b"])
def test_names_below_the_folder(path):
    assert check_relative_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\n", "a\0b", "a\\b", ".."]
)
def test_names_that_lead_elsewhere_are_refused(path):
    with pytest.raises(InputFormatError, match="leads out of the output folder"):
        check_relative_path(path)


@given(st.text(alphabet="ab./\\ \0", max_size=12))
def test_no_accepted_name_leads_out(text):
    try:
        path = check_relative_path(text)
    except InputFormatError:
        return
    root = Path("/data/out")
    assert Path(os.path.normpath(root / path)).is_relative_to(root)
    assert os.path.normpath(root / path) != "/data/out"


def test_a_recipe_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(recipe_module, "RECIPE_VERSION", 2)
    recipe.cache_clear()
    with pytest.raises(ValueError, match=r"recipe.json has version 1"):
        recipe()
    monkeypatch.undo()
    assert len(recipe()) == 11


def commands(group):
    """The tfgen commands in the line of a group: binary and flags."""
    for part in group.then.split("&&"):
        words = shlex.split(re.sub(r"\$\([^)]*\)", "FILES", part))
        if words[0].endswith(".py"):
            yield words[0], [word.partition("=") for word in words[1:]]


@pytest.mark.parametrize("group", GROUPS, ids=names(GROUPS))
def test_the_command_of_a_group_exists_with_these_flags(group):
    found = list(commands(group))
    assert len(found) == 1
    binary, flags = found[0]
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / binary, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    known = dict(re.findall(r"^  --(?:\[no\])?([a-z_0-9]+)(?:=(\S+))?$", done.stdout, re.MULTILINE))
    for flag, _, value in flags:
        name = flag.removeprefix("--")
        assert name in known, f"{binary} has no {flag}"
        choices = known[name].split("|")
        assert len(choices) == 1 or value in choices
