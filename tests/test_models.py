import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfgen import models
from tfgen.errors import InputFormatError, UntrustedModelError, UsageError
from tfgen.models import (
    PUBLISHED_MODELS,
    find_model,
    installation_steps,
    is_exported,
    is_saved_model,
    load_enformer,
    load_foreign,
    models_folder,
    require_trust,
)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty model folder and an empty current folder."""
    monkeypatch.setenv("TFGEN_MODELS", str(tmp_path / "my models"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "my models"


def test_the_model_folder_is_that_of_the_environment_or_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TFGEN_MODELS", "~/weights")
    assert models_folder() == tmp_path / "weights"
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("TFGEN_MODELS")
        else:
            monkeypatch.setenv("TFGEN_MODELS", unset)
        assert models_folder() == tmp_path / ".cache" / "tfgen" / "models"


def test_a_path_is_taken_as_it_is(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert find_model(tmp_path / "model") == tmp_path / "model"
    assert find_model(str(tmp_path / "model")) == tmp_path / "model"
    assert find_model("~/model") == tmp_path / "model"
    assert find_model("../model") == Path("../model")


def test_a_checkpoint_prefix_is_found_by_its_index(folder, tmp_path):
    (tmp_path / "ck-1.index").write_text("")
    assert find_model(tmp_path / "ck-1") == tmp_path / "ck-1"


def test_a_name_is_looked_up_in_the_model_folder(folder):
    (folder / "enformer").mkdir(parents=True)
    (folder / "mine").mkdir()
    assert find_model("enformer") == folder / "enformer"
    assert find_model("mine") == folder / "mine"


def test_a_path_comes_before_a_name(folder, tmp_path):
    (folder / "enformer").mkdir(parents=True)
    Path("enformer").mkdir()
    assert find_model("enformer") == Path("enformer")


def test_missing_published_weights_are_answered_with_the_commands_to_run(folder):
    with pytest.raises(InputFormatError) as caught:
        find_model("enformer")
    message = str(caught.value)
    assert message.startswith(
        f"the weights of 'enformer' are not in {folder}. To get them (about 1 GB, Apache-2.0), run:"
    )
    assert "\n" not in message
    for step in installation_steps(PUBLISHED_MODELS["enformer"]).splitlines():
        assert step in message


@pytest.mark.parametrize("name", ["borzoi", "no/such/folder", "sub/enformer"])
def test_an_unknown_model_is_reported_with_what_there_is(folder, name):
    with pytest.raises(
        InputFormatError,
        match=f"no model at {name} and none called '{name}'; give a model folder, a checkpoint, "
        "or one of: enformer$",
    ):
        find_model(name)


def test_the_steps_are_commands_that_a_shell_runs_and_that_lead_to_the_name(folder):
    steps = installation_steps(PUBLISHED_MODELS["enformer"]).splitlines()
    words = [shlex.split(step) for step in steps]
    assert words[0] == ["mkdir", "-p", "enformer_weights"]
    files = set()
    for command, *options in words[1:-1]:
        assert (command, options[:2]) == ("curl", ["-L", "-o"])
        target, url = options[2:]
        assert url.startswith("https://storage.googleapis.com/dm-enformer/models/enformer/")
        assert Path(target).name == url.rpartition("/")[2]
        files.add(target)
    prefix = "enformer_weights/enformer-fine-tuned-human-1"
    assert files == {f"{prefix}.index", f"{prefix}.data-00000-of-00001"}
    interpreter, script, checkpoint, output = words[-1]
    assert (interpreter, script) == ("python", "bin/enformer_export.py")
    assert (ROOT / script).is_file()
    assert checkpoint == f"--checkpoint={prefix}"
    assert output == f"--output={folder / 'enformer'}"


def test_published_models_say_where_they_come_from():
    for name, model in PUBLISHED_MODELS.items():
        assert model.name == name
        for text in (model.title, model.licence, model.assembly, model.citation):
            assert text


def test_exported_and_other_saved_models_are_told_apart(tmp_path):
    assert not is_saved_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert is_saved_model(tmp_path)
    assert not is_exported(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    assert is_exported(tmp_path)
    assert not is_exported(tmp_path / "saved_model.pb")


def test_a_foreign_model_needs_to_be_allowed():
    path = Path("a model")
    require_trust(path, allowed=True)
    with pytest.raises(UntrustedModelError, match="can run any code, and tfgen did not write") as e:
        require_trust(path, allowed=False)
    command = str(e.value).partition("copy: ")[2].partition(";")[0]
    assert shlex.split(command) == [
        "python",
        "bin/enformer_export.py",
        "--checkpoint=a model",
        "--output=a model_tfgen",
    ]
    assert "--allow_untrusted_model" in str(e.value)


def test_a_model_is_loaded_by_its_name_with_what_is_known_about_it(folder):
    from enformer.small import TINY, randomise, values_of
    from tfgen.enformer.model import Enformer
    from tfgen.enformer.saved_model import export_saved_model

    model = randomise(Enformer(TINY), seed=8)
    table = Path("human.txt")
    table.write_text("identifier\tdescription\n" + "x\ty\n" * 3)
    export_saved_model(
        model, folder / "mine", targets={"human": table}, contig_lengths={"chr1": 10}
    )
    loaded = load_enformer("mine")
    assert loaded.path == folder / "mine"
    assert loaded.targets == {"human": folder / "mine" / "targets_human.txt"}
    assert loaded.contig_lengths == {"chr1": 10}
    for path, value in values_of(model).items():
        np.testing.assert_array_equal(values_of(loaded.model)[path], value)


def test_a_checkpoint_of_another_size_needs_its_lengths(folder, tmp_path):
    from enformer.small import TINY, randomise
    from tfgen.enformer.checkpoint import write_checkpoint
    from tfgen.enformer.model import Enformer

    prefix = write_checkpoint(randomise(Enformer(TINY)), tmp_path / "ck")
    with pytest.raises(UsageError, match="not of the published size .*--trunk_length=BASES"):
        load_enformer(prefix)


def test_a_foreign_model_is_not_run_unasked(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UntrustedModelError, match="tfgen did not write this one"):
        load_enformer(tmp_path)
    with pytest.raises(UntrustedModelError, match="tfgen did not write this one"):
        load_foreign(tmp_path, allow_untrusted=False)


def test_without_a_home_folder_models_are_looked_up_where_the_user_says(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TFGEN_MODELS", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(UsageError, match="no home folder .*; set TFGEN_MODELS to a folder"):
        find_model("enformer")


def test_finding_a_model_needs_no_tensorflow(tmp_path):
    code = (
        "import sys, tfgen.models; tfgen.models.find_model('.');"
        "assert not {'tensorflow', 'pandas'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_names_cannot_lead_out_of_the_model_folder(folder, monkeypatch):
    (folder.parent / "outside").mkdir()
    (folder / "inside").mkdir(parents=True)
    monkeypatch.setattr(models, "models_folder", lambda: folder / "inside")
    with pytest.raises(InputFormatError, match="no model at"):
        find_model("../../outside")
