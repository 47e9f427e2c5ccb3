import h5py
import numpy as np
import pytest

from effects.toy_engines import factory
from tfgen.effects import ScoreStore, score_variants
from tfgen.errors import InputFormatError, UnsupportedInputError


def foreign(path, **changes):
    """A store as another program would write it; a value of None leaves a dataset out."""
    datasets = {
        "snp": np.array([b"rs1", b"rs2"]),
        "chr": np.array([b"1", b"1"]),
        "pos": np.array([5, 9], np.uint32),
        "ref": np.array([b"A", b"C"]),
        "alt": np.array([b"G", b"T"]),
        "target_ids": np.array([b"t0", b"t1", b"t2"]),
        "target_labels": np.array([b"", b"x", b"y"]),
        "SAD": np.arange(6, dtype=np.float16).reshape(2, 3),
        "SAR": -np.arange(6, dtype=np.float16).reshape(2, 3),
    } | changes
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            if values is not None:
                file[name] = values
    return path


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    message = (
        r"a\.txt: not a complete HDF5 file; expected a score store that was written to its end"
    )
    with pytest.raises(InputFormatError, match=message):
        ScoreStore(tmp_path / "a.txt")


def test_the_file_of_basenji_is_read_and_its_percentiles_are_right(shared_data):
    with ScoreStore(shared_data("variant_scores/basenji_sad.h5")) as store:
        assert (store.n_rows, store.n_tracks) == (16, 4269)
        assert store.statistics == ("SAD",)
        assert store.columns == ("snp", "chr", "ref_allele", "pos")
        assert store.column("snp")[0] == b"rs72664324"
        assert store.column("ref_allele", 0, 1).tolist() == [b"G"]
        assert store.column("pos", 0, 1).tolist() == [56_972_353]
        assert store.column("status").tolist() == [b"OK"] * 16
        assert store.target_ids[:2] == ("t0", "t1")
        assert store.attributes == {}
        scores = store.scores("SAD").astype(np.float64)
        stored = store.percentiles("SAD")
    # The writer of that file computed in float16, whose resolution is 2**-11.
    grid = np.concatenate(
        [np.linspace(0.001, 0.099, 99), np.linspace(0.1, 0.89, 80), np.linspace(0.9, 0.999, 100)]
    )
    expected = np.percentile(scores, 100 * grid, axis=0).T
    np.testing.assert_allclose(stored, expected, rtol=2**-11, atol=1e-7)


@pytest.mark.parametrize("names", [("ref", "alt"), ("ref_allele", "alt_allele")])
def test_both_spellings_of_the_alleles_are_read(tmp_path, names):
    changes = {"ref": None, "alt": None, names[0]: np.array([b"A", b"C"])}
    path = foreign(tmp_path / "a.h5", **(changes | {names[1]: np.array([b"G", b"T"])}))
    with ScoreStore(path) as store:
        assert store.column("ref_allele").tolist() == [b"A", b"C"]
        assert store.column("alt_allele").tolist() == [b"G", b"T"]


def test_scores_come_in_slices(tmp_path):
    with ScoreStore(foreign(tmp_path / "a.h5")) as store:
        assert store.statistics == ("SAD", "SAR")
        assert store.scores("SAR", slice(1, 2), slice(1, 3)).tolist() == [[-4, -5]]
        assert store.scores("SAD").shape == (2, 3)
        assert store.column("status", 1, 2).tolist() == [b"OK"]
        assert store.dtype("SAD") == np.float16


