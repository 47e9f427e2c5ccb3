import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prior.sumstats_files import IDS, PANEL, write
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import VariantTable
from tfgen.prior.ld import ld_store
from tfgen.prior.sumstats.sumstats_panel import read_panel, require_same_build


def test_a_bim_file_counts_a1(tmp_path):
    text = "1 rs1 0 100 A G\n22\trs2\t1.5\t200\tC\tT\n"
    for path in (write(tmp_path / "p.bim", text), write(tmp_path / "p.bim.gz", text)):
        table, build = read_panel(path)
        assert [table.label(i) for i in range(2)] == ["1:100:G:A (rs1)", "22:200:T:C (rs2)"]
        assert np.isnan(table.af).all()
        assert build == ""


def test_a_table_may_have_frequencies(tmp_path):
    table, build = read_panel(write(tmp_path / "p.tsv", PANEL))
    assert table.id.tolist() == IDS
    assert table.label(0) == "1:1000:G:A (rs1)"
    assert (table.af[0], table.chrom[-1], build) == (0.1, "X", "")


def test_parquet_is_a_table_too(tmp_path):
    columns = {"CHR": [1, 2], "BP": [5, 6], "A1": ["a", "C"], "A2": ["g", "T"]}
    pq.write_table(pa.table({**columns, "SNP": ["rs1", "."]}), tmp_path / "p.parquet")
    table, _ = read_panel(tmp_path / "p.parquet")
    assert [table.label(i) for i in range(2)] == ["1:5:G:A (rs1)", "2:6:T:C"]


def test_an_ld_store_is_a_panel_with_a_build(tmp_path, monkeypatch):
    class Store:
        attributes = {"build": "hg19"}
        variants = VariantTable.of(["1"], [5], ["G"], ["A"])

        def __init__(self, path):
            assert path == tmp_path

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(ld_store, "LdStore", Store)
    table, build = read_panel(tmp_path)
    assert (table.label(0), build) == ("1:5:G:A", "GRCh37")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.tsv", "SNP\tCHR\tBP\tA1\nrs1\t1\t5\tA\n", "no column A2; a panel needs CHR, BP, A1"),
        (
            "p.tsv",
            "CHR\tBP\tA1\tA2\n1\tx\tA\tG\n",
            "p.tsv:2: BP is 'x'; expected a 1-based position",
        ),
        (
            "p.tsv",
            "CHR\tBP\tA1\tA2\tAF1\n1\t5\tA\tG\t2\n",
            "p.tsv:2: AF1 is '2'; expected a frequency from 0 to 1",
        ),
        ("p.tsv", "CHR\tBP\tA1\tA2\n", "a panel without variants"),
        ("p.bim", "1 rs1 0 x A G\n", "p.bim:1: position 'x'"),
    ],
)
def test_a_faulty_panel_is_refused(tmp_path, name, text, message):
    with pytest.raises(InputFormatError, match=message):
        read_panel(write(tmp_path / name, text))


def test_builds_that_differ_stop(tmp_path):
    for panel, config in (("", "GRCh38"), ("GRCh37", "unknown"), ("GRCh37", "GRCh37")):
        require_same_build(tmp_path, panel, config)
    with pytest.raises(InputMismatchError, match="is on GRCh37, but --build=GRCh38; .*--match=id"):
        require_same_build(tmp_path, "GRCh37", "GRCh38")
