import gzip
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prior.sumstats_files import write
from tfgen.errors import InputFormatError, TfgenError, UnsupportedInputError, UsageError
from tfgen.prior.sumstats import sumstats_reader
from tfgen.prior.sumstats.sumstats_columns import resolve_columns
from tfgen.prior.sumstats.sumstats_reader import read_blocks

TEXT = "SNP\tCHR\tBP\tA1\tA2\tZ\tN\nrs1\t1\t10\tA\tG\t1.5\t100\nrs2\t1\t20\tC\tT\t-2\t100\n"


def read(path, **overrides):
    return list(read_blocks(path, lambda header: resolve_columns(path, header, "auto", overrides)))


def values(path, field="Z"):
    return [value for block in read(path) for value in block.values[field]]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\t", " "),
        "\n".join(f"   {line}   " for line in TEXT.replace("\t", "    ").splitlines()),
        TEXT.replace("\t", ","),
        TEXT.replace("\t", "  \t "),
        "\ufeff" + TEXT,
        "## made by hand\n\n" + TEXT,
        "#" + TEXT,
        TEXT + "\n\n  \n",
        TEXT.removesuffix("\n"),
        "\n".join("\t".join(f'"{x}"' for x in line.split("\t")) for line in TEXT.splitlines()),
    ],
    ids="tabs crlf spaces padded commas wide bom comment hash blank-end no-end quotes".split(),
)
def test_the_usual_ways_to_write_a_table_read_alike(tmp_path, text):
    path = write(tmp_path / "in.txt", text)
    (block,) = read(path)
    assert block.columns.format == "polyfun"
    assert len(block) == 2
    assert {field: column.tolist() for field, column in block.values.items()} == {
        "SNP": ["rs1", "rs2"],
        "CHR": ["1", "1"],
        "BP": ["10", "20"],
        "A1": ["A", "C"],
        "A2": ["G", "T"],
        "Z": ["1.5", "-2"],
        "N": ["100", "100"],
    }


def test_a_tab_separated_value_may_be_empty(tmp_path):
    path = write(tmp_path / "in.txt", TEXT + "rs3\t1\t30\t\t\t\t\n")
    assert values(path) == ["1.5", "-2", ""]


def test_gzip_and_bgzip_are_known_by_their_bytes(tmp_path):
    write(tmp_path / "a.gz", TEXT)
    (tmp_path / "a.gz").rename(tmp_path / "a.txt")
    with pysam.BGZFile(str(tmp_path / "b.txt"), "w") as stream:
        stream.write(TEXT.encode())
    assert values(tmp_path / "a.txt") == values(tmp_path / "b.txt") == ["1.5", "-2"]


def test_blocks_know_their_first_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sumstats_reader, "_BLOCK_BYTES", 1)
    blocks = read(write(tmp_path / "in.txt", "## c\n" + TEXT + "\n"))
    assert [(block.first, len(block)) for block in blocks] == [(3, 1), (4, 1)]


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_cut_gzip_file_is_refused(tmp_path, keep):
    rng = np.random.default_rng(1)
    rows = "".join(
        f"rs{i}\t1\t{i}\tA\tG\t{z!r}\t100\n" for i, z in enumerate(rng.normal(size=5000).tolist())
    )
    data = gzip.compress((TEXT + rows).encode())
    path = write(tmp_path / "in.txt", data[: int(len(data) * keep)])
    with pytest.raises(InputFormatError, match="in.txt: is damaged or truncated"):
        read(path)


