"""Bytes of plain and of BGZF files by their uncompressed offset."""

import bisect
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from tfgen.errors import InputFormatError
from tfgen.genome.compression import BGZF_HEADER_BYTES, is_bgzf_block


class PlainBytes:
    """Bytes of an uncompressed file by their offset."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self._size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer at the end of the file."""
        return os.pread(self._descriptor, size, offset) if offset < self._size else b""

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


class BgzfBytes:
    """Bytes of a BGZF file by their uncompressed offset, with the help of its `.gzi` index."""

    def __init__(self, path: Path, gzi_path: Path) -> None:
        """Opens both files.

        Raises:
            InputFormatError: The index is no `.gzi` file, or is not one of this file.
        """
        self._compressed, self._uncompressed = _read_gzi(gzi_path, path.stat().st_size)
        self._descriptor = os.open(path, os.O_RDONLY)
        self._block_at = -1
        self._block = b""
        self._next_block = 0

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer at the end of the file.

        Raises:
            InputFormatError: No block starts where the index says, or a block is damaged.
        """
        index = bisect.bisect_right(self._uncompressed, offset) - 1
        position = self._compressed[index]
        skip = offset - self._uncompressed[index]
        found = bytearray()
        while len(found) < skip + size and self._load(position):
            found += self._block
            position = self._next_block
        return bytes(found[skip : skip + size])

    def _load(self, position: int) -> bool:
        """Decompresses the block at a compressed offset; False at the end of the file."""
        if position == self._block_at:
            return True
        head = os.pread(self._descriptor, BGZF_HEADER_BYTES, position)
        if not head:
            return False
        if not is_bgzf_block(head):
            raise InputFormatError(f"no BGZF block at byte {position}")
        n_bytes = struct.unpack_from("<H", head, 16)[0] + 1
        try:
            block = zlib.decompress(os.pread(self._descriptor, n_bytes, position), wbits=31)
        except zlib.error as error:
            raise InputFormatError(f"damaged BGZF block at byte {position} ({error})") from error
        self._block, self._block_at, self._next_block = block, position, position + n_bytes
        return True

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


def _read_gzi(path: Path, file_size: int) -> tuple[list[int], list[int]]:
    """Compressed and uncompressed offsets of the blocks, the first block included."""
    content = path.read_bytes()
    numbers = np.frombuffer(content[: len(content) // 8 * 8], "<u8")
    if len(content) % 8 or numbers.size == 0 or numbers.size != 1 + 2 * int(numbers[0]):
        raise InputFormatError(f"{path}: {len(content)} bytes are no .gzi index")
    compressed, uncompressed = numbers[1::2].tolist(), numbers[2::2].tolist()
    if compressed != sorted(compressed) or uncompressed != sorted(uncompressed):
        raise InputFormatError(f"{path}: its offsets are not in order")
    if compressed and compressed[-1] > file_size:
        raise InputFormatError(f"{path}: byte {compressed[-1]} is past the end of the FASTA")
    return [0, *compressed], [0, *uncompressed]
