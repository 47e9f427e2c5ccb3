import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prior.small_blocks import panel_ld, toy
from prior.small_stores import NAMES, all_variants, make_blocks, write_stores
from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    InterruptedRunError,
    OutputError,
    UsageError,
)
from tfgen.genome import VariantTable
from tfgen.io import StopRequest
from tfgen.prior.features.feature_store import FeatureSchema, write_feature_store
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.likelihood import block_terms
from tfgen.prior.posterior import posterior_of
from tfgen.prior.simulation.simulate import (
    generator,
    simulate_block,
    simulate_statistics,
    simulate_without_ld,
)
from tfgen.prior.simulation.simulate_config import SimulateConfig
from tfgen.prior.simulation.truth_table import read_truth
from tfgen.prior.sumstats.munged import read_munged

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).parents[1].joinpath("simulate_child.py")


def ld_block(found, chrom="1", first=1):
    """The block of a toy, Q and P in float32 as in a store."""
    n, w = len(found.logf), len(found.w)
    in_centre = np.isin(np.arange(n), found.w)
    info = BlockInfo(
        f"chr{chrom}_{first}",
        chrom,
        first - 1,
        first + n,
        first,
        first + n,
        n,
        w,
        len(found.y),
        0.0,
    )
    table = VariantTable.of([chrom] * n, range(first, first + n), ["A"] * n, ["C"] * n)
    q, p = found.Q.astype(np.float32), found.P.astype(np.float32)
    return LdBlock(info, table, in_centre, q, p, found.eigenvalues)


@pytest.mark.parametrize("sigma", [0.4, 1.0])
@pytest.mark.parametrize("singular", [False, True])
def test_the_covariance_of_z_is_that_of_the_model(singular, sigma):
    # z ~ N(0, S): (zz')_ij has mean S_ij and variance S_ii S_jj + S_ij^2.
    R = panel_ld(24, 16, np.random.default_rng(3)) if singular else None
    found = toy(1, n=24, flank=6, sigma=sigma, R=R)
    block, draws = ld_block(found), 20_000
    rng = np.random.default_rng(0)
    z = np.stack([simulate_block(block, found.logf, sigma, rng).z for _ in range(draws)])
    S = found.covariance
    sample = z.T @ z / draws
    error = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / draws)
    deviates = (sample - S) / error
    assert np.abs(deviates).max() < 4.5
    assert np.abs(z.mean(0) / np.sqrt(np.diag(S) / draws)).max() < 4


