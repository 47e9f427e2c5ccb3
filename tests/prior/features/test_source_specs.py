from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.prior.features.source_specs import parse_source

OPTIONS = ("agg", "region", "columns", "flag")


def test_a_source_has_a_name_a_path_and_options():
    spec = parse_source("table", "qtl=d/f.txt.gz:columns=a+b:region=22:1-5:agg=max", OPTIONS)
    assert (spec.name, spec.path) == ("qtl", Path("d/f.txt.gz"))
    assert dict(spec.options) == {"columns": "a+b", "region": "22:1-5", "agg": "max"}
    assert spec.listed("columns") == ("a", "b")
    assert spec.listed("agg") == ("max",)
    assert spec.prefix == "qtl."
    assert spec.label == "--table=d/f.txt.gz"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("plain.bed", "plain.bed"),
        ("chrom=22/part.bed", "chrom=22/part.bed"),  # a partition is no name ...
        ("/data/chrom=22/part.bed", "/data/chrom=22/part.bed"),
        ("a:b/c.bed", "a:b/c.bed"),
    ],
)
def test_a_path_may_hold_signs_that_separate(text, path):
    spec = parse_source("bed", text)
    found = f"{spec.name}={spec.path}" if spec.name else str(spec.path)
    assert found == path


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("x/ENCFF826FLP.bw", "ENCFF826FLP"),
        ("base.22.annot.gz", "base.22"),
        ("a.annot.parquet", "a"),
        ("genes.tsv.gz", "genes"),
        (".bed", ".bed"),
        ("scores.h5", "scores"),
    ],
)
def test_without_a_name_the_file_gives_it(path, stem):
    assert parse_source("bed", path).stem == stem
    assert parse_source("bed", f"mine={path}").stem == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f:size=1", "unknown option 'size'; use one of agg, columns, flag, region"),
        ("f:agg=max:agg=min", "option 'agg' is empty or given twice"),
        ("f:agg=", "option 'agg' is empty or given twice"),
        ("", "no path; expected NAME=PATH or PATH"),
        ("~no such user/f", "no home folder of that name; give the path in full"),
    ],
)
def test_faults_are_named(text, message):
    with pytest.raises(UsageError, match=message):
        parse_source("table", text, OPTIONS)


def test_a_source_without_options_says_so():
    with pytest.raises(UsageError, match="unknown option 'a'; it has no options"):
        parse_source("bigwig", "f.bw:a=1")


def test_options_out_of_a_set():
    spec = parse_source("table", "f:flag=yes:agg=median", OPTIONS)
    assert spec.yes("flag")
    assert not spec.yes("region")
    assert spec.choice("columns", ("x",), "x") == "x"
    with pytest.raises(UsageError, match="agg='median'; use one of max, min"):
        spec.choice("agg", ("max", "min"), "max")


@given(st.text())
def test_any_text_is_a_source_or_a_usage_error(text):
    try:
        spec = parse_source("table", text, OPTIONS)
    except UsageError:
        return
    assert spec.stem
