"""Packing of a block: what float16 loses, and what is refused."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prior.ld_toys import variants
from tfgen.errors import InputFormatError
from tfgen.prior.ld.ld_block import (
    BlockInfo,
    LdBlock,
    chromosome_order,
    info_from,
    pack_block,
    packed_info,
    quantise,
    unpack_block,
)


def toy_block(start=0, n=12, w=4, k=3, seed=0, chrom="22"):
    """A block of random numbers; its centre is in the middle."""
    rng = np.random.default_rng(seed)
    in_centre = np.zeros(n, bool)
    in_centre[(n - w) // 2 : (n - w) // 2 + w] = True
    info = BlockInfo(
        f"chr{chrom}_{start}_{start + n}",
        chrom,
        start,
        start + n,
        start + 4,
        start + 8,
        n,
        w,
        k,
        0.1,
    )
    return LdBlock(
        info,
        variants(np.arange(start + 1, start + n + 1), chrom),
        in_centre,
        rng.normal(size=(k, n)).astype(np.float32),
        rng.normal(size=(k, w)).astype(np.float32),
        np.arange(k, 0, -1.0),
    )


@given(arrays(np.float32, (4, 9), elements=st.floats(-1e8, 1e8, width=32)))
def test_float16_keeps_eleven_bits_of_every_entry(q):
    rows, scales = quantise(q)
    assert rows.dtype == np.float16
    assert np.all(np.isfinite(rows))
    assert np.all(np.frexp(scales)[0] == 0.5)  # powers of two
    error = np.abs(rows.astype(np.float64) * scales[:, None] - q)
    largest = np.abs(q).max(axis=1, keepdims=True)
    assert np.all(error <= np.maximum(2.0**-11 * np.abs(q), 2.0**-38 * largest) + 1e-44)


def test_rows_of_zeros_and_of_one_size_have_useful_scales():
    rows, scales = quantise(np.array([[0.0, 0], [3, -1.5], [2.0**-20, 0]], np.float32))
    np.testing.assert_array_equal(rows * scales[:, None], [[0, 0], [3, -1.5], [2.0**-20, 0]])
    assert np.abs(rows[1:]).max(axis=1).tolist() == [24576, 16384]
    assert scales[0] == 1


def test_float32_is_kept_as_it_is():
    q = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    rows, scales = quantise(q, "float32")
    np.testing.assert_array_equal(rows, q)
    assert scales.tolist() == [1, 1, 1]


def test_a_block_is_packed_and_unpacked():
    block = toy_block()
    packed = pack_block(block, "float32")
    info = packed_info(packed)
    assert info.digest
    assert replace(info, digest="", min_eigenvalue=0) == replace(block.info, min_eigenvalue=0)
    found = unpack_block(info, packed)
    for name in ("q", "p", "eigenvalues", "in_centre"):
        np.testing.assert_array_equal(getattr(found, name), getattr(block, name))
    for name, values in vars(block.variants).items():
        np.testing.assert_array_equal(getattr(found.variants, name), values)


def test_the_digest_depends_on_every_array():
    packed = pack_block(toy_block())
    other = toy_block()
    other.variants.af[3] = 0.25
    assert packed_info(pack_block(other)).digest != packed_info(packed).digest
    assert packed_info(pack_block(toy_block(), "float32")).digest != packed_info(packed).digest
    assert packed_info(pack_block(toy_block())).digest == packed_info(packed).digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": np.zeros((3, 11), np.float32)}, r"q has size \(3, 11\); expected \(3, 12\)"),
        ({"p": np.zeros((3, 5), np.float32)}, r"p has size \(3, 5\); expected \(3, 4\)"),
        ({"in_centre": np.ones(12, bool)}, r"variants of the centre has size \(12,\)"),
        ({"eigenvalues": np.ones(2)}, "eigenvalues has size"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        pack_block(replace(toy_block(), **change))


def test_a_block_of_nothing_kept_is_possible():
    block = toy_block(k=0)
    assert unpack_block(block.info, pack_block(block)).q.shape == (0, 12)


@pytest.mark.parametrize(
    ("field", "value"), [("n", "12"), ("n", 1.5), ("chrom", 22), ("discarded_variance", "x")]
)
def test_fields_of_another_type_are_refused(field, value):
    values = asdict(toy_block().info) | {field: value}
    with pytest.raises(InputFormatError, match=f"here: {field} is {value!r}; expected"):
        info_from(values, "here")


def test_an_unknown_smallest_eigenvalue_is_null_in_json():
    values = asdict(toy_block().info) | {"min_eigenvalue": None, "discarded_variance": 0}
    assert np.isnan(info_from(values, "here").min_eigenvalue)


def test_contigs_are_ordered_as_a_genome_is_read():
    names = ["MT", "10", "X", "2", "GL000220.1", "Y", "1"]
    expected = ["1", "2", "10", "X", "Y", "MT", "GL000220.1"]
    assert sorted(names, key=chromosome_order) == expected