def test_y_is_the_projection_of_z():
    found = toy(2)
    drawn = simulate_block(ld_block(found), found.logf, 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(found.P @ drawn.z, drawn.y, atol=1e-4)
    assert (drawn.b.shape, drawn.z.shape) == (found.logf.shape, found.w.shape)


def test_without_effects_z_is_noise_alone():
    found = toy(2)
    block, none = ld_block(found), np.full(len(found.logf), -np.inf)
    drawn = simulate_block(block, none, 2.0, np.random.default_rng(0))
    assert not drawn.b.any()
    with_zeros = simulate_block(block, none, 2.0, np.random.default_rng(0), drawn.b)
    assert with_zeros.y.std() == pytest.approx(math.sqrt(2), rel=0.5)


def test_effects_that_were_drawn_before_are_used():
    found = toy(2)
    block, b = ld_block(found), np.arange(len(found.logf), dtype=float)
    drawn = simulate_block(block, found.logf, 0.0, np.random.default_rng(0), b)
    np.testing.assert_allclose(drawn.z, (found.R @ b)[found.w], rtol=1e-3, atol=1e-2)


def test_posterior_intervals_cover_the_effects_at_their_level():
    # Integration: simulate_block draws, the posterior of tfgen.prior covers.
    normal = {0.5: 0.674490, 0.9: 1.644854, 0.95: 1.959964}
    hits = {level: [] for level in normal}
    for draw in range(150):
        R = panel_ld(40, 25, np.random.default_rng(draw))
        found = toy(draw, n=40, flank=8, sigma=0.7, R=R)
        block = ld_block(found)
        drawn = simulate_block(block, found.logf, 0.7, np.random.default_rng([draw, 1]))
        terms = block_terms(found.logf, math.log(0.7), block.q.astype(np.float64), drawn.y)
        posterior = posterior_of(found.logf, terms)
        deviates = np.abs(drawn.b - posterior.mean) / np.sqrt(posterior.variance)
        for level, limit in normal.items():
            hits[level].append(np.mean(deviates < limit))
    for level, shares in hits.items():
        # Effects of a block are correlated: the error is that of independent blocks.
        standard_error = np.std(shares) / math.sqrt(len(shares))
        assert abs(np.mean(shares) - level) < 4 * standard_error


def test_without_ld_every_variant_shows_its_own_effect():
    found = toy(2)
    block, b = ld_block(found), np.arange(len(found.logf), dtype=float)
    drawn = simulate_without_ld(block, b, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn.z, b[found.w])
    np.testing.assert_allclose(drawn.y, found.P @ drawn.z, rtol=1e-4, atol=1e-3)


def test_random_numbers_depend_on_seed_purpose_and_name_only():
    first = generator(1, "noise", "chr1_0_5").standard_normal(3)
    np.testing.assert_array_equal(first, generator(1, "noise", "chr1_0_5").standard_normal(3))
    for other in ((2, "noise", "chr1_0_5"), (1, "effects", "chr1_0_5"), (1, "noise", "chr1_5_9")):
        assert not np.allclose(first, generator(*other).standard_normal(3))


@pytest.fixture
def stores(tmp_path):
    write_stores(tmp_path)
    return tmp_path


def config(folder, **settings):
    return SimulateConfig(
        **{
            "ld": folder / "ld",
            "features": folder / "features.h5",
            "output": folder / "sim.tsv.gz",
            "truth": "linear",
            "progress": "none",
        }
        | settings
    )


def truth_of(path):
    return read_truth(path.with_name(path.name + ".truth.tsv.gz"))


def test_the_tables_hold_every_variant_with_the_truth(stores):
    summary = simulate_statistics(
        config(stores, truth_features=("a",), truth_values=(1.0,), freq_exponent=0.0, mean_f=0.5)
    )
    blocks, annotations = make_blocks()
    variants = all_variants(blocks)
    stats, truth = read_munged(summary.output), truth_of(summary.output)
    for table in (stats.variants, truth.variants):
        assert table.pos.tolist() == variants.pos.tolist()
        assert table.alt.tolist() == variants.alt.tolist()
    a = annotations[:, 0].astype(float)
    s = (a - a.mean()) / a.std()
    np.testing.assert_allclose(truth.logf, s + math.log(0.5 / np.exp(s).mean()), atol=1e-5)
    assert (summary.n_variants, summary.n_observed) == (len(variants), len(variants))
    assert summary.mean_f == pytest.approx(0.5)
    assert summary.mean_chisq == pytest.approx(np.mean(stats.z**2))
    # b is drawn from N(0, f), and z = R b + noise.
    deviates = truth.b * np.exp(-0.5 * truth.logf)
    assert abs(deviates.mean()) < 4 / math.sqrt(len(deviates))
    assert abs(np.mean(deviates**2) - 1) < 4 * math.sqrt(2 / len(deviates))
    y, expected, start = [], [], 0
    for block in blocks:
        rows = slice(start, start + block.info.n)
        y.append(block.p @ stats.z[rows])
        expected.append(block.q @ truth.b[rows])
        start += block.info.n
    noise = np.concatenate(y) - np.concatenate(expected)
    assert abs(np.mean(noise**2) - 1) < 4 * math.sqrt(2 / len(noise))


def test_effects_per_allele_follow_from_z(stores):
    summary = simulate_statistics(config(stores, n=10_000.0))
    stats = read_munged(summary.output)
    p = stats.variants.af
    np.testing.assert_allclose(stats.se, 1 / np.sqrt(2 * p * (1 - p) * 10_000))
    np.testing.assert_allclose(stats.beta / stats.se, stats.z)
    assert set(stats.n) == {10_000.0}
    np.testing.assert_allclose(stats.maf, np.minimum(p, 1 - p))
    assert stats.info["build"] == "synthetic"
    assert stats.info["simulation"]["truth"]["features"] == list(NAMES)


def test_null_statistics_have_no_effects(stores):
    summary = simulate_statistics(config(stores, null=True, features=None))
    truth, stats = truth_of(summary.output), read_munged(summary.output)
    assert not truth.b.any()
    assert set(truth.logf) == {-np.inf}
    blocks, _ = make_blocks()
    k = sum(block.info.k for block in blocks)
    total = sum(
        np.sum((block.p @ stats.z[i * 40 : (i + 1) * 40]) ** 2) for i, block in enumerate(blocks)
    )
    assert abs(total / k - 1) < 4 * math.sqrt(2 / k)
    assert (summary.mean_f, summary.sd_log_f) == (0, 0)


def test_without_ld_and_noise_z_is_b(stores):
    summary = simulate_statistics(
        config(stores, r_identity=True, sigma=0.0, truth="constant", features=None)
    )
    truth, stats = truth_of(summary.output), read_munged(summary.output)
    np.testing.assert_array_equal(stats.z, truth.b)


def windows(folder, frequency=0.3):
    """Two windows of one chromosome that share 20 of their 60 variants."""
    blocks = []
    for i, found in enumerate((toy(1, n=60, flank=10), toy(2, n=60, flank=10))):
        block = ld_block(found, first=1 + 40 * i)
        table = VariantTable(**{**vars(block.variants), "af": np.full(60, frequency)})
        blocks.append(LdBlock(block.info, table, block.in_centre, block.q, block.p,
                              block.eigenvalues))  # fmt: skip
    save_ld_store(folder / "ld", {"build": "synthetic"}, blocks, q_dtype="float32")
    return blocks


def test_windows_share_the_effects_of_their_variants(tmp_path):
    blocks = windows(tmp_path)
    summary = simulate_statistics(config(tmp_path, truth="constant", features=None, sigma=0.0))
    truth, stats = truth_of(summary.output), read_munged(summary.output)
    assert truth.variants.pos.tolist() == list(range(1, 101))
    assert truth.observed.tolist() == [False] * 10 + [True] * 80 + [False] * 10
    z = [
        (block.p * block.eigenvalues[:, None]).T @ (block.q @ truth.b[40 * i : 40 * i + 60])
        for i, block in enumerate(blocks)
    ]
    np.testing.assert_allclose(stats.z, np.concatenate(z), rtol=1e-4, atol=1e-4)


def test_the_draw_of_a_block_does_not_depend_on_the_others(stores, tmp_path):
    blocks, _ = make_blocks()
    save_ld_store(tmp_path / "part", {"build": "synthetic"}, blocks[4:], q_dtype="float32")
    settings = {"truth": "constant", "features": None, "mean_f": 0.0}
    whole = read_munged(simulate_statistics(config(stores, **settings)).output)
    part = simulate_statistics(
        config(stores, ld=tmp_path / "part", output=tmp_path / "part.tsv.gz", **settings)
    )
    np.testing.assert_allclose(read_munged(part.output).z, whole.z[160:], rtol=1e-6)


def test_annotations_of_swapped_alleles_change_their_sign_where_they_have_one(tmp_path):
    windows(tmp_path)
    with LdStore(tmp_path / "ld") as store:
        v = store.variants
    values = np.arange(1.0, 81.0, dtype=np.float32)[:, None]

    class Rows:
        def read(self, names, start, stop):
            return {"annotations": np.tile(values[start:stop], 2)}

    swapped = VariantTable(**{**vars(v), "ref": v.alt, "alt": v.ref, "af": 1 - v.af})
    schema = FeatureSchema(("signed", "plain"), (True, False))
    write_feature_store(tmp_path / "features.h5", schema, swapped, Rows())
    options = {"freq_exponent": 0.0, "mean_f": 0.0, "truth_values": (1.0,)}
    found = {}
    for name in ("signed", "plain"):
        output = tmp_path / f"{name}.tsv.gz"
        summary = simulate_statistics(
            config(tmp_path, output=output, truth_features=(name,), **options)
        )
        assert summary.n_without_features == 20
        found[name] = truth_of(output).logf
    np.testing.assert_allclose(found["signed"], -found["plain"], atol=1e-6)
    assert found["plain"][10] < found["plain"][89]
    # Flank variants without features count as the mean.
    np.testing.assert_allclose(found["plain"][:10], 0, atol=1e-6)


class TracksToo:
    """Three annotations and two tracks of 40 positions."""

    tracks = np.random.default_rng(0).normal(size=(320, 40, 2)).astype(np.float16)

    def read(self, names, start, stop):
        rows = {"annotations": np.zeros((stop - start, 3)), "tracks": self.tracks[start:stop]}
        return {name: rows[name] for name in names}


def test_tracks_make_a_truth_too(stores):
    blocks, _ = make_blocks()
    path = stores / "tracks.h5"
    bins = tuple((i, i + 1) for i in range(-20, 20))
    schema = FeatureSchema(NAMES, (False,) * 3, ("t", "u"), bins)
    write_feature_store(path, schema, all_variants(blocks), TracksToo())
    summary = simulate_statistics(
        config(
            stores,
            features=path,
            truth="enrichment",
            truth_features=("u",),
            truth_values=(2.0,),
            truth_thresholds=(1.0,),
            freq_exponent=0.0,
            mean_f=0.0,
        )
    )
    above = TracksToo.tracks[:, 12:28, 1].astype(np.float32).sum(axis=1) > 1
    assert 0 < above.mean() < 1
    np.testing.assert_array_equal(truth_of(summary.output).logf, 2.0 * above)


def test_features_of_other_variants_are_refused(stores):
    windows_of = stores / "other"
    windows_of.mkdir()
    windows(windows_of)
    with pytest.raises(InputMismatchError, match=r"features\.h5: has none of the variants"):
        simulate_statistics(config(stores, ld=windows_of / "ld"))


def test_unknown_frequencies_are_refused_where_they_count(tmp_path):
    windows(tmp_path, frequency=np.nan)
    settings = {"truth": "constant", "features": None}
    with pytest.raises(InputFormatError, match="100 of 100 variants have no allele frequency"):
        simulate_statistics(config(tmp_path, **settings))
    summary = simulate_statistics(config(tmp_path, freq_exponent=0.0, **settings))
    stats = read_munged(summary.output)
    assert np.isnan(stats.beta).all()
    assert np.isfinite(stats.z).all()


def test_an_existing_output_is_kept(stores):
    simulate_statistics(config(stores))
    before = (stores / "sim.tsv.gz").read_bytes()
    with pytest.raises(OutputError, match="exists; choose another output or pass --overwrite"):
        simulate_statistics(config(stores, seed=1))
    assert (stores / "sim.tsv.gz").read_bytes() == before
    simulate_statistics(config(stores, seed=1, overwrite=True))
    assert (stores / "sim.tsv.gz").read_bytes() != before
    (stores / "folder.tsv.gz").mkdir()
    with pytest.raises(OutputError, match="is not a plain file"):
        simulate_statistics(config(stores, output=stores / "folder.tsv.gz"))


@pytest.mark.parametrize("end", [".truth.tsv.gz", ".run.json", ".lock"])
def test_no_file_beside_the_output_may_be_an_input(stores, end):
    path = (stores / "features.h5").rename(stores / f"sim.tsv.gz{end}")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=f"sim.tsv.gz{end}: is the input"):
        simulate_statistics(config(stores, features=path, overwrite=True))
    assert path.read_bytes() == before


