import errno
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import OutputError
from tfgen.io import atomic
from tfgen.io.atomic import new_directory, new_file, publish, write_json, write_text


class Status(StrEnum):
    OK = "ok"


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_text_is_written_as_given(tmp_path):
    write_text(tmp_path / "a.txt", "α\r\nβ\n")
    assert (tmp_path / "a.txt").read_bytes() == "α\r\nβ\n".encode()
    assert names(tmp_path) == ["a.txt"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    former = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_text_without_utf_8_form_is_written_as_escapes(tmp_path):
    write_text(tmp_path / "a.txt", "caf\udce9 \ud800 é\n")
    assert (tmp_path / "a.txt").read_bytes() == b"caf\\udce9 \\ud800 \xc3\xa9\n"


def test_a_file_may_have_a_name_that_is_no_utf_8(tmp_path):
    write_text(tmp_path / "caf\udce9.txt", "x")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9.txt"]


def test_a_failing_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError, match="bytes"), new_file(path) as stream:
        stream.writelines(["half", b"other half"])
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_nothing_appears_under_the_name_before_the_end(tmp_path):
    with new_file(tmp_path / "a.txt") as stream:
        stream.write("x")
        stream.flush()
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "x"


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    script = (
        "import os, pathlib, signal, sys\n"
        "from tfgen.io.atomic import new_file\n"
        "with new_file(pathlib.Path(sys.argv[1])) as stream:\n"
        "    stream.write('new'); stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script, path], cwd=repository, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_full_disk_is_named_with_the_free_space(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.os, "fsync", full_disk)
    with pytest.raises(OutputError, match=r"a\.txt: the disk is full \(.* free\); free some space"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


def test_a_full_disk_while_writing_is_named(tmp_path):
    with (
        pytest.raises(OutputError, match="the disk is full"),
        new_file(tmp_path / "a.txt"),
    ):
        full_disk()
    assert names(tmp_path) == []


def test_other_errors_of_the_block_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "a.txt"):
        (tmp_path / "missing").read_text()
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"none/a\.txt: cannot be written: No such file.* folder"):
        write_text(tmp_path / "none" / "a.txt", "")


def test_a_device_is_not_replaced():
    with pytest.raises(OutputError, match="is a device or pipe and cannot be replaced"):
        write_text(Path("/dev/null"), "")


def test_a_directory_is_not_replaced_by_a_file(tmp_path):
    with pytest.raises(OutputError, match="is a directory and cannot be replaced"):
        write_text(tmp_path, "")


def test_publish_syncs_the_file_then_renames_then_syncs_the_folder(tmp_path, monkeypatch):
    partial, final = tmp_path / "a.partial", tmp_path / "a"
    partial.write_text("new")
    final.write_text("old")
    inode = partial.stat().st_ino
    steps = []
    replace = os.replace
    monkeypatch.setattr(atomic.os, "fsync", lambda fd: steps.append(os.fstat(fd).st_ino))
    monkeypatch.setattr(
        atomic.os, "replace", lambda *paths: (steps.append("rename"), replace(*paths))
    )
    publish(partial, final)
    assert steps == [inode, "rename", tmp_path.stat().st_ino]
    assert final.read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_publish_of_a_missing_file_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        publish(tmp_path / "a.partial", tmp_path / "a")


def test_a_file_system_that_cannot_sync_folders_is_accepted(tmp_path, monkeypatch):
    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(atomic.os, "fsync", refuse_folders)
    write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").read_text() == "x"


def test_json_has_sorted_keys_and_a_last_newline(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, (2, "é")], "a": {"d": None, "c": True}})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    expected = (
        '{\n "a": {\n  "c": true,\n  "d": null\n },\n'
        ' "b": [\n  1,\n  [\n   2,\n   "\\u00e9"\n  ]\n ]\n}\n'
    )
    assert text == expected


