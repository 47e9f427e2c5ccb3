import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import table, write
from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.prior.features.source_specs import parse_source
from tfgen.prior.features.table_columns import OPTIONS, TableSource

TABLE = "CHR\tBP\tSNP\tA1\tA2\tx\ty\n1\t5\trs1\tA\tC\t-2\t4\n1\t6\trs2\tA\tG\tNA\t9\n"


def source(text):
    return TableSource(parse_source("table", str(text), OPTIONS))


def test_chosen_columns_are_found_by_alleles(tmp_path):
    path = write(tmp_path / "t.tsv", TABLE)
    found = source(f"mine={path}:columns=y+x")
    assert found.columns == ("mine.y", "mine.x")
    assert found.signed is False
    values = found.values(table("1:5:A:C", "1:6:A:G", "1:6:A:C", "2:5:A:C"))
    np.testing.assert_array_equal(values, [[4, -2], [9, np.nan], [np.nan] * 2, [np.nan] * 2])


def test_signed_columns_follow_the_counted_allele(tmp_path):
    path = write(tmp_path / "t.tsv", TABLE)
    found = source(f"{path}:columns=x:signed=yes")
    assert found.signed is True
    # A1 = A is counted there; as alt here it keeps its sign.
    assert found.values(table("1:5:C:A", "1:5:A:C"))[:, 0].tolist() == [-2, 2]
    with pytest.raises(UsageError, match="signed=yes needs alleles"):
        source(f"{write(tmp_path / 'u.tsv', 'CHR,BP,x')}:columns=x:signed=yes")


def test_rows_are_found_by_identifier_where_there_is_no_position(tmp_path):
    path = write(tmp_path / "t.tsv", "SNP\tx\nrs2\t3\nrs2\t5\nrs1\t1\n")
    with pytest.raises(InputFormatError, match="'rs2' occurs more than once"):
        source(f"{path}:columns=x")
    found = source(f"{path}:columns=x:agg=mean")
    values = found.values(table("1:1:A:C:rs1", "1:2:A:C:rs2", "1:2:A:C"))
    np.testing.assert_array_equal(values[:, 0], [1, 4, np.nan])


@pytest.mark.parametrize(("agg", "expected"), [("max", 7), ("min", 2), ("mean", 4.5), ("count", 2)])
def test_several_rows_of_a_variant_are_joined(tmp_path, agg, expected):
    path = write(tmp_path / "t.txt", "g1 1 5 2\ng2 chr1 5 7\ng3 1 5 NA\ng4 1 8 3\n")
    keys = "header=no:chrom=2:pos=3:columns=4"
    with pytest.raises(InputFormatError, match="1:5:: occurs more than once"):
        source(f"{path}:{keys}")
    found = source(f"e={path}:{keys}:agg={agg}")
    assert found.columns == ("e",)  # one column that was only counted
    assert found.values(table("1:5:A:C"))[0, 0] == expected


def test_alleles_are_part_of_the_key_that_is_joined(tmp_path):
    rows = "1,5,A,C,1\n1,5,A,C,2\n1,5,A,G,9\n"
    path = write(tmp_path / "t.csv", "CHR,BP,A1,A2,x\n" + rows)
    values = source(f"{path}:columns=x:agg=max").values(table("1:5:A:C", "1:5:A:G"))
    assert values[:, 0].tolist() == [2, 9]


def test_regions_say_where_a_missing_row_means_zero(tmp_path):
    path = write(tmp_path / "t.tsv", "CHR\tBP\tx\n1\t5\t3\n1\t50\t4\n")
    variants = table("1:5:A:C", "1:6:A:C", "1:50:A:C", "2:6:A:C", "2:9:A:C")
    missing = source(f"{path}:columns=x:region=1:1-9+chr2:6-8").values(variants)
    np.testing.assert_array_equal(missing[:, 0], [3, np.nan, np.nan, np.nan, np.nan])
    zero = source(f"{path}:columns=x:region=1:1-9+chr2:6-8:absent=zero").values(variants)
    np.testing.assert_array_equal(zero[:, 0], [3, 0, np.nan, 0, np.nan])
    everywhere = source(f"{path}:columns=x:absent=zero").values(variants)
    assert everywhere[:, 0].tolist() == [3, 0, 4, 0, 0]


def test_p_values_below_the_range_of_floats_keep_their_size(tmp_path):
    path = write(tmp_path / "t.tsv", "CHR\tBP\tp\n1\t1\t1e-400\n1\t2\t0.05\n1\t3\t1\n1\t4\tNA\n")
    found = source(f"{path}:columns=p:transform=neglog10")
    values = found.values(table("1:1:A:C", "1:2:A:C", "1:3:A:C", "1:4:A:C"))[:, 0]
    np.testing.assert_allclose(values, [400, 1.30103, 0, np.nan], rtol=1e-6)


@given(st.floats(1e-300, 1.0))
def test_neglog10_is_that_of_numpy(tmp_path_factory, p):
    path = tmp_path_factory.mktemp("p") / "t.tsv"
    write(path, f"CHR\tBP\tp\n1\t1\t{p!r}\n")
    value = source(f"{path}:columns=p:transform=neglog10").values(table("1:1:A:C"))[0, 0]
    np.testing.assert_allclose(value, -np.log10(p), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("transform", "expected"), [("abs", 2), ("none", -2)])
def test_other_transforms(tmp_path, transform, expected):
    path = write(tmp_path / "t.tsv", TABLE)
    values = source(f"{path}:columns=x:transform={transform}").values(table("1:5:A:C"))
    assert values[0, 0] == expected


