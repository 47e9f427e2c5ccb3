import dataclasses
import errno
import gzip
import json
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prior.sumstats_by_hand import table
from prior.sumstats_files import write
from tfgen.errors import InputFormatError, OutputError, TfgenError, UsageError
from tfgen.prior.sumstats import munge as munge_module
from tfgen.prior.sumstats import munged
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munged import (
    COLUMNS,
    MungedStats,
    new_munged,
    read_munged,
    require_writer,
    write_munged,
)

ENDINGS = (".parquet", ".tsv.gz", ".tsv")


def some(**columns):
    values = {
        "variants": table(
            ("1", 10, "A", "G", 0.3, "rs1"), ("2", 5, "AT", "A"), ("22", 7, "C", "T", 0.75, "rs3")
        ),
        "z": np.array([0.1 + 0.2, -1e-17, 42.0]),
        "n": np.array([1000.0, 999.5, 2e6]),
        "info": {"build": "GRCh37", "counts": {"HLA": 2}},
        "maf": np.array([0.3, 0.01, 0.25]),
        "beta": np.array([1 / 3, np.nan, 0.0]),
        "se": np.array([0.1, np.nan, np.nan]),
    }
    return MungedStats(**{**values, **columns})


def assert_equal(left, right):
    for field in dataclasses.fields(left.variants):
        np.testing.assert_array_equal(
            getattr(left.variants, field.name), getattr(right.variants, field.name)
        )
    for name in ("z", "n", "beta", "se"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    np.testing.assert_allclose(left.maf, right.maf, atol=1e-12)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    write_munged(path, some())
    assert_equal(read_munged(path), some())
    assert list(tmp_path.iterdir()) == [path]
    assert np.isnan(MungedStats(some().variants, some().z, some().n).beta).all()


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_statistics_give_the_same_bytes(tmp_path, ending):
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    write_munged(first, some())
    write_munged(second, some())
    assert first.read_bytes() == second.read_bytes()


def test_the_table_is_plain(tmp_path):
    write_munged(tmp_path / "out.tsv.gz", some())
    lines = gzip.decompress((tmp_path / "out.tsv.gz").read_bytes()).decode().splitlines()
    assert lines[0].split("\t") == list(COLUMNS)
    assert (
        lines[1] == "rs1\t1\t10\tA\tG\t0.30000000000000004\t1000\t0.3\t0.3\t0.3333333333333333\t0.1"
    )
    assert lines[2] == ".\t2\t5\tAT\tA\t-1e-17\t999.5\t0.01\tNA\tNA\tNA"


def test_ldsc_and_polyfun_can_read_it(tmp_path):
    # The calls with which they read summary statistics (LDSC 1.0.1, PolyFun), in today's pandas.
    write_munged(tmp_path / "out.tsv.gz", some())
    write_munged(tmp_path / "out.parquet", some())
    ldsc = pd.read_csv(
        tmp_path / "out.tsv.gz",
        sep=r"\s+",
        na_values=".",
        usecols=["SNP", "Z", "N", "A1", "A2"],
        dtype={"SNP": str, "Z": float, "N": float, "A1": str, "A2": str},
    )
    assert ldsc["Z"].tolist() == some().z.tolist()
    text = pd.read_csv(tmp_path / "out.tsv.gz", sep=r"\s+")
    parquet = pd.read_parquet(tmp_path / "out.parquet")
    for frame in (text, parquet):
        assert frame["CHR"].tolist() == [1, 2, 22]
        assert frame["BP"].tolist() == [10, 5, 7]
        assert frame["A1"].tolist() == ["A", "AT", "C"]
        assert frame["MAF"].tolist() == [0.3, 0.01, 0.25]


def test_contigs_that_are_no_numbers_stay_text_in_parquet(tmp_path):
    stats = some(variants=table(("1", 10, "A", "G"), ("X", 5, "C", "A"), ("MT", 7, "C", "T")))
    write_munged(tmp_path / "out.parquet", stats)
    assert read_munged(tmp_path / "out.parquet").variants.chrom.tolist() == ["1", "X", "MT"]


def test_large_tables_are_written_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(munged, "_BLOCK_ROWS", 2)
    written = []
    with new_munged(tmp_path / "out.tsv", some(), written.append):
        assert not (tmp_path / "out.tsv").exists()
    assert written == [2, 1]
    assert_equal(read_munged(tmp_path / "out.tsv"), some())


def test_nothing_appears_when_writing_fails(tmp_path):
    def stop(n):
        raise KeyboardInterrupt

    for ending in ENDINGS:
        with pytest.raises(KeyboardInterrupt), new_munged(tmp_path / f"out{ending}", some(), stop):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_output_error(tmp_path):
    def full(n):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(OutputError, match="out.tsv: cannot be written: No space left"),
        new_munged(tmp_path / "out.tsv", some(), full),
    ):
        pass
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write_munged(tmp_path / "none" / "out.tsv", some())


