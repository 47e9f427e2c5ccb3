"""The pipeline from files to store, with engines whose answers are known."""

import dataclasses
import gzip
import json
import os
import signal

import h5py
import numpy as np
import pytest

from effects.toy_engines import PositionEngine, SumEngine, factory, loaded
from tfgen.effects import ScoreStore, score_variants
from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    InterruptedRunError,
    NumericalError,
    OutputError,
    TooManyRejectsError,
    UsageError,
)
from tfgen.io import OutputLock, read_table
from tfgen.io.pieces import PartialRun


def run(config, engine=None, **changes):
    return score_variants(config, factory(engine, **changes))


def report(config):
    return json.loads((config.output.parent / (config.output.name + ".run.json")).read_text())


def rejects(config):
    return read_table(config.output.parent / (config.output.name + ".rejects.tsv"))


def siblings(config):
    return sorted(path.name for path in config.output.parent.glob(config.output.name + "*"))


def test_the_output_has_one_row_per_alt_in_input_order(world):
    reference = world.base("chr1", 1000)
    others = [base for base in "ACGT" if base != reference]
    lines = [
        world.snv("chr1", 3000, "c"),
        f"chr1\t1000\ta\t{reference}\t{','.join(others)}",
        world.snv("chr2", 1500, "b"),
    ]
    config = world.config(world.vcf(lines))
    summary = run(config)
    assert summary.counts == {"OK": 5}
    with ScoreStore(config.output) as store:
        assert store.column("snp").tolist() == [b"c", b"a", b"a", b"a", b"b"]
        assert store.column("alt_index").tolist() == [1, 1, 2, 3, 1]
        assert store.column("alt_allele")[1:4].tolist() == [base.encode() for base in others]
        expected = [float(base == "G") - float(reference == "G") for base in others]
        assert store.scores("SAD")[1:4, 0].tolist() == expected
        assert store.target_ids == ("track0", "track1", "track2")
        assert store.target_labels[0] == "label of track0"


@pytest.mark.parametrize("windows", ["centred", "shared"])
def test_every_variant_is_seen_where_it_is(world, windows):
    config = world.config(world.snvs(60), statistics=("SAD",), windows=windows)
    run(config, PositionEngine())
    with ScoreStore(config.output) as store:
        offset, start, ref, alt = store.scores("SAD").T
        np.testing.assert_array_equal(store.column("window_start"), start)
        np.testing.assert_array_equal(store.column("pos") - 1, start + offset)
        assert [b"ACGT"[int(code) :][:1] for code in ref] == store.column("ref_allele").tolist()
        assert [b"ACGT"[int(code) :][:1] for code in alt] == store.column("alt_allele").tolist()
        if windows == "centred":
            assert (offset == 512).all()


def test_a_score_does_not_depend_on_its_neighbours(world):
    """Alone, among others, in either order: the same numbers."""
    for windows in ("centred", "shared"):
        settings = {"statistics": ("SAD",), "windows": windows, "overwrite": True}
        config = world.config(world.snvs(40), **settings)
        run(config, PositionEngine())
        with ScoreStore(config.output) as store:
            together = store.scores("SAD")
        lines = (world.folder / "in.vcf").read_text().splitlines()[2:]
        backwards = world.vcf([line.rsplit("\t", 3)[0] for line in reversed(lines)], "back.vcf")
        config = world.config(backwards, "back.h5", **settings)
        run(config, PositionEngine(), rows_per_piece=7)
        with ScoreStore(config.output) as store:
            np.testing.assert_array_equal(store.scores("SAD"), together[::-1])


