import struct
import subprocess
import sys

import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import bigwig, write
from tfgen.errors import InputFormatError
from tfgen.prior.features.bigwig_header import require_bigwig

READ_ALL = """
import pyBigWig, sys
for path in sys.argv[1:]:
    file = pyBigWig.open(path)
    for name, length in file.chroms().items():
        try:
            file.values(name, 0, length, numpy=True)
        except RuntimeError:  # the caller names it
            pass
"""


def steps(n=60):
    return [(chrom, at, at + 5, at % 7) for chrom in ("1", "2") for at in range(0, 10 * n, 10)]


def refused(path):
    try:
        require_bigwig(path)
    except InputFormatError as error:
        return str(error)
    return ""


def test_whole_files_pass(tmp_path, shared_data):
    require_bigwig(bigwig(tmp_path / "x.bw", {"1": 1000, "2": 1000}, steps()))
    for name in ("ENCFF826FLP.chr22.hg19", "fixedStep.chr1.hg19", "pybigwig_test"):
        require_bigwig(shared_data(f"bigwig/{name}.bw"))


def without_zooms(path):
    file = pyBigWig.open(str(path), "w")
    file.addHeader([("1", 1000)], maxZooms=0)
    file.addEntries("1", list(range(0, 600, 10)), values=[1.0] * 60, span=5)
    file.close()
    return path


def test_what_passes_is_opened_without_a_word_wherever_the_file_was_cut(tmp_path):
    passed = []
    for make in (lambda p: bigwig(p, {"1": 1000, "2": 1000}, steps()), without_zooms):
        data = make(tmp_path / "whole.bw").read_bytes()
        for length in [*range(0, len(data), 7), *range(len(data) - 9, len(data) + 1)]:
            path = tmp_path / f"{len(data)}.{length}.bw"
            path.write_bytes(data[:length])
            message = refused(path)
            if not message:
                passed.append(str(path))
            elif length >= 4:
                assert f"a damaged bigWig file; its {length} bytes lack parts" in message
    # The whole ones, and cuts that the end of an index takes.
    assert 2 <= len(passed) < 60
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, *passed], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_other_files_are_named_for_what_they_are(tmp_path, shared_data):
    assert "x.bw: no such file" in refused(tmp_path / "x.bw")
    assert "begins with nothing, expected 26fc8f88" in refused(write(tmp_path / "e.bw", ""))
    assert "not a bigWig file; it begins with 74657874" in refused(write(tmp_path / "t.bw", "text"))
    assert "is a bigBed; give its" in refused(shared_data("bigwig/pybigwig_test.bigBed"))


@pytest.mark.parametrize("offset", [8, 16, 24, 44, 64 + 8, 64 + 16])
@pytest.mark.parametrize("place", [1 << 40, 1 << 62, (1 << 64) - 1])
def test_parts_beyond_the_end_are_missed(tmp_path, offset, place):
    path = bigwig(tmp_path / "x.bw", {"1": 1000, "2": 1000}, steps())
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, offset, place)
    path.write_bytes(data)
    assert "a damaged bigWig file" in refused(path)


@pytest.mark.parametrize("part", [8, 24])
def test_parts_that_are_overwritten_are_missed(tmp_path, part):
    path = bigwig(tmp_path / "x.bw", {"1": 1000, "2": 1000}, steps())
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<Q", data, part)
    data[at : at + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    assert "a damaged bigWig file" in refused(path)


@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_number_are_judged(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bw") / "x.bw"
    path.write_bytes(b"\x26\xfc\x8f\x88" + data)
    assert "a damaged bigWig file" in refused(path)
