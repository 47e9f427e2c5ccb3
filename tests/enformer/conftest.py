"""Models that several test files of this folder use, made once."""

import pytest
import tensorflow as tf

from enformer.small import SMALL, TINY, randomise
from tfgen.enformer.checkpoint import write_checkpoint
from tfgen.enformer.model import Enformer
from tfgen.enformer.saved_model import export_saved_model

TRACKS = {"human": 7, "mouse": 3}


@pytest.fixture(scope="session")
def small():
    """A random Enformer of 96 channels; tests leave its variables as they are."""
    return randomise(Enformer(SMALL), seed=1)


@pytest.fixture(scope="session")
def tiny():
    """A random Enformer of 24 channels; tests leave its variables as they are."""
    return randomise(Enformer(TINY), seed=2)


@pytest.fixture(scope="session")
def checkpoints(small, tmp_path_factory):
    """Layout -> prefix of a checkpoint of `small`; tests copy what they damage."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        layout: write_checkpoint(small, folder / layout / "model", layout)
        for layout in ("sonnet", "hub")
    }


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """Head -> targets table of `small`."""
    folder = tmp_path_factory.mktemp("tables")
    for organism, tracks in TRACKS.items():
        rows = [f"{i}\tID{i}\tCAGE:{organism} {i}\n" for i in range(tracks)]
        (folder / f"{organism}.txt").write_text("index\tidentifier\tdescription\n" + "".join(rows))
    return {organism: folder / f"{organism}.txt" for organism in TRACKS}


@pytest.fixture(scope="session")
def exported(small, tables, tmp_path_factory):
    """Folder of `small` exported with an input twice as long as the trunk's."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    export_saved_model(
        small,
        folder,
        targets=tables,
        contig_lengths={"chr1": 248_956_422, "chr2": 242_193_529},
        source="random numbers",
    )
    return folder


@pytest.fixture(scope="session")
def loaded(exported):
    """The exported folder as plain TensorFlow loads it."""
    return tf.saved_model.load(str(exported))
