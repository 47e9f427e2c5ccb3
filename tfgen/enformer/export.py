"""From a checkpoint to a SavedModel."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tfgen.enformer.assembly import assembly_of
from tfgen.enformer.card import CARD_NAME, ModelCard
from tfgen.enformer.checkpoint import CheckpointFile
from tfgen.enformer.config import BIN_SIZE, EnformerConfig, is_of_published_size
from tfgen.enformer.model import Enformer
from tfgen.enformer.saved_model import export_saved_model, variables_prefix
from tfgen.errors import InputFormatError, UsageError
from tfgen.io import refuse_overlap

_INPUT_LENGTH = 393_216


@dataclasses.dataclass(frozen=True)
class ModelLengths:
    """Lengths that no checkpoint tells; None keeps what is known from elsewhere.

    Attributes:
        input_length: Bases that `predict_on_batch` takes; for a checkpoint 393,216 by default.
        sequence_length: Bases that the trunk sees; for a checkpoint 196,608 by default.
        target_length: Output bins; for a checkpoint 896 by default.
        basis_length: Bins for which the position basis is made; by default the published 1,536,
            or those of the trunk if it has more. The published code made the basis for the bins
            that it was trained with, so a model trained on shorter windows needs theirs.
    """

    input_length: int | None = None
    sequence_length: int | None = None
    target_length: int | None = None
    basis_length: int | None = None


def export_checkpoint(
    checkpoint: Path,
    output: Path,
    *,
    lengths: ModelLengths | None = None,
    position_basis: Literal["reference", "float64"] | None = None,
    targets: Mapping[str, Path] | None = None,
    fasta_index: Path | None = None,
    overwrite: bool = False,
) -> ModelCard:
    """Restores a checkpoint of either published layout and exports it.

    Args:
        checkpoint: Prefix, or a folder holding one checkpoint. A folder exported by tfgen brings
            its own lengths, targets and contigs; what is given here replaces them.
        output: Folder to write.
        lengths: Lengths of the model.
        position_basis: As in `EnformerConfig`; for a checkpoint `reference` by default.
        targets: Head -> targets table to put into the model.
        fasta_index: `.fai` of the training genome.
        overwrite: Whether an existing folder is replaced.

    Returns:
        The card of the exported model.

    Raises:
        InputFormatError: There is no Enformer checkpoint, or `fasta_index` or a targets table is
            malformed.
        InputMismatchError: The checkpoint does not match its own architecture completely, the
            files of an exported folder have changed, or a targets table has another number of
            rows than its head has tracks.
        UsageError: The lengths do not suit each other, or a checkpoint of another size than the
            published one comes without them, or the output holds an input.
        OutputError: The folder exists, or the disk is too full.
    """
    lengths = lengths or ModelLengths()
    refuse_overlap(output, [checkpoint, *(targets or {}).values(), fasta_index])
    file, known = _known(checkpoint)
    if not (checkpoint / CARD_NAME).is_file():
        _require_lengths(checkpoint, known.config, lengths)
    bases = _given(lengths.sequence_length, known.config.sequence_length)
    basis = max(known.config.basis_length, bases // BIN_SIZE)
    config = dataclasses.replace(
        known.config,
        sequence_length=bases,
        target_length=_given(lengths.target_length, known.config.target_length),
        basis_length=_given(lengths.basis_length, basis),
        position_basis=position_basis or known.config.position_basis,
    )
    contig_lengths = known.contig_lengths if fasta_index is None else _read_index(fasta_index)
    own_targets = {organism: checkpoint / name for organism, name in known.targets.items()}
    model = Enformer(config)
    file.restore(model)
    return export_saved_model(
        model,
        output,
        input_length=_given(lengths.input_length, known.input_length),
        targets={**own_targets, **(targets or {})},
        contig_lengths=contig_lengths,
        source=known.source,
        overwrite=overwrite,
    )


def _known(checkpoint: Path) -> tuple[CheckpointFile, ModelCard]:
    """The variables and what is known about them, from the card of an exported folder or else."""
    if (checkpoint / CARD_NAME).is_file():
        card = ModelCard.read(checkpoint)
        card.verify(checkpoint)
        return CheckpointFile(variables_prefix(checkpoint)), card
    file = CheckpointFile(checkpoint)
    source = f"{Path(file.prefix).name} ({file.layout} layout), sha256 {file.sha256()}"
    config = file.config()
    contigs = assembly_of(config.heads)
    return file, ModelCard(config, _INPUT_LENGTH, contig_lengths=contigs, source=source)


def _require_lengths(checkpoint: Path, config: EnformerConfig, lengths: ModelLengths) -> None:
    """Stops at a checkpoint of another size than the published one without its lengths."""
    told = lengths.sequence_length is not None and lengths.target_length is not None
    if not told and not is_of_published_size(config):
        raise UsageError(
            f"{checkpoint}: not of the published size ({config.channels} channels, "
            f"{config.num_transformer_layers} transformer layers), and a checkpoint does not say "
            "how long the windows of its model are; give --trunk_length=BASES and "
            "--target_length=BINS"
        )


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


def _read_index(path: Path) -> dict[str, int]:
    lengths = {}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputFormatError(
            f"{path}: not a text file; expected the .fai index of a FASTA"
        ) from error
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, rest = line.partition("\t")
        length = rest.split("\t")[0]
        if not name or not length.isdecimal():
            raise InputFormatError(
                f"{path}:{number}: expected a contig name, a tab and its length; give the .fai "
                "index of a FASTA"
            )
        lengths[name] = int(length)
    return lengths
