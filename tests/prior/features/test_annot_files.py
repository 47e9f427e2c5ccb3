import numpy as np
import pandas as pd
import pytest

from prior.feature_files import table, write
from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.prior.features.annot_files import OPTIONS, AnnotSource
from tfgen.prior.features.source_specs import parse_source
from tfgen.prior.features.variant_lists import read_variant_list

LDSC = "CHR\tBP\tSNP\tCM\tbase\tcoding\n{0}\t5\trs1\t0.1\t1\t0.5\n{0}\t7\trs2\t0.2\t1\tNA\n"


def source(text, contigs=("22",)):
    return AnnotSource(parse_source("annot", str(text), OPTIONS), contigs)


def test_ldsc_files_are_joined_by_position(tmp_path):
    found = source(write(tmp_path / "a.annot.gz", LDSC.format(22)))
    assert found.columns == ("base", "coding")
    assert found.signed is False
    values = found.values(table("22:7:A:C:rs9", "22:5:A:C", "22:6:A:C", "1:5:A:C"))
    np.testing.assert_array_equal(
        values, [[1, np.nan], [1, 0.5], [np.nan, np.nan], [np.nan, np.nan]]
    )
    assert values.dtype == np.float32


def test_polyfun_files_are_joined_by_alleles(tmp_path):
    path = tmp_path / "a.annot.parquet"
    columns = {"SNP": ["rs1"], "CHR": [22], "BP": [5], "A1": ["A"], "A2": ["C"], "x": [3]}
    pd.DataFrame(columns).to_parquet(path)
    values = source(f"pf={path}").values(table("22:5:A:C", "22:5:C:A", "22:5:A:G"))
    np.testing.assert_array_equal(values, [[3], [3], [np.nan]])
    assert source(f"pf={path}").columns == ("pf.x",)


def test_columns_are_chosen_and_reordered(tmp_path):
    path = write(tmp_path / "a.annot", LDSC.format(22))
    found = source(f"{path}:columns=coding+base")
    assert found.columns == ("coding", "base")
    assert found.values(table("22:5:A:C")).tolist() == [[0.5, 1]]
    with pytest.raises(InputFormatError, match="no annotation GC; it has base, coding"):
        source(f"{path}:columns=GC")


def test_one_file_per_chromosome(tmp_path):
    for chrom in ("21", "22"):
        write(tmp_path / f"b.{chrom}.annot.gz", LDSC.format(chrom).replace("0.5", f"0.{chrom}"))
    found = source(tmp_path / "b.@.annot.gz", ("22", "X", "21"))
    assert [path.name for path in found.files] == ["b.22.annot.gz", "b.21.annot.gz"]
    assert "no file for the contigs X; their values are missing" in found.warnings[0]
    values = found.values(table("22:5:A:C", "21:5:A:C", "X:5:A:C", "22:5:A:G"))
    np.testing.assert_allclose(values[:, 1], [0.22, 0.21, np.nan, 0.22], rtol=1e-6)


def test_files_per_chromosome_have_the_same_columns(tmp_path):
    write(tmp_path / "b.21.annot", LDSC.format(21))
    write(tmp_path / "b.22.annot", LDSC.format(22).replace("coding", "noncoding"))
    with pytest.raises(InputMismatchError, match="b.22.annot: its annotations differ from those"):
        source(tmp_path / "b.@.annot", ("21", "22"))
    with pytest.raises(InputFormatError, match="no file for any of the contigs 1, 2"):
        source(tmp_path / "b.@.annot", ("1", "2"))


def test_thin_files_have_the_rows_of_their_bim(tmp_path):
    path = write(tmp_path / "thin.22.annot.gz", "base\tx\n1\t4\n1\t5\n")
    bim = write(tmp_path / "p.22.bim", "22 rs1 0 5 A C\n22 rs2 0 6 A C\n")
    with pytest.raises(UsageError, match="a thin file .no column CHR.; say whose rows these are"):
        source(path)
    found = source(f"{path}:bim={bim}")
    assert found.values(table("22:6:A:C", "22:5:C:A")).tolist() == [[1, 5], [1, 4]]
    each = source(f"{tmp_path}/thin.@.annot.gz:bim={tmp_path}/p.@.bim")
    assert [path.name for path in each.files] == ["thin.22.annot.gz", "p.22.bim"]
    assert each.values(table("22:6:A:C")).tolist() == [[1, 5]]
    write(bim, "22 rs1 0 5 A C\n")
    found = source(f"{path}:bim={bim}")
    with pytest.raises(InputMismatchError, match="2 rows, but .*p.22.bim has 1"):
        found.values(table("22:6:A:C"))
    whole = write(tmp_path / "a.annot", LDSC.format(22))
    with pytest.raises(UsageError, match="has a column CHR; leave the option bim out"):
        source(f"{whole}:bim={bim}")


def test_one_match_in_one_of_the_files_is_enough(tmp_path):
    for chrom in ("21", "22"):
        write(tmp_path / f"b.{chrom}.annot", LDSC.format(chrom))
    found = source(tmp_path / "b.@.annot", ("22", "21"))
    found.require_match(table("22:6:A:C", "21:7:A:C"))
    with pytest.raises(
        InputMismatchError,
        match=r"--annot=.*b.@.annot: has none of the 4 variants; it has 22:5, 22:7, 21:5, the list "
        r"22:6:A:C, 21:6:A:C \(rs6\), 22:8:A:C; check build, contigs, alleles",
    ):
        found.require_match(table("22:6:A:C", "21:6:A:C:rs6", "22:8:A:C", "22:9:A:C"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CHR\tBP\tSNP\tCM\n22\t5\trs1\t0\n", "no annotation .*; it has none"),
        ("CHR\tSNP\tx\n22\trs1\t0\n", "no column for BP"),
        ("CHR\tBP\tSNP\tx\n22\t5\trs1\t0\n22\t5\trs1\t1\n", r"22:5:: \(rs1\) occurs more than"),
        ("CHR\tBP\tSNP\tx\n22\t5\trs1\tlow\n", "a.annot:2: x is 'low'"),
        ("CHR\tBP\tSNP\tx\n22\t5\trs1\t1e39\n", r"a.annot:2: x is 1e\+39, beyond 32-bit floats"),
        ("CHR\tBP\tSNP\tx\n22\t0\trs1\t1\n", "a.annot:2: BP is 0; expected a position"),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    path = write(tmp_path / "a.annot", text)
    with pytest.raises(InputFormatError, match=message):
        source(path).values(table("22:5:A:C"))


def test_165_of_the_snps_of_a_real_gwas_have_polyfun_annotations(shared_data):
    """165 of the 15,935 height SNPs lie in the 1-Mb piece of chromosome 22 that the file covers;
    position, alleles and identifier agree on them (pandas merge, below)."""
    path = shared_data("gwas_ld/polyfun/annotations.22.annot.parquet")
    gwas_path = shared_data("gwas_ld/height_chr22/ukb_height_chr22.fastGWA.gz")
    found = source(path)
    gwas = read_variant_list(gwas_path)
    values = found.values(gwas)
    assert values.shape == (15935, 7)
    present = ~np.isnan(values)
    assert present.sum(axis=0).tolist() == [165] * 7
    frame, table_ = pd.read_parquet(path), pd.read_csv(gwas_path, sep="\t")
    merged = table_.merge(frame, left_on=["CHR", "POS", "SNP"], right_on=["CHR", "BP", "SNP"])
    sums = merged[list(found.columns)].sum().to_numpy()
    np.testing.assert_array_equal(np.nansum(values, axis=0), sums)
