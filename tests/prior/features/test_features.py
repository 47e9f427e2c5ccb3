import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prior.feature_files import bigwig, correlations, ld_block, table, write
from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    InterruptedRunError,
    OutputError,
    TooManyRejectsError,
    UsageError,
)
from tfgen.io import StopRequest
from tfgen.prior.features import features, panel_columns
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.features.features import build_features
from tfgen.prior.features.features_config import FeaturesConfig
from tfgen.prior.ld.ld_store_writer import save_ld_store

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).parents[1].joinpath("features_child.py")
N = 200


@pytest.fixture
def config(tmp_path):
    """200 variants on two contigs, annotated from a BED and a bigWig (window and bins)."""
    lines = [f"{1 + i // 120} rs{i} 0 {100 + 7 * i} A {'C' if i % 2 else 'CGG'}" for i in range(N)]
    write(tmp_path / "v.bim", "\n".join(lines) + "\n")
    write(tmp_path / "x.bed", "1\t150\t420\n2\t1000\t1100\n")
    steps = [(chrom, at, at + 9, at % 5) for chrom in ("1", "2") for at in range(100, 1900, 20)]
    bigwig(tmp_path / "s.bw", {"1": 4000, "2": 4000}, steps)
    return FeaturesConfig(
        variants=tmp_path / "v.bim",
        output=tmp_path / "f.h5",
        bed=(f"{tmp_path / 'x.bed'}:distance=yes",),
        bigwig=(str(tmp_path / "s.bw"),),
        bigwig_mode="window",
        window=8,
        build="GRCh37",
        progress="none",
    )


def change(config, **options):
    return dataclasses.replace(config, **options)


def test_a_run_writes_the_store_and_what_lies_beside_it(config):
    summary = build_features(config)
    assert (summary.n_variants, summary.length, summary.track_names) == (N, 8, ("s",))
    assert [entry.name for entry in summary.coverage] == ["x", "x.log10_distance"]
    assert summary.coverage[0].n_present == N
    assert (summary.counts, summary.warnings, summary.n_resumed) == ({}, (), 0)
    with FeatureStore(config.output) as store:
        pos = store.variants.pos
        lengths = [len(allele) for allele in store.variants.ref]
        inside = [
            (p <= 420 and p - 1 + k > 150) if c == "1" else (p <= 1100 and p - 1 + k > 1000)
            for c, p, k in zip(store.variants.chrom, pos, lengths, strict=True)
        ]
        found = store.read(slice(None))
        assert found.annotations[:, 0].tolist() == [float(value) for value in inside]
        assert summary.coverage[0].n_nonzero == sum(inside)
        assert store.digest == summary.digest
        kinds = [source["kind"] for source in store.sources]
        assert kinds == ["variants", "bed", "bigwig", "software"]
    report = json.loads((config.output.parent / "f.h5.run.json").read_text())
    assert report["command"] == "prior_features"
    assert report["results"]["annotations"][0]["n_present"] == N
    assert set(report["inputs"]) == {"variants", *(str(path) for path in _files(config))}
    rejects = (config.output.parent / "f.h5.rejects.tsv").read_text().splitlines()
    assert len(rejects) == 1
    left = sorted(path.name for path in config.output.parent.glob("f.h5*"))
    assert left == ["f.h5", "f.h5.rejects.tsv", "f.h5.run.json"]


def _files(config):
    return [config.output.parent / name for name in ("x.bed", "s.bw")]


def test_the_same_run_gives_the_same_bytes(config):
    build_features(config)
    first = config.output.read_bytes()
    build_features(change(config, overwrite=True))
    assert config.output.read_bytes() == first
    other = change(config, output=config.output.with_name("g.h5"))
    build_features(other)
    assert other.output.read_bytes() == first


def test_an_existing_output_stays(config):
    build_features(config)
    with pytest.raises(OutputError, match="f.h5: exists; choose another output or pass --overwri"):
        build_features(config)
    config.output.unlink()
    config.output.mkdir()
    with pytest.raises(OutputError, match="f.h5: is not a plain file"):
        build_features(config)


def test_an_input_is_never_the_output(config):
    with pytest.raises(UsageError, match="v.bim: is the input"):
        build_features(change(config, output=config.variants))
    with pytest.raises(UsageError, match="x.bed: is the input"):
        build_features(change(config, output=config.output.with_name("x.bed")))


@pytest.mark.parametrize("end", [".rejects.tsv", ".run.json", ".lock"])
def test_an_input_is_never_a_file_beside_the_output(config, end):
    path = write(config.output.with_name(f"f.h5{end}"), "1\t150\t420\n")
    with pytest.raises(UsageError, match=f"f.h5{end}: is the input"):
        build_features(change(config, bed=(str(path),), overwrite=True))
    assert path.read_text() == "1\t150\t420\n"
    assert not config.output.exists()


