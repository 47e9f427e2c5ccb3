import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from enformer.small import SMALL
from tfgen import __version__
from tfgen.enformer.card import CARD_NAME, ModelCard
from tfgen.enformer.config import EnformerConfig
from tfgen.errors import InputFormatError, InputMismatchError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    """A model folder with a card; its other files are stand-ins."""
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables" / "variables.index").write_bytes(b"index")
    (tmp_path / "targets_human.txt").write_text("identifier\n")
    card = ModelCard(
        SMALL, 8192, {"human": "targets_human.txt"}, {"chr1": 1000}, source="random numbers"
    )
    card.write(tmp_path)
    return tmp_path


def change(folder, **entries):
    path = folder / CARD_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_a_card_comes_back_as_it_was_written(folder):
    card = ModelCard.read(folder)
    assert card.config == SMALL
    assert card.input_length == 8192
    assert card.targets == {"human": "targets_human.txt"}
    assert card.contig_lengths == {"chr1": 1000}
    assert card.source == "random numbers"
    card.verify(folder)


def test_a_card_says_what_a_user_needs(folder):
    value = json.loads((folder / CARD_NAME).read_text())
    assert value["tfgen"] == __version__
    assert value["one_hot"] == {"order": "ACGT", "N": "zeros", "dtype": "float32"}
    assert value["bin_size"] == 128
    assert value["functions"] == {
        "predict_on_batch": "[batch, 8192, 4] -> heads [batch, 16, tracks]",
        "embed": "[batch, 8192, 4] -> [batch, 16, 192]",
        "tower": "[batch, 128n, 4] -> [batch, n, 96]",
        "from_tower": "[batch, 32, 96] -> heads",
    }


def test_the_output_of_the_published_input_starts_139_264_bases_in(tmp_path):
    # s' + 139,264 + 128 b: crop 98,304 and then 320 bins.
    card = ModelCard(EnformerConfig(), 393_216)
    card.write(tmp_path)
    assert card.crop_bases == 98_304
    assert json.loads((tmp_path / CARD_NAME).read_text())["output_start"] == 139_264


def test_the_path_of_a_targets_table(folder):
    card = ModelCard.read(folder)
    assert card.targets_path(folder, "human") == folder / "targets_human.txt"
    assert card.targets_path(folder, "mouse") is None


def test_a_card_is_read_without_tensorflow(folder):
    code = (
        "import sys; from pathlib import Path; from tfgen.enformer import ModelCard;"
        "ModelCard.read(Path(sys.argv[1])).verify(Path(sys.argv[1]));"
        "assert not {'tensorflow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "saved_model.pb").write_bytes(b"other"),
        lambda folder: (folder / "variables" / "variables.index").unlink(),
        lambda folder: (folder / "variables" / "more").write_bytes(b"more"),
        lambda folder: (folder / "variables" / CARD_NAME).write_bytes(b"more"),
        lambda folder: (folder / "targets_human.txt").rename(folder / "targets_mouse.txt"),
        lambda folder: change(folder, sha256="0" * 64),
    ],
)
def test_changes_after_the_export_are_found(folder, damage):
    damage(folder)
    with pytest.raises(
        InputMismatchError,
        match=rf"{folder}: its files do not have the digest in model.json .*copy the model again",
    ):
        ModelCard.read(folder).verify(folder)


def test_what_file_browsers_leave_is_no_change(folder):
    for name in (".DS_Store", "variables/.nfs0001"):
        (folder / name).write_bytes(b"something")
    ModelCard.read(folder).verify(folder)


def test_a_copy_or_a_link_verifies(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(folder, place / "copy")
    (place / "link").symlink_to(folder, target_is_directory=True)
    (place / "of_links" / "variables").mkdir(parents=True)
    for path in folder.rglob("*"):
        if path.is_file():
            (place / "of_links" / path.relative_to(folder)).symlink_to(path)
    for name in ("copy", "link", "of_links"):
        ModelCard.read(place / name).verify(place / name)


def test_no_card_is_no_model(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputFormatError, match="model.json: not found; expected a folder that"):
            ModelCard.read(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputFormatError, match="file/model.json: not found"):
        ModelCard.read(tmp_path / "file")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000], ids=["empty", "cut", "binary", "deep"]
)
def test_a_card_that_is_no_json_is_reported(folder, content):
    (folder / CARD_NAME).write_bytes(content)
    with pytest.raises(InputFormatError, match=r"model.json: not valid JSON: .*; export or copy"):
        ModelCard.read(folder)


@pytest.mark.parametrize("content", ["[]", "7", "{}", '{"architecture": "borzoi"}'])
def test_a_card_of_something_else_is_reported(folder, content):
    (folder / CARD_NAME).write_text(content)
    with pytest.raises(InputFormatError, match='not describe an Enformer; .*"architecture": "enf'):
        ModelCard.read(folder)


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_another_format_version_is_refused(folder, version):
    change(folder, format_version=version, tfgen="9.9")
    with pytest.raises(
        InputFormatError, match=rf"format version {version}, this tfgen .* wrote it \(9.9\)"
    ):
        ModelCard.read(folder)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"config": None}, "entry 'config' is missing or no dict"),
        ({"config": []}, "entry 'config' is missing or no dict"),
        ({"input_length": "8192"}, "entry 'input_length' is missing or no int"),
        ({"input_length": True}, "entry 'input_length' is missing or no int"),
        ({"input_length": 4094}, "input_length 4094 cannot be cropped to the 4096 bases"),
        ({"input_length": 4097}, "input_length 4097 cannot be cropped"),
        ({"targets": []}, "entry 'targets' is missing or no dict"),
        ({"targets": {"human": 1}}, "targets has 'human': 1; expected str"),
        ({"targets": {"rat": "x"}}, "targets has 'rat': 'x'; .* one of the heads human, mouse"),
        ({"targets": {"human": "../x"}}, "targets has 'human': '../x'; expected a file name"),
        ({"targets": {"human": "/x"}}, "expected a file name"),
        ({"targets": {"human": ".."}}, "expected a file name"),
        ({"targets": {"human": ""}}, "expected a file name"),
        ({"contig_lengths": None}, "entry 'contig_lengths' is missing or no dict"),
        ({"contig_lengths": {"chr1": "1"}}, "contig_lengths has 'chr1': '1'; expected int"),
        ({"contig_lengths": {"chr1": 1.5}}, "contig_lengths has 'chr1': 1.5; expected int"),
        ({"source": None}, "entry 'source' is missing or no str"),
        ({"sha256": 7}, "entry 'sha256' is missing or no str"),
        ({"config": {**SMALL.to_json(), "channels": 100}}, "channels is 100; it must be a mult"),
        ({"config": {**SMALL.to_json(), "depth": 1}}, r"unknown entries \['depth'\]"),
    ],
)
def test_an_entry_of_the_wrong_kind_is_named(folder, entries, message):
    change(folder, **entries)
    with pytest.raises(
        InputFormatError, match=f"^{folder}/model.json: .*{message}.*; export the model again$"
    ):
        ModelCard.read(folder)


def test_a_card_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelCard(SMALL, 8192).input_length = 4096