def test_statistics_come_in_the_order_of_the_attribute(tmp_path):
    path = foreign(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["statistics"] = "SAR,SAD"
    with ScoreStore(path) as store:
        assert store.statistics == ("SAR", "SAD")


def test_predictions_and_groups_are_not_statistics(tmp_path):
    path = foreign(tmp_path / "a.h5", REF=np.zeros((2, 4, 3), np.float16))
    with h5py.File(path, "a") as file:
        file.create_group("extra")
    with ScoreStore(path) as store:
        assert store.statistics == ("SAD", "SAR")


def test_attributes_are_plain_values(tmp_path):
    path = foreign(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs.update(
            {"a": "text", "b": np.bytes_("bytes"), "c": 3, "d": True, "e": 0.5, "f": [1, 2]}
        )
    with ScoreStore(path) as store:
        assert store.attributes == {"a": "text", "b": "bytes", "c": 3, "d": True, "e": 0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pos": None}, "no dataset 'pos'; it has SAD, SAR, alt_allele"),
        ({"target_ids": None}, "no dataset 'target_ids'"),
        ({"SAD": None, "SAR": None}, "no scores; expected a matrix"),
        ({"snp": np.array([b"rs1"])}, r"'snp' has shape \(1,\); expected \(2,\)"),
        ({"SAR": np.zeros((2, 4), np.float32)}, r"'SAR' has shape \(2, 4\); expected \(2, 3\)"),
        ({"target_labels": np.array([b"x"])}, "'target_labels' has shape"),
        ({"chr": np.array([1, 1])}, "'chr' has type int64; expected fixed-length text"),
        ({"status": np.array([0, 1])}, "'status' has type int64"),
        ({"snp": ["rs1", "rs2"]}, "'snp' has type object; expected fixed-length text"),
    ],
)
def test_other_layouts_are_refused(tmp_path, changes, message):
    with pytest.raises(InputFormatError, match=message):
        ScoreStore(foreign(tmp_path / "a.h5", **changes))


def test_what_is_not_there_is_named(tmp_path):
    with ScoreStore(foreign(tmp_path / "a.h5")) as store:
        with pytest.raises(InputFormatError, match="no statistic 'SAX'; it has SAD, SAR"):
            store.scores("SAX")
        with pytest.raises(InputFormatError, match="no dataset 'swapped'"):
            store.column("swapped")
        with pytest.raises(InputFormatError, match="no dataset 'SAD_pct'"):
            store.percentiles("SAD")


@pytest.mark.parametrize(("version", "is_read"), [("1.7", True), ("2.0", False), ("0.9", False)])
def test_the_major_version_of_the_format_decides(tmp_path, version, is_read):
    path = foreign(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = version
    if is_read:
        ScoreStore(path).__exit__(None, None, None)
    else:
        with pytest.raises(UnsupportedInputError, match=f"format version {version}, but"):
            ScoreStore(path)


def test_a_link_to_another_file_is_refused(tmp_path):
    secret = foreign(tmp_path / "secret.h5")
    path = foreign(tmp_path / "a.h5", SAR=None)
    with h5py.File(path, "a") as file:
        file["SAR"] = h5py.ExternalLink(str(secret), "SAR")
    with pytest.raises(InputFormatError, match="'SAR' is a link"):
        ScoreStore(path)


def test_damaged_data_are_an_error(tmp_path):
    path = foreign(tmp_path / "a.h5", SAD=None)
    rng = np.random.default_rng(0)
    with h5py.File(path, "a") as file:
        scores = rng.normal(size=(2, 3)).astype(np.float32)
        data = file.create_dataset("SAD", data=scores, chunks=(2, 3), compression="gzip")
        chunk = data.id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    for place in range(chunk.byte_offset, chunk.byte_offset + chunk.size):
        content[place] ^= 0xFF
    path.write_bytes(content)
    with (
        ScoreStore(path) as store,
        pytest.raises(InputFormatError, match="a.h5: is damaged, or uses a"),
    ):
        store.scores("SAD")


@pytest.mark.parametrize("error", [RuntimeError("wrong B-tree"), KeyError("no object")])
def test_a_damaged_store_is_named(world, monkeypatch, error):
    # Flipped bytes make the HDF5 library raise these (or, seldom, never return).
    config = world.config(world.snvs(2))
    score_variants(config, factory())

    def fail(*arguments):
        raise error

    monkeypatch.setattr("tfgen.effects.store.safe_dataset", fail)
    with pytest.raises(InputFormatError, match=r"scores\.h5: is damaged, .*: .*B-tree|no object"):
        ScoreStore(config.output)
