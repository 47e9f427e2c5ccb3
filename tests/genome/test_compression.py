import gzip
from pathlib import Path

import pytest

from genome.files import write_bgzip
from tfgen.errors import InputFormatError
from tfgen.genome.compression import compression, decompressed, require_whole


def test_kind_is_read_from_the_first_bytes(tmp_path: Path) -> None:
    plain, single, blocked = (tmp_path / name for name in ("a", "b", "c"))
    plain.write_bytes(b"ACGT")
    single.write_bytes(gzip.compress(b"ACGT"))
    write_bgzip(blocked, b"ACGT")
    assert [compression(path) for path in (plain, single, blocked)] == ["none", "gzip", "bgzf"]
    for path in (plain, single, blocked):
        with decompressed(path) as handle:
            assert handle.read() == b"ACGT"


@pytest.mark.parametrize("name", ["missing", ""])
def test_what_cannot_be_read_is_an_input_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputFormatError, match="cannot be read"):
        compression(tmp_path / name)


def test_failed_reads_are_input_errors(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    with pytest.raises(InputFormatError, match=r"a: cannot be read \(Input/output"):
        with decompressed(path):
            raise OSError(5, "Input/output error")


def test_bgzip_without_its_end_marker_is_truncated(tmp_path: Path) -> None:
    path = write_bgzip(tmp_path / "a.gz", b"ACGT" * 50_000)
    require_whole(path)
    content = path.read_bytes()
    for size in (len(content) - 28, len(content) - 1, 20):
        path.write_bytes(content[:size])
        with pytest.raises(InputFormatError, match="end marker is missing.*truncated"):
            require_whole(path)


def test_only_bgzip_needs_an_end_marker(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(b"ACGT"))
    require_whole(path)


@pytest.mark.parametrize("fault", ["cut", "flipped", "garbage behind"])
def test_damaged_gzip_is_an_input_error(tmp_path: Path, fault: str) -> None:
    content = gzip.compress(bytes(range(256)) * 40)
    damaged = {
        "cut": content[:-9],
        "flipped": content[:15] + bytes([content[15] ^ 255]) + content[16:],
        "garbage behind": content + b"garbage",
    }[fault]
    path = tmp_path / "a.gz"
    path.write_bytes(damaged)
    with pytest.raises(InputFormatError, match=r"a\.gz: is damaged or truncated"):
        with decompressed(path) as handle:
            handle.read()