def test_a_chromosome_s_file_is_never_beside_the_output(config, tmp_path):
    path = write(tmp_path / "f.1.rejects.tsv", "CHR\tBP\tSNP\tx\n1\t100\trs0\t1\n")
    own = change(config, annot=(f"{tmp_path}/f.@.rejects.tsv",), output=tmp_path / "f.1")
    with pytest.raises(OutputError, match="f.1.rejects.tsv: exists and no run of tfgen"):
        build_features(own)
    assert path.read_text().startswith("CHR\tBP")


@pytest.mark.parametrize("end", [".rejects.tsv", ".run.json"])
def test_somebody_s_file_beside_the_output_stays(config, end):
    path = write(config.output.with_name(f"f.h5{end}"), "my notes\n")
    with pytest.raises(OutputError, match=f"f.h5{end}: exists and no run of tfgen has written it"):
        build_features(change(config, overwrite=True))
    assert path.read_text() == "my notes\n"
    assert not config.output.exists()


def test_a_source_of_other_variants_is_refused_before_the_work(config, tmp_path):
    path = write(tmp_path / "t.tsv", "CHR\tBP\tz\n1\t101\t7\n")
    with pytest.raises(InputMismatchError, match="has none of the 200 variants; it has 1:101, the"):
        build_features(change(config, table=(f"{path}:columns=z",)))
    left = {found.name for found in tmp_path.iterdir()}
    assert left == {"v.bim", "x.bed", "s.bw", "t.tsv"}


def test_a_file_that_stands_for_a_chromosome_is_an_input_too(config, tmp_path):
    write(tmp_path / "a.1.annot", "CHR\tBP\tSNP\tCM\tbase\n1\t100\trs0\t0\t1\n")
    own = change(
        config, annot=(f"{tmp_path}/a.@.annot",), output=tmp_path / "a.1.annot", overwrite=True
    )
    with pytest.raises(UsageError, match="a.1.annot: is the input"):
        build_features(own)


