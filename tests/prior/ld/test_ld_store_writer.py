"""Writing of LD stores: same blocks, same bytes; every variant observed once."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from prior.ld.test_ld_block import toy_block
from prior.ld_toys import variants
from tfgen.errors import InputMismatchError, OutputError
from tfgen.prior.ld.ld_block import pack_block
from tfgen.prior.ld.ld_store import INDEX, LdStore
from tfgen.prior.ld.ld_store_writer import save_ld_store, write_ld_store

ATTRIBUTES = {"build": "GRCh37", "panel": "toy", "eps": 1e-4}


def test_the_same_blocks_give_the_same_bytes(tmp_path):
    digests = [
        save_ld_store(tmp_path / name, ATTRIBUTES, [toy_block(), toy_block(4, seed=1)])
        for name in ("a", "b")
    ]
    assert digests[0] == digests[1]
    for name in (INDEX, "chr22.h5"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_digest_depends_on_numbers_and_attributes(tmp_path):
    base = save_ld_store(tmp_path / "a", ATTRIBUTES, [toy_block()])
    assert save_ld_store(tmp_path / "b", ATTRIBUTES, [toy_block(seed=1)]) != base
    assert save_ld_store(tmp_path / "c", {**ATTRIBUTES, "eps": 1e-3}, [toy_block()]) != base


def test_files_describe_themselves(tmp_path):
    save_ld_store(tmp_path / "s", {**ATTRIBUTES, "inputs": {"bed": "x"}}, [toy_block()])
    with h5py.File(tmp_path / "s" / "chr22.h5") as file:
        assert file.attrs["build"] == "GRCh37"
        assert file.attrs["eps"] == 1e-4
        assert file.attrs["inputs"] == '{"bed": "x"}'
        assert file.attrs["format_version"] == "1.0"
        group = file["blocks/chr22_0_12"]
        assert (group.attrs["n"], group.attrs["w"], group.attrs["k"]) == (12, 4, 3)
        assert group["Q"].dtype == np.float16
        assert group["pos"].dtype == np.int64
        assert group["ref"].dtype.kind == "S"


def test_large_blocks_are_written_in_chunks_and_long_columns_compressed(tmp_path):
    n = 70_000
    rng = np.random.default_rng(0)
    block = toy_block(n=n, w=70, k=9)
    save_ld_store(tmp_path / "s", ATTRIBUTES, [block])
    with h5py.File(tmp_path / "s" / "chr22.h5") as file:
        group = file[f"blocks/{block.info.id}"]
        assert group["Q"].chunks == (7, n)
        assert group["pos"].compression == "gzip"
    with LdStore(tmp_path / "s") as store:
        columns = rng.integers(0, n, 50)
        found = store.read(block.info.id)
        np.testing.assert_allclose(found.q[:, columns], block.q[:, columns], rtol=2**-11)


def test_a_variant_that_is_observed_twice_is_refused(tmp_path):
    first, second = toy_block(), toy_block(3, seed=1)
    second = replace(second, variants=replace(second.variants, ref=np.roll(first.variants.ref, -3)))
    second = replace(second, variants=replace(second.variants, alt=np.roll(first.variants.alt, -3)))
    with pytest.raises(InputMismatchError, match=r"22:8:.* is observed twice, also in chr22_0_12"):
        save_ld_store(tmp_path / "s", ATTRIBUTES, [first, second])
    assert not (tmp_path / "s").exists()


def test_two_variants_at_one_position_may_be_in_two_blocks(tmp_path):
    first, second = toy_block(), toy_block(3, seed=1)
    multiallelic = replace(second.variants, alt=np.full(12, "TT", object))
    save_ld_store(tmp_path / "s", ATTRIBUTES, [first, replace(second, variants=multiallelic)])
    assert LdStore(tmp_path / "s").variants.pos.tolist() == [5, 6, 7, 8, 8, 9, 10, 11]


@pytest.mark.parametrize("starts", [[(4, "22"), (0, "22")], [(0, "22"), (0, "3")]])
def test_blocks_out_of_order_are_refused(tmp_path, starts):
    blocks = [toy_block(start, chrom=chrom) for start, chrom in starts]
    with pytest.raises(InputMismatchError, match="is out of order"):
        save_ld_store(tmp_path / "s", ATTRIBUTES, blocks)


@pytest.mark.parametrize("start", [0, 2])
def test_observed_variants_out_of_order_are_refused(tmp_path, start):
    blocks = [toy_block(), replace(toy_block(start, seed=3), info=toy_block(4).info)]
    if start == 0:
        blocks[1] = replace(blocks[1], variants=variants(np.arange(40, 28, -1)))
    with pytest.raises(InputMismatchError, match="its observed variants are not behind"):
        save_ld_store(tmp_path / "s", ATTRIBUTES, blocks)


def test_blocks_without_observed_variants_are_written_too(tmp_path):
    save_ld_store(tmp_path / "s", ATTRIBUTES, [toy_block(w=0, k=0), toy_block(4)])
    assert len(LdStore(tmp_path / "s").variants) == 4


def test_what_exists_stays_unless_it_may_be_replaced(tmp_path):
    save_ld_store(tmp_path / "s", ATTRIBUTES, [toy_block()])
    with pytest.raises(OutputError, match="exists; choose another output or pass --overwrite"):
        save_ld_store(tmp_path / "s", ATTRIBUTES, [toy_block(seed=1)])
    save_ld_store(tmp_path / "s", ATTRIBUTES, [toy_block(4)], overwrite=True)
    assert [info.start for info in LdStore(tmp_path / "s").blocks] == [4]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("x")
    with pytest.raises(OutputError, match="never replaced"):
        save_ld_store(tmp_path / "mine", ATTRIBUTES, [toy_block()], overwrite=True)


def test_the_caller_may_stop_between_blocks(tmp_path):
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    packed = [pack_block(toy_block(4 * i, seed=i)) for i in range(3)]
    with pytest.raises(KeyboardInterrupt):
        write_ld_store(tmp_path, ATTRIBUTES, packed, stop)
    assert len(calls) == 2
