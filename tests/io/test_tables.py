from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError, UsageError
from tfgen.io.tables import read_table, write_table


class Status(StrEnum):
    OK = "fine"


@pytest.fixture
def write(tmp_path):
    def make(content):
        path = tmp_path / "t.tsv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def test_columns_are_text_in_file_order(write):
    path = write('index\tname\tvalue\n0\tNA\t1e-400\n1\t"null"\t\n')
    table = read_table(path, required=["value", "name"])
    assert table == {"index": ["0", "1"], "name": ["NA", '"null"'], "value": ["1e-400", ""]}
    assert list(table) == ["index", "name", "value"]


def test_crlf_byte_order_mark_and_blank_last_lines_are_accepted(write):
    path = write("\ufeffa\tb\r\n1\t2\r\n\r\n  \r\n")
    assert read_table(path, required=["a"]) == {"a": ["1"], "b": ["2"]}


def test_a_row_of_empty_values_is_a_row(write):
    assert read_table(write("a\tb\n\t\n")) == {"a": [""], "b": [""]}


def test_a_lone_carriage_return_is_part_of_a_value(write):
    assert read_table(write("a\tb\n1\r2\t3")) == {"a": ["1\r2"], "b": ["3"]}


def test_a_table_may_have_no_rows(write):
    assert read_table(write("a\tb\n")) == {"a": [], "b": []}


def test_comments_above_the_header_are_skipped_on_request(write):
    path = write("# build hg38\n# units\n#a\tb\n# x\t1\n")
    assert read_table(path, comment="# ") == {"#a": ["# x"], "b": ["1"]}


@pytest.mark.parametrize("content", ["", "\n\n", "# only\n# comments\n"])
def test_a_file_without_header_is_refused(write, content):
    with pytest.raises(InputFormatError, match=r"t\.tsv: no header line; expected a TSV"):
        read_table(write(content), comment="#")


def test_missing_columns_are_listed_with_what_was_found(write):
    with pytest.raises(InputFormatError, match=r"t\.tsv:2: no column id, end; found chrom, start$"):
        read_table(write("# c\nchrom\tstart\n"), ["chrom", "id", "end"], comment="#")


def test_a_header_with_spaces_is_explained(write):
    with pytest.raises(InputFormatError, match=r"separated by spaces, use tabs"):
        read_table(write("chrom start\n1 2\n"), ["chrom"])


def test_repeated_columns_are_refused(write):
    with pytest.raises(InputFormatError, match=r"t\.tsv:1: repeated column 'a'; give each"):
        read_table(write("a\tb\ta\n"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1", r":3: 1 fields, but the header has 2; give every column a value"),
        ("1\t2\t3", r":3: 3 fields, but the header has 2; give"),
        ("1 2", r":3: 1 fields, but the header has 2; spaces instead of tabs"),
    ],
)
def test_a_line_with_another_number_of_fields_is_named(write, line, message):
    with pytest.raises(InputFormatError, match=message):
        read_table(write(f"a\tb\n1\t2\n{line}\n"))


def test_a_blank_line_inside_is_named(write):
    with pytest.raises(InputFormatError, match=r"t\.tsv:2: blank line; remove it"):
        read_table(write("a\tb\n\n\n1\t2\n"))


def test_a_file_that_is_not_text_is_refused(write):
    with pytest.raises(InputFormatError, match=r"not UTF-8 text after line .*uncompressed"):
        read_table(write(b"a\tb\n\x1f\x8b\xff\xfe\n"))


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        read_table(tmp_path / "none")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("tables") / "t.tsv"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except InputFormatError as error:
        message = str(error)
        assert message.startswith(str(path))
    else:
        assert len({len(values) for values in table.values()}) == 1


def test_a_table_is_written_with_its_comments(tmp_path):
    path = tmp_path / "t.tsv"
    columns = {"id": ["a", Status.OK], "score": np.array([0.1, np.nan], np.float32)}
    write_table(path, columns, comments=["build: hg38"])
    assert path.read_bytes() == b"# build: hg38\nid\tscore\na\t0.1\nfine\tnan\n"
    assert read_table(path, comment="# ")["id"] == ["a", "fine"]


def test_a_value_without_utf_8_form_is_written_as_an_escape(tmp_path):
    path = tmp_path / "t.tsv"
    write_table(path, {"file": ["caf\udce9.vcf"]}, comments=["from caf\udce9"])
    assert path.read_bytes() == b"# from caf\\udce9\nfile\ncaf\\udce9.vcf\n"
    assert read_table(path, comment="# ") == {"file": [r"caf\udce9.vcf"]}


def test_a_table_without_rows_keeps_its_header(tmp_path):
    write_table(tmp_path / "t.tsv", {"a": [], "b": []})
    assert (tmp_path / "t.tsv").read_text() == "a\tb\n"


def test_columns_of_different_length_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"different length: \{'a': 1, 'b': 2\}; make them equal"):
        write_table(tmp_path / "t.tsv", {"a": [1], "b": [1, 2]})


@pytest.mark.parametrize("text", ["x\ty", "x\ny", "x\ry"])
@pytest.mark.parametrize("place", ["name", "value", "comment"])
def test_a_value_that_would_break_the_table_is_refused(tmp_path, text, place):
    columns = {text if place == "name" else "a": [text if place == "value" else "b"]}
    comments = [text] if place == "comment" else []
    with pytest.raises(UsageError, match="holds a tab or line break; a TSV value cannot"):
        write_table(tmp_path / "t.tsv", columns, comments)
    assert list(tmp_path.iterdir()) == []


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n\ufeff"), min_size=1).filter(
    lambda text: text.strip(" ")
)


@given(st.dictionaries(CELL, CELL, min_size=1), st.integers(0, 3))
def test_round_trip(tmp_path_factory, row, n_rows):
    path = tmp_path_factory.mktemp("tables") / "t.tsv"
    columns = {name: [value] * n_rows for name, value in row.items()}
    write_table(path, columns)
    assert read_table(path, required=list(row)) == columns
