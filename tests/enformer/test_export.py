import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from enformer.small import SMALL, TINY, random_one_hot, values_of
from tfgen.enformer import export
from tfgen.enformer.assembly import HG38
from tfgen.enformer.card import CARD_NAME, ModelCard
from tfgen.enformer.checkpoint import CheckpointFile, published_tree
from tfgen.enformer.export import ModelLengths, export_checkpoint
from tfgen.enformer.positions import position_basis
from tfgen.enformer.saved_model import export_saved_model, load_saved_model
from tfgen.errors import InputFormatError, InputMismatchError, OutputError, UsageError

LENGTHS = ModelLengths(input_length=8192, sequence_length=4096, target_length=16)


@pytest.fixture(scope="module")
def tiny_folder(tiny, tmp_path_factory):
    """An exported folder with a table and contigs."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "human.txt").write_text("identifier\tdescription\n" + "x\ty\n" * 3)
    export_saved_model(
        tiny,
        folder / "model",
        targets={"human": folder / "human.txt"},
        contig_lengths={"chr1": 10},
        source="random numbers",
    )
    return folder / "model"


@pytest.fixture
def exported_with(monkeypatch):
    """What would be exported: all but the writing of the SavedModel, which takes seconds."""
    seen = {}

    def note(model, directory, **options):
        seen.update(options, config=model.config, values=values_of(model), directory=directory)
        return ModelCard(model.config, options["input_length"])

    monkeypatch.setattr(export, "export_saved_model", note)
    return seen


def test_both_layouts_give_the_same_model(checkpoints, small, tmp_path, exported_with):
    for layout, prefix in checkpoints.items():
        export_checkpoint(tmp_path / prefix, tmp_path / "out", lengths=LENGTHS)
        for path, value in values_of(small).items():
            np.testing.assert_array_equal(exported_with["values"][path], value)
        digest = CheckpointFile(prefix).sha256()
        assert exported_with["source"] == f"model-1 ({layout} layout), sha256 {digest}"
        config = exported_with["config"]
        assert dataclasses.replace(config, basis_length=32) == SMALL
        # The basis keeps its published length, whatever the trunk sees.
        assert config.basis_length == 1536


def test_a_checkpoint_becomes_a_working_model(checkpoints, small, tables, tmp_path):
    (tmp_path / "genome.fa.fai").write_text("chr1\t1000\t6\t60\t61\nchr2\t500\t1030\t60\t61\n")
    card = export_checkpoint(
        tmp_path / checkpoints["sonnet"],
        tmp_path / "model",
        lengths=LENGTHS,
        targets=tables,
        fasta_index=tmp_path / "genome.fa.fai",
    )
    assert card == ModelCard.read(tmp_path / "model")
    assert card.contig_lengths == {"chr1": 1000, "chr2": 500}
    assert set(card.targets) == {"human", "mouse"}
    model, _ = load_saved_model(tmp_path / "model")
    # `small` has the basis of its own 32 bins, a checkpoint is read with the published one.
    basis = tf.constant(position_basis(1536, SMALL.value_size, "reference"))
    tower = small.tower(tf.constant(random_one_hot(1, 4096)), False)
    keys = [block.attention.relative_keys(basis, False) for block in small.blocks]
    np.testing.assert_allclose(
        model.embed_tower(tower, False), small.embed_tower(tower, False, keys), atol=1e-5
    )


@pytest.fixture
def as_published(monkeypatch):
    """Takes `small` for the published size, which would need 1 GB here."""
    lengths = {"sequence_length": 196_608, "target_length": 896, "basis_length": 1536}
    monkeypatch.setattr("tfgen.enformer.config._PUBLISHED", dataclasses.replace(SMALL, **lengths))


def test_a_checkpoint_of_another_size_needs_its_lengths(checkpoints, tmp_path):
    for some in ({}, {"sequence_length": 4096}, {"target_length": 16}):
        with pytest.raises(UsageError, match="not of the published size .*--target_length=BINS"):
            export_checkpoint(
                tmp_path / checkpoints["hub"], tmp_path / "out", lengths=ModelLengths(**some)
            )
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("as_published")
def test_lengths_that_are_not_given_are_the_published_ones(checkpoints, tmp_path, exported_with):
    card = export_checkpoint(tmp_path / checkpoints["hub"], tmp_path / "out")
    assert card.input_length == 393_216
    assert (card.config.sequence_length, card.config.target_length) == (196_608, 896)
    assert card.config.basis_length == 1536


@pytest.mark.usefixtures("as_published")
def test_a_longer_trunk_has_a_longer_basis(checkpoints, tmp_path, exported_with):
    card = export_checkpoint(
        tmp_path / checkpoints["hub"],
        tmp_path / "out",
        lengths=ModelLengths(sequence_length=393_216),
    )
    assert card.config.basis_length == 3072


def test_a_model_trained_on_shorter_windows_can_have_their_basis(
    checkpoints, tmp_path, exported_with
):
    lengths = dataclasses.replace(LENGTHS, basis_length=32)
    export_checkpoint(tmp_path / checkpoints["hub"], tmp_path / "out", lengths=lengths)
    assert exported_with["config"] == SMALL


def test_an_exported_folder_brings_what_it_knows(tiny_folder, tiny, tmp_path, exported_with):
    export_checkpoint(tiny_folder, tmp_path / "out")
    assert exported_with["config"] == TINY
    assert exported_with["input_length"] == 2048
    assert exported_with["targets"] == {"human": tiny_folder / "targets_human.txt"}
    assert exported_with["contig_lengths"] == {"chr1": 10}
    assert exported_with["source"] == "random numbers"
    for path, value in values_of(tiny).items():
        np.testing.assert_array_equal(exported_with["values"][path], value)


def test_what_is_given_replaces_what_an_exported_folder_brings(
    tiny_folder, tmp_path, exported_with
):
    (tmp_path / "new.fai").write_text("chr2\t20\n")
    export_checkpoint(
        tiny_folder,
        tmp_path / "out",
        lengths=ModelLengths(input_length=512, sequence_length=512, target_length=2),
        targets={"human": tmp_path / "new.txt"},
        fasta_index=tmp_path / "new.fai",
    )
    config = dataclasses.replace(TINY, sequence_length=512, target_length=2)
    assert exported_with["config"] == config
    assert exported_with["input_length"] == 512
    assert exported_with["targets"] == {"human": tmp_path / "new.txt"}
    assert exported_with["contig_lengths"] == {"chr2": 20}


def test_a_changed_folder_is_not_exported(tiny_folder, tmp_path, exported_with):
    folder = tmp_path / "model"
    folder.mkdir()
    card = json.loads((tiny_folder / CARD_NAME).read_text())
    (folder / CARD_NAME).write_text(json.dumps(card))
    with pytest.raises(InputMismatchError, match="do not have the digest in model.json"):
        export_checkpoint(folder, tmp_path / "out")
    assert exported_with == {}


@pytest.mark.usefixtures("as_published")
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"sequence_length": 1000}, "sequence_length is 1000; it must be a multiple of 128"),
        ({"sequence_length": 0}, "sequence_length is 0; it must be a multiple of 128"),
        ({"target_length": 897}, "target_length is 897; 1536 bins cannot be cropped"),
        ({"sequence_length": 4096}, "target_length is 896; 32 bins cannot be cropped"),
        ({"target_length": 0}, "target_length is 0; it must be at least 1"),
        ({"basis_length": 1535}, "basis_length is 1535, shorter than the 1536 bins"),
        ({"input_length": 0}, "input length 0 cannot be cropped to the 196608 bases"),
        ({"input_length": 196_609}, "input length 196609 cannot be cropped"),
    ],
)
def test_lengths_that_do_not_suit_each_other_are_refused(checkpoints, tmp_path, lengths, message):
    with pytest.raises(UsageError, match=message):
        export_checkpoint(
            tmp_path / checkpoints["sonnet"], tmp_path / "out", lengths=ModelLengths(**lengths)
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"chr1\t10\nchr2 20\n", r"g.fai:2: expected a contig name, a tab and its length; give"),
        (b">chr1\nACGT\n", "g.fai:1: expected a contig name"),
        (b"\t10\n", "g.fai:1: expected a contig name"),
        (b"chr1\t-5\n", "g.fai:1: expected a contig name"),
        (b"\x1f\x8b\x08\x00", "g.fai: not a text file; expected the .fai index of a FASTA"),
    ],
)
def test_a_malformed_fasta_index_is_reported(checkpoints, tmp_path, content, message):
    (tmp_path / "g.fai").write_bytes(content)
    with pytest.raises(InputFormatError, match=message):
        export_checkpoint(
            tmp_path / checkpoints["sonnet"],
            tmp_path / "out",
            lengths=LENGTHS,
            fasta_index=tmp_path / "g.fai",
        )


def test_where_there_is_no_checkpoint_nothing_is_written(tmp_path):
    with pytest.raises(InputFormatError, match="no checkpoint here"):
        export_checkpoint(tmp_path / "missing", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_checkpoint_is_refused(tiny, tmp_path):
    tree = published_tree(tiny, "hub")
    del getattr(tree._stem._layers, "0").b
    prefix = tf.train.Checkpoint(model=tree).write(str(tmp_path / "ck"))
    with pytest.raises(InputMismatchError, match="nothing was restored: model/_stem/.* is missing"):
        export_checkpoint(
            tmp_path / prefix,
            tmp_path / "out",
            lengths=ModelLengths(sequence_length=1024, target_length=4),
        )
    assert not (tmp_path / "out").exists()


def test_the_form_of_the_position_basis_can_be_told(checkpoints, tmp_path, exported_with):
    export_checkpoint(
        tmp_path / checkpoints["hub"], tmp_path / "out", lengths=LENGTHS, position_basis="float64"
    )
    assert exported_with["config"].position_basis == "float64"
    assert exported_with["contig_lengths"] == {}


def test_a_model_with_the_published_heads_is_one_of_hg38(checkpoints, tmp_path, exported_with):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfgen.enformer.assembly.PUBLISHED_HEADS", SMALL.heads)
        export_checkpoint(tmp_path / checkpoints["hub"], tmp_path / "out", lengths=LENGTHS)
    assert exported_with["contig_lengths"] == HG38


def test_the_folder_of_the_weights_is_not_the_output(checkpoints, tmp_path):
    prefix = tmp_path / checkpoints["hub"]
    before = sorted(prefix.parent.iterdir())
    with pytest.raises(UsageError, match="holds the input .*; choose another output"):
        export_checkpoint(prefix, prefix.parent, lengths=LENGTHS, overwrite=True)
    assert sorted(prefix.parent.iterdir()) == before


def test_an_existing_output_is_kept(checkpoints, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="out: exists; choose another output or pass"):
        export_checkpoint(tmp_path / checkpoints["sonnet"], tmp_path / "out", lengths=LENGTHS)
