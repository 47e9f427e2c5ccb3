import hashlib
import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError
from tfgen.io.digest import sha256_file, sha256_files


def test_digest_of_the_test_vector_of_the_standard(tmp_path):
    # FIPS 180-2, appendix B.1: SHA-256 of "abc".
    (tmp_path / "abc").write_text("abc")
    assert sha256_file(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@given(st.binary(max_size=1000))
def test_digest_equals_that_of_the_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("digest") / "a"
    path.write_bytes(content)
    assert sha256_file(path) == hashlib.sha256(content).hexdigest()


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        sha256_file(tmp_path / "none")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b", "a", "sub/c", "Z"):
        (tmp_path / name).write_text(f"contents of {name}")
    return tmp_path


def test_a_set_of_files_has_the_digest_that_sha256sum_gives(files):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum program here")
    expected = subprocess.run(
        "sha256sum Z a b sub/c | sha256sum",
        shell=True,
        cwd=files,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[0]
    assert sha256_files(files, ["sub/c", "a", "Z", "b"]) == expected


def test_order_and_repetition_of_names_do_not_matter(files):
    assert sha256_files(files, ["a", "b"]) == sha256_files(files, iter(["b", "a", "b"]))


def test_a_change_of_content_or_name_changes_the_digest(files):
    before = sha256_files(files, ["a", "b"])
    (files / "a").rename(files / "d")
    assert sha256_files(files, ["d", "b"]) != before
    (files / "d").rename(files / "a")
    assert sha256_files(files, ["a", "b"]) == before
    (files / "a").write_text("other")
    assert sha256_files(files, ["a", "b"]) != before


def test_a_name_that_is_no_utf_8_counts_with_its_bytes(tmp_path):
    names = [os.fsdecode(b"caf\xe9"), "z", "é", os.fsdecode(b"\xff")]
    lines = []
    for name in names:
        (tmp_path / name).write_text(name.encode("ascii", "replace").decode())
        content = (tmp_path / name).read_bytes()
        lines.append((os.fsencode(name), hashlib.sha256(content).hexdigest().encode()))
    text = b"".join(digest + b"  " + name + b"\n" for name, digest in sorted(lines))
    assert sha256_files(tmp_path, names) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    "name", ["../a", "/etc/hosts", "sub/../../a", "a\nb", "", "a\0b", "\ud800"]
)
def test_names_that_lead_elsewhere_are_refused(files, name):
    with pytest.raises(InputFormatError, match="is not the name of a file below this folder"):
        sha256_files(files, [name])