def test_parquet_says_what_determined_it(tmp_path):
    write_munged(tmp_path / "out.parquet", some())
    assert read_munged(tmp_path / "out.parquet").info == {"build": "GRCh37", "counts": {"HLA": 2}}


def test_text_has_its_report_beside_it(tmp_path):
    path = tmp_path / "out.tsv"
    report = tmp_path / "out.tsv.run.json"
    write_munged(path, some())
    assert read_munged(path).info == {}
    report.write_text(json.dumps({"results": {"build": "GRCh38"}}))
    assert read_munged(path).info == {"build": "GRCh38"}
    for text in ("no json", "[1]", '{"results": 3}', "{}"):
        report.write_text(text)
        assert read_munged(path).info == {}


def test_tables_of_polyfun_and_complete_ones_of_ldsc_are_read(tmp_path):
    text = "SNP CHR BP A1 A2 Z N N_cases P\nrs1 chr1 10 a g 1.5 100 7 0\nrs2 23 20 C T 0 90 8 0\n"
    stats = read_munged(write(tmp_path / "in.sumstats.gz", text))
    assert len(stats) == 2
    assert stats.z.tolist() == [1.5, 0]
    assert stats.n.tolist() == [100, 90]
    assert stats.variants.label(1) == "X:20:T:C (rs2)"
    assert np.isnan(stats.maf).all()
    assert np.isnan(stats.beta).all()


def test_parquet_of_others_has_no_info(tmp_path):
    columns = {"CHR": [1], "BP": [5], "A1": ["A"], "A2": ["G"], "Z": [1.0], "N": [10]}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    stats = read_munged(tmp_path / "in.parquet")
    assert (stats.info, stats.variants.label(0)) == ({}, "1:5:G:A")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SNP A1 A2 Z N\nrs1 A G 1 5\n", "no column CHR, BP .*prior_munge.py, with --panel"),
        ("CHR BP A1 A2 Z N\n", "no variants"),
        ("CHR BP A1 A2 Z N\n1 5 A G 1 9\n1 6 A G x 9\n", "in.tsv:3: .*NUMBER: Z is 'x'"),
        ("CHR BP A1 A2 Z N\n1 5 A G 1 0\n", "in.tsv:2: 1:5:G:A .*N_RANGE"),
        ("CHR BP A1 A2 Z N\n1 5 A G 1 1e13\n", "in.tsv:2: .*N_RANGE: N is '1e13'; .* above 1e12"),
    ],
)
def test_what_is_not_complete_and_sound_is_refused(tmp_path, text, message):
    with pytest.raises(InputFormatError, match=message):
        read_munged(write(tmp_path / "in.tsv", text))


def test_without_pyarrow_the_output_and_the_package_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for write_it in (require_writer, lambda path: write_munged(path, some())):
        with pytest.raises(
            UsageError,
            match=r"/out.parquet: writing parquet needs pyarrow: pip install 'tfgen\[io\]'",
        ):
            write_it(tmp_path / "out.parquet")
    require_writer(tmp_path / "out.tsv.gz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["NA", ".", "nan", "null"])
def test_a_missing_z_is_not_made_up_from_the_effect(tmp_path, missing):
    text = f"CHR BP A1 A2 Z N BETA SE\n1 5 A G 1 9 1 1\n1 6 A G {missing} 9 0.5 0.1\n"
    path = write(tmp_path / "in.tsv", text)
    with pytest.raises(InputFormatError, match="in.tsv:3: Z is missing; expected a number in ever"):
        read_munged(path)
    stats = munge_module.munge(
        MungeConfig(input=path, output=tmp_path / "out.tsv", progress="none")
    )
    assert (stats.n_written, read_munged(tmp_path / "out.tsv").z.tolist()) == (2, [1, 5])


def test_a_missing_z_of_parquet_is_named_by_its_row(tmp_path):
    columns = {"CHR": [1, 1], "BP": [5, 6], "A1": ["A"] * 2, "A2": ["G"] * 2, "Z": [1.0, None]}
    columns |= {"N": [10, 10], "BETA": [1.0, 1.0], "SE": [0.5, 0.5]}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    with pytest.raises(InputFormatError, match="in.parquet:2: Z is missing"):
        read_munged(tmp_path / "in.parquet")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_text_is_statistics_or_a_deliberate_error(tmp_path, text):
    path = write(tmp_path / "in.tsv", "CHR BP A1 A2 Z N\n1 5 A G 1 9\n" + text)
    try:
        stats = read_munged(path)
    except TfgenError:
        return
    assert len(stats) >= 1
