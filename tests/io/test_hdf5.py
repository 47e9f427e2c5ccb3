import errno
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tfgen.errors import InputFormatError, OutputError
from tfgen.io import hdf5
from tfgen.io.hdf5 import create_hdf5, damage_reported, open_hdf5, safe_dataset


def write(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def test_a_file_is_written_like_any_other(tmp_path):
    path = tmp_path / "a.h5"
    with create_hdf5(path) as (file, check):
        file["x"] = np.arange(5)
        check()
    with open_hdf5(path) as file:
        assert file["x"][:].tolist() == [0, 1, 2, 3, 4]


FULL_DISK = """
import resource, sys
import numpy as np
from pathlib import Path
from tfgen.io.hdf5 import create_hdf5
from tfgen.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    with create_hdf5(Path(sys.argv[1])) as (file, check):
        data = file.create_dataset("x", (400, 1000), "f4", chunks=(10, 1000))
        for row in range(0, 400, 10):
            data[row : row + 10] = 1
            if sys.argv[3] == "check":
                check()
except OutputError as error:
    sys.stdout.write(str(error))
    sys.exit(5)
"""


@pytest.mark.parametrize("limit", [100, 3000, 300_000, 1_500_000])
@pytest.mark.parametrize("check", ["check", "no"])
def test_a_full_disk_is_an_error_and_not_a_crash(tmp_path, limit, check):
    # A limit on the file size stands in for a full disk: both fail a write in the middle.
    arguments = [str(tmp_path / "a.h5"), str(limit), check]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 5, done.stderr
    assert "a.h5: cannot be written: File too large" in done.stdout
    assert "free); free some space and run the same command again" in done.stdout


def test_the_first_failure_is_kept(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = hdf5.DiskFile(tmp_path / "x", "w+b")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        assert file.truncate(100) == 100
        assert file.error.errno == errno.EFBIG
        first = file.error
        assert file.write(b"1234") == 4
        assert file.truncate(5) == 5
        assert file.truncate() == 0
        assert file.error is first
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        file.close()
    assert (tmp_path / "x").stat().st_size == 0


def test_a_failed_write_is_kept_too(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
        with (
            pytest.raises(OutputError, match="cannot be written: File too large"),
            create_hdf5(tmp_path / "a.h5") as (file, _),
        ):
            file["x"] = np.arange(10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match="cannot be written: No such file or directory"),
        create_hdf5(tmp_path / "no" / "a.h5"),
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"not hdf5", b"\x89HDF\r\n\x1a\n" + b"\0" * 50])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(InputFormatError, match="a.h5: not a complete HDF5 file"):
        open_hdf5(path)


def test_a_cut_file_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", x=np.arange(10_000))
    path.write_bytes(path.read_bytes()[:5000])
    message = "not a complete HDF5 file; expected one that was written to its end"
    with pytest.raises(InputFormatError, match=message):
        open_hdf5(path)


def test_the_caller_says_what_was_expected(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(InputFormatError, match="not a complete HDF5 file; expected a panel$"):
        open_hdf5(tmp_path / "a.h5", "a panel")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file: .*a\.h5"):
        open_hdf5(tmp_path / "a.h5")


def check_refused(path, name, message):
    with h5py.File(path, "r") as file, pytest.raises(InputFormatError, match=message):
        safe_dataset(file, name)


def test_links_are_refused(tmp_path):
    other = write(tmp_path / "other.h5", secret=np.arange(3))
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["outside"] = h5py.ExternalLink(str(other), "secret")
        file["inside"] = h5py.SoftLink("/outside")
    check_refused(path, "outside", "'outside' is a link, which could lead to another file")
    check_refused(path, "inside", "'inside' is a link")


def test_data_in_other_files_are_refused(tmp_path):
    other = write(tmp_path / "other.h5", x=np.arange(3))
    path = tmp_path / "a.h5"
    layout = h5py.VirtualLayout((3,), "i8")
    layout[:] = h5py.VirtualSource(str(other), "x", (3,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (3,), "i8", external=[(str(other), 0, 24)])
    check_refused(path, "virtual", "the data of 'virtual' lie in another file")
    check_refused(path, "raw", "the data of 'raw' lie in another file")


def test_sizes_that_are_only_declared_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("bomb", (10**6, 10**6), "f4", chunks=(100, 100))
    check_refused(path, "bomb", "'bomb' claims 4.0 TB but stores 0 B; the file is damaged")


def test_chunks_too_large_to_decompress_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "LARGEST_CHUNK_BYTES", 1000)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(251, dtype=np.float32), chunks=(251,))
    check_refused(path, "x", "'x' has chunks of 1.0 kB; expected at most 1.0 kB")


def test_well_compressed_data_are_accepted(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = np.zeros((3000, 1000), np.float32)
        file.create_dataset("zeros", data=data, chunks=(1000, 100), compression=9, shuffle=True)
        file.create_group("group")
    with open_hdf5(path) as file:
        assert safe_dataset(file, "zeros").shape == (3000, 1000)
        assert safe_dataset(file, "group") is None


@pytest.mark.parametrize("error", [OSError("x"), RuntimeError("x"), KeyError("x"), ValueError("x")])
def test_whatever_the_library_raises_names_the_file(error):
    with pytest.raises(InputFormatError, match=r"a\.h5: is damaged, or uses a filter"):
        with damage_reported(Path("a.h5")):
            raise error


def test_our_own_errors_and_missing_files_stay_what_they_are():
    for error in (OutputError("full"), FileNotFoundError(2, "No such file", "a.h5")):
        with pytest.raises(type(error)) as caught, damage_reported(Path("a.h5")):
            raise error
        assert caught.value is error


def test_too_many_open_files_is_not_called_damage(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w"):
        pass

    def fail(*arguments):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(h5py, "File", fail)
    with pytest.raises(OutputError, match=r"too many files are open at once; raise the limit"):
        open_hdf5(tmp_path / "a.h5")
