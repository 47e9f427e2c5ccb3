import numpy as np
import pytest

from tfgen.prior.training.block_data import BlockData, BlockSize, MemoryBlocks, TraitRows


def block(name="b", tracks=None, sizes=((4, 7), (2, 5))):
    rows = tuple(
        TraitRows(np.zeros((k, 6), np.float32), np.zeros(k), n_observed) for k, n_observed in sizes
    )
    annotations = np.arange(12, dtype=np.float32).reshape(6, 2)
    return BlockData(name, "22", annotations, np.linspace(0.1, 0.4, 6, dtype="f4"), rows, tracks)


def test_sizes_are_those_of_the_arrays():
    data = block()
    assert (data.n, data.k, data.n_observed) == (6, 4, 12)


def test_inputs_are_the_features_of_some_variants():
    inputs = block().inputs(2, 5)
    assert set(inputs) == {"annotations", "frequency"}
    np.testing.assert_array_equal(inputs["annotations"], [[4, 5], [6, 7], [8, 9]])
    assert len(block().inputs()["frequency"]) == 6


def test_tracks_go_with_the_other_features():
    tracks = np.arange(6 * 3 * 2, dtype=np.float32).reshape(6, 3, 2)
    np.testing.assert_array_equal(block(tracks=tracks).inputs(4)["tracks"], tracks[4:])


def test_blocks_in_the_memory_know_their_sizes():
    source = MemoryBlocks([block("a"), block("b", sizes=((3, 3),))])
    assert [size.id for size in source.sizes] == ["a", "b"]
    assert source.sizes[1] == BlockSize("b", "22", 6, 3, 3)
    assert source.read(1).id == "b"


@pytest.mark.parametrize(("n", "k", "cost"), [(10, 3, 91), (10, 0, 1)])
def test_the_cost_is_that_of_forming_the_kernel(n, k, cost):
    assert BlockSize("b", "1", n, k, 5).cost == cost
