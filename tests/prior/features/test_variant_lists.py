import numpy as np
import pandas as pd
import pytest

from prior.feature_files import table, write
from tfgen.errors import InputFormatError
from tfgen.io import RejectLog
from tfgen.prior.features.variant_lists import read_variant_list
from tfgen.prior.ld import ld_store


def labels(variants):
    return [variants.label(row) for row in range(len(variants))]


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("name", ["a.bim", "a.bim.gz"])
def test_the_first_allele_of_a_bim_is_the_counted_one(tmp_path, name, separator):
    text = "22 rs1 0 100 A G\nchr23 rs2 0 7 t CA\n"
    path = write(tmp_path / name, text.replace(" ", separator))
    variants = read_variant_list(path)
    assert labels(variants) == ["22:100:G:A (rs1)", "X:7:CA:T (rs2)"]
    assert np.isnan(variants.af).all()


@pytest.mark.parametrize("name", ["a.vcf", "a.vcf.gz"])
def test_every_alt_of_a_vcf_is_a_row(tmp_path, name):
    text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\t.\tA\tC,GT\n1\t6\trs\tAT\tA\n"
    variants = read_variant_list(write(tmp_path / name, text))
    assert labels(variants) == ["1:5:A:C", "1:5:A:GT", "1:6:AT:A (rs)"]


def test_a_table_has_the_usual_columns(tmp_path):
    path = write(tmp_path / "a.tsv.gz", "SNP\tCHR\tBP\tA1\tA2\tA1FREQ\nrs1\t22\t5\tA\tG\t0.25\n")
    variants = read_variant_list(path)
    assert labels(variants) == ["22:5:G:A (rs1)"]
    assert variants.af.tolist() == [0.25]
    pd.DataFrame({"CHR": [22], "BP": [5], "A1": ["A"], "A2": ["G"]}).to_parquet(
        tmp_path / "a.parquet"
    )
    assert labels(read_variant_list(tmp_path / "a.parquet")) == ["22:5:G:A"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CHR\tBP\tA1\n1\t5\tA\n", "no column for A2"),
        ("CHR\tBP\tA1\tA2\n1\t0\tA\tC\n", "a.tsv:2: BP is 0; expected a position from 1"),
        ("CHR\tBP\tA1\tA2\tFRQ\n1\t5\tA\tC\t1.5\n", "a.tsv:2: FRQ is 1.5; expected a frequency"),
        ("CHR\tBP\tA1\tA2\n", "no variants; expected at least one that can be used"),
        ("CHR\tBP\tA1\tA2\n1\t5\tA\tR\n", "a.tsv:2: 1:5:R:A is NON_ACGT"),
    ],
)
def test_faults_of_tables_are_named(tmp_path, text, message):
    with pytest.raises(InputFormatError, match=message):
        read_variant_list(write(tmp_path / "a.tsv", text))


def test_a_bim_has_six_columns_and_whole_positions(tmp_path):
    with pytest.raises(InputFormatError, match="a.bim:1: position 5.5; expected a whole number"):
        read_variant_list(write(tmp_path / "a.bim", "22 rs1 0 5.5 A C\n"))
    with pytest.raises(InputFormatError, match="a.bim:1: 5 columns; expected the 6"):
        read_variant_list(write(tmp_path / "a.bim", "22 rs1 0 100 A\n"))


def test_rows_that_cannot_be_used_are_listed_with_their_lines(tmp_path):
    rows = [
        "A\tC",
        "A\t<DEL>",
        "A\tC",
        "C\tA",
        "A\tA",
        "A\t.",
        "A\t*",
        "A\tG]2:5]",
        "A\tAR",
        "R\tC",
    ]
    lines = [f"1\t5\tv{i}\t{row}" for i, row in enumerate(rows)]
    path = write(
        tmp_path / "a.vcf",
        "\n".join(["##fileformat=VCFv4.2", *lines, "1\t0\tlow\tA\tC", "1\t9\tlast\tA\tC"]) + "\n",
    )
    with RejectLog(tmp_path) as rejects:
        variants = read_variant_list(path, rejects)
        rejects.write(tmp_path / "rejects.tsv")
    # The same two alleles in the other order are another row: its counted allele differs.
    assert variants.id.tolist() == ["v0", "v3", "last"]
    listed = [line.split("\t") for line in (tmp_path / "rejects.tsv").read_text().splitlines()[1:]]
    assert [(row[0], row[3], row[6]) for row in listed] == [
        ("3", "v1", "SYMBOLIC"),
        ("4", "v2", "DUPLICATE"),
        ("6", "v4", "REF_EQ_ALT"),
        ("7", "v5", "NO_ALT"),
        ("8", "v6", "STAR"),
        ("9", "v7", "BREAKEND"),
        ("10", "v8", "NON_ACGT"),
        ("11", "v9", "NON_ACGT"),
        ("12", "low", "POS_RANGE"),
    ]
    with pytest.raises(InputFormatError, match="a.vcf:3: 1:5:A:<DEL>.* is SYMBOLIC"):
        read_variant_list(path)


class FakeStore:
    """An LD store of two windows that share a variant."""

    def __init__(self, path):
        self.blocks = [type("Info", (), {"id": name}) for name in ("10", "2")]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def read_variants(self, block):
        tables = {
            "10": table("10:5:A:C:rs3", "2:9:A:C:rs2", af=[0.3, 0.2]),
            "2": table("2:9:A:C:rs2", "2:4:A:C:rs1", af=[0.2, 0.1]),
        }
        return tables[block], np.ones(2, bool)


def test_an_ld_store_gives_its_variants_once_in_genome_order(tmp_path, monkeypatch):
    monkeypatch.setattr(ld_store, "LdStore", FakeStore)
    variants = read_variant_list(tmp_path)
    assert variants.id.tolist() == ["rs1", "rs2", "rs3"]
    assert variants.af.tolist() == [0.1, 0.2, 0.3]


def test_real_lists(shared_data):
    bim = read_variant_list(shared_data("gwas_ld/height_chr22/1000G_eur_chr22.bim"))
    assert len(bim) == 15938  # MANIFEST of the shared data, section 9
    assert bim.label(0) == "22:16871137:G:A (rs131538)"
    gwas = read_variant_list(shared_data("gwas_ld/height_chr22/ukb_height_chr22.fastGWA.gz"))
    assert len(gwas) == 15935
    assert gwas.af[0] == 0.0494925