def test_json_takes_paths_numpy_and_enumerations(tmp_path):
    value = {
        "path": Path("a/b"),
        "float32": np.float32(0.5),
        "float64": np.float64(0.1),
        "int": np.int64(3),
        "bool": np.bool_(True),
        "array": np.array([[1.0, np.nan]]),
        "counts": {Status.OK: 2, 7: 1},
        "status": Status.OK,
    }
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "path": "a/b",
        "float32": 0.5,
        "float64": 0.1,
        "int": 3,
        "bool": True,
        "array": [[1.0, None]],
        "counts": {"ok": 2, "7": 1},
        "status": "ok",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
def test_json_has_no_word_for_numbers_that_are_none(tmp_path, value):
    write_json(tmp_path / "a.json", [value])
    assert json.loads((tmp_path / "a.json").read_text()) == [None]


def test_json_refuses_what_it_cannot_express(tmp_path):
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        write_json(tmp_path / "a.json", {1, 2})
    assert names(tmp_path) == []


# Names of files are any bytes; those that are no UTF-8 become halves of surrogate pairs.
TEXT = st.text(st.characters(codec="utf-8")) | st.binary().map(os.fsdecode)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(JSON)
def test_json_round_trip(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, value)
    assert json.loads(path.read_text(encoding="ascii")) == value


def test_a_new_directory_appears_complete(tmp_path):
    final = tmp_path / "out" / "model"
    with new_directory(final) as folder:
        assert folder.parent == final.parent
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("x")
        assert not final.exists()
    assert (final / "sub" / "a.txt").read_text() == "x"
    assert names(tmp_path / "out") == ["model"]


def test_a_failing_block_leaves_no_directory(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"none"),
        new_directory(tmp_path / "model") as folder,
    ):
        (folder / "a.txt").touch() or (folder / "none").read_text()
    assert names(tmp_path) == []


def test_an_existing_directory_stops(tmp_path):
    (tmp_path / "model").mkdir()
    with (
        pytest.raises(OutputError, match=r"model: exists; .* --overwrite"),
        new_directory(tmp_path / "model"),
    ):
        pass
    assert names(tmp_path) == ["model"]


def test_overwrite_replaces_the_whole_directory(tmp_path):
    final = tmp_path / "model"
    final.mkdir()
    (final / "old.txt").write_text("old")
    with new_directory(final, overwrite=True) as folder:
        (folder / "new.txt").write_text("new")
        assert names(final) == ["old.txt"]
    assert names(final) == ["new.txt"]
    assert names(tmp_path) == ["model"]


def test_overwrite_that_fails_keeps_the_old_directory(tmp_path):
    final = tmp_path / "model"
    final.mkdir()
    (final / "old.txt").write_text("old")
    with pytest.raises(KeyError, match="boom"), new_directory(final, overwrite=True):
        raise KeyError("boom")
    assert names(final) == ["old.txt"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_rename_that_fails_puts_the_old_directory_back(tmp_path, monkeypatch, overwrite):
    final = tmp_path / "model"
    if overwrite:
        final.mkdir()
        (final / "old.txt").write_text("old")
    rename = Path.rename

    def fail_for_the_new_one(self, target):
        if target == final and not self.name.endswith("-old"):
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with (
        pytest.raises(OutputError, match="cannot be written: Permission denied"),
        new_directory(final, overwrite=overwrite) as folder,
    ):
        (folder / "new.txt").write_text("new")
    assert names(tmp_path) == (["model"] if overwrite else [])
    assert not overwrite or names(final) == ["old.txt"]


def test_an_interrupt_between_the_renames_puts_the_old_directory_back(tmp_path, monkeypatch):
    final = tmp_path / "model"
    final.mkdir()
    (final / "old.txt").write_text("old")
    rename = Path.rename

    def interrupted(self, target):
        renamed = rename(self, target)
        if self == final:
            raise KeyboardInterrupt
        return renamed

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), new_directory(final, overwrite=True):
        pass
    assert names(final) == ["old.txt"]
    assert names(tmp_path) == ["model"]