@pytest.mark.parametrize("end", [".truth.tsv.gz", ".run.json"])
def test_somebody_s_file_beside_the_output_stays(stores, end):
    path = stores / f"sim.tsv.gz{end}"
    path.write_text("my notes")
    with pytest.raises(OutputError, match=f"sim.tsv.gz{end}: exists and no run of tfgen has writt"):
        simulate_statistics(config(stores, overwrite=True))
    assert path.read_text() == "my notes"
    assert not (stores / "sim.tsv.gz").exists()


def test_a_missing_package_is_told_before_the_work(stores, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="/sim.parquet: writing parquet needs pyarrow"):
        simulate_statistics(config(stores, ld=stores / "none", output=stores / "sim.parquet"))


def child(folder, **options):
    settings = {
        "ld": str(folder / "ld"),
        "features": str(folder / "features.h5"),
        "output": str(folder / "sim.tsv.gz"),
        "truth": "linear",
        **options.pop("settings", {}),
    }
    return subprocess.run(
        [sys.executable, CHILD, json.dumps({"config": settings, **options})],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("step", "passes", "resumed"),
    [("save", 3, 120), ("truth", 0, 320), ("report", 0, 320), ("publish", 0, 0)],
)
def test_a_killed_run_goes_on_to_the_same_bytes(stores, step, passes, resumed):
    simulate_statistics(config(stores, output=stores / "whole.tsv.gz"))
    killed = child(stores, die_in=step, die_after=passes)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (stores / "sim.tsv.gz").exists()
    done = child(stores)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"resumed": resumed}
    for end in ("", ".truth.tsv.gz"):
        found, whole = (stores / f"{name}.tsv.gz{end}" for name in ("sim", "whole"))
        assert found.read_bytes() == whole.read_bytes()
    assert not (stores / "sim.tsv.gz.partial").exists()