def test_the_report_and_the_rejects_lie_beside_the_output(world):
    lines = [world.snv("chr1", 1000 + 10 * row, f"v{row}") for row in range(18)]
    lines[3:3] = ["chr9\t5\tlost\tA\tC", "chr1\t-7\tlow\tA\t<DEL>"]
    config = world.config(world.vcf(lines), max_rejected_fraction=0.2, seed=3)
    summary = run(config, loaded_engine := SumEngine(full_error=0.5))
    assert siblings(config) == ["scores.h5", "scores.h5.rejects.tsv", "scores.h5.run.json"]
    assert rejects(config) == {
        "line": ["6", "7"],
        "chrom": ["chr9", "chr1"],
        "pos": ["5", "-7"],
        "id": ["lost", "low"],
        "ref": ["A", "A"],
        "alt": ["C", "<DEL>"],
        "code": ["UNKNOWN_CONTIG", "POS_RANGE"],
        "detail": ["contig 'chr9' is not in the FASTA", "-7--7 is not within 1-20000 of chr1"],
    }
    written = report(config)
    assert written["command"] == "variants_score"
    assert written["flags"]["vcf"] == str(config.vcf)
    assert written["seeds"] == {"self_check": 3}
    assert written["results"]["counts"] == {"OK": 18, "UNKNOWN_CONTIG": 1, "POS_RANGE": 1}
    assert written["results"]["self_check"]["largest"] == 0.5
    assert written["results"]["self_check"]["rows"] == len(loaded_engine.full_rows)
    assert written["results"]["attributes"]["model_sha256"] == "0" * 64
    assert written["inputs"]["fasta"]["size"] == world.fasta.stat().st_size
    assert summary.check.max_abs == {"SAD": 0.5, "SAR": 0.5, "tCRA": 0.5}


def test_the_store_holds_nothing_about_time_place_or_checks(world):
    config = world.config(world.snvs(20))
    run(config)
    first = config.output.read_bytes()
    (world.folder / "elsewhere").mkdir()
    moved = world.folder / "elsewhere" / "copy.vcf"
    moved.write_bytes(config.vcf.read_bytes())
    other = world.config(
        moved,
        "elsewhere/other.h5",
        verify_fraction=1.0,
        seed=9,
        batch_size=3,
        max_rejected_fraction=0.5,
        model=world.folder / "elsewhere",
    )
    run(other, rows_per_piece=3)
    assert other.output.read_bytes() == first


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"windows": "shared"}, {}),
        ({"max_indel": 5}, {}),
        ({"max_n_fraction": 0.4}, {}),
        ({"ref_policy": "swap"}, {}),
        ({"float16": True}, {}),
        ({"statistics": ("SAD",)}, {}),
        ({}, {"provenance": {"model_sha256": "1" * 64}}),
        ({}, {"track_ids": ["a", "b", "c"]}),
        ({}, {"track_labels": ["a", "b", "c"]}),
    ],
)
def test_what_determines_the_scores_is_in_the_attributes(world, settings, changes):
    vcf = world.snvs(3)
    run(world.config(vcf))
    other = world.config(vcf, "other.h5", **settings)
    run(other, **changes)
    with ScoreStore(world.folder / "scores.h5") as one, ScoreStore(other.output) as two:
        assert one.attributes != two.attributes
        assert one.attributes.keys() >= {"vcf_sha256", "fasta_sha256", "version_numpy", "windows"}


def test_shards_hold_their_rows(world):
    vcf = world.snvs(10)
    whole = world.config(vcf)
    run(whole)
    part = world.config(vcf, "part.h5", num_shards=3, shard_index=1)
    run(part)
    with ScoreStore(whole.output) as all_rows, ScoreStore(part.output) as store:
        assert store.attributes["row_start"] == 3
        assert store.attributes["row_stop"] == 6
        assert store.attributes["rows_total"] == 10
        np.testing.assert_array_equal(store.scores("SAD"), all_rows.scores("SAD")[3:6])


def test_every_shard_checks_itself(world):
    vcf = world.snvs(10)
    for shard in range(3):
        config = world.config(vcf, f"{shard}.h5", num_shards=3, shard_index=shard)
        assert run(config).check.n_rows >= 1