REPLACING = """
import os, pathlib, shutil, signal, sys
from tfgen.io.atomic import new_directory

def dying(function, passes):
    def wrapped(*arguments, **options):
        wrapped.passes -= 1
        if wrapped.passes < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    wrapped.passes = passes
    return wrapped

with new_directory(pathlib.Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "new.txt").write_text("new")
    pathlib.Path.rename = dying(pathlib.Path.rename, int(sys.argv[2]))
    shutil.rmtree = dying(shutil.rmtree, 0)
"""


def replace_and_die(final, n_renames):
    """Overwrites a directory in a process that dies after so many renames."""
    final.mkdir()
    (final / "old.txt").write_text("old")
    command = [sys.executable, "-c", REPLACING, final, str(n_renames)]
    repository = Path(__file__).resolve().parents[2]
    assert subprocess.run(command, cwd=repository, check=False).returncode == -signal.SIGKILL


def test_a_process_killed_between_the_renames_leaves_the_old_directory_to_the_next(tmp_path):
    final = tmp_path / "model"
    replace_and_die(final, n_renames=1)
    assert not final.exists()
    with pytest.raises(OutputError, match="model: exists"), new_directory(final):
        pass
    assert names(tmp_path) == ["model"]
    assert names(final) == ["old.txt"]


def test_what_was_put_back_can_be_overwritten(tmp_path):
    final = tmp_path / "model"
    replace_and_die(final, n_renames=1)
    with new_directory(final, overwrite=True) as folder:
        assert names(final) == ["old.txt"]
        (folder / "newer.txt").touch()
    assert names(tmp_path) == ["model"]
    assert names(final) == ["newer.txt"]


@pytest.mark.parametrize("n_renames", [2, 3])
def test_the_old_directory_is_removed_when_the_new_one_has_its_name(tmp_path, n_renames):
    final = tmp_path / "model"
    replace_and_die(final, n_renames)
    assert names(final) == ["new.txt"]
    assert len(names(tmp_path)) == 2
    with pytest.raises(OutputError, match="model: exists"), new_directory(final):
        pass
    assert names(tmp_path) == ["model"]
    assert names(final) == ["new.txt"]


def test_half_of_an_old_directory_is_never_put_back(tmp_path):
    final = tmp_path / "model"
    replace_and_die(final, n_renames=3)
    # The process died before it removed the first file of the old directory.
    final.rename(tmp_path / "elsewhere")
    with new_directory(final) as folder:
        (folder / "newer.txt").touch()
    assert names(final) == ["newer.txt"]
    assert names(tmp_path) == ["elsewhere", "model"]


