import gzip

import numpy as np
import pytest

from tfgen.errors import InputFormatError, OutputError
from tfgen.genome import VariantTable
from tfgen.prior.simulation.truth_table import TruthTable, read_truth, write_truth


def table():
    variants = VariantTable.of(
        ["1", "2", "X"], [5, 7, 9], ["A", "C", "AT"], ["G", "T", "A"], ["rs1", "", "i"],
        [0.1, np.nan, 1 / 3],
    )  # fmt: skip
    b = np.array([0.1, -1 / 3, 0.0])
    return TruthTable(variants, np.array([-1.5, 2 / 7, -np.inf]), b, np.array([True, False, True]))


def test_a_truth_comes_back_exactly(tmp_path):
    written = table()
    write_truth(tmp_path / "t.tsv.gz", written)
    found = read_truth(tmp_path / "t.tsv.gz")
    for name, values in vars(written.variants).items():
        np.testing.assert_array_equal(getattr(found.variants, name), values)
    for name in ("logf", "b", "observed"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))


def test_the_columns_are_those_of_summary_statistics(tmp_path):
    write_truth(tmp_path / "t.tsv.gz", table())
    lines = gzip.decompress((tmp_path / "t.tsv.gz").read_bytes()).decode().splitlines()
    assert lines[0] == "SNP\tCHR\tBP\tA1\tA2\tA1FREQ\tLOGF\tB\tOBSERVED"
    assert lines[1] == "rs1\t1\t5\tG\tA\t0.1\t-1.5\t0.1\t1"
    assert lines[2].startswith(".\t2\t7\tT\tC\tNA\t")


def test_the_same_truth_gives_the_same_bytes(tmp_path):
    for name in ("a.tsv.gz", "b.tsv.gz"):
        write_truth(tmp_path / name, table())
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_no_variants_are_a_table_too(tmp_path):
    empty = TruthTable(VariantTable.of([], [], [], []), np.zeros(0), np.zeros(0), np.zeros(0, bool))
    write_truth(tmp_path / "t.tsv.gz", empty)
    assert len(read_truth(tmp_path / "t.tsv.gz").b) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found nothing"),
        ("SNP\tCHR\n", "found SNP CHR; expected the columns SNP CHR BP"),
        ("SNP\tCHR\tBP\tA1\tA2\tA1FREQ\tLOGF\tB\tOBSERVED\nrs1\t1\n", ":2: 2 fields; expected 9"),
        (
            "SNP\tCHR\tBP\tA1\tA2\tA1FREQ\tLOGF\tB\tOBSERVED\nrs1\t1\t5\tA\tC\t0.5\tx\t0\t1\n",
            "expected numbers in BP",
        ),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(InputFormatError, match=message):
        read_truth(tmp_path / "t.tsv")


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_truth(tmp_path / "no" / "t.tsv.gz", table())
    assert list(tmp_path.iterdir()) == []
