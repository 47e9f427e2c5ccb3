"""Runs that are killed at any moment and started again: the output is the same, byte for byte."""

import dataclasses
import random
import signal
import subprocess

import pytest

from effects.processes import command, environment, finish, start
from effects.toy_engines import factory
from tfgen.effects import score_variants

BESIDE = [".rejects.tsv", ".run.json"]


@pytest.fixture
def mixed(world):
    """A VCF of 100 rows, some of them faulty, and the bytes of its undisturbed store."""
    lines = [world.snv("chr1", 600 + 150 * row, f"v{row}") for row in range(96)]
    lines[10:10] = ["chr9\t5\tlost\tA\tC", "chr1\t-7\tlow\tA\t<DEL>"]
    lines[70:70] = ["chr1\t77\tstar\tA\t*", "chr1\t78\tnone\tA\t."]
    vcf = world.vcf(lines)
    whole = world.config(vcf, "whole.h5")
    score_variants(whole, factory())
    return world.config(vcf), whole


def expect_same(config, whole):
    assert config.output.read_bytes() == whole.output.read_bytes()
    rejects = [path.with_name(path.name + BESIDE[0]) for path in (config.output, whole.output)]
    assert rejects[0].read_text() == rejects[1].read_text()
    left = sorted(path.name for path in config.output.parent.glob("scores.h5*"))
    assert left == ["scores.h5", *("scores.h5" + name for name in BESIDE)]


@pytest.mark.parametrize("calls", [0, 1, 3, 6])
def test_killed_while_scoring(mixed, calls):
    config, whole = mixed
    killed = start(config, die_at_call=calls)
    assert killed.returncode == -signal.SIGKILL
    assert not config.output.exists()
    assert finish(config)["resumed"] == 16 * calls
    expect_same(config, whole)


@pytest.mark.parametrize(
    ("step", "passes"),
    [
        ("blocks", 0),
        ("blocks", 1),
        ("blocks", 3),
        ("rejects", 0),
        ("report", 0),
        ("publish", 0),
        ("published", 0),
        ("remove", 0),
        ("remove", 3),
    ],
)
def test_killed_after_scoring(mixed, step, passes):
    config, whole = mixed
    killed = start(config, die_in=step, die_after=passes)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert config.output.exists() == (step in ("published", "remove"))
    again = finish(config)
    assert again["resumed"] == 100
    assert again["counts"]["OK"] == 96
    expect_same(config, whole)


def test_killed_again_and_again(mixed):
    config, whole = mixed
    for pieces in (16, 7, 33, 10, 64):
        assert start(config, die_at_call=1, rows_per_piece=pieces).returncode == -signal.SIGKILL
    finish(config, rows_per_piece=9)
    expect_same(config, whole)


@pytest.mark.parametrize("seed", range(4))
def test_killed_from_outside_at_a_random_moment(mixed, seed):
    config, whole = mixed
    lines_to_live = random.Random(seed).randrange(7)
    options = {"announce": True, "rows_per_piece": 16}
    child = subprocess.Popen(
        command(config, **options), env=environment(), stdout=subprocess.PIPE, text=True
    )
    for _ in range(lines_to_live):
        child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    finish(config)
    expect_same(config, whole)


def test_a_published_output_of_other_settings_is_not_taken_for_finished(mixed):
    config, _ = mixed
    assert start(config, die_in="published").returncode == -signal.SIGKILL
    other = dataclasses.replace(config, windows="shared")
    refused = start(other)
    assert refused.returncode == 5
    assert "scores.h5: exists; choose another output" in refused.stderr


def test_a_foreign_file_in_the_place_of_the_output_is_not_taken_for_finished(mixed):
    config, whole = mixed
    assert start(config, die_at_call=2).returncode == -signal.SIGKILL
    config.output.write_text("mine")
    refused = start(config)
    assert refused.returncode == 5
    assert config.output.read_text() == "mine"
    finish(dataclasses.replace(config, overwrite=True))
    expect_same(config, whole)


def test_a_run_that_was_complete_says_so(mixed):
    config, _ = mixed
    assert start(config, die_in="published").returncode == -signal.SIGKILL
    assert finish(config)["warnings"] == [f"{config.output}: was complete already"]
