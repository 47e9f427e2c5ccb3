"""One digest for what a model computes, wherever it was stored."""

import hashlib
import json

import numpy as np

from tfgen.enformer.keys import published_variables
from tfgen.enformer.model import Enformer

_TRAINING_ONLY = ("dropout_rate", "attention_dropout_rate", "positional_dropout_rate")
_AVERAGE_STATES = ("_counter", "_hidden")


def model_digest(model: Enformer) -> str:
    """SHA-256, in hex, of architecture and weights: of all that decides predictions.

    The same for a checkpoint of either layout, its export and the export of that export, whatever
    files they make. What matters in training alone (dropout, the state of running averages) does
    not count.
    """
    config = {key: v for key, v in model.config.to_json().items() if key not in _TRAINING_ONLY}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for item in sorted(published_variables(model), key=lambda item: item.sonnet):
        if item.sonnet.rpartition("/")[2] in _AVERAGE_STATES:
            continue
        value = np.ascontiguousarray(item.variable.numpy(), "<f4")
        digest.update(f"\n{item.sonnet} {value.shape}\n".encode())
        digest.update(value.data)
    return digest.hexdigest()