def test_rows_that_cannot_be_used_are_counted_and_may_be_too_many(config):
    text = config.variants.read_text()
    write(config.variants, text + "1 bad 0 5 A R\n1 rs1 0 107 A C\n")
    summary = build_features(config)
    assert summary.counts == {"NON_ACGT": 1, "DUPLICATE": 1}
    rejects = (config.output.parent / "f.h5.rejects.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in rejects[1:]] == ["201", "202"]
    strict = change(config, overwrite=True, max_rejected_fraction=0.005)
    with pytest.raises(TooManyRejectsError, match="2 of 202 rows of the list were rejected .NON_A"):
        build_features(strict)
    assert config.output.exists()


def test_annotations_that_few_variants_have_are_named(config, tmp_path):
    path = write(tmp_path / "t.tsv", "CHR\tBP\tz\n1\t100\t7\n")
    summary = build_features(change(config, table=(f"{path}:columns=z",)))
    expected = "1 of 3 annotations are known for less than 50% of 200 variants (z 1): check build"
    assert expected in summary.warnings[0]
    quiet = change(config, table=(f"{path}:columns=z",), min_coverage=0.0, overwrite=True)
    assert build_features(quiet).warnings == ()


def test_frequencies_come_from_the_list_or_the_panel(config, tmp_path):
    with pytest.raises(UsageError, match="has no frequencies, which --maf and --log_af need"):
        build_features(change(config, maf=True))
    rows = "\n".join(f"rs{i}\t1\t{i}\tA\tC\t0.{i}" for i in range(1, 10))
    path = write(tmp_path / "v.tsv", f"SNP\tCHR\tBP\tA1\tA2\tA1FREQ\n{rows}\n")
    listed = change(config, variants=path, maf=True, log_af=True, bigwig=(), bed=())
    build_features(listed)
    with FeatureStore(config.output) as store:
        assert store.annotation_names == ("maf", "log10_maf")
        af = np.arange(1, 10) / 10
        np.testing.assert_allclose(store.variants.af, af)
        maf = store.read(slice(None)).annotations[:, 0]
        np.testing.assert_allclose(maf, np.minimum(af, 1 - af), rtol=1e-6)


def test_an_ld_store_is_list_and_panel(config, tmp_path):
    r = correlations(4)
    save_ld_store(
        tmp_path / "ld",
        {"build": "GRCh37", "panel": "toy"},
        [ld_block("chr1_0", "1", np.arange(100, 104), r, np.ones(4, bool))],
    )
    both = change(
        config,
        variants=tmp_path / "ld",
        ld_store=tmp_path / "ld",
        ld_score=True,
        maf=True,
    )
    summary = build_features(both)
    assert [entry.name for entry in summary.coverage][2:] == ["maf", "ld_score"]
    with FeatureStore(config.output) as store:
        values = store.read(slice(None)).annotations
        np.testing.assert_allclose(values[:, 2], np.arange(1, 5) / 20, rtol=1e-6)
        np.testing.assert_allclose(values[:, 3], (r**2).sum(axis=0), rtol=2e-3)  # float16 LD
        assert store.sources[0]["sha256"] == panel_columns.ld_store_digest(tmp_path / "ld")
    # A list without frequencies takes those of the panel, of its own counted allele.
    write(config.variants, "1 here 0 101 A C\n1 there 0 102 C A\n1 nowhere 0 105 A C\n")
    build_features(change(both, variants=config.variants, overwrite=True))
    with FeatureStore(config.output) as store:
        np.testing.assert_allclose(store.variants.af, [0.9, 0.15, np.nan])
        maf = store.read(slice(None)).annotations[:, 2]
        np.testing.assert_allclose(maf, [0.1, 0.15, np.nan], rtol=1e-6)


def test_values_too_large_for_a_track_are_counted(config):
    bigwig(config.output.parent / "s.bw", {"1": 4000, "2": 4000}, [("1", 99, 100, 1e6)])
    summary = build_features(config)
    assert summary.warnings == ("1 values of tracks were clipped to +-65504",)


def test_a_signal_ends_the_run_and_the_next_goes_on(config, monkeypatch):
    monkeypatch.setattr(features, "_PIECE_BYTES", 1)
    calls = []

    def stop_at_the_third(self):
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedRunError("stopped", signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "raise_if_requested", stop_at_the_third)
        with pytest.raises(InterruptedRunError):
            build_features(config)
    assert build_features(config).n_resumed == 128


def start(config, **options):
    settings = {
        field.name: str(value) if isinstance(value, Path) else value
        for field in dataclasses.fields(config)
        if (value := getattr(config, field.name)) != field.default and field.name != "progress"
    }
    return subprocess.run(
        [sys.executable, str(CHILD), json.dumps({"config": settings, **options})],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("step", "passes", "resumed"),
    [
        ("save", 0, 64),
        ("save", 2, 192),
        ("block", 0, 200),
        ("report", 0, 200),
        ("publish", 0, 200),
        ("published", 0, 200),
        ("remove", 2, 200),
    ],
)
def test_a_killed_run_goes_on_and_gives_the_same_bytes(config, step, passes, resumed):
    whole = change(config, output=config.output.with_name("whole.h5"))
    build_features(whole)
    killed = start(config, die_in=step, die_after=passes)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = build_features(config)
    assert again.n_resumed == resumed
    assert config.output.read_bytes() == whole.output.read_bytes()
    left = sorted(path.name for path in config.output.parent.glob("f.h5*"))
    assert left == ["f.h5", "f.h5.rejects.tsv", "f.h5.run.json"]
    complete = f"{config.output}: was complete already"
    assert (complete in again.warnings) == (step in ("published", "remove"))


def test_a_run_with_other_settings_does_not_go_on(config):
    assert start(config, die_in="save").returncode == -signal.SIGKILL
    refused = start(change(config, window=16))
    assert refused.returncode == 5
    assert "was begun with other settings" in refused.stderr
    assert start(config, die_in="published").returncode == -signal.SIGKILL
    refused = start(change(config, window=16))
    assert refused.returncode == 5
    assert "f.h5: exists; choose another output" in refused.stderr
    assert start(change(config, window=16, overwrite=True)).returncode == 0


def test_a_changed_input_is_another_run(config, tmp_path):
    assert start(config, die_in="save").returncode == -signal.SIGKILL
    write(tmp_path / "x.bed", "1\t150\t421\n")
    refused = start(config)
    assert refused.returncode == 5
    assert "was begun with other settings (source 1.sha256 was" in refused.stderr


def test_an_empty_list_is_refused(config):
    write(config.variants, "1 rs1 0 5 A R\n")
    with pytest.raises(InputFormatError, match="v.bim: no variants"):
        build_features(config)


def test_165_snps_of_a_real_gwas_are_known_to_polyfun(shared_data, tmp_path):
    """15,935 height SNPs against 2,511 annotated ones of 1 Mb: 165 in common."""
    annot = shared_data("gwas_ld/polyfun/annotations.22.annot.parquet")
    summary = build_features(
        FeaturesConfig(
            variants=shared_data("gwas_ld/height_chr22/ukb_height_chr22.fastGWA.gz"),
            output=tmp_path / "f.h5",
            annot=(str(annot),),
            progress="none",
        )
    )
    assert {entry.n_present for entry in summary.coverage} == {165}
    assert "7 of 7 annotations are known for less than 50% of 15935 variants" in summary.warnings[0]
    with FeatureStore(tmp_path / "f.h5") as store:
        _, found = store.read_for(table("22:16871137:A:G"))
        assert found.tolist() == [True]
