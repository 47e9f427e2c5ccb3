"""From a checkpoint to a SavedModel."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from tfgen.enformer.card import CARD_NAME, ModelCard
from tfgen.enformer.checkpoint import CheckpointFile
from tfgen.enformer.config import BIN_SIZE, EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.enformer.saved_model import export_saved_model
from tfgen.errors import InputFormatError


def export_checkpoint(
    checkpoint: Path,
    output: Path,
    *,
    input_length: int = 393_216,
    sequence_length: int = 196_608,
    target_length: int = 896,
    targets: Mapping[str, Path] | None = None,
    fasta_index: Path | None = None,
    overwrite: bool = False,
) -> ModelCard:
    """Restores a checkpoint of either published layout and exports it.

    Args:
        checkpoint: Prefix, or a folder holding one checkpoint; a folder exported by tfgen brings
            its own lengths.
        output: Folder to write.
        input_length: Bases that `predict_on_batch` takes.
        sequence_length: Bases that the trunk sees.
        target_length: Output bins.
        targets: Head -> targets table to put into the model.
        fasta_index: `.fai` of the training genome.
        overwrite: Whether an existing folder is replaced.

    Returns:
        The card of the exported model.

    Raises:
        InputFormatError: There is no Enformer checkpoint, or `fasta_index` is malformed.
        InputMismatchError: The checkpoint does not match its own architecture completely.
        UsageError: The lengths do not suit each other.
        OutputError: The folder exists, or the disk is too full.
    """
    file = CheckpointFile(checkpoint)
    config = _config(file, checkpoint, sequence_length, target_length)
    contig_lengths = {} if fasta_index is None else _read_index(fasta_index)
    model = Enformer(config)
    file.restore(model)
    return export_saved_model(
        model,
        output,
        input_length=input_length,
        targets=targets,
        contig_lengths=contig_lengths,
        source=f"{Path(file.prefix).name} ({file.layout} layout), sha256 {file.sha256()}",
        overwrite=overwrite,
    )


def _config(
    file: CheckpointFile, checkpoint: Path, sequence_length: int, target_length: int
) -> EnformerConfig:
    if (checkpoint / CARD_NAME).is_file():
        return ModelCard.read(checkpoint).config
    config = file.config()
    return dataclasses.replace(
        config,
        sequence_length=sequence_length,
        target_length=target_length,
        basis_length=max(config.basis_length, sequence_length // BIN_SIZE),
    )


def _read_index(path: Path) -> dict[str, int]:
    lengths = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, rest = line.partition("\t")
        length = rest.split("\t")[0]
        if not name or not length.isdecimal():
            raise InputFormatError(f"{path}:{number}: expected a contig name, a tab and its length")
        lengths[name] = int(length)
    return lengths