def test_a_bgzip_file_without_its_end_is_refused(tmp_path):
    with pysam.BGZFile(str(tmp_path / "in.gz"), "w") as stream:
        stream.write(TEXT.encode())
    data = (tmp_path / "in.gz").read_bytes()
    (tmp_path / "in.gz").write_bytes(data[:-28])
    with pytest.raises(InputFormatError, match="end marker is missing"):
        read(tmp_path / "in.gz")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no header line"),
        (b"\n\n## x\n", "no header line"),
        (b"x" * (1 << 21), "no header line"),
        (TEXT.encode() + b"rs3\t1\t30\tA\tG\t1\n", "in.txt:4: 6 fields, but the header has 7"),
        (TEXT.encode() + b"rs3\t1\t30\tA\tG\t1\t1\t1\n", "in.txt:4: 8 fields"),
        (TEXT.replace("\nrs2", "\n\nrs2").encode(), "in.txt:3: blank line"),
        (TEXT.encode() + b"rs3\t1\t30\tA\tG\t1\t\xff\n", "in.txt:4: not UTF-8 text"),
        (TEXT.encode() + b"rs3\t1\t30\tA\tG\t1\t1\0\n", "in.txt:4: not UTF-8 text"),
        (b"PAR1 but no parquet", "cannot be read as parquet"),
    ],
    ids="empty comments long short wide blank latin nul parquet".split(),
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path, data, message):
    with pytest.raises(InputFormatError, match=message):
        read(write(tmp_path / "in.txt", data))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputFormatError, match=r"none.txt: cannot be read \(No such file"):
        read(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("magic", "tool"),
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"PK\x03\x04", "unzip"), (b"BZh9", "bunzip2")],
)
def test_other_compressions_are_named(tmp_path, magic, tool):
    with pytest.raises(UnsupportedInputError, match=f"unpack it with {tool}"):
        read(write(tmp_path / "in.txt", magic + b"rest"))


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_numbers_come_as_floats_and_nulls_as_missing(tmp_path):
    path = parquet(
        tmp_path / "in.parquet",
        SNP=pa.array(["rs1", None, "rs3"]),
        CHR=pa.array([1, 2, 22], pa.int8()),
        BP=pa.array([10, 20, None], pa.int64()),
        A1=pa.array(["A", "C", "G"]).dictionary_encode(),
        A2=["G", "T", "A "],
        Z=pa.array([1.5, None, -2.0], pa.float32()),
        N=["100", None, "300"],
        unused=[[1], [2], [3]],
    )
    (block,) = read(path)
    assert block.first == 1
    assert block.values["SNP"].tolist() == ["rs1", "", "rs3"]
    assert block.values["CHR"].tolist() == ["1", "2", "22"]
    assert block.values["A1"].tolist() == ["A", "C", "G"]
    assert block.values["A2"].tolist() == ["G", "T", "A"]
    np.testing.assert_array_equal(block.values["BP"], [10, 20, np.nan])
    np.testing.assert_array_equal(block.values["Z"], [1.5, np.nan, -2])
    assert block.values["N"].tolist() == ["100", "", "300"]


def test_parquet_columns_may_have_dots_in_their_names(tmp_path):
    names = ["CHR", "POS", "Allele1", "Allele2", "AF_Allele2", "BETA", "SE", "p.value"]
    path = parquet(tmp_path / "in.parquet", **{name: ["1"] for name in names})
    (block,) = read(path)
    assert (block.columns.format, block.values["P"].tolist()) == ("saige", ["1"])


def test_parquet_comes_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(sumstats_reader, "_BLOCK_ROWS", 2)
    columns = {name: ["1"] * 5 for name in ["SNP", "CHR", "BP", "A1", "A2", "Z", "N"]}
    blocks = read(parquet(tmp_path / "in.parquet", **columns))
    assert [(block.first, len(block)) for block in blocks] == [(1, 2), (3, 2), (5, 1)]


def test_an_empty_parquet_file_has_no_blocks(tmp_path):
    columns = {name: pa.array([], pa.string()) for name in ["SNP", "CHR", "BP", "A1", "A2", "Z"]}
    assert read(parquet(tmp_path / "in.parquet", **columns)) == []


def test_a_cut_parquet_file_is_refused(tmp_path):
    path = parquet(tmp_path / "in.parquet", **{name: ["1"] for name in ["SNP", "A1", "A2", "Z"]})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputFormatError, match="cannot be read as parquet"):
        read(path)


def test_without_pyarrow_the_package_is_named(tmp_path, monkeypatch):
    path = parquet(tmp_path / "in.parquet", SNP=["rs1"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"needs pyarrow: pip install 'tfgen\[io\]'"):
        read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60),
    st.sampled_from([b"", b"PAR1", b"\x1f\x8b", TEXT.encode(), gzip.compress(TEXT.encode())]),
)
def test_any_bytes_give_a_table_or_a_deliberate_error(tmp_path, tail, head):
    path = write(tmp_path / "in.txt", head + tail)
    try:
        blocks = read(path)
    except TfgenError:
        return
    assert all(len(block) for block in blocks)
