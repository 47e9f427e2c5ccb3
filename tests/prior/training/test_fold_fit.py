import dataclasses
import math

import pytest

from prior.small_stores import write_stores
from prior.training.test_train import config
from tfgen.io import write_json
from tfgen.prior.training import fold_fit, train
from tfgen.prior.training.fit_state import EpochRecord
from tfgen.prior.training.fold_fit import FoldOutcome, FoldSummary
from tfgen.prior.training.train import train_prior


def outcome():
    summary = FoldSummary(
        "chr1", 3, 0, 1, 0, 2, 2, math.nan, (1.0, 1.25), faults=0, converged=False, clipped=0.125
    )
    record = EpochRecord(1, 4, 0.1 + 0.2, math.nan, (1.0, 1.25), 0.3, 0)
    return FoldOutcome(summary, (record, record), "chol", 17)


def test_an_outcome_reads_back_as_it_was(tmp_path):
    assert FoldOutcome.read(tmp_path / "a.json") is None
    write_json(tmp_path / "a.json", dataclasses.asdict(outcome()))
    assert repr(FoldOutcome.read(tmp_path / "a.json")) == repr(outcome())


def test_a_fold_that_is_done_is_not_fitted_again(tmp_path, monkeypatch):
    write_stores(tmp_path, n_blocks=6)
    settings = config(tmp_path, tmp_path / "whole", folds="blocks:2")
    train_prior(settings)
    again = dataclasses.replace(settings, output=tmp_path / "again")
    fitted = []

    def fit_once(job, fold, progress):
        if fitted:
            raise KeyboardInterrupt
        fitted.append(fold.name)
        return fold_fit.fit_fold(job, fold, progress)

    monkeypatch.setattr(train, "fit_fold", fit_once)
    with pytest.raises(KeyboardInterrupt):
        train_prior(again)

    def fit_rest(job, fold, progress):
        fitted.append(fold.name)
        return fold_fit.fit_fold(job, fold, progress)

    monkeypatch.setattr(train, "fit_fold", fit_rest)
    summary = train_prior(again)
    assert fitted == ["group0", "group1"]
    assert [fold.name for fold in summary.folds] == ["group0", "group1"]
    logs = [(tmp_path / name / "log.csv").read_bytes() for name in ("whole", "again")]
    assert logs[0] == logs[1]


def test_a_block_is_decomposed_once_for_all_folds(tmp_path, monkeypatch):
    write_stores(tmp_path, n_blocks=6)
    count = []
    spectrum_of = fold_fit.Spectrum.of

    def counted(q, y):
        count.append(1)
        return spectrum_of(q, y)

    monkeypatch.setattr(fold_fit.Spectrum, "of", counted)
    train_prior(config(tmp_path, tmp_path / "p", folds="blocks:3", fit={"epochs": 1}))
    assert len(count) <= 6
