import json
import os

import pytest

from tfgen.errors import InputFormatError, OutputError
from tfgen.prior.fetch.fetch_manifest import Fetched, Manifest

A = Fetched("https://e.org/a", 3, "0" * 64, "md5", '"e"', None)
B = Fetched("https://e.org/b", 4, "1" * 64, "nothing", None, "Tue")


def test_what_was_added_is_there_again(tmp_path):
    with Manifest(tmp_path) as manifest:
        assert manifest.files == {}
        manifest.add("g/a", A)
    with Manifest(tmp_path) as manifest:
        manifest.add("g/b", B)
    assert Manifest(tmp_path).files == {"g/a": A, "g/b": B}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert json.loads((tmp_path / "manifest.json").read_text())["format_version"] == 1


def test_a_kill_loses_nothing_that_was_added(tmp_path):
    manifest = Manifest(tmp_path).__enter__()
    manifest.add("g/a", A)
    manifest.add("g/b", B)
    # As after a kill: nothing was closed, and the last line is cut short.
    manifest._stream.close()
    journal = tmp_path / "manifest.json.new"
    journal.write_text(journal.read_text() + '{"path": "g/c", "url": "https')
    assert Manifest(tmp_path).files == {"g/a": A, "g/b": B}
    with Manifest(tmp_path):
        assert json.loads((tmp_path / "manifest.json").read_text())["files"].keys() == {
            "g/a",
            "g/b",
        }
    assert not journal.exists()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "7",
        "[]",
        "{}",
        '{"path": "a"}',
        '{"path": "a", "more": 1}',
        '{"path": "a", "url": 3, "size": 1, "sha256": "", "checked": ""}',
    ],
)
def test_a_line_that_is_no_file_is_skipped(tmp_path, line):
    (tmp_path / "manifest.json.new").write_text(line + "\n")
    assert Manifest(tmp_path).files == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format_version": 1}',
        '{"format_version": 1, "files": [1]}',
        '{"format_version": 1, "files": {"a": {"size": 1}}}',
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputFormatError, match="is damaged or no manifest of this program"):
        Manifest(tmp_path)


def test_a_newer_manifest_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format_version": 2, "files": {}}')
    with pytest.raises(InputFormatError, match="has version 2, this tfgen knows 1"):
        Manifest(tmp_path)


def test_adding_without_a_run_writes_nothing(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.add("g/a", A)
    assert manifest.files == {"g/a": A}
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    with Manifest(tmp_path) as manifest:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"manifest.json.new: cannot be written: No space"):
            manifest.add("g/a", A)
        monkeypatch.undo()


def test_a_journal_in_the_way_is_named(tmp_path):
    manifest = Manifest(tmp_path)
    manifest._write = lambda: None
    (tmp_path / "manifest.json.new").write_text("")
    with pytest.raises(OutputError, match="cannot be written: File exists"), manifest:
        pass
