from pathlib import Path

import numpy as np
import pytest

from prior.small_stores import write_stores
from tfgen.errors import InputMismatchError, UsageError
from tfgen.genome import VariantTable
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.sumstats.munged import MungedStats
from tfgen.prior.training.traits import align_trait, parse_traits


def test_names_come_before_the_path_or_from_it():
    found = parse_traits(["height=a/b.tsv.gz", "c/bmi.tsv.gz"])
    assert found == {"height": Path("a/b.tsv.gz"), "bmi": Path("c/bmi.tsv.gz")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=x", "a=y"], "'a' comes twice"),
        (["=x"], "'' comes twice or is empty"),
        ([], "none given"),
        (["a/b=x"], "the name 'a/b' would be part of file names"),
        (["a\\b=x"], r"the name 'a.*b' would be part"),
        (["..=x"], "the name '..' would be part"),
        ([".a=x"], "the name '.a' would be part"),
        (["a b=x"], "expected no blanks, slashes and backslashes, and no dot at its beginning"),
        ([" a=x"], "the name ' a'"),
        (["a\n=x"], "the name 'a.n'"),
        (["a\x00=x"], "the name 'a.x00'"),
        (["my trait.tsv"], "the name 'my trait' would be .*; give NAME=PATH"),
        (["a/run=1/x.tsv"], "the name 'a/run'"),
    ],
)
def test_names_that_do_not_work_are_refused(words, message):
    with pytest.raises(UsageError, match=message):
        parse_traits(words)


@pytest.mark.parametrize("name", ["BMI_2.5-kg+", "Größe", "a.b"])
def test_other_names_stay_as_they_are(name):
    assert parse_traits([f"{name}=my folder/x y.tsv"]) == {name: Path("my folder/x y.tsv")}


def test_a_trait_of_other_variants_is_refused_with_examples(tmp_path):
    write_stores(tmp_path)
    other = MungedStats(VariantTable.of(["9"], [5], ["A"], ["G"]), np.ones(1), np.ones(1))
    with (
        LdStore(tmp_path / "ld") as ld,
        pytest.raises(InputMismatchError, match=r"bmi: no variant of .*/ld; the one has 9:5:A:G"),
    ):
        align_trait(ld, "bmi", other)


def test_statistics_that_the_store_does_not_have_are_counted(tmp_path):
    blocks, _ = write_stores(tmp_path)
    first = blocks[0].variants
    extra = VariantTable.of(
        [*first.chrom, "9", first.chrom[0]],
        [*first.pos, 5, first.pos[0] + 1_000_000],
        [*first.ref, "A", "A"],
        [*first.alt, "G", "G"],
    )
    stats = MungedStats(extra, np.ones(len(extra)), np.arange(len(extra), dtype=float))
    with LdStore(tmp_path / "ld") as ld:
        trait = align_trait(ld, "t", stats)
    assert (trait.counts["unused"], trait.counts["missing"]) == (2, 7 * 40)
    assert trait.n_eff == np.median(np.arange(40))
