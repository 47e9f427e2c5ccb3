"""Small input files for the tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pysam

from genome.oracle import fasta_text

VCF_HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def write_fasta(path: Path, contigs: Mapping[str, str], width: int = 60) -> Path:
    path.write_text(fasta_text(contigs, width))
    return path


def write_bgzip(path: Path, content: bytes) -> Path:
    with pysam.BGZFile(str(path), "wb") as handle:
        handle.write(content)
    return path


def vcf_lines(records: Iterable[tuple[str, int, str, str]]) -> str:
    """A VCF of records chrom, pos, ref, alt with an id made of all of them."""
    lines = [
        f"{chrom}\t{pos}\t{chrom}_{pos}_{ref}_{alt}\t{ref}\t{alt}\t.\tPASS\t."
        for chrom, pos, ref, alt in records
    ]
    return VCF_HEADER + "".join(line + "\n" for line in lines)
