import os
from pathlib import Path

import pysam
import pysam.bcftools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome.files import VCF_HEADER, vcf_lines
from tfgen.errors import InputFormatError, UsageError
from tfgen.genome import Variant, VariantFormat, VariantRecord, read_variants, scan_variants

CONTENT = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    "chr2\t9\trs9\tA\tC,<DEL>,T\t.\t.\t.\n"
    "chr1\t5\t.\tac\t.\t.\t.\t.\n"
    "chr1\t4\té€\tA\tACGT\t.\t.\t.\n"
)


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    path = tmp_path / "v.vcf"
    path.write_text(CONTENT, "utf-8")
    return path


def test_each_alt_is_a_row_in_input_order(vcf: Path) -> None:
    assert list(read_variants(vcf)) == [
        VariantRecord(0, 4, 1, Variant("chr2", 9, "A", "C", "rs9")),
        VariantRecord(1, 4, 2, Variant("chr2", 9, "A", "<DEL>", "rs9")),
        VariantRecord(2, 4, 3, Variant("chr2", 9, "A", "T", "rs9")),
        VariantRecord(3, 5, 1, Variant("chr1", 5, "AC", ".", ".")),
        VariantRecord(4, 6, 1, Variant("chr1", 4, "A", "ACGT", "é€")),
    ]


def test_summary_measures_bytes_and_counts_rows(vcf: Path) -> None:
    summary = scan_variants(str(vcf))
    assert (summary.n_rows, summary.n_records) == (5, 3)
    assert summary.contigs == ("chr2", "chr1")
    assert summary.contig_lengths == {"chr1": 1000}
    assert summary.max_chrom_length == 4
    assert summary.max_id_length == len("é€".encode()) == 5
    assert (summary.max_ref_length, summary.max_alt_length) == (2, 5)


def test_summary_of_no_records_is_all_zero(tmp_path: Path) -> None:
    path = tmp_path / "v.vcf"
    path.write_text(VCF_HEADER)
    summary = scan_variants(path)
    assert (summary.n_rows, summary.contigs, summary.max_chrom_length) == (0, (), 0)
    assert list(read_variants(path)) == []


def test_a_table_is_read_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "sites.tsv"
    path.write_text("chr1\t5\trs1\tA\tG\n")
    with pytest.raises(InputFormatError, match=r"sites\.tsv:1: no VCF header"):
        list(read_variants(path))
    assert [record.variant for record in read_variants(path, "tsv")] == [
        Variant("chr1", 5, "A", "G", "rs1")
    ]
    assert scan_variants(path, "tsv").n_rows == 1


def test_bcf_is_recognised_by_its_content(vcf: Path, tmp_path: Path) -> None:
    well_formed = tmp_path / "w.vcf"
    header = '##fileformat=VCFv4.2\n##FILTER=<ID=PASS,Description="x">\n##contig=<ID=c>\n'
    body = vcf_lines([("c", 5, "A", "G"), ("c", 3, "AT", "A")])
    well_formed.write_text(header + body.partition("\n")[2])
    bcf = tmp_path / "w.bcf"
    pysam.bcftools.view("-Ob", "-o", str(bcf), str(well_formed), catch_stdout=False)
    bcf = bcf.rename(tmp_path / "looks_like.vcf")
    variants = [record.variant for record in read_variants(well_formed)]
    for file_format in ("auto", "bcf"):
        assert [record.variant for record in read_variants(bcf, file_format)] == variants
    for path, file_format, message in (
        (bcf, "vcf", r"looks_like\.vcf: is BCF, but was to be read as vcf"),
        (bcf, "tsv", r"looks_like\.vcf: is BCF, but was to be read as tsv"),
        (vcf, "bcf", r"v\.vcf: is not BCF, but was to be read as bcf"),
    ):
        with pytest.raises(InputFormatError, match=message):
            list(read_variants(path, file_format))


def test_unknown_format_is_refused(vcf: Path) -> None:
    with pytest.raises(UsageError, match="file_format 'bed': expected auto, vcf, bcf or tsv"):
        scan_variants(vcf, "bed")  # type: ignore[arg-type]


@pytest.mark.parametrize("file_format", ["auto", "vcf", "bcf", "tsv"])
def test_missing_file_is_an_input_error(tmp_path: Path, file_format: VariantFormat) -> None:
    with pytest.raises(InputFormatError, match=r"none\.vcf: cannot be read"):
        list(read_variants(tmp_path / "none.vcf", file_format))


ALLELES = st.text("ACGTN", min_size=1, max_size=4)
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["chr1", "chr2"]),
        st.integers(1, 10_000),
        st.text("abcXYZ019_", min_size=1, max_size=8),
        ALLELES,
        st.lists(st.one_of(ALLELES, st.sampled_from(["<DEL>", "*"])), min_size=1, max_size=3),
    ),
    max_size=6,
)


@given(RECORDS)
def test_well_formed_files_read_as_htslib_reads_them(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, int, str, str, list[str]]],
) -> None:
    path = tmp_path_factory.mktemp("vcf") / "v.vcf"
    header = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=20000>\n##contig=<ID=chr2>\n"
    body = "".join(
        f"{chrom}\t{pos}\t{name}\t{ref}\t{','.join(alts)}\t.\tPASS\t.\n"
        for chrom, pos, name, ref, alts in records
    )
    path.write_text(header + VCF_HEADER.partition("\n")[2] + body)
    with pysam.VariantFile(str(path)) as expected:
        rows = [
            (record.chrom, record.pos, record.id, record.ref, alt)
            for record in expected
            for alt in record.alts or ()
        ]
    found = [record.variant for record in read_variants(path)]
    assert [(v.chrom, v.pos, v.id, v.ref, v.alt) for v in found] == rows
    assert scan_variants(path).n_rows == len(rows)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.vcf")
    with pytest.raises(InputFormatError, match=r"pipe\.vcf: is a pipe or a device; save its"):
        scan_variants(tmp_path / "pipe.vcf")
