import gzip

import h5py
import numpy as np
import pysam
import pytest

from effects.toy_engines import factory
from tfgen.effects import export as export_module
from tfgen.effects import score_variants
from tfgen.effects.export import ExportConfig, export_scores
from tfgen.errors import InputFormatError, OutputError, UsageError


@pytest.fixture
def store(world):
    """A store of three rows, the middle one faulty, with track identifiers that repeat."""
    pos = world.contigs["chr1"].index("A", 1000) + 1
    vcf = world.vcf(
        [f"chr1\t{pos}\trs1\tA\tG", "chr9\t5\t=1+1\tA\t<DEL>", f"chr1\t{pos}\trs2\tA\tAGG"]
    )
    config = world.config(vcf, statistics=("SAD", "tCRA"), max_rejected_fraction=1.0)
    score_variants(config, factory(track_ids=["T0", "1", "T0"]))
    return config.output


def export(store, **settings):
    output = settings.pop("output", store.parent / "scores.tsv")
    n_rows = export_scores(ExportConfig(scores=store, output=output, **settings))
    lines = output.read_text().splitlines()
    assert len(lines) == n_rows + 1
    return [line.split("\t") for line in lines]


def test_a_row_has_its_columns_and_all_scores(store):
    header, first, second, third = export(store)
    assert header == [
        *("chr", "pos", "snp", "ref_allele", "alt_allele", "status", "alt_index"),
        *("window_start", "n_padded", "n_fraction", "swapped", "indel_shift", "not_normalised"),
        *("SAD:0:T0", "SAD:1:1", "SAD:2:T0", "tCRA:0:T0", "tCRA:1:1", "tCRA:2:T0"),
    ]
    assert first[2:7] == ["rs1", "A", "G", "OK", "1"]
    assert first[13:] == ["1.0", "2.0", "3.0", "-1.0", "-2.0", "-3.0"]
    assert second[5] == "UNKNOWN_CONTIG"
    assert second[9] == "NA"
    assert second[13:] == ["NA"] * 6
    assert third[10:13] == ["0", "1", "0"]


def test_texts_cannot_run_in_a_spreadsheet(store):
    assert export(store)[2][2] == "'=1+1"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("=x", "'=x"),
        ("\tx", "' x"),
        ("a\tb\nc", "a b c"),
        ("rs1=2", "rs1=2"),
        ("", ""),
    ],
)
def test_cells_are_made_harmless(text, cell):
    assert export_module._cell(text) == cell


def test_statistics_and_tracks_are_chosen(store):
    header, first, *_ = export(store, statistics=("tCRA",), tracks=("2", "1"))
    assert header[13:] == ["tCRA:2:T0", "tCRA:1:1"]
    assert first[13:] == ["-3.0", "-2.0"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"statistics": ("SAR",)}, "no statistic 'SAR'; it has SAD, tCRA"),
        ({"tracks": ("T0",)}, "2 tracks have the identifier 'T0'; choose them by their column"),
        ({"tracks": ("T9",)}, "no track 'T9'; give an identifier or a column from 0 to 2"),
        ({"tracks": ("3",)}, "no track '3'"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(store, settings, message):
    with pytest.raises(UsageError, match=message):
        export(store, **settings)


def test_blocks_do_not_change_the_table(store, monkeypatch):
    whole = export(store)
    monkeypatch.setattr(export_module, "BLOCK_VALUES", 1)
    assert export(store, output=store.parent / "blocks.tsv") == whole


def test_numbers_can_be_read_back_exactly(store):
    values = np.float32([0.1, 1 / 3, 1e-30, -12345.678])
    with h5py.File(store, "a") as file:
        file["SAD"][0, :3], file["SAD"][2, 0] = values[:3], values[3]
    rows = export(store, statistics=("SAD",))
    assert rows[1][13] == "0.1"
    np.testing.assert_array_equal(np.float32(rows[1][13:] + rows[3][13:14]), values)


def test_a_name_that_ends_in_gz_is_bgzip(store):
    plain = store.parent / "a.tsv"
    packed = store.parent / "a.tsv.gz"
    for output in (plain, packed):
        export_scores(ExportConfig(scores=store, output=output))
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    with pysam.BGZFile(str(packed)) as stream:
        assert stream.read() == plain.read_bytes()


def test_an_existing_table_stays_without_overwrite(store):
    output = store.parent / "a.tsv"
    output.write_text("mine")
    with pytest.raises(OutputError, match=r"a\.tsv: exists; choose another output or pass"):
        export(store, output=output)
    export(store, output=output, overwrite=True)
    assert sorted(path.name for path in store.parent.glob("a.tsv*")) == ["a.tsv"]


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_a_failure_leaves_nothing(store, monkeypatch, name):
    def full_disk(partial, final):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "publish", full_disk)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        export_scores(ExportConfig(scores=store, output=store.parent / name))
    assert list(store.parent.glob("a.tsv*")) == []


def test_a_store_is_not_overwritten_with_its_own_table(store):
    before = store.read_bytes()
    with pytest.raises(UsageError, match="is the input .*; choose another output"):
        export_scores(ExportConfig(scores=store, output=store, overwrite=True))
    assert store.read_bytes() == before


def test_the_store_of_basenji_is_exported(shared_data, tmp_path):
    output = tmp_path / "a.tsv"
    scores = shared_data("variant_scores/basenji_sad.h5")
    assert export_scores(ExportConfig(scores=scores, output=output, tracks=("t7",))) == 16
    lines = output.read_text().splitlines()
    assert lines[0].split("\t") == ["chr", "pos", "snp", "ref_allele", "status", "SAD:7:t7"]
    assert lines[1].startswith("chr1\t56972353\trs72664324\tG\tOK\t")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputFormatError, match=r"a\.txt: not a complete HDF5 file"):
        export_scores(ExportConfig(scores=tmp_path / "a.txt", output=tmp_path / "b.tsv"))
