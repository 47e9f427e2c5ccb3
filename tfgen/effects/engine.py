"""From the settings of a scoring run to an engine that is ready to score."""

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tfgen.effects.config import ScoringConfig
from tfgen.effects.protocol import Engine, LoadedEngine
from tfgen.effects.targets import TargetTable, read_targets
from tfgen.enformer.assembly import assembly_of
from tfgen.errors import UsageError
from tfgen.io import input_fingerprint
from tfgen.models import (
    find_model,
    is_exported,
    is_saved_model,
    load_enformer,
    load_foreign,
    require_trust,
)

_PREFERRED_HEAD = "human"
_BASES_PER_PASS = 393_216
_LEAST_ROWS_PER_PIECE = 8


def load_engine(config: ScoringConfig) -> LoadedEngine:
    """Loads the model of a scoring run.

    An exported model or a checkpoint is scored by the shared-trunk engine. A foreign SavedModel
    is scored by full passes, if the user allows it to run.

    Raises:
        TfgenError: The model cannot be found, trusted, or scored as asked.
    """
    path = find_model(config.model)
    _require_float32()
    if is_saved_model(path) and not is_exported(path):
        return _foreign(path, config)
    return _enformer(config)


def _enformer(config: ScoringConfig) -> LoadedEngine:
    from tfgen.effects.shared_trunk import SharedTrunkEngine
    from tfgen.enformer.digest import model_digest

    loaded = load_enformer(config.model)
    model = loaded.model
    organism = _organism(config, [name for name, _ in model.config.heads])
    n_outputs = model.config.head_tracks(organism)
    table, tracks = _tracks(config, organism, n_outputs)
    batch_size = config.batch_size or max(1, _BASES_PER_PASS // (2 * model.config.sequence_length))
    engine = SharedTrunkEngine(
        model,
        organism,
        config.statistics,
        tracks=tracks,
        windows=config.windows,
        batch_size=batch_size,
        notify=_tell,
    )
    if batch_size > 1:
        engine.probe()
    own_targets = loaded.targets.get(organism)
    names = table or (_own_names(own_targets, organism, n_outputs) if own_targets else None)
    return _loaded(
        engine,
        names,
        {
            "model_sha256": model_digest(model),
            "engine": "shared_trunk",
            "organism": organism,
            "n_coding": "zeros",
        },
        loaded.contig_lengths,
        engine.batch_size,
    )


def _foreign(path: Path, config: ScoringConfig) -> LoadedEngine:
    from tfgen.effects.full_pass import FullPassEngine

    require_trust(path, config.allow_untrusted_model)
    fingerprint = input_fingerprint(path)
    _tell(f"running the foreign SavedModel {path}, sha256 {fingerprint['sha256']}")
    model = load_foreign(path, config.allow_untrusted_model)
    # TensorFlow loads them in an order that changes from process to process.
    organism = _organism(config, sorted(model.heads))
    table, tracks = _tracks(config, organism, model.heads[organism])
    return _loaded(
        FullPassEngine(model, organism, config.statistics, tracks=tracks),
        table,
        {
            "model_sha256": str(fingerprint["sha256"]),
            "engine": "full_pass",
            "organism": organism,
            "n_coding": "zeros",
        },
        assembly_of(tuple(model.heads.items())),
        1,
    )


def _loaded(
    engine: Engine,
    table: TargetTable | None,
    provenance: dict[str, str],
    contig_lengths: Mapping[str, int],
    batch_size: int,
) -> LoadedEngine:
    provenance["onednn"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")
    provenance["device"] = _device()
    numbers = [str(track) for track in range(engine.n_tracks)]
    return LoadedEngine(
        engine=engine,
        provenance=provenance,
        track_ids=table.identifiers if table else numbers,
        track_labels=table.descriptions if table else numbers,
        warnings=table.warnings if table else (),
        contig_lengths=contig_lengths,
        rows_per_step=2 * batch_size,
        rows_per_piece=max(_LEAST_ROWS_PER_PIECE, 4 * batch_size),
    )


def _device() -> str:
    """What computes: `CPU`, or the name of the GPU, as which TensorFlow uses the first one."""
    import tensorflow as tf

    for gpu in tf.config.list_logical_devices("GPU")[:1]:
        physical = tf.config.list_physical_devices("GPU")[0]
        details = tf.config.experimental.get_device_details(physical)
        return str(details.get("device_name", gpu.name))
    return "CPU"


def _require_float32() -> None:
    """Switches TF32 off: a score is a small difference of large sums."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(False)


def _organism(config: ScoringConfig, heads: list[str]) -> str:
    if config.organism:
        if config.organism not in heads:
            raise UsageError(
                f"no head is called {config.organism!r}; this model has {', '.join(heads)}"
            )
        return config.organism
    return _PREFERRED_HEAD if _PREFERRED_HEAD in heads else heads[0]


def _tracks(
    config: ScoringConfig, organism: str, n_outputs: int
) -> tuple[TargetTable | None, tuple[int, ...] | None]:
    """The table that the user gave, checked against the head, and its outputs."""
    if config.targets is None:
        return None, None
    table = read_targets(config.targets)
    table = table.for_head(n_outputs, organism)
    return table, table.indices


def _own_names(path: Path, organism: str, n_outputs: int) -> TargetTable | None:
    """The model's own table, which must name every output in order."""
    # Without an index column it was taken in order at the export already: no warning here.
    table = dataclasses.replace(read_targets(path), warnings=())
    table = table.for_head(n_outputs, organism)
    return table if table.indices == tuple(range(n_outputs)) else None


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
