"""Making, repeating and opening a world."""

import dataclasses
import json

import numpy as np
import pytest

from tfgen.errors import InputFormatError, OutputError, UnsupportedInputError, UsageError
from tfgen.genome import Fasta, Interval
from tfgen.synthetic import TRACKS, World, expected_coverage, make_world

FILES = {
    "coverage/atac_beta.bw", "coverage/cage_alpha.bw", "coverage/cage_beta.bw",
    "coverage/dnase_alpha.bw", "coverage/chrA.npy", "coverage/chrB.npy", "coverage/chrC.npy",
    "elements.bed", "genome.fa.gz", "genome.fa.gz.fai", "genome.fa.gz.gzi", "run.json",
    "targets.txt", "truth.tsv", "variants.vcf.gz", "variants.vcf.gz.tbi", "world.json",
}  # fmt: skip


def contents(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_world_has_these_files_and_no_others(tiny_world):
    assert set(contents(tiny_world.directory)) == FILES


def test_the_same_seed_gives_the_same_bytes(tiny_world, tmp_path):
    make_world(tiny_world.config, tmp_path / "again", progress="none")
    first, second = contents(tiny_world.directory), contents(tmp_path / "again")
    assert [n for n in FILES - {"run.json"} if first[n] != second[n]] == []


def test_another_seed_gives_another_world(tiny_world, tmp_path):
    config = dataclasses.replace(tiny_world.config, seed=2)
    make_world(config, tmp_path / "other", progress="none")
    first, second = contents(tiny_world.directory), contents(tmp_path / "other")
    same = {name for name in FILES if first[name] == second[name]}
    assert same <= {"genome.fa.gz.fai", "genome.fa.gz.gzi", "targets.txt"}


def test_a_world_opens_as_it_was_made(tiny_world, tiny_config):
    opened = World.open(tiny_world.directory)
    assert opened == tiny_world
    assert opened.config == tiny_config
    assert opened.tracks == TRACKS


def test_chromosomes_are_listed_by_split(tiny_world):
    assert [c.name for c in tiny_world.chromosomes()] == ["chrA", "chrB", "chrC"]
    assert [c.name for c in tiny_world.chromosomes("test")] == ["chrB"]


def test_coverage_is_noise_on_the_truth_of_the_sequence(tiny_world):
    with Fasta(tiny_world.fasta) as fasta:
        codes = fasta.codes(Interval("chrB", 0, 127_872))
    expected = expected_coverage(codes)
    observed = tiny_world.coverage("chrB")
    assert observed.shape == (999, 4)
    assert observed.dtype == np.float32
    residual = (observed - expected) * np.sqrt(8.0 / expected)
    assert np.abs(residual.mean(axis=0)).max() < 0.15
    np.testing.assert_allclose(residual.var(axis=0), 1, atol=0.2)


def test_coverage_is_mapped_and_read_only(tiny_world):
    coverage = tiny_world.coverage("chrA")
    assert isinstance(coverage, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        coverage[0, 0] = 1


def test_an_unknown_chromosome_is_refused(tiny_world):
    with pytest.raises(UsageError, match="no chromosome 'chrZ'; this world has chrA, chrB, chrC"):
        tiny_world.coverage("chrZ")


def test_elements_are_the_bound_planted_sites(tiny_world):
    rows = [line.split("\t") for line in tiny_world.elements.read_text().splitlines()]
    assert {row[3] for row in rows} == {"ACT1", "ACT2", "PROM", "ENH", "REP", "PAIRL", "PAIRR"}
    assert all(0 < int(row[4]) <= 1000 and row[5] in "+-" for row in rows)
    places = [(row[0], int(row[1]), int(row[2])) for row in rows]
    assert places == sorted(places)
    with Fasta(tiny_world.fasta) as fasta:
        best = next(row for row in rows if row[3:] == ["ENH", "1000", "+"])
        site = fasta.fetch(Interval(best[0], int(best[1]), int(best[2])))
    assert site == "ATGCCAACTGG"


def test_run_report_states_seed_and_counts(tiny_world):
    report = json.loads((tiny_world.directory / "run.json").read_text())
    assert report["seeds"] == {"world": 1}
    assert report["results"] == {"n_bases": 230_272, "n_variants": 248}


def test_an_existing_directory_is_kept(tiny_world):
    with pytest.raises(OutputError, match="exists"):
        make_world(tiny_world.config, tiny_world.directory, progress="none")


def test_an_existing_directory_is_replaced_on_request(tiny_config, tmp_path):
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "old").write_text("old")
    (tmp_path / "world" / "world.json").write_text("{}")
    world = make_world(tiny_config, tmp_path / "world", overwrite=True, progress="none")
    assert set(contents(world.directory)) == FILES


def test_a_failed_world_leaves_nothing(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, spacing=100_000)
    with pytest.raises(UsageError, match="no room"):
        make_world(config, tmp_path / "world", progress="none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"format_version": 1, "laws": 1}'])
def test_a_folder_that_is_no_world_is_refused(text, tmp_path):
    if text is not None:
        (tmp_path / "world.json").write_text(text)
    with pytest.raises(InputFormatError, match=r"world\.json: .*expected a world of world_make"):
        World.open(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("format_version", 2), ("laws", {})])
def test_a_world_of_other_laws_is_refused(tiny_world, tmp_path, key, value):
    record = json.loads((tiny_world.directory / "world.json").read_text())
    (tmp_path / "world.json").write_text(json.dumps({**record, key: value}))
    with pytest.raises(UnsupportedInputError, match="make the world anew"):
        World.open(tmp_path)
