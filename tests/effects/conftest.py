"""A small genome with variants, and runs of the pipeline on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tfgen.effects import ScoringConfig

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@dataclass(frozen=True)
class World:
    """A genome and the folder it lies in."""

    folder: Path
    fasta: Path
    contigs: dict[str, str]

    def base(self, chrom, pos):
        """The base at a 1-based position."""
        return self.contigs[chrom][pos - 1]

    def other(self, chrom, pos):
        """A base that is not there."""
        return "ACGT"["ACGT".index(self.base(chrom, pos)) - 1]

    def snv(self, chrom, pos, name="."):
        """A VCF line of a substitution."""
        return f"{chrom}\t{pos}\t{name}\t{self.base(chrom, pos)}\t{self.other(chrom, pos)}"

    def vcf(self, lines, name="in.vcf", header=HEADER):
        """Writes a VCF of lines with five columns."""
        path = self.folder / name
        path.write_text(header + "".join(f"{line}\t.\t.\t.\n" for line in lines))
        return path

    def snvs(self, n, name="in.vcf", chrom="chr1"):
        """A VCF of n substitutions, spread over a contig."""
        positions = np.linspace(600, len(self.contigs[chrom]) - 600, n).astype(int)
        lines = [self.snv(chrom, int(pos), f"v{row}") for row, pos in enumerate(positions)]
        return self.vcf(lines, name)

    def config(self, vcf, output="scores.h5", **settings):
        """Settings of a quiet run."""
        defaults = {
            "model": self.folder / "model",
            "fasta": self.fasta,
            "vcf": vcf,
            "output": self.folder / output,
            "progress": "none",
        }
        return ScoringConfig(**(defaults | settings))


@pytest.fixture
def world(tmp_path):
    """chr1 of 20,000 bases, chr2 of 3,000, chrN of 2,000 with an island in a gap."""
    rng = np.random.default_rng(7)
    contigs = {
        name: "".join(rng.choice(list("ACGT"), length))
        for name, length in (("chr1", 20_000), ("chr2", 3_000), ("chrN", 2_000))
    }
    gapped = list(contigs["chrN"])
    gapped[900:1200] = "N" * 300
    gapped[1210:1500] = "N" * 290
    contigs["chrN"] = "".join(gapped)
    fasta = tmp_path / "genome.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    return World(tmp_path, fasta, contigs)
