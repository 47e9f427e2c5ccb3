"""The FASTA of a world: letters, case, indices, bytes."""

import gzip

import numpy as np
import pytest

from tfgen.genome import Fasta, Interval
from tfgen.synthetic.assembly import FastaWriter, assemble
from tfgen.synthetic.config import WorldConfig


@pytest.fixture
def config():
    chromosomes = ("chrA:25600:train", "chrB:19200:test")
    return WorldConfig(
        chromosomes=chromosomes, gap_length=500, test_variants=0, other_variants=0, spacing=300
    )


def write(config, path):
    writer = FastaWriter(path, config)
    made = list(assemble(config))
    for item in made:
        writer.add(item.chromosome.name, item.codes)
    writer.finish()
    return made


def test_fasta_reads_back_as_the_codes_that_were_made(config, tmp_path):
    made = write(config, tmp_path / "g.fa.gz")
    with Fasta(tmp_path / "g.fa.gz") as fasta:
        assert fasta.contigs == {"chrA": 25600, "chrB": 19200}
        assert fasta.index_origin == "existing"
        for item in made:
            whole = Interval(item.chromosome.name, 0, item.chromosome.length)
            np.testing.assert_array_equal(fasta.codes(whole), item.codes)


def test_fasta_has_gaps_lower_case_and_lines_of_64(config, tmp_path):
    write(config, tmp_path / "g.fa.gz")
    lines = gzip.decompress((tmp_path / "g.fa.gz").read_bytes()).decode().splitlines()
    assert lines[0] == ">chrA"
    assert {len(line) for line in lines if line[0] != ">"} == {64}
    letters = "".join(line for line in lines if line[0] != ">")
    assert set(letters) - {"n"} == set("ACGTNacgt")
    assert 0.1 < sum(map(str.islower, letters)) / len(letters) < 0.6
    assert letters[:500].upper() == "N" * 500


def test_a_last_line_may_be_short(config, tmp_path):
    writer = FastaWriter(tmp_path / "g.fa.gz", config)
    writer.add("chrA", np.full(70, 2, np.uint8))
    writer.finish()
    with Fasta(tmp_path / "g.fa.gz") as fasta:
        assert fasta.fetch(Interval("chrA", 0, 71)) == "G" * 70 + "N"


def test_the_uncompressed_file_is_gone(config, tmp_path):
    write(config, tmp_path / "g.fa.gz")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["g.fa.gz", "g.fa.gz.fai", "g.fa.gz.gzi"]


def test_planted_sites_lie_outside_the_outer_gaps(config):
    for item in assemble(config):
        for planted in item.planted:
            assert planted.start.min(initial=500) >= 500
            assert planted.start.max(initial=0) + 11 <= item.chromosome.length - 500
