import dataclasses
import json
import resource

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effects.toy_engines import factory
from tfgen.effects import ScoreStore, score_variants
from tfgen.effects.merge import MergeConfig, merge_stores
from tfgen.errors import InputFormatError, InputMismatchError, OutputError, UsageError

N_ROWS = 60


@pytest.fixture
def config(world):
    """Settings of a run over rows of which some are faulty, and its undivided output."""
    lines = [world.snv("chr1", 600 + 150 * row, f"v{row}") for row in range(N_ROWS - 3)]
    lines[7:7] = ["chr9\t5\tlost\tA\tC", "chr1\t-7\tlow\tA\t<DEL>", "chr1\t7\tstar\tA\t*"]
    settings = world.config(world.vcf(lines), "whole.h5", max_rejected_fraction=1.0)
    score_variants(settings, factory())
    return settings


def shard(config, rows, name, **changes):
    """Scores some rows into a store of its own."""
    part = dataclasses.replace(
        config, rows=rows, output=config.output.parent / name, overwrite=True, **changes
    )
    score_variants(part, factory(rows_per_piece=5))
    return str(part.output)


def merge(config, *names, overwrite=True):
    output = config.output.parent / "merged.h5"
    merge_stores(MergeConfig(inputs=names, output=output, overwrite=overwrite))
    return output


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_shards_split_anywhere_and_merged_in_any_order_are_the_whole(config, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, N_ROWS), min_size=1, max_size=4)))
    edges = [0, *cuts, N_ROWS]
    names = [
        shard(config, f"{start}:{stop}", f"part{index}.h5")
        for index, (start, stop) in enumerate(zip(edges, edges[1:], strict=False))
    ]
    merged = merge(config, *data.draw(st.permutations(names)))
    assert merged.read_bytes() == config.output.read_bytes()
    rejects = merged.with_name("merged.h5.rejects.tsv").read_text()
    assert rejects == config.output.with_name("whole.h5.rejects.tsv").read_text()


def test_numbered_shards_are_the_whole(config):
    names = []
    for index in range(7):
        part = dataclasses.replace(
            config, num_shards=7, shard_index=index, output=config.output.parent / f"{index}.h5"
        )
        names.append(str(score_variants(part, factory()).output))
    assert merge(config, *names).read_bytes() == config.output.read_bytes()


@pytest.mark.parametrize("settings", [{"float16": True}, {"windows": "shared"}])
def test_other_kinds_of_stores_merge_as_well(config, settings):
    whole = dataclasses.replace(
        config, output=config.output.parent / "other.h5", overwrite=True, **settings
    )
    score_variants(whole, factory())
    names = [
        shard(config, rows, f"{index}.h5", **settings)
        for index, rows in enumerate(("0:13", "13:60"))
    ]
    assert merge(config, *names).read_bytes() == whole.output.read_bytes()


def test_a_file_without_variants_merges(world):
    config = world.config(world.vcf([]), "whole.h5")
    score_variants(config, factory())
    merged = merge(config, shard(config, "0:0", "a.h5"), shard(config, "0:0", "b.h5"))
    assert merged.read_bytes() == config.output.read_bytes()


def test_the_report_counts_all_rows(config):
    names = [shard(config, "0:30", "a.h5"), shard(config, "30:60", "b.h5")]
    output = config.output.parent / "merged.h5"
    summary = merge_stores(MergeConfig(inputs=tuple(names), output=output))
    assert (summary.n_rows, summary.n_shards, summary.warnings) == (60, 2, ())
    assert summary.counts == {"OK": 57, "UNKNOWN_CONTIG": 1, "POS_RANGE": 1, "STAR": 1}
    report = json.loads(output.with_name("merged.h5.run.json").read_text())
    assert report["command"] == "variants_merge"
    assert report["results"]["counts"] == dict(summary.counts)
    assert set(report["inputs"]) == set(names)
    assert sorted(path.name for path in output.parent.glob("merged.h5*")) == [
        "merged.h5",
        "merged.h5.rejects.tsv",
        "merged.h5.run.json",
    ]


