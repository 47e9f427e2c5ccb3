"""A large VCF with every kind of bad record mixed in."""

import random

import numpy as np
import pytest

from effects.processes import finish
from tfgen.effects import ScoreStore
from tfgen.io import read_table

N_ROWS = 10_000


@pytest.fixture
def mixture(world):
    """A VCF of 10,000 rows and the status and flags that each must get."""
    # A contig so short that most of a window lies outside.
    fasta = world.folder / "with_short.fa"
    fasta.write_text(world.fasta.read_text() + ">short\n" + "ACGT" * 75 + "\n")
    rng = random.Random(1)

    def place():
        pos = rng.randrange(600, 19_000)
        return pos, world.base("chr1", pos), world.other("chr1", pos)

    def good(form):
        pos, ref, alt = place()
        return f"chr1\t{pos}\tg\t" + form.format(ref=ref, alt=alt)

    def deletion():
        pos = rng.randrange(600, 19_000)
        bases = world.contigs["chr1"][pos - 1 : pos + 40]
        return f"chr1\t{pos}\td\t{bases}\t{bases[0]}"

    def block():
        pos = rng.randrange(600, 19_000)
        bases = world.contigs["chr1"][pos - 1 : pos + 2]
        other = bases.translate(str.maketrans("ACGT", "CGTA"))
        return f"chr1\t{pos}\tm\t{bases}\t{other}"

    kinds = {
        "OK": [
            lambda: good("{ref}\t{alt}"),
            lambda: good("{ref}\t{ref}{alt}{alt}"),
            lambda: good("{ref}\t{alt}").lower(),
            lambda: good("{ref}\t{alt}").replace("chr1", "1", 1),
            deletion,
            block,
        ],
        "REF_MISMATCH": [lambda: good("{alt}\t{ref}")],
        "UNKNOWN_CONTIG": [lambda: "chr77\t5\tu\tA\tC"],
        "POS_RANGE": [
            lambda: "chr1\t0\tp\tA\tC",
            lambda: "chr1\t-9\tp\tA\tC",
            lambda: "chr1\t20001\tp\tA\tC",
            lambda: f"chr1\t{2**40}\tp\tA\tC",
            lambda: "chr1\t20000\tp\tACC\tA",
        ],
        "NO_ALT": [lambda: good("{ref}\t.")],
        "SYMBOLIC": [lambda: good("{ref}\t<DEL>"), lambda: good("{ref}\t<INS:ME>")],
        "BREAKEND": [lambda: good("{ref}\t{ref}[chr2:77["), lambda: good("{ref}\t.{alt}")],
        "STAR": [lambda: good("{ref}\t*")],
        "NON_ACGT": [lambda: good("{ref}\tR"), lambda: good("X\t{alt}")],
        "REF_EQ_ALT": [lambda: good("{ref}\t{ref}")],
        "INDEL_TOO_LONG": [
            lambda: good("{ref}\t{ref}" + "ACGT" * 130),
            lambda: good("{ref}" + "ACGT" * 300 + "\t{alt}" + "TCGA" * 300),
        ],
        "WINDOW_OFF_CONTIG": [lambda: f"short\t{rng.randrange(37) * 4 + 1}\tw\tA\tC"],
        "N_FRACTION": [
            lambda: world.snv("chrN", rng.randrange(1201, 1210), "n"),
        ],
    }
    codes = list(kinds)
    expected, lines = [], []
    for row in range(N_ROWS):
        # Every kind among the first rows, mostly good ones later.
        code = codes[row % len(codes)] if row < 200 or row % 3 == 0 else "OK"
        expected.append(code)
        lines.append(rng.choice(kinds[code])())
    return world.config(world.vcf(lines), fasta=fasta, max_rejected_fraction=1.0), expected, lines


def test_every_row_has_its_status_and_memory_stays_flat(mixture):
    config, expected, lines = mixture
    found = finish(config, measure=True, tracks=64, rows_per_piece=64)
    assert found["counts"] == {
        code: expected.count(code)
        for code in sorted(set(expected), key=list(found["counts"]).index)
    }
    # ru_maxrss is in kB on Linux.
    growth = found["memory_at_end"] - found["memory_at_row_1000"]
    assert growth < 50_000
    with ScoreStore(config.output) as store:
        statuses = [code.decode() for code in store.column("status").tolist()]
        wrong = [
            (lines[row], want, got)
            for row, (want, got) in enumerate(zip(expected, statuses, strict=True))
            if want != got
        ]
        assert wrong == []
        scored = np.isfinite(store.scores("SAD")[:, 0])
        assert scored.tolist() == [code == "OK" for code in expected]
        assert store.column("ref_allele")[7].decode() == lines[7].split("\t")[3].upper()
    rejects = read_table(config.output.with_name("scores.h5.rejects.tsv"))
    assert rejects["code"] == [code for code in expected if code != "OK"]
    assert rejects["line"] == [str(row + 3) for row, code in enumerate(expected) if code != "OK"]
    assert all(rejects["detail"])
