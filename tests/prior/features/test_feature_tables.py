import builtins
import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import write
from tfgen.errors import InputFormatError, TfgenError, UsageError
from tfgen.prior.features import feature_tables
from tfgen.prior.features.feature_tables import FeatureTable, positions, require_columns

TEXT = "CHR\tBP\tSNP\tx\n22\t5\trs1\t1.5\n22\t6\tNA\tNA\n"


def read(path, text=("SNP",), numbers=("x",), **options):
    return FeatureTable(path, **options).read(text, numbers)


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
@pytest.mark.parametrize("separator", ["\t", ",", "  "])
def test_every_kind_of_text_is_read(tmp_path, name, separator):
    found = read(write(tmp_path / name, TEXT.replace("\t", separator)))
    assert found["SNP"].tolist() == ["rs1", "NA"]  # text stays as it is
    np.testing.assert_array_equal(found["x"], [1.5, np.nan])


def test_line_ends_of_windows_a_byte_order_mark_and_blank_lines_at_the_end(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    found = read(path, ("CHR",), ("BP",))
    assert found["CHR"].tolist() == ["22", "22"]
    assert found["BP"].tolist() == [5, 6]


def test_a_file_without_header_counts_its_columns(tmp_path):
    path = write(tmp_path / "a.txt", "22 5 rs1 1\n22 6 rs2 2\n")
    found = read(path, ("3",), ("2", "4"), header=False)
    assert found["3"].tolist() == ["rs1", "rs2"]
    assert found["4"].tolist() == [1, 2]


def test_parquet_is_read_like_text(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pd.DataFrame({"CHR": [22, 22], "SNP": ["rs1", None], "x": [1.5, None]})
    frame.to_parquet(path)
    found = read(path, ("CHR", "SNP"))
    assert found["CHR"].tolist() == ["22", "22"]
    assert found["SNP"].tolist() == ["rs1", ""]
    np.testing.assert_array_equal(found["x"], [1.5, np.nan])
    assert FeatureTable(path).where(0) == f"{path}: row 1"


def test_a_column_can_be_read_as_text_and_as_numbers(tmp_path):
    path = write(tmp_path / "a.tsv", TEXT)
    found = read(path, ("x",), ("x",))
    assert found["x"].tolist()[0] == 1.5
    with pytest.raises(InputFormatError, match="a.tsv:2: SNP here or below is no number"):
        read(path, ("SNP",), ("SNP",))


def test_a_table_without_rows_has_empty_columns(tmp_path):
    found = read(write(tmp_path / "a.tsv", "CHR\tSNP\tx\n"))
    assert [len(column) for column in found.values()] == [0, 0]


def test_many_chunks_keep_order_and_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_tables, "_LINES_PER_CHUNK", 7)
    rows = [f"22\t{i}\trs{i}\t{i / 8}" for i in range(1, 40)]
    path = write(tmp_path / "a.tsv", "\n".join(["CHR\tBP\tSNP\tx", *rows]) + "\n")
    found = read(path)
    assert found["x"].tolist() == [i / 8 for i in range(1, 40)]
    rows[30] = "22\t31\trs31\tlow"
    write(path, "\n".join(["CHR\tBP\tSNP\tx", *rows]) + "\n")
    with pytest.raises(InputFormatError, match="a.tsv:32: x is 'low'; expected a number or NA"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a table"),
        ("\n", "is empty; expected a table"),
        ("a\tb\ta\n", "repeated column 'a'"),
        ("SNP\tx\nrs1\t1\t2\n", r"a.tsv:2: 3 fields; expected 2 as in the first line"),
        ("SNP\tx\nrs1\t1\nrs2\n", r"a.tsv:3: 1 fields; expected 2"),
        ("SNP\tx\nrs1\t1\n\nrs2\t2\n", r"a.tsv:3: blank line; remove it"),
        ("SNP\tx\nrs1\tinf\n", r"a.tsv:2: x is infinite"),
        ("SNP\tx\nrs1\t1\nrs2\t1e39\n", r"a.tsv:3: x is 1e\+39, beyond 32-bit floats; expected a"),
        ("SNP\tx\nrs1\t-1e300\n", r"a.tsv:2: x is -1e\+300, beyond 32-bit floats"),
        ("SNP\tx\nrs1\t1e400\n", r"a.tsv:2: x is infinite"),
        ("SNP\tx\nrs1\t0x10\n", r"a.tsv:2: x is '0x10'; expected a number or NA"),
        ("SNP\ty\nrs1\t1\n", "no column 'x'; it has SNP, y"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, text, message):
    with pytest.raises(InputFormatError, match=message):
        read(write(tmp_path / "a.tsv", text))


def test_the_largest_32_bit_float_is_a_number(tmp_path):
    largest = repr(float(np.finfo(np.float32).max))
    found = read(write(tmp_path / "a.tsv", f"SNP\tx\nrs1\t{largest}\nrs2\t-{largest}\n"))
    assert np.isfinite(found["x"].astype(np.float32)).all()


def test_parquet_beyond_32_bit_floats_is_named_by_its_row(tmp_path):
    pd.DataFrame({"SNP": ["rs1", "rs2"], "x": [1.0, 1e300]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputFormatError, match=r"a.parquet: row 2: x is 1e\+300, beyond 32-bit"):
        read(tmp_path / "a.parquet")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(InputFormatError, match="a.tsv:1: not UTF-8 text"):
        FeatureTable(path)
    path.write_bytes(b"SNP\tx\nrs\xff\t1\n")
    with pytest.raises(InputFormatError, match="a.tsv:2: not UTF-8 text here or below"):
        read(path)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(("SNP\tx\n" + "rs1\t1\n" * 999).encode())[:-12])
    with pytest.raises(InputFormatError, match="damaged or truncated"):
        read(path)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 no PAR1")
    with pytest.raises(InputFormatError, match="not a whole parquet file"):
        FeatureTable(path)
    with pytest.raises(InputFormatError, match="none.tsv: no such file"):
        FeatureTable(tmp_path / "none.tsv")


def test_parquet_columns_of_another_type_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"SNP": ["rs1"], "x": ["low"]}).to_parquet(path)
    with pytest.raises(InputFormatError, match="SNP, x cannot be read"):
        read(path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", "x")
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"needs pyarrow: pip install 'tfgen\[io\]'"):
        FeatureTable(path)