def test_missing_rejects_are_a_warning(config):
    names = [shard(config, "0:30", "a.h5"), shard(config, "30:60", "b.h5")]
    output = merge(config, *names)
    (config.output.parent / "b.h5.rejects.tsv").unlink()
    summary = merge_stores(MergeConfig(inputs=tuple(names), output=output, overwrite=True))
    assert "b.h5.rejects.tsv is missing" in summary.warnings[0]
    assert not output.with_name("merged.h5.rejects.tsv").exists()


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (["0:30"], "rows 30:60 of 60 are in no shard"),
        (["30:60"], "rows 0:30 of 60 are in no shard"),
        (["0:20", "25:60"], "rows 20:25 of 60 are in no shard; .* with --rows=20:25"),
        (["0:30", "29:60"], r"rows 29:60 are in another shard as well; name each shard once"),
        (["0:60", "0:60"], "rows 0:60 are in another shard as well"),
        (["20:20"], "rows 0:60 of 60 are in no shard"),
    ],
)
def test_rows_must_be_covered_exactly_once(config, ranges, message):
    names = [shard(config, rows, f"{index}.h5") for index, rows in enumerate(ranges)]
    with pytest.raises(InputMismatchError, match=message):
        merge(config, *names)
    assert not (config.output.parent / "merged.h5").exists()


def test_shards_of_another_run_are_refused_by_name(config):
    one = shard(config, "0:30", "a.h5")
    other = shard(config, "30:60", "b.h5", max_indel=3, windows="shared")
    with pytest.raises(
        InputMismatchError,
        match=r"a.h5 and .*b.h5 are not of one run: max_indel is 511 and 3, windows is centred "
        r"and shared; score all shards",
    ):
        merge(config, one, other)


def test_many_differences_are_cut_short(config):
    one = shard(config, "0:30", "a.h5")
    settings = {"max_indel": 3, "windows": "shared", "ref_policy": "swap", "float16": True}
    with pytest.raises(InputMismatchError, match=r"float16 is False and True, .*, \.\.\.; score"):
        merge(config, one, shard(config, "30:60", "b.h5", **settings))


@pytest.mark.parametrize("what", ["target_ids", "statistics", "types"])
def test_changed_contents_are_noticed(config, what):
    one, other = shard(config, "0:30", "a.h5"), shard(config, "30:60", "b.h5")
    with h5py.File(other, "a") as file:
        if what == "target_ids":
            file["target_ids"][0] = b"x"
        elif what == "statistics":
            del file["tCRA"]
        else:
            scores = file["SAD"][:].astype(np.float16)
            del file["SAD"]
            file["SAD"] = scores
    message = "column types differ" if what == "types" else f"their {what} differ"
    with pytest.raises(InputMismatchError, match=message):
        merge(config, one, other)


def test_a_store_that_was_cut_is_refused(config):
    part = shard(config, "0:30", "a.h5")
    with h5py.File(part, "a") as file:
        file.attrs["row_stop"] = 31
    with pytest.raises(InputMismatchError, match=r"a.h5: holds 30 rows but says 0:31"):
        merge(config, part)


def test_stores_of_other_programs_are_refused(config, shared_data):
    with pytest.raises(InputMismatchError, match="does not say which rows it holds"):
        merge(config, str(shared_data("variant_scores/basenji_sad.h5")))


def test_other_files_are_refused(config):
    with pytest.raises(InputFormatError, match=r"in\.vcf: not a complete HDF5 file"):
        merge(config, str(config.vcf))


def test_an_existing_output_stays(config):
    part = shard(config, "0:60", "a.h5")
    (config.output.parent / "merged.h5").write_text("mine")
    with pytest.raises(OutputError, match=r"merged\.h5: exists; choose another"):
        merge(config, part, overwrite=False)


def test_a_disk_that_is_too_small_stops(config, monkeypatch):
    part = shard(config, "0:60", "a.h5")
    monkeypatch.setattr("tfgen.io.space.free_bytes", lambda folder: 1000)
    with pytest.raises(OutputError, match=r"merged\.h5 needs"):
        merge(config, part)


def test_nothing_and_itself_cannot_be_merged(tmp_path):
    with pytest.raises(UsageError, match="nothing to merge"):
        MergeConfig(inputs=(), output=tmp_path / "a.h5")
    with pytest.raises(UsageError, match=r"a\.h5: is an input as well"):
        MergeConfig(inputs=(str(tmp_path / "a.h5"),), output=tmp_path / "a.h5")


def test_the_merged_store_says_it_is_whole(config):
    merged = merge(config, shard(config, "0:30", "a.h5"), shard(config, "30:60", "b.h5"))
    with ScoreStore(merged) as store:
        assert [store.attributes[name] for name in ("row_start", "row_stop", "rows_total")] == [
            *(0, N_ROWS, N_ROWS)
        ]


def test_many_shards_may_be_open_at_once(config):
    names = [shard(config, f"{row}:{row + 1}", f"p{row}.h5") for row in range(N_ROWS)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (50, hard))
    try:
        assert merge(config, *names).read_bytes() == config.output.read_bytes()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