def test_an_old_directory_put_back_by_a_faster_process_is_accepted(tmp_path, monkeypatch):
    final = tmp_path / "model"
    replace_and_die(final, n_renames=1)
    rename = Path.rename

    def another_was_faster(self, target):
        rename(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", another_was_faster)
    with pytest.raises(OutputError, match="model: exists"), new_directory(final):
        pass
    assert names(final) == ["old.txt"]


@pytest.mark.parametrize("owner", ["elsewhere-1", "{host}-1", "{host}-x-{dead}", "{host}-{us}"])
def test_an_old_directory_of_a_living_or_foreign_process_stays(tmp_path, dead_pid, owner):
    final = tmp_path / "model"
    us = os.getpid()
    owner = owner.format(host=socket.gethostname(), dead=dead_pid, us=us)
    with new_directory(final) as folder:
        (tmp_path / f"model.partial-{owner}-old").mkdir()
        with pytest.raises(OutputError, match="File exists"), new_directory(final):
            pass
        assert folder.exists()
        assert (tmp_path / f"model.partial-{owner}-old").exists()


def test_what_a_former_process_with_our_pid_left_is_settled(tmp_path):
    partial = tmp_path / f"model.partial-{socket.gethostname()}-{os.getpid()}"
    partial.mkdir()
    retired = partial.with_name(partial.name + "-old")
    retired.mkdir()
    (retired / "old.txt").touch()
    with pytest.raises(OutputError, match="model: exists"), new_directory(tmp_path / "model"):
        pass
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["old.txt"]


def test_a_directory_made_meanwhile_by_another_is_not_lost(tmp_path):
    final = tmp_path / "model"
    with pytest.raises(OutputError, match="exists"), new_directory(final):
        final.mkdir()
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_or_link_is_not_replaced_by_a_directory(tmp_path, overwrite):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with (
            pytest.raises(OutputError, match="is a file or a link; choose"),
            new_directory(tmp_path / name, overwrite=overwrite),
        ):
            pass


def test_the_current_and_the_home_folder_are_not_replaced(tmp_path, monkeypatch):
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    with (
        pytest.raises(OutputError, match="holds the current or the home folder"),
        new_directory(tmp_path / "project", overwrite=True),
    ):
        pass
    monkeypatch.chdir("/")
    (tmp_path / "link").symlink_to(inner)
    for home in (inner, tmp_path / "link"):
        monkeypatch.setenv("HOME", str(home))
        with (
            pytest.raises(OutputError, match="holds the current or the home folder"),
            new_directory(tmp_path / "project", overwrite=True),
        ):
            pass
    assert inner.is_dir()


def test_a_user_without_home_and_a_removed_current_folder_do_not_matter(tmp_path, monkeypatch):
    def unknown_user(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown_user)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    final = tmp_path / "model"
    final.mkdir()
    with new_directory(final, overwrite=True) as folder:
        (folder / "new.txt").touch()
    assert names(final) == ["new.txt"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path, dead_pid):
    host = socket.gethostname()
    others = [
        "model.partial-elsewhere-1",
        f"model.partial-{host}-notes",
        f"model.partial-{host}-1",
        f"other.partial-{host}-{dead_pid}",
    ]
    dead = f"model.partial-{host}-{dead_pid}"
    for name in [*others, dead]:
        (tmp_path / name).mkdir()
    with new_directory(tmp_path / "model"):
        pass
    assert names(tmp_path) == sorted([*others, "model"])


def test_two_blocks_for_one_directory_do_not_mix(tmp_path):
    with (
        new_directory(tmp_path / "model"),
        pytest.raises(OutputError, match="cannot be written: File exists"),
        new_directory(tmp_path / "model"),
    ):
        pass
    assert names(tmp_path) == ["model"]


def test_a_full_disk_in_a_directory_is_named(tmp_path):
    with pytest.raises(OutputError, match="the disk is full"), new_directory(tmp_path / "model"):
        full_disk()
    assert names(tmp_path) == []


def test_a_directory_of_another_kind_is_never_replaced(tmp_path):
    final = tmp_path / "thesis"
    final.mkdir()
    (final / "chapter1").write_text("years of work")
    message = r"thesis: exists and holds something else \(no model\.json\), so it is never replaced"
    with (
        pytest.raises(OutputError, match=message),
        new_directory(final, overwrite=True, kind="model.json"),
    ):
        pass
    assert (final / "chapter1").read_text() == "years of work"


def test_an_empty_directory_and_one_of_the_kind_are_replaced(tmp_path):
    final = tmp_path / "model"
    final.mkdir()
    for text in ("first", "second"):
        with new_directory(final, overwrite=True, kind="model.json") as folder:
            (folder / "model.json").write_text(text)
        assert (final / "model.json").read_text() == text


def test_a_link_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OutputError, match="link: is a link; give the name of the file itself"):
        write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "kept"


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_folders_without_a_name_of_their_own_are_kept(tmp_path, monkeypatch, name):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    message = "exists|current or the home folder|root folder"
    with (
        pytest.raises(OutputError, match=message),
        new_directory(Path(name), overwrite=True),
    ):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "inner"]
