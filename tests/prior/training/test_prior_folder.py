import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError, UnsupportedInputError
from tfgen.prior.heads.head_config import TraitScale
from tfgen.prior.ld.ld_block import BlockInfo
from tfgen.prior.training.block_data import BlockSize
from tfgen.prior.training.folds import Fold, make_folds
from tfgen.prior.training.prior_folder import (
    FORMAT_VERSION,
    PRIOR_JSON,
    BlockPlace,
    PriorFold,
    PriorIndex,
    block_places,
    kept_out_blocks,
    overlap,
)

INDEX = PriorIndex(
    (TraitScale("height", 450_000.0, 1_000_000.0), TraitScale("x", 10.0, 5.0)),
    "GRCh37",
    "0123",
    "4567",
    (PriorFold("group0", ("chr1_0_9", "chr1_9_20")), PriorFold("group1", ())),
    ("chr2_0_9",),
    {"chr1_0_9": BlockPlace("1", 0, 9, 2, 7), "chr2_0_9": BlockPlace("2", 0, 9, 0, 9)},
)

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "test", "n_eff", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def write(folder, value):
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / PRIOR_JSON).write_text(text, encoding="utf-8")
    return folder


def changed(**changes):
    return {**json.loads(json.dumps(INDEX.to_json())), **changes}


def test_what_was_written_is_read_again(tmp_path):
    assert PriorIndex.read(write(tmp_path, INDEX.to_json())) == INDEX
    assert INDEX.to_json()["format_version"] == FORMAT_VERSION


def test_an_index_of_format_1_0_says_neither_what_was_kept_out_nor_where(tmp_path):
    value = changed(format_version="1.0")
    del value["kept_out"], value["blocks"]
    index = PriorIndex.read(write(tmp_path, value))
    assert (index.kept_out, index.blocks) == ((), {})
    assert (index.folds, index.traits) == (INDEX.folds, INDEX.traits)


def test_a_block_belongs_to_the_fold_that_never_saw_it():
    assert INDEX.fold_of == {"chr1_0_9": "group0", "chr1_9_20": "group0"}


def test_a_later_minor_version_can_be_read_and_another_major_one_not(tmp_path):
    assert PriorIndex.read(write(tmp_path, changed(format_version="1.7", new=3))) == INDEX
    with pytest.raises(UnsupportedInputError, match=r"format version 2\.0, but this tfgen reads 1"):
        PriorIndex.read(write(tmp_path, changed(format_version="2.0")))


@pytest.mark.parametrize("text", ["", "[]", "3", '"x"', "{", "{}", "[" * 100_000, '{"a": 1}'])
def test_what_is_no_prior_is_one_line(tmp_path, text):
    with pytest.raises(InputFormatError, match=r"prior\.json: cannot be read .*prior_train\.py"):
        PriorIndex.read(write(tmp_path, text))


def test_a_folder_without_an_index_is_one_line(tmp_path):
    with pytest.raises(InputFormatError, match=r"prior\.json: cannot be read .*No such file"):
        PriorIndex.read(tmp_path / "none")


