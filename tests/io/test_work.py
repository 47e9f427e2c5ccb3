import pytest

from tfgen.errors import OutputError
from tfgen.io.work import RUN_JSON, WorkFolder, discard, partial_folder


def folder(tmp_path, **attributes):
    return WorkFolder(tmp_path / "model", {"seed": 1} | attributes)


def test_a_new_run_has_no_work(tmp_path):
    work = folder(tmp_path)
    assert not work.take_up(overwrite=False)
    assert [path.name for path in work.folder.iterdir()] == [RUN_JSON]
    assert work.folder == partial_folder(tmp_path / "model") == tmp_path / "model.partial"


def test_files_of_a_former_run_are_kept(tmp_path):
    folder(tmp_path).take_up(overwrite=False)
    (tmp_path / "model.partial" / "state.npz").write_bytes(b"12")
    work = folder(tmp_path)
    assert work.take_up(overwrite=True)
    assert (work.folder / "state.npz").read_bytes() == b"12"


def test_work_with_other_settings_is_refused_or_discarded(tmp_path):
    folder(tmp_path).take_up(overwrite=False)
    (tmp_path / "model.partial" / "state.npz").write_bytes(b"12")
    with pytest.raises(OutputError, match=r"begun with other settings \(seed was 1, now 2\)"):
        folder(tmp_path, seed=2).take_up(overwrite=False)
    assert not folder(tmp_path, seed=2).take_up(overwrite=True)
    assert not (tmp_path / "model.partial" / "state.npz").exists()


def test_settings_within_settings_are_named(tmp_path):
    folder(tmp_path, inputs={"bed": "7" * 64, "bim": "b"}).take_up(overwrite=False)
    (tmp_path / "model.partial" / "state.npz").write_bytes(b"12")
    with pytest.raises(OutputError, match=r"inputs.bed was 777777777777\.\.\., now 8; inputs.bim"):
        folder(tmp_path, inputs={"bed": "8", "bim": "c"}).take_up(overwrite=False)


def test_a_run_that_failed_before_any_work_may_be_begun_with_other_settings(tmp_path):
    folder(tmp_path).take_up(overwrite=False)
    assert not folder(tmp_path, seed=2).take_up(overwrite=False)
    assert folder(tmp_path, seed=2).take_up(overwrite=False)


def test_a_finished_output_of_that_name_is_not_ours(tmp_path):
    (tmp_path / "model.partial").mkdir()
    (tmp_path / "model.partial" / "run.json").write_text('{"command": "prior_build_ld"}')
    (tmp_path / "model.partial" / "chr1.h5").write_bytes(b"12")
    with pytest.raises(OutputError, match="holds something else than the unfinished part of model"):
        folder(tmp_path).take_up(overwrite=True)
    assert (tmp_path / "model.partial" / "chr1.h5").exists()


def test_the_folder_goes_at_the_end(tmp_path):
    work = folder(tmp_path)
    work.take_up(overwrite=False)
    (work.folder / "fold0").mkdir()
    (work.folder / "fold0" / "a").write_text("")
    work.remove()
    work.remove()
    assert not work.folder.exists()


def test_a_link_is_discarded_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    discard(tmp_path / "link")
    assert (tmp_path / "kept").is_dir()