def test_columns_are_found_by_any_of_their_names(tmp_path):
    table = FeatureTable(write(tmp_path / "a.tsv", "#CHROM\tPos\tchr\n"))
    assert table.first("chr", "chrom") == "chr"
    assert table.first("chrom") == "#CHROM"
    assert table.first("bp", "pos") == "Pos"
    assert table.first("a1") == ""
    with pytest.raises(InputFormatError, match="no column for A1; it has #CHROM, Pos, chr"):
        require_columns(table, {"A1": "", "BP": "Pos"})


@pytest.mark.parametrize("value", [0.0, -3.0, 1.5, np.nan])
def test_positions_are_whole_numbers_from_1(tmp_path, value):
    table = FeatureTable(write(tmp_path / "a.tsv", "BP\n1\n"))
    assert positions(table, np.array([1.0, 3e8]), "BP").tolist() == [1, 300_000_000]
    with pytest.raises(InputFormatError, match="a.tsv:3: BP is .*; expected a position from 1"):
        positions(table, np.array([1.0, value]), "BP")


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_table_or_a_known_error(tmp_path_factory, data, header):
    path = tmp_path_factory.mktemp("any") / "a.tsv"
    path.write_bytes(data)
    try:
        table = FeatureTable(path, header=header)
        found = table.read(table.columns[:1], table.columns[1:])
    except TfgenError:
        return
    assert len({len(column) for column in found.values()}) == 1
