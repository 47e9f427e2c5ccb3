"""Published files of other projects."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
import pytest

from tfgen.genome import (
    ContigNames,
    Fasta,
    Interval,
    ReferencePolicy,
    Status,
    Variant,
    alternative_sequence,
    centred_window,
    check_variant,
    read_variants,
    scan_variants,
    variant_window,
)

SharedData = Callable[[str], Path]


def test_all_1000_genomes_variants_of_chr20_match_their_genome(shared_data: SharedData) -> None:
    vcf = shared_data("haplotypes/shapeit4_chr20_b37/reference.vcf.gz")
    with Fasta(shared_data("genome/GRCh37_chr20_900k_4100k.fa.gz")) as fasta:
        names = ContigNames(fasta.contigs)
        checked = [check_variant(record.variant, fasta, names) for record in read_variants(vcf)]
        windows = [
            variant_window(fasta, each, centred_window(each.variant, 4096))
            for each in checked[::100]
        ]
    assert len(checked) == scan_variants(vcf).n_rows == 24_990
    assert {each.status for each in checked} == {Status.OK}
    assert not any(each.not_normalised for each in checked)
    assert sum(each.variant.is_substitution for each in checked) == 23_670
    assert all(window.status is Status.OK for window in windows)
    for window in windows:
        differs = np.flatnonzero(window.ref_codes != window.alt_codes)
        assert differs.min() >= window.offset == 2048


def test_text_reader_agrees_with_htslib_on_a_phased_panel(shared_data: SharedData) -> None:
    path = shared_data("haplotypes/shapeit4_chr20_b37/reference.vcf.gz")
    with pysam.VariantFile(str(path), drop_samples=True) as records:
        expected = [
            Variant(record.chrom, record.pos, record.ref, alt, record.id or ".")
            for record in records
            for alt in record.alts
        ]
    assert [record.variant for record in read_variants(path)] == expected


def test_bcf_of_a_phased_panel_is_read(shared_data: SharedData) -> None:
    summary = scan_variants(shared_data("haplotypes/eagle_chr22_1kg/ref.bcf"))
    assert (summary.n_rows, summary.contigs) == (645, ("22",))
    assert summary.contig_lengths["22"] == 51_304_566


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("regulatory_validated", Variant("chr1", 56972353, "G", "A", "rs72664324")),
        ("regulatory_validated_misorder", Variant("chr1", 109817590, "G", "T", "rs12740374")),
        ("regulatory_validated_misref", Variant("chr1", 56972353, "A", "G", "rs72664324")),
    ],
)
def test_files_without_contig_lines_give_sixteen_rows_in_file_order(
    shared_data: SharedData, name: str, first: Variant
) -> None:
    path = shared_data(f"variant_scores/{name}.vcf")
    records = list(read_variants(path))
    assert [record.row for record in records] == list(range(16))
    assert [record.line for record in records] == list(range(3, 19))
    assert records[0].variant == first
    ids = [line.split("\t")[2] for line in path.read_text().splitlines() if line[0] != "#"]
    assert [record.variant.id for record in records] == ids


@pytest.mark.parametrize(
    ("name", "policy", "expected"),
    [
        ("eqtl", "skip", [(Status.OK, False)] * 8),
        ("eqtl", "swap", [(Status.OK, False)] * 8),
        ("eqtl_flip", "skip", [(Status.REF_MISMATCH, False)] * 8),
        ("eqtl_flip", "swap", [(Status.OK, True)] * 8),
    ],
)
def test_exchanged_alleles_are_noticed_and_swapped_on_request(
    shared_data: SharedData,
    name: str,
    policy: ReferencePolicy,
    expected: list[tuple[Status, bool]],
) -> None:
    vcf = shared_data(f"genome/baskerville_snp/{name}.vcf")
    straight = [record.variant for record in read_variants(vcf.with_name("eqtl.vcf"))]
    with Fasta(shared_data("genome/hg38_chr1_first1M.fa.gz")) as fasta:
        names = ContigNames(fasta.contigs)
        checked = [
            check_variant(record.variant, fasta, names, ref_policy=policy)
            for record in read_variants(vcf)
        ]
    assert [(each.status, each.swapped) for each in checked] == expected
    if policy == "swap":
        assert [each.variant for each in checked] == straight


@pytest.mark.parametrize(("region", "offset"), [("5UTR", 17_565_848), ("3UTR", 17_590_710)])
def test_alternative_sequences_equal_those_of_kipoiseq(
    shared_data: SharedData, tmp_path: Path, region: str, offset: int
) -> None:
    stem = f"genome/kipoiseq/chr22_ENST00000319363_{region}"
    reference = shared_data(f"{stem}.ref_seq.txt").read_text().strip()
    expected = shared_data(f"{stem}.alt_seqs.txt").read_text().split()
    path = tmp_path / "chr22.fa"
    # One line of N up to the first base of the region.
    path.write_text(">chr22\n" + "N" * offset + reference + "\n")
    with Fasta(path) as fasta:
        names = ContigNames(fasta.contigs)
        interval = Interval("chr22", offset, offset + len(reference))
        assert fasta.fetch(interval) == reference
        found = []
        for record in read_variants(shared_data(f"{stem}.vcf.gz")):
            checked = check_variant(record.variant, fasta, names)
            assert checked.status is Status.OK
            found.append(alternative_sequence(fasta, interval, checked.variant))
    assert found == expected
    assert len(found) == 4


def test_a_fasta_of_the_read_only_data_without_an_index_is_read(shared_data: SharedData) -> None:
    path = shared_data("genome/hg38_chr22_32000000_32300000.fa")
    with Fasta(path) as fasta:
        assert fasta.contigs == {"chr22": 300_000}
        lines = path.read_text().split("\n", 1)[1].replace("\n", "").upper()
        assert fasta.fetch(Interval("chr22", 0, 300_000)) == lines