def test_a_file_without_variants_gives_a_valid_store(world, capfd):
    config = world.config(world.vcf([]), progress="lines")
    summary = run(config)
    assert summary.counts == {}
    assert summary.warnings[0].endswith("no variants; the output has no rows")
    assert "warning: " in capfd.readouterr().err
    with ScoreStore(config.output) as store:
        assert store.scores("SAD").shape == (0, 3)
        assert np.isnan(store.percentiles("SAD")).all()


def test_too_many_rejects_leave_a_complete_output(world):
    config = world.config(world.vcf([world.snv("chr1", 700), "chr9\t1\t.\tA\tC"]))
    with pytest.raises(TooManyRejectsError, match=r"1 of 2 rows have no score"):
        run(config)
    assert siblings(config) == ["scores.h5", "scores.h5.rejects.tsv", "scores.h5.run.json"]
    with ScoreStore(config.output) as store:
        assert store.column("status").tolist() == [b"OK", b"UNKNOWN_CONTIG"]


def test_strict_runs_stop_before_the_model_is_loaded(world):
    def no_model(config):
        raise AssertionError

    vcf = world.vcf([world.snv("chr1", 700), "chr1\t9\t.\tA\t*"])
    config = world.config(vcf, on_bad_record="error")
    with pytest.raises(InputFormatError, match=r"in\.vcf:4: STAR"):
        score_variants(config, no_model)
    assert siblings(config) == []


def test_a_strict_run_without_faults_scores_everything(world):
    config = world.config(world.snvs(5), on_bad_record="error", ref_policy="error")
    assert run(config).counts == {"OK": 5}


def test_a_model_that_does_not_fit_stops_before_scoring(world):
    config = world.config(world.snvs(3))
    engine = SumEngine(statistics=("SAD",))
    with pytest.raises(InputMismatchError, match="engine gives SAD"):
        run(config, engine)
    assert engine.calls == []


def test_a_fasta_in_plain_gzip_stops_with_advice(world):
    packed = world.folder / "genome.fa.gz"
    packed.write_bytes(gzip.compress(world.fasta.read_bytes()))
    with pytest.raises(InputFormatError, match="bgzip"):
        run(world.config(world.snvs(3), fasta=packed))


def test_float16_on_request(world):
    config = world.config(world.snvs(5), float16=True)
    run(config)
    with h5py.File(config.output) as file:
        assert file["SAD"].dtype == np.float16


def test_warnings_of_the_model_are_reported(world, capfd):
    config = world.config(world.snvs(3), progress="lines")
    summary = run(config, warnings=["old model", "old model"], contig_lengths={"chr1": 5})
    assert len(summary.warnings) == 2
    assert summary.warnings[0] == "old model"
    assert "chr1 has 5 bp in the model and 20000 bp in the FASTA" in summary.warnings[1]
    shown = capfd.readouterr().err
    assert "warning: old model" in shown
    assert "scoring: 3/3 variants" in shown
    assert report(config)["results"]["warnings"] == list(summary.warnings)


def test_an_existing_output_stays_without_overwrite(world):
    config = world.config(world.snvs(3))
    config.output.write_text("mine")
    with pytest.raises(OutputError, match=r"scores.h5: exists; choose another output or pass"):
        run(config)
    assert config.output.read_text() == "mine"
    run(world.config(config.vcf, overwrite=True))
    assert h5py.is_hdf5(config.output)


def test_a_second_run_on_the_same_output_stops_at_once(world):
    config = world.config(world.snvs(3))
    with OutputLock(config.output), pytest.raises(OutputError, match="being written by process"):
        run(config)


def test_a_disk_that_is_too_small_stops_before_scoring(world, monkeypatch):
    engine = SumEngine()
    monkeypatch.setattr("tfgen.io.space.free_bytes", lambda folder: 1000)
    with pytest.raises(OutputError, match=r"scores.h5 needs .* MB but 1.0 kB is free"):
        run(world.config(world.snvs(3)), engine)
    assert engine.calls == []


