"""Arrays in .npz form of which a part can be read alone. Nothing is pickled."""

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# The last two fields of the header before a file in a ZIP archive: how long its name and its extra
# field are (APPNOTE.TXT of PKWARE, 4.3.7).
_LOCAL_HEADER = struct.Struct("<26xHH")


def pack_arrays(arrays: Mapping[str, npt.ArrayLike]) -> memoryview:
    """The content of an .npz file as `numpy.savez` makes it: equal arrays give equal bytes.

    Raises:
        ValueError: An array of Python objects, which could only be pickled.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                # C order and this version of the header, as `_entries` needs them.
                array = np.asarray(values, order="C")
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
    return stream.getbuffer()


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Some arrays of a file of `pack_arrays`, whole.

    Raises:
        KeyError: The file has no such array.
    """
    # Of a file that is no archive NumPy would leave its own stream open.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in names}


def read_entries(
    path: Path, names: Iterable[str], start: int, stop: int
) -> dict[str, npt.NDArray[Any]]:
    """Entries start..stop along the first axis of some arrays of a file of `pack_arrays`.

    Nothing else of the file is brought into the memory.

    Raises:
        KeyError: The file has no such array.
        ValueError: An array has fewer entries, or none because it is a single value.
    """
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        offsets = {name: archive.getinfo(f"{name}.npy").header_offset for name in names}
        return {name: _entries(stream, offset, start, stop) for name, offset in offsets.items()}


def _entries(stream: io.BufferedReader, offset: int, start: int, stop: int) -> npt.NDArray[Any]:
    """Entries of the array whose header in the archive is at `offset`."""
    stream.seek(offset)
    name_length, extra_length = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    stream.seek(name_length + extra_length, io.SEEK_CUR)
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if not shape or not 0 <= start <= stop <= shape[0]:
        raise ValueError(f"entries {start}:{stop} of an array of shape {shape}")
    values = np.empty((stop - start, *shape[1:]), dtype)
    stream.seek(start * math.prod(shape[1:]) * dtype.itemsize, io.SEEK_CUR)
    stream.readinto(values.reshape(-1).view(np.uint8).data)
    return values
