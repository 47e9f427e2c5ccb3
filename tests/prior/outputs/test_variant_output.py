import gzip
import json
import sys

import numpy as np
import pytest

from tfgen.errors import OutputError, UsageError
from tfgen.genome import VariantTable
from tfgen.prior.outputs import variant_output
from tfgen.prior.outputs.variant_output import (
    check_name,
    require_new,
    trait_paths,
    variant_columns,
    with_part,
    write_variants,
)

VARIANTS = VariantTable.of(["22", "22"], [10, 20], ["A", "C"], ["G", "CT"], ["rs1", ""])
COLUMNS = {
    **variant_columns(VARIANTS),
    "X": np.array([1 / 3, np.nan]),
    "Y": np.array([1e-300, np.inf]),
}


def test_a1_is_the_counted_allele_and_an_unknown_name_a_dot():
    columns = variant_columns(VARIANTS)
    assert list(columns) == ["CHR", "SNP", "BP", "A1", "A2"]
    assert columns["A1"].tolist() == ["G", "CT"]
    assert columns["SNP"].tolist() == ["rs1", "."]


@pytest.mark.parametrize("name", ["t.tsv", "t.snpvar.gz"])
def test_text_has_one_header_and_na_for_what_is_not_finite(tmp_path, name):
    seen = []
    write_variants(tmp_path / name, COLUMNS, {}, seen.append)
    data = (tmp_path / name).read_bytes()
    text = gzip.decompress(data).decode() if name.endswith(".gz") else data.decode()
    assert text == (
        "CHR\tSNP\tBP\tA1\tA2\tX\tY\n"
        "22\trs1\t10\tG\tA\t0.33333333\t1e-300\n"
        "22\t.\t20\tCT\tC\tNA\tNA\n"
    )
    assert seen == [2]


def test_gzip_files_know_neither_their_name_nor_the_time(tmp_path, monkeypatch):
    write_variants(tmp_path / "a.gz", COLUMNS, {})
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_variants(tmp_path / "b.gz", COLUMNS, {})
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_long_tables_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(variant_output, "_ROWS", 3)
    seen = []
    write_variants(tmp_path / "t.tsv", {"X": np.arange(8)}, {}, seen.append)
    assert (tmp_path / "t.tsv").read_text().split() == ["X", *map(str, range(8))]
    assert seen == [3, 3, 2]


def test_parquet_has_whole_chromosomes_and_says_what_made_it(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_variants(tmp_path / "t.parquet", COLUMNS, {"trait": "height"})
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table["CHR"].to_pylist() == [22, 22]
    assert table["SNP"].to_pylist() == ["rs1", "."]
    np.testing.assert_array_equal(table["X"].to_numpy(), COLUMNS["X"])
    assert json.loads(table.schema.metadata[b"tfgen"]) == {"trait": "height"}
    x = {**COLUMNS, "CHR": np.array(["X", "22"], object)}
    write_variants(tmp_path / "x.parquet", x, {})
    assert parquet.read_table(tmp_path / "x.parquet")["CHR"].to_pylist() == ["X", "22"]


def test_parquet_needs_a_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"needs pyarrow: pip install 'tfgen\[io\]'"):
        write_variants(tmp_path / "t.parquet", COLUMNS, {})


def test_a_run_that_stops_leaves_nothing(tmp_path):
    def stop(n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_variants(tmp_path / "t.gz", COLUMNS, {}, stop)
    with pytest.raises(OutputError, match="cannot be written"):
        write_variants(tmp_path / "no" / "t.gz", COLUMNS, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h.22.snpvar.gz", "h.22.snpvar_constrained.gz"),
        ("h.parquet", "h_constrained.parquet"),
        ("h.tsv.gz", "h_constrained.tsv.gz"),
    ],
)
def test_the_constrained_table_has_the_name_of_polyfun(tmp_path, name, expected):
    assert with_part(tmp_path / name, "_constrained") == tmp_path / expected


def test_several_traits_have_a_file_each(tmp_path):
    assert trait_paths(tmp_path / "x.tsv.gz", ["a"]) == {"a": tmp_path / "x.tsv.gz"}
    found = trait_paths(tmp_path / "x.snpvar.gz", ["a", "b"])
    assert [path.name for path in found.values()] == ["x.a.snpvar.gz", "x.b.snpvar.gz"]
    found = trait_paths(tmp_path / "x.parquet", ["a", "b"])
    assert [path.name for path in found.values()] == ["x.a.parquet", "x.b.parquet"]
    with pytest.raises(UsageError, match="'a/b': cannot be part of a file name"):
        trait_paths(tmp_path / "x.gz", ["a/b", "c"])


def test_names_must_say_the_format(tmp_path):
    check_name(tmp_path / "x.snpvar.gz")
    with pytest.raises(UsageError, match="of which format"):
        check_name(tmp_path / "x.csv")


def test_existing_outputs_stay(tmp_path):
    (tmp_path / "a.gz").touch()
    (tmp_path / "folder").mkdir()
    require_new([tmp_path / "a.gz", tmp_path / "b.gz"], overwrite=True)
    with pytest.raises(OutputError, match="a.gz: exists; choose another output or pass"):
        require_new([tmp_path / "b.gz", tmp_path / "a.gz"], overwrite=False)
    with pytest.raises(OutputError, match="is not a plain file"):
        require_new([tmp_path / "folder"], overwrite=True)
