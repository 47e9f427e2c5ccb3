#!/usr/bin/env python3
r"""Makes a SavedModel that tfgen scores with from an Enformer checkpoint.

Example:
  enformer_export.py --checkpoint=weights/enformer-fine-tuned-human-1 --output=enformer \
      --targets=human=targets_human.txt,mouse=targets_mouse.txt

The checkpoint may have either published layout, which is told from its keys: the Sonnet
checkpoint (PREFIX.index and PREFIX.data-00000-of-00001) or the variables of the published
SavedModel (give its folder). A checkpoint that does not match completely is refused, with what is
missing. A folder that this program wrote can be exported again; it brings its own lengths, targets
and contigs. The output loads with tf.saved_model.load and has predict_on_batch, embed, tower and
from_tower; model.json beside it says what they take.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from absl import flags

from _command import build, define_flags, import_tensorflow, run
from tfgen.errors import UsageError


def _setting(help_text: str, **options: Any) -> Any:
    return dataclasses.field(metadata={"help": help_text}, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Flags of the export."""

    checkpoint: Path = _setting("Checkpoint prefix, or a folder that holds one checkpoint.")
    output: Path = _setting("Folder to write.")
    seq_length: int | None = _setting(
        "Bases that predict_on_batch takes; the trunk sees the centre. 393216 if not given.",
        default=None,
    )
    trunk_length: int | None = _setting(
        "Bases that the trunk sees. 196608 if not given.", default=None
    )
    target_length: int | None = _setting("Output bins. 896 if not given.", default=None)
    basis_length: int | None = _setting(
        "Bins for which the position basis is made: those that the model was trained with, where "
        "they were fewer than the published 1536. 1536, or the bins of the trunk if it has more, "
        "if not given.",
        default=None,
    )
    position_basis: Literal["", "reference", "float64"] = _setting(
        "Arithmetic of that basis: reference for models of the published code, float64 for those "
        "trained with it. reference if not given.",
        default="",
    )
    targets: tuple[str, ...] = _setting(
        "HEAD=TABLE pairs: targets tables to put into the model, for the names of the tracks.",
        default=(),
    )
    fasta_index: Path | None = _setting(
        "The .fai of the genome the model was trained on; scoring warns about another one.",
        default=None,
    )
    overwrite: bool = _setting("Replace an existing folder.", default=False)


define_flags(ExportConfig)


def main(values: flags.FlagValues) -> None:
    """Reads the checkpoint and writes the SavedModel."""
    config = build(ExportConfig, values)
    tables = _tables(config.targets)
    import_tensorflow()
    from tfgen.enformer.export import ModelLengths, export_checkpoint

    card = export_checkpoint(
        config.checkpoint,
        config.output,
        lengths=ModelLengths(
            input_length=config.seq_length,
            sequence_length=config.trunk_length,
            target_length=config.target_length,
            basis_length=config.basis_length,
        ),
        position_basis=config.position_basis or None,
        targets=tables,
        fasta_index=config.fasta_index,
        overwrite=config.overwrite,
    )
    heads = ", ".join(f"{name} ({tracks} tracks)" for name, tracks in card.config.heads)
    print(f"{config.output}: {heads}; input {card.input_length} bp; sha256 {card.sha256}")


def _tables(pairs: Sequence[str]) -> dict[str, Path]:
    tables = {}
    for pair in pairs:
        head, equals, path = pair.partition("=")
        if not (head and equals and path):
            raise UsageError(f"--targets has {pair!r}; expected HEAD=TABLE")
        if head in tables:
            raise UsageError(f"--targets names the head {head!r} twice; give one table for it")
        tables[head] = Path(path).expanduser()
    return tables


if __name__ == "__main__":
    run(main)
