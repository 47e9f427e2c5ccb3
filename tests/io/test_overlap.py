from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.io import refuse_overlap


def test_an_output_may_lie_beside_its_inputs(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.vcf").write_text("x")
    refuse_overlap(tmp_path / "out.h5", [tmp_path / "in" / "a.vcf", None, tmp_path / "missing"])
    # A new file in a folder that is read as a whole does not destroy it.
    refuse_overlap(tmp_path / "in" / "out.h5", [tmp_path / "in"])


def test_a_file_that_an_input_folder_has_is_refused(tmp_path):
    (tmp_path / "ld").mkdir()
    (tmp_path / "ld" / "ld_store.json").write_text("x")
    with pytest.raises(UsageError, match=r"ld_store.json: is part of the input .*ld; choose"):
        refuse_overlap(tmp_path / "ld" / "ld_store.json", [tmp_path / "ld"])


def test_an_input_in_the_folder_of_unfinished_work_is_refused(tmp_path):
    (tmp_path / "out.partial").mkdir()
    source = tmp_path / "out.partial" / "panel.bed"
    source.write_text("x")
    with pytest.raises(UsageError, match=r"panel.bed: lies in out.partial, where the unfinished"):
        refuse_overlap(tmp_path / "out", [source])


@pytest.mark.parametrize("name", [".", "..", "a/.."])
def test_an_output_needs_a_name_of_its_own(name):
    with pytest.raises(UsageError, match="has no name of its own"):
        refuse_overlap(Path(name), [])


def test_an_output_that_is_an_input_is_refused_by_whatever_name(tmp_path, monkeypatch):
    source = tmp_path / "a.vcf"
    source.write_text("x")
    (tmp_path / "link.vcf").symlink_to(source)
    (tmp_path / "hard.vcf").hardlink_to(source)
    monkeypatch.chdir(tmp_path)
    for name in ("a.vcf", "./a.vcf", "link.vcf", "hard.vcf"):
        with pytest.raises(UsageError, match=r"is the input .*a\.vcf; choose another output"):
            refuse_overlap(tmp_path / name, [source])


def test_an_output_folder_that_holds_an_input_is_refused(tmp_path):
    (tmp_path / "weights").mkdir()
    with pytest.raises(UsageError, match=r"weights: holds the input .*ck-1; choose another"):
        refuse_overlap(tmp_path / "weights", [tmp_path / "weights" / "ck-1"])
