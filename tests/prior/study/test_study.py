"""Whole studies: what they write, and that a killed one goes on to the same bytes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prior.ld_toys import haplotypes, variants, write_plink
from prior.study_toys import small, write_ld
from tfgen.errors import InterruptedRunError, OutputError, UsageError
from tfgen.genome import VariantTable
from tfgen.io import read_table
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.study import study
from tfgen.prior.study.study import run_study

TESTS = Path(__file__).resolve().parents[2]
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
TABLES = ("results.tsv", "gains.tsv", "claims.tsv", "report.txt")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_ld(folder)
    config = small(folder, jobs=1)
    return config, run_study(config)


def child(config, **options):
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(config).items() if v}
    settings["jobs"] = config.jobs
    roots = [str(TESTS.parent), str(TESTS)]
    return subprocess.run(
        [
            *(sys.executable, TESTS / "prior" / "study_child.py"),
            json.dumps({"config": settings, **options}),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(roots)},
    )


def test_a_study_writes_its_tables_and_leaves_nothing_else(done):
    config, summary = done
    names = {path.name for path in config.output.iterdir()}
    assert names >= {*TABLES, "run.json"}
    assert sorted(path.name for path in config.output.parent.iterdir()) == ["ld", "study"]
    table = read_table(config.output / "results.tsv", comment="#")
    assert len(table["truth"]) == 2 * (8 + 1)
    assert sum(map(int, table["chosen"])) == 2 * (4 + 1)
    assert (summary.n_fits, summary.n_resumed, summary.n_diverged) == (16, 0, 0)
    assert (config.output / "report.txt").read_text() == summary.text
    report = json.loads((config.output / "run.json").read_text())
    assert report["results"]["n_fits"] == 16
    with LdStore(config.ld) as store:
        assert json.loads(report["results"]["attributes"])["ld"] == store.digest


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_killed_study_goes_on_to_the_same_bytes(done, tmp_path, jobs):
    whole, _ = done
    config = small(whole.ld.parent, output=tmp_path / "study", jobs=jobs)
    # Does not return before the processes of a killed one have ended too: they hold its pipes.
    killed = child(config, die_after=3)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not config.output.exists()
    again = child(config)
    assert again.returncode == 0, again.stderr
    assert 3 <= json.loads(again.stdout)["resumed"] < 16
    for name in TABLES:
        assert (config.output / name).read_bytes() == (whole.output / name).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_what_was_begun_with_other_settings_is_not_mixed_in(done, tmp_path, monkeypatch):
    whole, _ = done

    def stopped(*_):
        raise InterruptedRunError("stopped by SIGTERM", signal.SIGTERM)

    monkeypatch.setattr(study, "run_here", stopped)
    with pytest.raises(InterruptedRunError):
        run_study(small(whole.ld.parent, output=tmp_path / "study"))
    (tmp_path / "study.partial" / "linear-0.5-0.json").write_text("{}")
    with pytest.raises(OutputError, match="begun with other settings .sd was 1.0, now 2.0"):
        run_study(small(whole.ld.parent, output=tmp_path / "study", sd=2.0))


def test_an_existing_study_stays_without_overwrite(done):
    config, _ = done
    before = (config.output / "results.tsv").read_bytes()
    with pytest.raises(OutputError, match="exists"):
        run_study(config)
    assert (config.output / "results.tsv").read_bytes() == before


def test_the_output_is_not_an_input(tmp_path):
    write_ld(tmp_path)
    with pytest.raises(UsageError, match="ld"):
        run_study(small(tmp_path, output=tmp_path / "ld"))


def test_the_ld_of_a_panel_is_built(tmp_path):
    genotypes = haplotypes(40, 60)
    tables = [variants(1 + 100 * np.arange(30), chrom) for chrom in ("1", "2")]
    both = {
        name: np.concatenate([vars(table)[name] for table in tables]) for name in vars(tables[0])
    }
    write_plink(tmp_path / "panel", genotypes, VariantTable(**both))
    (tmp_path / "blocks.bed").write_text(
        "".join(f"chr{c}\t{s}\t{s + 1000}\n" for c in (1, 2) for s in (0, 1000, 2000))
    )
    config = small(
        tmp_path,
        ld=None,
        bed=tmp_path / "panel.bed",
        block_file=tmp_path / "blocks.bed",
        seeds=1,
        rates=(0.01,),
        epochs=1,
    )
    summary = run_study(config)
    assert summary.n_fits == 4
    report = json.loads((config.output / "run.json").read_text())
    assert set(report["inputs"]) == {"panel.bed", "panel.bim", "panel.fam", "blocks.bed"}
    assert not (config.output / "ld").exists()


def test_the_likelihood_finds_what_is_there_on_many_blocks(tmp_path):
    """A U-shape is nothing to a linear prior, and an mlp finds some of it by likelihood."""
    write_ld(tmp_path, n_blocks=120, n=40, people=80)
    config = small(
        tmp_path, seeds=1, mean_f=(1.0,), rates=(0.03,), epochs=12, n_features=3, hidden=(16,)
    )
    gains = {x.name: x.interval.estimate for x in run_study(config).gains}
    assert gains["oracle"] > gains["mll-mlp"] > gains["mll-linear"] + 5
