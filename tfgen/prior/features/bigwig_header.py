"""The header of a bigWig file, checked before a library opens it.

About a file that is damaged the library prints lines of its own, or ends the process. The layout is
that of Kent et al. (2010), Bioinformatics 26:2204, in the supplement; the byte order is that of the
machines of today, which is all that the library reads.
"""

import struct
from pathlib import Path
from typing import Any, BinaryIO, Final

from tfgen.errors import InputFormatError

_BIGWIG: Final = 0x888FFC26
_BIGBED: Final = 0x8789F2EB
_CHROMOSOMES: Final = 0x78CA8C91
_INDEX: Final = 0x2468ACE0

# Magic number, version, zoom levels, chromosomes, data, index, columns (2), text, summary, ...
_HEADER: Final = struct.Struct("<IHHQQQHHQQIQ")
_ZOOM: Final = struct.Struct("<IIQQ")  # reduction, reserved, data, index
_SUMMARY: Final = struct.Struct("<Qdddd")
_TREE: Final = struct.Struct("<IIIIQQ")  # magic number, block, key, value, items, reserved
_INDEX_HEADER: Final = struct.Struct("<IIQIIIIQII")  # magic number, block, items, extent (6), ...
_NODE: Final = struct.Struct("<BBH")  # whether a leaf, reserved, entries
_COUNT: Final = struct.Struct("<I")
_LEAF_BYTES, _INNER_BYTES = 32, 24


def require_bigwig(path: Path) -> None:
    """Stops at a file that is no bigWig, or that has not all parts its header speaks of.

    Args:
        path: The file.

    Raises:
        InputFormatError: There is no such file, it is something else, or damaged.
    """
    if not path.is_file():
        raise InputFormatError(f"{path}: no such file; check the name")
    with path.open("rb") as stream:
        start = stream.read(_COUNT.size)
        magic = int.from_bytes(start, "little")
        if magic == _BIGBED:
            raise InputFormatError(f"{path}: is a bigBed; give its intervals as --bed")
        if magic != _BIGWIG:
            raise InputFormatError(
                f"{path}: not a bigWig file; it begins with {start.hex() or 'nothing'}, expected "
                f"{_BIGWIG.to_bytes(4, 'little').hex()}"
            )
        if not _has_all_parts(stream):
            raise InputFormatError(
                f"{path}: a damaged bigWig file; its {path.stat().st_size} bytes lack parts that "
                "the header speaks of; get it again"
            )


def _has_all_parts(stream: BinaryIO) -> bool:
    try:
        _, _, n_zooms, tree, data, index, _, _, _, summary, _, _ = _read(stream, 0, _HEADER)
        zooms = [_read(stream, _HEADER.size + i * _ZOOM.size, _ZOOM) for i in range(n_zooms)]
        if summary:
            _read(stream, summary, _SUMMARY)
        for at in (data, *(zoom[2] for zoom in zooms)):
            _read(stream, at, _COUNT)
        indices = (index, *(zoom[3] for zoom in zooms))
        return _read(stream, tree, _TREE)[0] == _CHROMOSOMES and all(
            _has_index(stream, at) for at in indices
        )
    except (struct.error, ValueError, OSError):
        return False  # shorter than a part, or a place that no file has


def _has_index(stream: BinaryIO, at: int) -> bool:
    """Whether there is an index with its first node, which the library reads at once."""
    is_index = _read(stream, at, _INDEX_HEADER)[0] == _INDEX
    is_leaf, _, n = _read(stream, at + _INDEX_HEADER.size, _NODE)
    size = n * (_LEAF_BYTES if is_leaf else _INNER_BYTES)
    return is_index and len(stream.read(size)) == size


def _read(stream: BinaryIO, at: int, layout: struct.Struct) -> tuple[Any, ...]:
    stream.seek(at)
    return layout.unpack(stream.read(layout.size))
