import dataclasses
import gzip
import sys

import numpy as np
import pytest

from tfgen.effects import ScoreStore
from tfgen.errors import UsageError
from tfgen.genome import is_palindromic, match_alleles
from tfgen.genome.plink import PlinkGenotypes
from tfgen.synthetic.gwas_chromosome import draw_chromosome
from tfgen.synthetic.gwas_config import GwasConfig
from tfgen.synthetic.gwas_files import (
    concatenated,
    write_annotations,
    write_intervals,
    write_panel,
    write_scores,
    write_signal,
    write_statistics,
)

QUICK = dataclasses.replace(
    GwasConfig(), chromosomes=2, variants=240, block_variants=60, people=300, founders=60
)


@pytest.fixture(scope="module")
def drawn():
    return [draw_chromosome(QUICK, index) for index in range(2)]


def test_the_panel_has_the_genotypes_of_its_people(drawn, tmp_path):
    write_panel(tmp_path / "panel", drawn, 50)
    with PlinkGenotypes(tmp_path / "panel") as panel:
        assert (len(panel.samples), len(panel.variants)) == (50, 480)
        expected = np.concatenate([c.genotypes[:50] for c in drawn], axis=1)
        np.testing.assert_array_equal(panel.read(slice(None)), expected)
        table = concatenated([c.variants for c in drawn])
        for name in ("chrom", "pos", "ref", "alt", "id"):
            np.testing.assert_array_equal(getattr(panel.variants, name), getattr(table, name))


def test_without_bed_reader_the_panel_says_what_to_install(drawn, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bed_reader", None)
    with pytest.raises(UsageError, match=r"pip install 'tfgen\[geno\]'"):
        write_panel(tmp_path / "panel", drawn, 50)


def test_the_statistics_give_back_z_whatever_allele_they_are_about(drawn, tmp_path):
    z = [np.linspace(-6, 6, 240), np.linspace(50, -6, 240)]
    path = tmp_path / "gwas.gz"
    write_statistics(path, drawn, z, 400_000, QUICK.generators("file"))
    header, *rows = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode()
                     .splitlines()]  # fmt: skip
    assert header == "CHR SNP POS A1 A2 N AF1 BETA SE P INFO".split()
    table = concatenated([c.variants for c in drawn])
    truth = {name: (i, np.concatenate(z)[i]) for i, name in enumerate(table.id)}
    assert len(rows) == 480 + 2 * 3
    ways, place = [], []
    for chrom, name, pos, a1, a2, n, af1, beta, se, p, _ in rows:
        place.append((int(chrom), int(pos)))
        assert 0 < float(p) <= 1
        if name not in truth:
            assert (chrom, int(pos)) not in set(zip(table.chrom, table.pos, strict=True))
            continue
        i, value = truth[name]
        ref, alt, other = (np.array([x], object) for x in (table.ref[i], table.alt[i], a2))
        way = int(match_alleles(ref, alt, other, np.array([a1], object))[0])
        swapped = way in (2, 4)
        sign = -1 if swapped else 1
        assert float(beta) / float(se) == pytest.approx(sign * value, rel=1e-5, abs=1e-9)
        frequency = 1 - table.af[i] if swapped else table.af[i]
        assert float(af1) == pytest.approx(frequency, rel=1e-4)
        expected = 1 / np.sqrt(2 * frequency * (1 - frequency) * int(n))
        assert float(se) == pytest.approx(expected, rel=1e-4)
        ways.append(way)
        if way > 2:
            assert not is_palindromic(ref, alt)[0]
    assert place == sorted(place)
    assert set(ways) == {1, 2, 3, 4}
    assert 0.4 < np.mean(np.isin(ways, (2, 4))) < 0.6
    assert min(float(row[10]) for row in rows) < 0.6
    assert max(int(row[5]) for row in rows) <= 400_000


def test_annotations_have_a_file_for_every_chromosome(drawn, tmp_path):
    write_annotations(tmp_path, drawn)
    for chromosome in drawn:
        path = tmp_path / f"annot.{chromosome.name}.annot.gz"
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert lines[0].split("\t") == ["CHR", "BP", "SNP", "CM", "base", "coding", "conserved"]
        rows = [line.split("\t") for line in lines[1:]]
        assert [int(row[1]) for row in rows] == chromosome.variants.pos.tolist()
        assert [float(row[6]) for row in rows] == chromosome.conserved.tolist()
        assert [int(row[5]) for row in rows] == chromosome.coding.tolist()


def test_intervals_are_bed(drawn, tmp_path):
    write_intervals(tmp_path / "peaks.bed", tmp_path / "blocks.bed", drawn)
    rows = [line.split("\t") for line in (tmp_path / "blocks.bed").read_text().splitlines()]
    assert [(c, int(s), int(e)) for c, s, e in rows] == [
        (c.name, start, end) for c in drawn for start, end, _ in c.blocks
    ]
    assert len((tmp_path / "peaks.bed").read_text().splitlines()) == sum(
        len(c.peaks) for c in drawn
    )


def test_the_signal_is_that_of_its_bins(drawn, tmp_path):
    import pyBigWig

    write_signal(tmp_path / "signal.bw", drawn)
    file = pyBigWig.open(str(tmp_path / "signal.bw"))
    for chromosome in drawn:
        assert file.chroms(chromosome.name) == chromosome.length
        values = np.array(file.values(chromosome.name, 0, chromosome.length))
        np.testing.assert_allclose(values, np.repeat(chromosome.signal, 128))
    file.close()


def test_the_scores_are_a_score_store(drawn, tmp_path):
    write_scores(tmp_path / "scores.h5", drawn)
    table = concatenated([c.variants for c in drawn])
    sad = np.concatenate([c.sad for c in drawn])
    with ScoreStore(tmp_path / "scores.h5") as store:
        assert (store.n_rows, store.n_tracks, tuple(store.statistics)) == (480, 4, ("SAD",))
        np.testing.assert_array_equal(store.column("pos"), table.pos)
        np.testing.assert_array_equal(store.scores("SAD"), sad)
        ref, alt, status = (
            np.array([value.decode() for value in store.column(name)], object)
            for name in ("ref_allele", "alt_allele", "status")
        )
    same = (ref == table.ref) & (alt == table.alt)
    swapped = (ref == table.alt) & (alt == table.ref)
    assert (same | swapped).all()
    assert 0.3 < same.mean() < 0.7
    np.testing.assert_array_equal(status == "OK", ~np.isnan(sad[:, 0]))


def test_a_few_statistics_come_of_a_smaller_sample(tmp_path):
    drawn = [draw_chromosome(dataclasses.replace(QUICK, variants=2000, chromosomes=1), 0)]
    path = tmp_path / "gwas.gz"
    write_statistics(path, drawn, [np.zeros(2000)], 400_000, QUICK.generators("file")[:1])
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    small = [int(line.split("\t")[5]) == 200_000 for line in lines]
    assert 0 < np.mean(small) < 0.02
