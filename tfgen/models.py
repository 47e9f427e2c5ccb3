"""Finds and loads a model by name or by path.

    loaded = load_enformer("enformer")
    loaded.model.embed(one_hot, is_training=False)

A path is a SavedModel folder that tfgen exported, a checkpoint, or a foreign SavedModel. A name
is looked up in the model folder: the environment variable TFGEN_MODELS, by default
~/.cache/tfgen/models.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfgen.enformer.assembly import assembly_of
from tfgen.enformer.card import CARD_NAME
from tfgen.enformer.config import EnformerConfig, is_of_published_size
from tfgen.errors import InputFormatError, UntrustedModelError, UsageError

if TYPE_CHECKING:
    from tfgen.enformer.model import Enformer
    from tfgen.enformer.saved_model import ForeignModel


@dataclass(frozen=True)
class PublishedModel:
    """Published weights: where they are and how they become a tfgen model.

    Attributes:
        name: Name on the command line.
        title: What it is.
        licence: Licence of the weights.
        assembly: Genome that it was trained on.
        download: What to download, one step a line; {folder} is a folder of the user's choice.
        checkpoint: What to give to enformer_export.py.
        citation: Paper.
    """

    name: str
    title: str
    licence: str
    assembly: str
    download: tuple[str, ...]
    checkpoint: str
    citation: str


_SONNET_WEIGHTS = "https://storage.googleapis.com/dm-enformer/models/enformer/sonnet_weights"
_SONNET_NAME = "enformer-fine-tuned-human-1"

PUBLISHED_MODELS = {
    model.name: model
    for model in (
        PublishedModel(
            name="enformer",
            title="Enformer, 5,313 human and 1,643 mouse tracks, fine-tuned on human",
            licence="Apache-2.0",
            assembly="hg38",
            download=(
                "mkdir -p {folder}",
                *(
                    f"curl -L -o {{folder}}/{_SONNET_NAME}.{part} "
                    f"{_SONNET_WEIGHTS}/{_SONNET_NAME}.{part}"
                    for part in ("index", "data-00000-of-00001")
                ),
            ),
            checkpoint=f"{{folder}}/{_SONNET_NAME}",
            citation="Avsec et al. 2021, doi:10.1038/s41592-021-01252-x",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """An Enformer with what is known about it.

    Attributes:
        path: The folder, or the prefix of the checkpoint.
        model: The model with its weights.
        targets: Head -> targets table, for the heads that have one.
        contig_lengths: Lengths of the contigs of the training assembly; may be empty.
    """

    path: Path
    model: "Enformer"
    targets: Mapping[str, Path] = field(default_factory=dict)
    contig_lengths: Mapping[str, int] = field(default_factory=dict)


def load_enformer(model: str | Path) -> LoadedModel:
    """Loads a folder that enformer_export.py wrote, or a checkpoint of either published layout.

    Args:
        model: A name or a path, as for `find_model`.

    Raises:
        InputFormatError: Nothing is there, or it is no Enformer.
        InputMismatchError: Files changed after the export, or do not fit the architecture.
        UsageError: A checkpoint of another size than the published one: it does not say how long
            its windows are.
        UntrustedModelError: A SavedModel that tfgen did not write.
    """
    from tfgen.enformer.checkpoint import CheckpointFile
    from tfgen.enformer.model import Enformer
    from tfgen.enformer.saved_model import load_saved_model

    path = find_model(model)
    if is_exported(path):
        enformer, card = load_saved_model(path)
        targets = {organism: path / name for organism, name in card.targets.items()}
        return LoadedModel(path, enformer, targets, card.contig_lengths)
    if is_saved_model(path):
        require_trust(path, allowed=False)
    checkpoint = CheckpointFile(path)
    config = checkpoint.config()
    _require_published_shape(path, config)
    enformer = Enformer(config)
    checkpoint.restore(enformer)
    return LoadedModel(path, enformer, contig_lengths=assembly_of(config.heads))


def load_foreign(model: str | Path, allow_untrusted: bool) -> "ForeignModel":
    """Loads a SavedModel that tfgen did not write; that runs its code.

    Raises:
        InputFormatError: Nothing is there.
        InputMismatchError: It has no usable `predict_on_batch`.
        UntrustedModelError: The user did not allow it.
    """
    from tfgen.enformer.saved_model import ForeignModel

    path = find_model(model)
    require_trust(path, allow_untrusted)
    return ForeignModel(path)


def _require_published_shape(path: Path, config: EnformerConfig) -> None:
    """Refuses a checkpoint of another model than the published one, since none says its lengths."""
    if not is_of_published_size(config):
        raise UsageError(
            f"{path}: not of the published size ({config.channels} channels, "
            f"{config.num_transformer_layers} transformer layers), and a checkpoint does not say "
            "how long the windows of its model are; export it with its lengths: "
            f"python bin/enformer_export.py --checkpoint={shlex.quote(str(path))} "
            f"--output={shlex.quote(f'{path}_tfgen')} --trunk_length=BASES --target_length=BINS"
        )


def models_folder() -> Path:
    """The folder in which models are looked up by name.

    Raises:
        UsageError: There is no home folder to look in.
    """
    configured = os.environ.get("TFGEN_MODELS")
    try:
        if configured:
            return Path(configured).expanduser()
        return Path.home() / ".cache" / "tfgen" / "models"
    except RuntimeError as error:
        raise UsageError(
            "there is no home folder to look for models in; set TFGEN_MODELS to a folder"
        ) from error


def installation_steps(model: PublishedModel) -> str:
    """The commands, one a line, that download published weights and make them loadable by name."""
    folder = "enformer_weights"
    commands = [command.format(folder=folder) for command in model.download]
    export = (
        f"python bin/enformer_export.py --checkpoint={model.checkpoint.format(folder=folder)} "
        f"--output={shlex.quote(str(models_folder() / model.name))}"
    )
    return "\n".join([*commands, export])


def find_model(model: str | Path) -> Path:
    """The folder or checkpoint prefix that a user means by a name or a path.

    Raises:
        InputFormatError: Nothing is there. For published weights the message says what to
            download and which command to run.
    """
    path = Path(model).expanduser()
    if path.exists() or Path(f"{path}.index").is_file():
        return path
    name = str(model)
    by_name = models_folder() / name
    if os.sep not in name and by_name.is_dir():
        return by_name
    published = PUBLISHED_MODELS.get(name)
    if published is not None:
        steps = "; ".join(installation_steps(published).splitlines())
        raise InputFormatError(
            f"the weights of {name!r} are not in {models_folder()}. To get them (about 1 GB, "
            f"{published.licence}), run: {steps}"
        )
    known = ", ".join(sorted(PUBLISHED_MODELS))
    raise InputFormatError(
        f"no model at {path} and none called {name!r}; give a model folder, a checkpoint, or one "
        f"of: {known}"
    )


def is_exported(path: Path) -> bool:
    """Whether `path` is a folder that tfgen exported."""
    return (path / CARD_NAME).is_file()


def is_saved_model(path: Path) -> bool:
    """Whether `path` is a SavedModel folder, whoever wrote it."""
    return (path / "saved_model.pb").is_file()


def require_trust(path: Path, allowed: bool) -> None:
    """Refuses to run a foreign SavedModel that the user did not allow.

    Raises:
        UntrustedModelError: `allowed` is False; the message has the safe way.
    """
    if not allowed:
        raise UntrustedModelError(
            f"{path}: a SavedModel can run any code, and tfgen did not write this one. If it is an "
            f"Enformer, make a safe and faster copy: python bin/enformer_export.py "
            f"--checkpoint={shlex.quote(str(path))} --output={shlex.quote(f'{path}_tfgen')}; "
            "to run it as it is instead, pass --allow_untrusted_model"
        )