def test_bytes_that_are_no_text_are_one_line(tmp_path):
    (tmp_path / PRIOR_JSON).write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputFormatError, match=r"prior\.json: cannot be read"):
        PriorIndex.read(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a\\b", "a\0b", 5, None, ["a"]])
def test_a_fold_is_a_folder_right_below(tmp_path, name):
    value = changed(folds=[{"name": name, "test": []}])
    with pytest.raises(InputFormatError, match=r"prior\.json: fold .* is no name of a folder"):
        PriorIndex.read(write(tmp_path, value))


@pytest.mark.parametrize("test", ["chr1", None, [1], {"a": 1}])
def test_a_fold_has_a_list_of_blocks(tmp_path, test):
    value = changed(folds=[{"name": "a", "test": test}])
    with pytest.raises(InputFormatError, match=r"prior\.json: fold 'a': test is .*names of blocks"):
        PriorIndex.read(write(tmp_path, value))


@pytest.mark.parametrize("n_eff", [0.0, -1.0, "5", None, True, 10**400])
def test_a_trait_has_a_sample_size(tmp_path, n_eff):
    value = changed(traits=[{"name": "a", "n_eff": n_eff, "n_variants": 5.0}])
    with pytest.raises(InputFormatError, match=r"prior\.json: .*train the prior again"):
        PriorIndex.read(write(tmp_path, value))


@pytest.mark.parametrize(
    "place",
    [
        *(None, 3, "1", [], ["1"], ["1", 0, 9, 2], ["1", 0, 9, 2, 7, 8], [1, 0, 9, 2, 7]),
        *(["1", 0.5, 9, 2, 7], ["1", -1, 9, 2, 7], ["1", True, 9, 2, 7], ["1", 0, 1 << 70, 2, 7]),
    ],
)
def test_a_block_has_a_place(tmp_path, place):
    value = changed(blocks={"b": place})
    with pytest.raises(InputFormatError, match=r"prior\.json: block 'b': is .*; expected a contig"):
        PriorIndex.read(write(tmp_path, value))


@pytest.mark.parametrize("kept_out", [None, "chr1", [1], {}])
def test_what_was_kept_out_is_a_list_of_blocks(tmp_path, kept_out):
    value = changed(kept_out=kept_out)
    with pytest.raises(InputFormatError, match=r"prior\.json: kept_out is .*names of blocks"):
        PriorIndex.read(write(tmp_path, value))


def test_places_are_those_of_blocks_with_observed_variants():
    def info(name, w):
        return BlockInfo(name, "1", 0, 30, 10, 20, 9, w, w, 0.0)

    assert block_places([info("a", 5), info("b", 0)]) == {"a": BlockPlace("1", 0, 30, 10, 20)}


def sizes():
    """Windows of 30 every 10, on four chromosomes."""
    return [
        BlockSize(f"{chrom}_{i}", chrom, 9, 5, 5, 10 * i, 10 * i + 30)
        for chrom in ("19", "20", "21", "22")
        for i in range(6)
    ]


@pytest.mark.parametrize("scheme", ["chrom", "oddeven", "blocks:3"])
def test_a_test_chromosome_is_kept_out_of_every_fold(scheme):
    folds = make_folds(sizes(), scheme, ("20",))
    assert kept_out_blocks(sizes(), folds) == tuple(f"20_{i}" for i in range(6))


@pytest.mark.parametrize("test_chrom", [(), ("20",)])
def test_of_a_single_fold_the_test_is_its_own_and_dropped_blocks_are_none(test_chrom):
    (fold,) = make_folds(sizes(), "none", test_chrom)
    assert fold.dropped
    assert kept_out_blocks(sizes(), (fold,)) == ()


def test_what_touches_a_block_that_was_learned_from_is_not_kept_out():
    fold = Fold("a", (0,), (12,), (6,), ())
    found = kept_out_blocks(sizes()[:18], (fold,))
    # 0 to 30 is used on 19, and 0 to 30 on 21.
    assert found == ("19_3", "19_4", "19_5", *(f"20_{i}" for i in range(1, 6)), *found[-3:])
    assert found[-3:] == ("21_3", "21_4", "21_5")


def test_stretches_overlap_if_they_share_a_base():
    one = BlockPlace("1", 10, 20, 0, 0)
    others = [("1", 0, 10), ("1", 20, 30), ("2", 10, 20), ("1", 0, 11), ("1", 19, 20)]
    found = [overlap(one, BlockPlace(*other, 0, 0)) for other in others]
    assert found == [False, False, False, True, True]


@given(
    st.sampled_from(
        ["traits", "folds", "build", "ld_digest", "format_version", "kept_out", "blocks"]
    ),
    ANY,
)
def test_any_damage_is_one_line(tmp_path_factory, key, value):
    folder = tmp_path_factory.mktemp("prior")
    index = changed()
    without = copy.deepcopy(index)
    del without[key]
    for damaged in (index | {key: value}, index | {key: [value]}, without):
        message, found = "", None
        try:
            found = PriorIndex.read(write(folder, damaged))
        except (InputFormatError, UnsupportedInputError) as error:
            message = str(error)
        if found is None:
            assert message.startswith(str(folder / PRIOR_JSON))
            assert "\n" not in message
        else:
            assert all(isinstance(fold, PriorFold) for fold in found.folds)
            assert all(isinstance(trait, TraitScale) for trait in found.traits)
