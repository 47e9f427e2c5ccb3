import math

import pytest

from prior.study_toys import made_up, small
from tfgen.errors import OutputError
from tfgen.prior.study.study_records import (
    FitKey,
    FitRecord,
    Records,
    Reference,
    StudyResults,
    keys,
)


def test_what_is_saved_is_read(tmp_path):
    config = small(tmp_path, seeds=1)
    (setting,) = config.settings
    records = Records(tmp_path)
    first, *others = keys(config, setting)
    assert not records.has(first)
    assert not records.has_reference(setting)
    good, bad = FitRecord(3, 7, 1.25, 600.5), FitRecord(0, 1, math.inf, math.inf)
    records.save(first, good)
    assert (records.fit(first), records.count(config)) == (good, 1)
    for key in others:
        records.save(key, bad)
    assert records.fit(others[0]) == bad
    reference = Reference(0.1, 2.0, 1.0, 5, 1.5)
    records.save_reference(setting, reference)
    results = StudyResults.read(config, records)
    assert results.references == {setting: reference}
    assert results.fits == {first: good, **dict.fromkeys(others, bad)}


def test_every_fit_has_a_file_of_its_own(tmp_path):
    config = small(tmp_path, mean_f=(0.2, 0.25), truths=("ushape", "linear"), rates=(0.01, 0.1))
    names = [key.file_name for setting in config.settings for key in keys(config, setting)]
    assert len(set(names)) == len(names) == 2 * 2 * 2 * 8


def test_a_damaged_record_says_what_to_do(tmp_path):
    config = small(tmp_path)
    key = next(keys(config, config.settings[0]))
    (tmp_path / key.file_name).write_text("{")
    with pytest.raises(OutputError, match=f"{key.file_name}: is damaged; remove it"):
        Records(tmp_path).fit(key)


def test_the_rate_is_chosen_by_the_held_out_likelihood_not_the_test(tmp_path):
    config = small(tmp_path, seeds=1, rates=(0.1, 0.2, 0.3))
    results = made_up(config, lambda key: 1.0)
    (setting,) = config.settings
    held_out = {0.1: 1.0, 0.2: 0.9, 0.3: 0.9}
    test = {0.1: 700.0, 0.2: 950.0, 0.3: 700.0}
    for key in results.fits:
        results.fits[key] = FitRecord(1, 1, held_out[key.rate], test[key.rate])
    assert results.chosen(setting, "mll", "mlp") == FitKey(setting, "mll", "mlp", 0.2)
    assert results.gain(setting, "mll", "mlp") == pytest.approx(1000 * (1000 - 950) / 1000)
