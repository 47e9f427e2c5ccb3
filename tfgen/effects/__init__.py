"""Variant effects: windows, statistics, the scoring pipeline and the score store."""

from tfgen.effects.config import ScoringConfig
from tfgen.effects.protocol import Engine, EngineFactory, LoadedEngine
from tfgen.effects.results import ScoreSummary
from tfgen.effects.score import score_variants
from tfgen.effects.statistics import STATISTICS, Statistic, central_bins, compute_statistics
from tfgen.effects.store import ScoreStore
from tfgen.effects.targets import TargetTable, read_targets
from tfgen.effects.windows import WindowGeometry

__all__ = [
    "STATISTICS",
    "Engine",
    "EngineFactory",
    "LoadedEngine",
    "ScoreStore",
    "ScoreSummary",
    "ScoringConfig",
    "Statistic",
    "TargetTable",
    "WindowGeometry",
    "central_bins",
    "compute_statistics",
    "read_targets",
    "score_variants",
]