def test_work_with_other_settings_is_not_taken_up(stores):
    assert child(stores, die_in="save", die_after=3).returncode == -signal.SIGKILL
    with pytest.raises(OutputError, match="seed was 0, now 1"):
        simulate_statistics(config(stores, seed=1))
    assert simulate_statistics(config(stores, seed=1, overwrite=True)).n_resumed == 0


def test_a_stopped_run_keeps_what_was_done(stores, monkeypatch):
    monkeypatch.setattr(StopRequest, "raise_if_requested", stop_at(3))
    with pytest.raises(InterruptedRunError, match="stopped"):
        simulate_statistics(config(stores))
    monkeypatch.undo()
    assert not (stores / "sim.tsv.gz").exists()
    assert simulate_statistics(config(stores)).n_resumed == 120


def stop_at(call):
    calls = []

    def raise_if_requested(self):
        calls.append(1)
        if len(calls) == call:
            raise InterruptedRunError("stopped by SIGTERM", signal.SIGTERM)

    return raise_if_requested


def test_the_report_names_the_inputs(stores):
    summary = simulate_statistics(config(stores))
    report = json.loads((stores / "sim.tsv.gz.run.json").read_text())
    assert set(report["inputs"]) == {"ld", "features"}
    assert report["seeds"] == {"simulation": 0}
    assert report["results"]["simulation"]["digest"] == summary.digest
