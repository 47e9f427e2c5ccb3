from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from effects.linear_models import BINS, LENGTH, save_linear_model
from effects.small_models import (
    CONFIG,
    STATISTICS,
    SmallGenome,
    plain_scores,
    random_contig,
    random_enformer,
)
from tfgen.effects import ScoringConfig
from tfgen.effects.engine import load_engine
from tfgen.effects.passes import EnformerPasses
from tfgen.enformer.checkpoint import write_checkpoint
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.digest import model_digest
from tfgen.enformer.saved_model import export_saved_model
from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    UntrustedModelError,
    UsageError,
)


class LogicalGpu:
    """What TensorFlow tells about a GPU."""

    name = "/device:GPU:0"


@pytest.fixture(scope="module")
def model():
    return random_enformer()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Models by name: `plain`, `named` (with targets tables), `linear` (foreign)."""
    folder = tmp_path_factory.mktemp("models")
    export_saved_model(model, folder / "plain")
    human = folder / "human.txt"
    rows = [f"{i}\tENC{i}\tDNASE:tissue {i}\n" for i in range(5)]
    human.write_text("index\tidentifier\tdescription\n" + "".join(rows))
    export_saved_model(
        model, folder / "named", targets={"human": human}, contig_lengths={"chr1": 248_956_422}
    )
    save_linear_model(folder / "linear")
    return folder


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    genome = SmallGenome(path, {"chr1": random_contig(20_000, 1)})
    variants = [genome.substitution("chr1", pos) for pos in (8000, 8010)]
    return genome.windows([*variants, genome.variant("chr1", 9000, 1, "AC")], "shared")


@pytest.fixture
def load(folder):
    """Loads a model with the given settings."""

    def load_with(model, **settings):
        files = {"fasta": folder / "f", "vcf": folder / "v", "output": folder / "o"}
        return load_engine(ScoringConfig(model=model, **files, **settings))

    return load_with


@pytest.fixture
def targets(tmp_path):
    """Writes a targets table of some outputs."""

    def write(*indices):
        path = tmp_path / "targets.txt"
        rows = [f"{i}\tid{i}\tabout {i}\n" for i in indices]
        path.write_text("index\tidentifier\tdescription\n" + "".join(rows))
        return path

    return write


# --- Exported models ----------------------------------------------------------------------------


def test_an_exported_model_is_scored_by_the_shared_trunk(load, folder, model, windows):
    loaded = load(folder / "plain", windows="shared", batch_size=3)
    found = loaded.engine.score(windows)
    for name, values in plain_scores(model, windows).items():
        # Float32 noise, see test_shared_trunk.py.
        np.testing.assert_allclose(found[name], values, rtol=0, atol=5e-5)
    assert loaded.provenance["engine"] == "shared_trunk"
    assert loaded.provenance["organism"] == "human"
    assert loaded.engine.batch_size == 3
    assert loaded.provenance["device"] == "CPU"
    assert loaded.provenance["onednn"] == "default"


def test_outputs_without_names_are_numbered(load, folder):
    loaded = load(folder / "plain")
    assert list(loaded.track_ids) == list(loaded.track_labels) == ["0", "1", "2", "3", "4"]
    assert (loaded.warnings, loaded.contig_lengths) == ((), {})


def test_names_and_assembly_come_from_the_model(load, folder):
    loaded = load(folder / "named")
    assert list(loaded.track_ids) == ["ENC0", "ENC1", "ENC2", "ENC3", "ENC4"]
    assert list(loaded.track_labels)[4] == "DNASE:tissue 4"
    assert loaded.contig_lengths == {"chr1": 248_956_422}
    # It has a table for the other head only.
    assert list(load(folder / "named", organism="mouse").track_ids) == ["0", "1", "2"]


def test_the_own_table_of_a_model_needs_no_index(load, model, tmp_path):
    table = tmp_path / "mouse.txt"
    table.write_text("identifier\tdescription\na\tA\nb\tB\nc\tC\n")
    export_saved_model(model, tmp_path / "model", targets={"mouse": table})
    loaded = load(tmp_path / "model", organism="mouse")
    assert list(loaded.track_ids) == ["a", "b", "c"]
    assert loaded.warnings == ()


def test_the_own_table_of_a_model_must_be_in_order_to_give_names(load, model, tmp_path):
    table = tmp_path / "mouse.txt"
    table.write_text("index\tidentifier\tdescription\n1\ta\tA\n0\tb\tB\n2\tc\tC\n")
    export_saved_model(model, tmp_path / "model", targets={"mouse": table})
    assert list(load(tmp_path / "model", organism="mouse").track_ids) == ["0", "1", "2"]


def test_the_digest_is_that_of_the_model(load, folder, model):
    one, two = load(folder / "plain"), load(folder / "named")
    # They differ in their targets tables only.
    digests = {loaded.provenance["model_sha256"] for loaded in (one, two)}
    assert digests == {model_digest(model)}


def test_scores_of_a_gpu_say_so(load, folder, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [LogicalGpu()])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a device"])
    details = {"device_name": "NVIDIA H200", "compute_capability": (9, 0)}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    assert load(folder / "plain").provenance["device"] == "NVIDIA H200"
    details.clear()
    assert load(folder / "plain").provenance["device"] == "/device:GPU:0"


def test_a_changed_model_is_refused(load, folder, tmp_path, model):
    changed = tmp_path / "changed"
    export_saved_model(model, changed)
    with (changed / "variables" / "variables.data-00000-of-00001").open("r+b") as file:
        file.write(b"?")
    with pytest.raises(InputMismatchError, match="changed after the export"):
        load(changed)


@pytest.mark.parametrize(("given", "chosen"), [(0, 48), (1, 1), (7, 7)])
def test_the_batch_fills_a_pass_of_393216_bases_unless_told(load, folder, given, chosen):
    # 393,216 bases / (2 x 4,096): each window is there with two alleles.
    loaded = load(folder / "plain", batch_size=given)
    assert loaded.engine.batch_size == chosen
    assert loaded.rows_per_piece >= 4 * chosen
    assert loaded.rows_per_piece >= 8


def test_a_smaller_batch_is_told_on_stderr(load, folder, windows, monkeypatch, capsys):
    loaded = load(folder / "plain", batch_size=2)
    predictions = EnformerPasses.predictions

    def full_memory(self, towers):
        if self.batch_size > 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return predictions(self, towers)

    monkeypatch.setattr(EnformerPasses, "predictions", full_memory)
    loaded.engine.score(windows[:1])
    assert capsys.readouterr().err == "out of memory: batch size 2 -> 1\n"


# --- Heads and tracks ---------------------------------------------------------------------------


def test_another_head(load, folder, model, windows):
    loaded = load(folder / "plain", organism="mouse", windows="shared", batch_size=3)
    assert loaded.engine.n_tracks == 3
    assert loaded.provenance["organism"] == "mouse"
    expected = plain_scores(model, windows, organism="mouse")["SAD"]
    np.testing.assert_allclose(loaded.engine.score(windows)["SAD"], expected, rtol=0, atol=5e-5)


def test_a_model_without_a_human_head_uses_its_first(load, tmp_path):
    config = EnformerConfig(
        channels=24,
        num_transformer_layers=0,
        num_heads=1,
        heads=(("worm", 2), ("fly", 1)),
        sequence_length=1024,
        target_length=4,
        divisible_by=4,
        basis_length=8,
    )
    export_saved_model(random_enformer(config), tmp_path / "model")
    assert load(tmp_path / "model").provenance["organism"] == "worm"


@pytest.mark.parametrize("name", ["plain", "linear"])
def test_an_unknown_head_is_refused(load, folder, name):
    with pytest.raises(UsageError, match="no head is called 'yeast'; this model has human, mouse"):
        load(folder / name, organism="yeast", allow_untrusted_model=True)


def test_a_targets_table_selects_and_names_tracks(load, folder, model, windows, targets):
    loaded = load(folder / "named", targets=targets(3, 1), windows="shared", batch_size=3)
    assert loaded.engine.n_tracks == 2
    assert list(loaded.track_ids) == ["id3", "id1"]
    assert list(loaded.track_labels) == ["about 3", "about 1"]
    found = loaded.engine.score(windows)
    for name, values in plain_scores(model, windows, tracks=(3, 1)).items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", ["plain", "linear"])
def test_a_table_of_another_model_is_refused(load, folder, targets, name):
    with pytest.raises(InputMismatchError, match=r"has index 5, but the head 'human' has \d outp"):
        load(folder / name, targets=targets(0, 5), allow_untrusted_model=True)


def test_a_table_without_indices_is_taken_in_order_with_a_warning(load, folder, tmp_path):
    path = tmp_path / "targets.txt"
    path.write_text("identifier\tdescription\na\tfirst\nb\tsecond\n")
    loaded = load(folder / "plain", targets=path)
    assert loaded.engine.n_tracks == 2
    assert "no column 'index'; its 2 rows are taken as outputs 0 to 1" in loaded.warnings[0]


# --- Models by name -----------------------------------------------------------------------------


def test_a_model_is_found_by_its_name(load, folder, monkeypatch):
    monkeypatch.setenv("TFGEN_MODELS", str(folder))
    by_name, by_path = load("named"), load(folder / "named")
    assert by_name.provenance == by_path.provenance


def test_an_unknown_name_is_refused(load, folder, monkeypatch):
    monkeypatch.setenv("TFGEN_MODELS", str(folder))
    with pytest.raises(InputFormatError, match="none called 'enforcer'; give a model folder"):
        load("enforcer")


def test_published_weights_that_are_not_there_say_how_to_get_them(load, tmp_path, monkeypatch):
    monkeypatch.setenv("TFGEN_MODELS", str(tmp_path / "my models"))
    with pytest.raises(InputFormatError) as caught:
        load("enformer")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "the weights of 'enformer' are not in ",
        "/sonnet_weights/enformer-fine-tuned-human-1.index",
        "/sonnet_weights/enformer-fine-tuned-human-1.data-00000-of-00001",
        "python bin/enformer_export.py --checkpoint=enformer_weights/enformer-fine-tuned-human-1",
        f"--output='{tmp_path}/my models/enformer'",
    ):
        assert part in message


def test_a_folder_without_a_model_is_refused(load, tmp_path):
    with pytest.raises(InputFormatError, match="no checkpoint here; expected PREFIX.index"):
        load(tmp_path)


# --- Checkpoints --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory):
    return write_checkpoint(model, tmp_path_factory.mktemp("checkpoint") / "small")


def test_a_checkpoint_that_is_not_the_published_model_must_be_exported(load, checkpoint):
    message = (
        r"small-1: not of the published size \(96 channels, 2 transformer layers\).*"
        r"enformer_export.py --checkpoint=\S+small-1 --output=\S+small-1_tfgen "
        "--trunk_length=BASES --target_length=BINS"
    )
    with pytest.raises(UsageError, match=message):
        load(checkpoint)


def test_a_checkpoint_of_the_published_model_has_its_lengths(load, checkpoint, model, monkeypatch):
    # As if the small model were the published one, which would need 1 GB here.
    published = replace(
        CONFIG, sequence_length=196_608, target_length=896, basis_length=1536, heads=(("x", 1),)
    )
    monkeypatch.setattr("tfgen.enformer.config._PUBLISHED", published)
    loaded = load(checkpoint)
    assert (loaded.engine.sequence_length, loaded.engine.target_length) == (196_608, 896)
    assert (loaded.engine.n_tracks, loaded.engine.batch_size) == (5, 1)
    assert loaded.rows_per_piece == 8
    assert len(loaded.provenance["model_sha256"]) == 64


# --- Foreign models -----------------------------------------------------------------------------


def test_a_foreign_model_needs_permission(load, folder):
    message = (
        r"tfgen did not write this one.*python bin/enformer_export.py --checkpoint=\S+linear "
        r"--output=\S+linear_tfgen; .*--allow_untrusted_model"
    )
    with pytest.raises(UntrustedModelError, match=message):
        load(folder / "linear")


def test_a_foreign_model_that_is_allowed_is_scored_in_full(load, folder, capsys):
    loaded = load(folder / "linear", allow_untrusted_model=True, statistics=("SAD",))
    digest = loaded.provenance["model_sha256"]
    line = f"running the foreign SavedModel {folder / 'linear'}, sha256 {digest}\n"
    assert capsys.readouterr().err == line
    assert loaded.provenance["engine"] == "full_pass"
    engine = loaded.engine
    assert (engine.sequence_length, engine.target_length, engine.n_tracks) == (LENGTH, BINS, 3)
    assert engine.statistics == ("SAD",)
    assert list(loaded.track_ids) == ["0", "1", "2"]


def test_a_foreign_model_without_a_human_head_uses_the_first_by_name(load, tmp_path):
    save_linear_model(tmp_path / "model", "mouse", "fly")
    loaded = load(tmp_path / "model", allow_untrusted_model=True)
    assert loaded.provenance["organism"] == "fly"


def test_tracks_of_a_foreign_model(load, folder, targets):
    loaded = load(
        folder / "linear", allow_untrusted_model=True, organism="mouse", targets=targets(1)
    )
    assert loaded.engine.n_tracks == 1
    assert list(loaded.track_ids) == ["id1"]


def test_every_statistic_is_there(load, folder):
    assert load(folder / "plain").engine.statistics == STATISTICS
