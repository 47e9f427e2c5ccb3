"""Reading of LD stores, whole, damaged and hostile."""

import json

import h5py
import numpy as np
import pytest

from prior.ld.test_ld_block import toy_block
from tfgen.errors import InputFormatError, InputMismatchError, UnsupportedInputError
from tfgen.prior.ld.ld_store import INDEX, LdStore
from tfgen.prior.ld.ld_store_writer import save_ld_store

ATTRIBUTES = {"build": "GRCh37", "panel": "toy", "n_ref": 10, "inputs": {"bed": "abc"}}


@pytest.fixture
def blocks():
    return [
        toy_block(0, chrom="2"),
        toy_block(4, seed=1, chrom="2"),
        toy_block(0, seed=2, chrom="X"),
    ]


@pytest.fixture
def folder(tmp_path, blocks):
    save_ld_store(tmp_path / "store", ATTRIBUTES, blocks)
    return tmp_path / "store"


def test_blocks_come_back(folder, blocks):
    with LdStore(folder) as store:
        assert [info.id for info in store.blocks] == [block.info.id for block in blocks]
        for block in blocks:
            found = store.read(block.info.id)
            assert found.q.dtype == found.p.dtype == np.float32
            np.testing.assert_allclose(found.q, block.q, rtol=2**-11)
            np.testing.assert_array_equal(found.p, block.p)
            np.testing.assert_array_equal(found.eigenvalues, block.eigenvalues)
            np.testing.assert_array_equal(found.in_centre, block.in_centre)
            assert found.variants.label(3) == block.variants.label(3)
            variants, in_centre = store.read_variants(block.info.id)
            assert variants.pos.tolist() == block.variants.pos.tolist()
            assert in_centre.tolist() == block.in_centre.tolist()


def test_observed_variants_are_in_genome_order(folder):
    with LdStore(folder) as store:
        assert store.variants.chrom.tolist() == ["2"] * 8 + ["X"] * 4
        assert store.variants.pos.tolist() == [5, 6, 7, 8, 9, 10, 11, 12, 5, 6, 7, 8]


def test_attributes_and_digest(folder):
    with LdStore(folder) as store:
        assert store.attributes["inputs"] == {"bed": "abc"}
        assert store.attributes["panel"] == "toy"
        assert len(store.digest) == 64
        with pytest.raises(TypeError):
            store.attributes["panel"] = "other"


def test_an_unknown_block_is_named(folder):
    with LdStore(folder) as store, pytest.raises(InputMismatchError, match="no block 'chr9_0_1'"):
        store.read("chr9_0_1")


def test_a_closed_store_opens_again_when_it_is_read(folder, blocks):
    store = LdStore(folder)
    store.read(blocks[0].info.id)
    store.close()
    assert store.read(blocks[0].info.id).info.n == 12
    store.close()


def test_a_store_without_blocks_has_no_variants(tmp_path):
    save_ld_store(tmp_path / "s", ATTRIBUTES, [])
    assert len(LdStore(tmp_path / "s").variants) == 0


def test_other_folders_are_no_store(tmp_path):
    with pytest.raises(InputFormatError, match=r"no LD store \(no ld_store.json in it\)"):
        LdStore(tmp_path)
    with pytest.raises(FileNotFoundError):
        LdStore(tmp_path / "nothing")


def change(folder, edit):
    index = json.loads((folder / INDEX).read_text())
    edit(index)
    (folder / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("edit", "kind", "message"),
    [
        (lambda i: i.update(format_version="2.0"), UnsupportedInputError, "format version 2.0"),
        (lambda i: i.pop("format_version"), InputFormatError, "no format_version"),
        (lambda i: i.pop("blocks"), InputFormatError, "no attributes, blocks or digest"),
        (lambda i: i["blocks"].append(3), InputFormatError, "a block is 3; expected an object"),
        (lambda i: i["blocks"][0].pop("n"), InputFormatError, "n is None; expected int"),
        (lambda i: i["blocks"][0].update(chrom="../../x"), InputFormatError, "is no name"),
        (lambda i: i["blocks"][0].update(chrom=".."), InputFormatError, "is no name"),
        (lambda i: i["blocks"].append(i["blocks"][0]), InputFormatError, "two blocks of one name"),
    ],
)
def test_a_damaged_index_is_refused(folder, edit, kind, message):
    change(folder, edit)
    with pytest.raises(kind, match=message):
        LdStore(folder)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_an_index_that_is_no_object_is_refused(folder, text):
    (folder / INDEX).write_text(text)
    with pytest.raises(InputFormatError, match=r"ld_store\.json: (not JSON|no format_version)"):
        LdStore(folder)


def test_a_block_of_another_store_is_refused(folder, blocks):
    change(folder, lambda index: index["blocks"][0].update(digest="0" * 64))
    with LdStore(folder) as store, pytest.raises(InputFormatError, match="is not the one that"):
        store.read(blocks[0].info.id)


def test_a_block_of_another_size_is_refused(folder, blocks):
    change(folder, lambda index: index["blocks"][0].update(n=11))
    with LdStore(folder) as store, pytest.raises(InputFormatError, match=r"expected \(11,\)"):
        store.read(blocks[0].info.id)


def test_a_truncated_file_is_refused(folder, blocks):
    path = folder / "chr2.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with LdStore(folder) as store, pytest.raises(InputFormatError, match=r"chr2\.h5: "):
        store.read(blocks[0].info.id)


@pytest.mark.parametrize("name", ["Q", ""])
def test_links_that_lead_elsewhere_are_not_followed(folder, tmp_path, blocks, name):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["Q"] = np.zeros((3, 12))
    place = f"blocks/{blocks[0].info.id}" + (f"/{name}" if name else "")
    with h5py.File(folder / "chr2.h5", "a") as file:
        del file[place]
        file[place] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/Q")
    with (
        LdStore(folder) as store,
        pytest.raises(InputFormatError, match="is a link|no group 'blocks/chr2"),
    ):
        store.read(blocks[0].info.id)


def test_a_group_in_the_place_of_an_array_is_refused(folder, blocks):
    place = f"blocks/{blocks[0].info.id}/Q"
    with h5py.File(folder / "chr2.h5", "a") as file:
        del file[place]
        file.create_group(place)
    with LdStore(folder) as store, pytest.raises(InputFormatError, match="is no dataset"):
        store.read(blocks[0].info.id)


def test_a_bit_that_has_changed_is_found(folder, blocks):
    path = folder / "chr2.h5"
    with h5py.File(path, "r") as file:
        name = next(iter(file["blocks"]))
        offset = file[f"blocks/{name}/Q"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 5] ^= 1
    path.write_bytes(content)
    with LdStore(folder) as store, pytest.raises(InputFormatError, match="chr2.h5: is damaged"):
        store.read(name)