class InterruptedEngine(SumEngine):
    """Gets a signal in its second call."""

    signal_number = signal.SIGTERM

    def score(self, windows):
        if len(self.calls) == 1:
            os.kill(os.getpid(), self.signal_number)
        return super().score(windows)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_after_the_batch_and_it_goes_on_later(world, number, code):
    config = world.config(world.snvs(40))
    engine = InterruptedEngine()
    engine.signal_number = number
    with pytest.raises(InterruptedRunError, match="what was done is kept") as stopped:
        run(config, engine, rows_per_piece=10)
    assert stopped.value.exit_code == code
    assert engine.calls == [10, 10]
    assert siblings(config) == ["scores.h5.partial"]
    rest = SumEngine()
    summary = run(config, rest, rows_per_piece=10)
    assert rest.calls == [10, 10]
    assert summary.n_resumed == 20
    assert siblings(config) == ["scores.h5", "scores.h5.rejects.tsv", "scores.h5.run.json"]


def test_a_signal_while_the_model_loads_ends_the_run(world):
    def slow_model(config):
        os.kill(os.getpid(), signal.SIGTERM)
        return loaded(SumEngine())

    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM"):
        score_variants(world.config(world.snvs(3)), slow_model)


@pytest.fixture
def untidied(world, monkeypatch):
    """Settings of a run that ended after publishing, before it removed its folder."""
    config = world.config(world.vcf([world.snv("chr1", 700), "chr9\t1\t.\tA\tC"]))

    def killed(self):
        if config.output.exists():
            raise KeyboardInterrupt
        remove(self)

    remove = PartialRun.remove
    monkeypatch.setattr(PartialRun, "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        run(config)
    monkeypatch.undo()
    assert "scores.h5.partial" in siblings(config)
    return config


def test_a_published_output_is_tidied_up(untidied):
    before = untidied.output.read_bytes()
    engine = SumEngine()
    with pytest.raises(TooManyRejectsError, match=r"1 of 2 rows have no score"):
        run(untidied, engine)
    assert engine.calls == []
    assert untidied.output.read_bytes() == before
    assert siblings(untidied) == ["scores.h5", "scores.h5.rejects.tsv", "scores.h5.run.json"]
    with pytest.raises(OutputError, match="exists"):
        run(untidied)


def test_a_published_output_says_it_was_complete(untidied):
    summary = run(dataclasses.replace(untidied, max_rejected_fraction=1.0))
    assert summary.warnings[-1] == f"{untidied.output}: was complete already"
    assert summary.n_resumed == 2
    assert summary.rows_per_second == 0


def test_a_published_output_of_other_settings_stays(untidied):
    with pytest.raises(OutputError, match=r"scores.h5: exists"):
        run(dataclasses.replace(untidied, max_indel=3))


def test_another_file_in_the_place_of_the_output_stays(untidied):
    untidied.output.write_text("mine")
    with pytest.raises(OutputError, match=r"scores.h5: exists"):
        run(untidied)
    assert untidied.output.read_text() == "mine"


class NaNEngine(SumEngine):
    def score(self, windows):
        scores = super().score(windows)
        if len(self.calls) == 2:
            scores["SAD"][0, 0] = np.nan
        return scores


def test_a_score_that_is_no_number_stops_and_keeps_what_was_done(world):
    config = world.config(world.snvs(40))
    with pytest.raises(NumericalError, match=r"\(row 10\) is nan in track 0"):
        run(config, NaNEngine(), rows_per_piece=10)
    assert run(config).n_resumed == 10


def test_the_check_of_a_resumed_run_covers_all_rows(world):
    config = world.config(world.snvs(40), verify_fraction=1.0)
    with pytest.raises(NumericalError, match="row 10"):
        run(config, NaNEngine(full_error=2.0), rows_per_piece=10)
    summary = run(config, SumEngine(full_error=1.0))
    assert summary.check.n_rows == 40
    assert summary.check.max_abs["SAD"] == 2.0


def test_a_resumed_run_with_other_settings_stops(world):
    config = world.config(world.snvs(40))
    with pytest.raises(NumericalError, match="row 10"):
        run(config, NaNEngine(), rows_per_piece=10)
    other = world.config(config.vcf, max_indel=3)
    with pytest.raises(OutputError, match=r"other settings \(max_indel was 511, now 3\)"):
        run(other)
    summary = run(world.config(config.vcf, max_indel=3, overwrite=True))
    assert summary.n_resumed == 0


def test_real_indels_and_substitutions_pass_their_check(world, shared_data):
    """All of a 1000 Genomes panel agrees with GRCh37 (24,990 of 24,990)."""
    config = world.config(
        shared_data("haplotypes/shapeit4_chr20_b37/reference.vcf.gz"),
        fasta=shared_data("genome/GRCh37_chr20_900k_4100k.fa.gz"),
        rows="0:2000",
    )
    assert run(config, rows_per_piece=500).counts == {"OK": 2000}


def test_records_without_header_line_are_swapped_on_request(world, shared_data):
    """eqtl_flip.vcf is eqtl.vcf with REF and ALT exchanged."""
    fasta = shared_data("genome/hg38_chr1_first1M.fa.gz")
    scores = []
    for name, policy in (("eqtl.vcf", "skip"), ("eqtl_flip.vcf", "swap")):
        config = world.config(
            shared_data(f"genome/baskerville_snp/{name}"),
            f"{name}.h5",
            fasta=fasta,
            ref_policy=policy,
        )
        assert set(run(config).counts) == {"OK"}
        with ScoreStore(config.output) as store:
            scores.append(store.scores("SAD"))
            assert store.column("swapped").all() == (policy == "swap")
    np.testing.assert_array_equal(scores[0], -scores[1])
    config = world.config(config.vcf, "skip.h5", fasta=fasta, max_rejected_fraction=1.0)
    assert set(run(config).counts) == {"REF_MISMATCH"}


@dataclasses.dataclass
class ShrinkingEngine(SumEngine):
    """Halves its batch size in its third call, as after running out of memory."""

    batch_size: int = 8

    def score(self, windows):
        if len(self.calls) == 2:
            self.batch_size = 4
        return super().score(windows)


def test_no_output_mixes_batch_sizes(world):
    config = world.config(world.snvs(60), overwrite=True)
    summary = run(config, engine := ShrinkingEngine())
    assert engine.calls == [16, 16, 16, 16, 16, 16, 12]
    note = "out of memory at batch size 8: all rows were scored again with 4"
    assert summary.warnings == (note,)
    assert report(config)["results"]["warnings"] == [note]
    shrunk = config.output.read_bytes()
    run(config, SumEngine(batch_size=4))
    assert config.output.read_bytes() == shrunk


def test_a_folder_as_output_is_refused_before_anything_is_scored(world):
    config = world.config(world.snvs(3), overwrite=True)
    config.output.mkdir()
    with pytest.raises(OutputError, match=r"scores\.h5: is not a plain file; choose a file name"):
        run(config, engine := SumEngine())
    assert engine.calls == []


def test_an_input_is_never_the_output(world):
    config = world.config(world.snvs(3), overwrite=True)
    for name in ("vcf", "fasta"):
        source = getattr(config, name)
        before = source.read_bytes()
        with pytest.raises(UsageError, match="is the input .*; choose another output"):
            run(dataclasses.replace(config, output=source))
        assert source.read_bytes() == before


def test_a_strict_run_finds_a_faulty_window_before_it_scores(world):
    lines = [world.snv("chr1", 1000 + row) for row in range(40)]
    config = world.config(world.vcf([*lines, world.snv("chrN", 1205)]), on_bad_record="error")
    with pytest.raises(InputMismatchError, match=r"in\.vcf:43: N_FRACTION"):
        run(config, engine := SumEngine())
    assert engine.calls == []
