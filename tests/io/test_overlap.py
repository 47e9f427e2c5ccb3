import pytest

from tfgen.errors import UsageError
from tfgen.io import refuse_overlap


def test_an_output_may_lie_beside_its_inputs(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.vcf").write_text("x")
    refuse_overlap(tmp_path / "out.h5", [tmp_path / "in" / "a.vcf", None, tmp_path / "missing"])
    # A file in a folder that is read as a whole does not destroy it.
    refuse_overlap(tmp_path / "in" / "out.h5", [tmp_path / "in"])


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
