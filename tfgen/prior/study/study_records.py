"""What a study has found so far: one small file for every fit, each appearing by rename."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tfgen.errors import OutputError
from tfgen.io import write_json
from tfgen.prior.study.study_config import ARCHITECTURES, OBJECTIVES, Setting, StudyConfig


@dataclass(frozen=True)
class FitKey:
    """Which fit.

    Attributes:
        setting: The data set.
        objective: `mll` or `ldsr`.
        arch: `linear` or `mlp`.
        rate: Learning rate.
    """

    setting: Setting
    objective: str
    arch: str
    rate: float

    @property
    def file_name(self) -> str:
        """Name of its record."""
        return f"{_stem(self.setting)}-{self.objective}-{self.arch}-{self.rate!r}.json"


@dataclass(frozen=True)
class FitRecord:
    """How a fit went.

    Attributes:
        best_epoch: The epoch whose parameters were kept, 0 for the start.
        epochs: Epochs that were run.
        held_out_nll: Negative log-likelihood per held-out z-score at the best epoch; infinite where
            the fit diverged.
        test_nll: Negative log-likelihood of the test blocks, in sum; infinite where it diverged.
    """

    best_epoch: int
    epochs: int
    held_out_nll: float
    test_nll: float


@dataclass(frozen=True)
class Reference:
    """What the fits to a data set are compared with.

    Attributes:
        constant_f: The best constant, by maximum likelihood on all that is not tested on.
        constant_nll: Its negative log-likelihood of the test blocks, in sum.
        oracle_nll: That of the truth.
        n_test: z-scores of the test blocks.
        mean_chisq: Mean z^2 of all blocks.
    """

    constant_f: float
    constant_nll: float
    oracle_nll: float
    n_test: int
    mean_chisq: float

    def gain(self, nll: float) -> float:
        """Log-likelihood above the best constant, per 1,000 test z-scores."""
        return 1000.0 * (self.constant_nll - nll) / self.n_test


class Records:
    """The records of a study in a folder.

    Args:
        folder: Where they are, or will be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, key: FitKey) -> bool:
        """Whether a fit is done."""
        return (self._folder / key.file_name).is_file()

    def has_reference(self, setting: Setting) -> bool:
        """Whether the comparisons of a data set are done."""
        return self._reference(setting).is_file()

    def save(self, key: FitKey, record: FitRecord) -> None:
        """Keeps a fit.

        Raises:
            OutputError: It cannot be written.
        """
        write_json(self._folder / key.file_name, dataclasses.asdict(record))

    def save_reference(self, setting: Setting, reference: Reference) -> None:
        """Keeps what fits are compared with.

        Raises:
            OutputError: It cannot be written.
        """
        write_json(self._reference(setting), dataclasses.asdict(reference))

    def fit(self, key: FitKey) -> FitRecord:
        """How a fit went."""
        values = _read(self._folder / key.file_name)
        # JSON has no infinity.
        for name in ("held_out_nll", "test_nll"):
            values[name] = float("inf") if values[name] is None else values[name]
        return FitRecord(**values)

    def reference(self, setting: Setting) -> Reference:
        """What the fits to a data set are compared with."""
        return Reference(**_read(self._reference(setting)))

    def count(self, config: StudyConfig) -> int:
        """Fits of a study that are done."""
        return sum(self.has(key) for setting in config.settings for key in keys(config, setting))

    def _reference(self, setting: Setting) -> Path:
        return self._folder / f"{_stem(setting)}.json"


@dataclass(frozen=True)
class StudyResults:
    """All records of a finished study.

    Attributes:
        config: Its settings.
        references: For every data set.
        fits: For every fit.
    """

    config: StudyConfig
    references: dict[Setting, Reference]
    fits: dict[FitKey, FitRecord]

    @classmethod
    def read(cls, config: StudyConfig, records: Records) -> Self:
        """Reads all of them."""
        settings = config.settings
        fits = {key: records.fit(key) for s in settings for key in keys(config, s)}
        return cls(config, {s: records.reference(s) for s in settings}, fits)

    def chosen(self, setting: Setting, objective: str, arch: str) -> FitKey:
        """The fit with the best held-out likelihood; the first of equal ones."""
        rates = (FitKey(setting, objective, arch, rate) for rate in self.config.rates)
        return min(rates, key=lambda key: self.fits[key].held_out_nll)

    def gain(self, setting: Setting, objective: str, arch: str) -> float:
        """Gain of the chosen fit over the best constant, per 1,000 test z-scores."""
        record = self.fits[self.chosen(setting, objective, arch)]
        return self.references[setting].gain(record.test_nll)


def keys(config: StudyConfig, setting: Setting) -> Iterator[FitKey]:
    """The fits to one data set."""
    for objective in OBJECTIVES:
        for arch in ARCHITECTURES:
            for rate in config.rates:
                yield FitKey(setting, objective, arch, rate)


def _stem(setting: Setting) -> str:
    return f"{setting.truth}-{setting.mean_f!r}-{setting.seed}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise OutputError(f"{path}: is damaged; remove it and run the study again") from error
