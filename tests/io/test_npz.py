import tracemalloc
import zipfile
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from tfgen.io.npz import pack_arrays, read_arrays, read_entries


@pytest.fixture
def store(tmp_path):
    def make(**arrays):
        path = tmp_path / "a.npz"
        path.write_bytes(pack_arrays(arrays))
        return path

    return make


def test_the_bytes_are_those_of_numpy():
    arrays = {"x": np.arange(5.0), "text": np.array([b"a", b"bcd"])}
    expected = BytesIO()
    np.savez(expected, **arrays)
    assert bytes(pack_arrays(arrays)) == expected.getvalue()


def test_lists_and_single_values_are_arrays_too(store):
    found = read_arrays(store(list=[1.5, 2.5], one=7, file=[True]), ["list", "one", "file"])
    assert found["list"].tolist() == [1.5, 2.5]
    assert (found["one"].shape, int(found["one"])) == ((), 7)
    assert found["file"].tolist() == [True]


def test_objects_are_never_pickled():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        pack_arrays({"x": np.array(["a", None], object)})


DTYPES = st.sampled_from(["<f4", ">f8", "i8", "u1", "?", "S3", "U2", "S1", "<M8[s]"])


@given(st.data())
def test_a_part_of_any_array_is_its_slice(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    shape = data.draw(arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))
    array = data.draw(arrays_of.arrays(data.draw(DTYPES), shape))
    path.write_bytes(pack_arrays({"before": [1.0], "x": array, "fortran": array.copy("F")}))
    start = data.draw(st.integers(0, shape[0]))
    stop = data.draw(st.integers(start, shape[0]))
    for values in read_entries(path, ["fortran", "x"], start, stop).values():
        assert values.dtype == array.dtype
        assert values.shape == (stop - start, *shape[1:])
        assert values.tobytes() == array[start:stop].tobytes()


def test_a_part_can_be_changed(store):
    values = read_entries(store(x=[1, 2, 3]), ["x"], 1, 3)["x"]
    values[:] = 0
    assert values.tolist() == [0, 0]


@pytest.mark.parametrize(("start", "stop"), [(2, 4), (-1, 2), (3, 2)])
def test_entries_that_are_not_there_are_refused(store, start, stop):
    with pytest.raises(ValueError, match=rf"entries {start}:{stop} of an array of shape \(3,\)"):
        read_entries(store(x=[1, 2, 3]), ["x"], start, stop)


def test_a_single_value_has_no_entries(store):
    with pytest.raises(ValueError, match=r"entries 0:1 of an array of shape \(\)"):
        read_entries(store(x=1), ["x"], 0, 1)


@pytest.mark.parametrize("read", [read_arrays, lambda path, names: read_entries(path, names, 0, 1)])
def test_an_array_that_is_not_there_is_named(store, read):
    with pytest.raises(KeyError, match="y"):
        read(store(x=[1]), ["y"])


def test_memory_grows_with_the_part_and_not_with_the_array(store):
    path = store(scores=np.ones((4000, 500), np.float32), text=np.full(4000, b"x" * 500))
    read_entries(path, ["scores", "text"], 0, 1)
    tracemalloc.start()
    read_entries(path, ["scores", "text"], 3000, 3010)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


def test_the_arrays_lie_uncompressed(store):
    with zipfile.ZipFile(store(x=np.zeros(1000))) as archive:
        assert archive.getinfo("x.npy").compress_type == zipfile.ZIP_STORED