def test_log1p_is_for_values_from_0(tmp_path):
    path = write(tmp_path / "t.tsv", TABLE)
    values = source(f"{path}:columns=y:transform=log1p").values(table("1:5:A:C"))
    np.testing.assert_allclose(values, [[np.log(5)]], rtol=1e-6)
    with pytest.raises(InputFormatError, match="t.tsv:2: x is -2; log1p expects values from 0"):
        source(f"{path}:columns=x:transform=log1p")


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ("0", "'0'; expected a p-value above 0"),
        (f"1e-{'9' * 400}", "above 0"),
        ("2", "at most 1"),
        ("x", "'x'"),
        ("-1", "'-1'"),
    ],
)
def test_faulty_p_values_are_named(tmp_path, p, message):
    path = write(tmp_path / "t.tsv", f"CHR\tBP\tp\n1\t1\t{p}\n")
    with pytest.raises(InputFormatError, match=f"t.tsv:2: p is .*{message}"):
        source(f"{path}:columns=p:transform=neglog10")


@pytest.mark.parametrize(("multi", "expected"), [("max", 0.5), ("min", -0.1), ("mean", 0.2)])
def test_cells_of_several_transcripts_are_joined(tmp_path, multi, expected):
    rows = "1\t5\tA\tC\t-0.1;.;0.5\n1\t6\tA\tC\t.;.\n1\t7\tA\tC\t3\n"
    path = write(tmp_path / "t.tsv", f"#chr\tpos(1-based)\tref\talt\tSIFT\n{rows}")
    found = source(f"{path}:pos=pos(1-based):columns=SIFT:multi={multi}")
    values = found.values(table("1:5:A:C", "1:6:A:C", "1:7:C:A", "1:5:A:G"))[:, 0]
    np.testing.assert_allclose(values, [expected, np.nan, 3, np.nan], rtol=1e-6)


@pytest.mark.parametrize("cell", ["0.1;x", "inf", "1;nan;-inf", "1,2", "1;1e39"])
def test_cells_with_a_part_that_is_no_number_are_named(tmp_path, cell):
    path = write(tmp_path / "t.tsv", f"CHR\tBP\tx\n1\t5\t{cell}\n")
    with pytest.raises(InputFormatError, match="t.tsv:2: x is .*; expected numbers separated by ;"):
        source(f"{path}:columns=x:multi=max")


@pytest.mark.parametrize(
    ("text", "options", "theirs"),
    [
        (TABLE, "", r"1:5:C:A \(rs1\), 1:6:G:A \(rs2\)"),
        (TABLE, ":region=1:1-99:absent=zero", r"1:5:C:A \(rs1\), 1:6:G:A \(rs2\)"),
        ("CHR\tBP\tx\n2\t7\t1\n2\t6\t1\n2\t9\t1\n2\t8\t1\n", "", "2:6, 2:7, 2:8"),
        ("SNP\tx\nrs7\t1\n", "", "rs7"),
        ("SNP\tx\n", "", "no rows"),
        ("CHR\tBP\tx\n", "", "no rows"),
    ],
)
def test_a_table_of_other_variants_is_refused_with_examples(tmp_path, text, options, theirs):
    found = source(f"{write(tmp_path / 't.tsv', text)}:columns=x{options}")
    message = f"t.tsv: has none of the 1 variants; it has {theirs}, the list 1:5:A:G .rs3.; check"
    with pytest.raises(InputMismatchError, match=message):
        found.require_match(table("1:5:A:G:rs3"))


def test_a_table_with_one_of_the_variants_is_taken(tmp_path):
    for text, row in ((TABLE, "1:5:A:C"), ("SNP\tx\nrs1\tNA\n", "9:9:A:C:rs1")):
        found = source(f"{write(tmp_path / 't.tsv', text)}:columns=x")
        found.require_match(table("7:1:A:C", row))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("", UsageError, "which columns. add :columns="),
        (":columns=z", InputFormatError, "no column 'z'"),
        (":columns=x:agg=median", UsageError, "agg='median'; use one of"),
        (":columns=x:multi=max:transform=neglog10", UsageError, "do not go together"),
        (":columns=x:region=1", UsageError, "region='1'; expected CHR:START-END"),
        (":columns=x:region=1:9-5", UsageError, "region='1:9-5'"),
        (":columns=3:header=no", InputFormatError, "no columns for the key; name them"),
    ],
)
def test_faulty_options_are_named(tmp_path, options, error, message):
    path = write(tmp_path / "t.tsv", TABLE)
    with pytest.raises(error, match=message):
        source(f"{path}{options}")


def test_an_empty_table_gives_missing_values(tmp_path):
    path = write(tmp_path / "t.tsv", "CHR\tBP\tx\n")
    assert np.isnan(source(f"{path}:columns=x:agg=max").values(table("1:1:A:C"))).all()


def test_real_association_results(shared_data):
    """QTLtools nominal pass: column 9 contig, 10 position, 12 p-value (its documentation)."""
    path = shared_data("eqtl/geuvadis_qtltools/expected_qtltools_nominal_1e-3.nocov.txt.gz")
    keys = "header=no:chrom=9:pos=10:columns=12:transform=neglog10:agg=max"
    found = source(f"{path}:{keys}:region=22:16000000-36000000:absent=zero")
    with gzip.open(path) as stream:
        frame = pd.read_csv(stream, sep=" ", header=None)
    best = -np.log10(frame.groupby(9)[11].min())
    values = found.values(table(*(f"22:{pos}:A:C" for pos in best.index), "22:36000001:A:C"))
    np.testing.assert_allclose(values[:-1, 0], best.to_numpy(), rtol=1e-5)
    assert np.isnan(values[-1, 0])
