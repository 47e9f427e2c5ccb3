"""`model.json`: what an exported model says about itself, read without TensorFlow."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfgen import __version__
from tfgen.enformer.config import BIN_SIZE, EnformerConfig
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.io import sha256_files, write_json

CARD_NAME = "model.json"
FORMAT_VERSION = 1
ARCHITECTURE = "enformer"


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What one needs to know to use an exported Enformer.

    Attributes:
        config: The architecture; `config.sequence_length` is what the trunk sees.
        input_length: Bases that `predict_on_batch` takes; its centre goes to the trunk.
        targets: Head -> file name of its targets table in the model's folder.
        contig_lengths: Lengths of the contigs of the training assembly; may be empty.
        source: Where the weights come from, in words.
        sha256: Digest of all files of the folder but this one and hidden ones.
    """

    config: EnformerConfig
    input_length: int
    targets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    contig_lengths: Mapping[str, int] = dataclasses.field(default_factory=dict)
    source: str = ""
    sha256: str = ""

    @property
    def crop_bases(self) -> int:
        """Bases cut from each side of the input before the trunk."""
        return (self.input_length - self.config.sequence_length) // 2

    def write(self, directory: Path) -> None:
        """Writes the card of a finished model folder, with the digest of its files."""
        config = self.config
        output_start = self.crop_bases + config.crop_bins * BIN_SIZE
        write_json(
            directory / CARD_NAME,
            {
                "format_version": FORMAT_VERSION,
                "architecture": ARCHITECTURE,
                "tfgen": __version__,
                "config": config.to_json(),
                "input_length": self.input_length,
                "output_start": output_start,
                "bin_size": BIN_SIZE,
                "one_hot": {"order": "ACGT", "N": "zeros", "dtype": "float32"},
                "functions": {
                    "predict_on_batch": f"[batch, {self.input_length}, 4] -> heads "
                    f"[batch, {config.target_length}, tracks]",
                    "embed": f"[batch, {self.input_length}, 4] -> "
                    f"[batch, {config.target_length}, {2 * config.channels}]",
                    "tower": f"[batch, {BIN_SIZE}n, 4] -> [batch, n, {config.channels}]",
                    "from_tower": f"[batch, {config.num_bins}, {config.channels}] -> heads",
                },
                "targets": dict(self.targets),
                "contig_lengths": dict(self.contig_lengths),
                "source": self.source,
                "sha256": _digest(directory),
            },
        )

    @classmethod
    def read(cls, directory: Path) -> "ModelCard":
        """The card of a model folder.

        Raises:
            InputFormatError: The card is missing, malformed, contradicts itself, or is of another
                format version.
        """
        path = directory / CARD_NAME
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputFormatError(
                f"{path}: not found; expected a folder that enformer_export.py wrote"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputFormatError(
                f"{path}: not valid JSON: {error}; export or copy the model again"
            ) from error
        if not isinstance(value, dict) or value.get("architecture") != ARCHITECTURE:
            raise InputFormatError(
                f"{path}: does not describe an Enformer; expected the entry "
                f'"architecture": "{ARCHITECTURE}"'
            )
        version = value.get("format_version")
        if version != FORMAT_VERSION:
            raise InputFormatError(
                f"{path}: format version {version}, this tfgen ({__version__}) reads "
                f"{FORMAT_VERSION}; use the tfgen version that wrote it ({value.get('tfgen')})"
            )
        try:
            card = cls(
                config=EnformerConfig.from_json(_entry(value, "config", dict)),
                input_length=_entry(value, "input_length", int),
                targets=_map_entry(value, "targets", str),
                contig_lengths=_map_entry(value, "contig_lengths", int),
                source=_entry(value, "source", str),
                sha256=_entry(value, "sha256", str),
            )
            card._check()
        except InputFormatError as error:
            raise InputFormatError(f"{path}: {error}; export the model again") from error
        return card

    def _check(self) -> None:
        config = self.config
        spare = self.input_length - config.sequence_length
        if spare < 0 or spare % 2:
            raise InputFormatError(
                f"input_length {self.input_length} cannot be cropped to the "
                f"{config.sequence_length} bases of sequence_length equally on both sides"
            )
        heads = [name for name, _ in config.heads]
        for organism, name in self.targets.items():
            if organism not in heads or name != Path(name).name or name in ("", ".."):
                raise InputFormatError(
                    f"targets has {organism!r}: {name!r}; expected a file name for one of the "
                    f"heads {', '.join(heads)}"
                )

    def verify(self, directory: Path) -> None:
        """Checks the files of the folder against the card.

        Raises:
            InputMismatchError: A file has changed since the export.
        """
        found = _digest(directory)
        if found != self.sha256:
            raise InputMismatchError(
                f"{directory}: its files do not have the digest in {CARD_NAME} ({found[:12]}, "
                f"expected {self.sha256[:12]}): they changed after the export or were copied "
                "incompletely; export or copy the model again"
            )

    def targets_path(self, directory: Path, organism: str) -> Path | None:
        """The targets table of a head, if the model carries one."""
        name = self.targets.get(organism)
        return None if name is None else directory / name


def _entry(value: Mapping[str, Any], name: str, kind: type) -> Any:
    # The exact type: JSON's true would pass as an int.
    if type(value.get(name)) is not kind:
        raise InputFormatError(f"entry {name!r} is missing or no {kind.__name__}")
    return value[name]


def _map_entry(value: Mapping[str, Any], name: str, kind: type) -> dict[str, Any]:
    entry: dict[str, Any] = _entry(value, name, dict)
    for key, item in entry.items():
        if type(item) is not kind:
            raise InputFormatError(f"{name} has {key!r}: {item!r}; expected {kind.__name__}")
    return entry


def _digest(directory: Path) -> str:
    """Digest of the model's files; hidden ones are left by file browsers and file systems."""
    names = (
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    )
    own = [name for name in names if name != CARD_NAME and not Path(name).name.startswith(".")]
    return sha256_files(directory, own)
