import struct
from pathlib import Path

import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome.files import write_bgzip
from tfgen.errors import InputFormatError
from tfgen.genome.bgzf import BgzfBytes, PlainBytes

CONTENT = b">a\n" + bytes(65 + i * i % 23 for i in range(200_000)) + b"\n"


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bgzf")
    path = write_bgzip(folder / "a.fa.gz", CONTENT)
    gzi = folder / "a.gzi"
    pysam.faidx(str(path), "--fai-idx", str(folder / "a.fai"), "--gzi-idx", str(gzi))
    return path, gzi


@given(offset=st.integers(0, len(CONTENT) + 10), size=st.integers(0, 150_000))
def test_reads_equal_slices_of_the_content(
    blocked: tuple[Path, Path], offset: int, size: int
) -> None:
    source = BgzfBytes(*blocked)
    assert source.read(offset, size) == CONTENT[offset : offset + size]
    assert source.read(offset, 5) == CONTENT[offset : offset + 5]
    source.close()


def test_empty_blocks_within_the_file_do_not_end_it(tmp_path: Path) -> None:
    first = write_bgzip(tmp_path / "1.gz", b"AC").read_bytes()
    second = write_bgzip(tmp_path / "2.gz", b"GT").read_bytes()
    path = tmp_path / "both.gz"
    path.write_bytes(first + second)
    gzi = tmp_path / "both.gzi"
    gzi.write_bytes(struct.pack("<Q", 0))
    source = BgzfBytes(path, gzi)
    assert source.read(1, 9) == b"CGT"
    source.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are no .gzi index"),
        (b"123456789", "9 bytes are no .gzi index"),
        (struct.pack("<3Q", 2, 10, 20), "24 bytes are no .gzi index"),
        (struct.pack("<5Q", 2, 20, 20, 10, 30), "its offsets are not in order"),
        (struct.pack("<3Q", 1, 1 << 40, 65280), "is past the end of the FASTA"),
    ],
)
def test_files_that_are_no_index_of_blocks_are_refused(
    blocked: tuple[Path, Path], tmp_path: Path, content: bytes, message: str
) -> None:
    gzi = tmp_path / "x.gzi"
    gzi.write_bytes(content)
    with pytest.raises(InputFormatError, match=message):
        BgzfBytes(blocked[0], gzi)


def test_an_index_that_points_between_blocks_is_refused(
    blocked: tuple[Path, Path], tmp_path: Path
) -> None:
    gzi = tmp_path / "x.gzi"
    gzi.write_bytes(struct.pack("<3Q", 1, 100, 200))
    source = BgzfBytes(blocked[0], gzi)
    with pytest.raises(InputFormatError, match="no BGZF block at byte 100"):
        source.read(250, 10)
    source.close()


def test_a_damaged_block_is_refused(blocked: tuple[Path, Path], tmp_path: Path) -> None:
    content = bytearray(blocked[0].read_bytes())
    content[50:60] = bytes(10)
    path = tmp_path / "bad.gz"
    path.write_bytes(content)
    source = BgzfBytes(path, blocked[1])
    with pytest.raises(InputFormatError, match="damaged BGZF block at byte 0"):
        source.read(0, 10)
    source.close()


def test_plain_bytes_end_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"ACGT")
    source = PlainBytes(path)
    assert [source.read(1, 2), source.read(3, 9), source.read(1 << 70, 1)] == [b"CG", b"T", b""]
    source.close()
