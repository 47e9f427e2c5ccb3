"""`bcftools consensus` as an independent program that puts variants into a genome."""

import random
from pathlib import Path

import pysam
import pysam.bcftools
import pytest

from genome.files import vcf_lines, write_fasta
from tfgen.genome import (
    ContigNames,
    Fasta,
    Interval,
    Status,
    Variant,
    VariantRecord,
    alternative_sequence,
    centred_window,
    check_variant,
    decode,
    read_variants,
    variant_window,
)

Record = tuple[str, int, str, str]


def random_contig(rng: random.Random, length: int) -> str:
    return "".join(rng.choice("ACGT") for _ in range(length))


def random_record(rng: random.Random, contig: str, first: int, last: int) -> Record:
    """A substitution, insertion, deletion or complex record with REF inside first..last."""
    pos = rng.randint(first, last)
    ref = contig[pos - 1 : min(pos - 1 + rng.choice([1, 1, 1, 2, 3, 9]), last)]
    while True:
        kind = rng.choice(["substitution", "insertion", "deletion", "complex"])
        alt = {
            "substitution": random_contig(rng, len(ref)),
            "insertion": ref + random_contig(rng, rng.randint(1, 9)),
            "deletion": ref[:1],
            "complex": random_contig(rng, rng.randint(1, 12)),
        }[kind]
        if alt != ref:
            return ("c", pos, ref, alt)


def consensus(folder: Path, fasta: Path, records: list[Record]) -> str:
    """The contig that bcftools makes of a FASTA and a sorted VCF."""
    header = "##fileformat=VCFv4.2\n##contig=<ID=c>\n"
    plain = folder / "c.vcf"
    plain.write_text(header + vcf_lines(records).partition("\n")[2])
    packed = folder / "c.vcf.gz"
    pysam.tabix_compress(str(plain), str(packed), force=True)
    pysam.tabix_index(str(packed), preset="vcf", force=True)
    made = folder / "made.fa"
    pysam.bcftools.consensus("-f", str(fasta), "-o", str(made), str(packed), catch_stdout=False)
    with pysam.FastxFile(str(made)) as handle:
        return str(next(iter(handle)).sequence)


def only_variant(folder: Path) -> VariantRecord:
    (record,) = read_variants(folder / "c.vcf.gz")
    return record


@pytest.mark.parametrize("seed", range(40))
def test_window_of_one_variant_equals_the_same_window_of_the_consensus(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    contig = random_contig(rng, rng.randint(40, 200))
    path = write_fasta(tmp_path / "g.fa", {"c": contig}, rng.randint(7, 70))
    made = consensus(tmp_path, path, [random_record(rng, contig, 1, len(contig))])
    with Fasta(path) as fasta, Fasta(write_fasta(tmp_path / "alt.fa", {"c": made})) as alt_fasta:
        checked = check_variant(only_variant(tmp_path).variant, fasta, ContigNames(fasta.contigs))
        assert checked.status is Status.OK
        windows = [centred_window(checked.variant, rng.choice([24, 65, 128, 400]))]
        for _ in range(5):
            start = checked.variant.start - rng.randint(0, 90)
            windows.append(Interval("c", start, checked.variant.end + rng.randint(0, 90)))
        for window in windows:
            found = variant_window(fasta, checked, window)
            assert decode(found.alt_codes) == alt_fasta.fetch(window)
            assert decode(found.ref_codes) == fasta.fetch(window)
        whole = Interval("c", 0, len(contig))
        assert alternative_sequence(fasta, whole, checked.variant) == made


@pytest.mark.parametrize("seed", range(10))
def test_records_put_in_from_right_to_left_equal_the_consensus_of_all(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(100 + seed)
    contig = random_contig(rng, 300)
    path = write_fasta(tmp_path / "g.fa", {"c": contig})
    starts = range(5, 290, 25)
    records = [random_record(rng, contig, start, start + 15) for start in starts]
    expected = consensus(tmp_path, path, records)
    sequence = contig
    for number, (chrom, pos, ref, alt) in enumerate(reversed(records)):
        with Fasta(write_fasta(tmp_path / f"{number}.fa", {"c": sequence})) as fasta:
            variant = Variant(chrom, pos, ref, alt)
            sequence = alternative_sequence(fasta, Interval("c", 0, len(sequence)), variant)
    assert sequence == expected
