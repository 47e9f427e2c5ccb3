from collections import namedtuple

import pytest

from tfgen.errors import OutputError
from tfgen.io import space

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_549, "1.5 kB"),
        (999_949, "999.9 kB"),
        (999_951, "1.0 MB"),
        (3_200_000_000, "3.2 GB"),
        (5_000_000_000_000_000, "5000.0 TB"),
    ],
)
def test_sizes_read_well(n_bytes, text):
    assert space.format_bytes(n_bytes) == text


def test_enough_space_passes(tmp_path):
    space.require_free_space(tmp_path, 1, "scores.h5")


def test_too_little_space_names_what_is_needed_and_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: Usage(10**10, 9 * 10**9, 10**9))
    with pytest.raises(OutputError, match=r"scores\.h5 needs 1\.5 GB but 1\.0 GB is free; free"):
        space.require_free_space(tmp_path, 1_500_000_000, "scores.h5")


def test_exactly_enough_space_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: Usage(10, 0, 10))
    space.require_free_space(tmp_path, 10, "x")


def test_a_folder_that_does_not_exist_yet_is_judged_by_its_parent(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        space.shutil, "disk_usage", lambda folder: seen.append(folder) or Usage(10, 0, 10)
    )
    space.require_free_space(tmp_path / "a" / "b", 1, "x")
    assert seen == [tmp_path]


def test_a_relative_folder_is_judged_by_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert space.free_bytes(space.Path("new")) > 0
