"""The Enformer model: architecture, checkpoints, SavedModels, training.

Modules that compute import TensorFlow, so nothing of theirs is re-exported here: import them by
name, for example `from tfgen.enformer.model import Enformer`.
"""

from tfgen.enformer.card import ModelCard
from tfgen.enformer.config import BIN_SIZE, EnformerConfig

__all__ = ["BIN_SIZE", "EnformerConfig", "ModelCard"]
