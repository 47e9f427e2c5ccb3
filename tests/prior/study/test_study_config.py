from pathlib import Path

import pytest

from tfgen.errors import UsageError
from tfgen.prior.study.study_config import Setting, StudyConfig


def config(**options):
    return StudyConfig(**{"output": Path("study"), "ld": Path("ld"), **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"truths": ("round",)}, "truths has 'round'; use one of ushape, linear"),
        ({"truths": ()}, "truths is \\(\\)"),
        ({"mean_f": (0.2, 0.2)}, "none of them twice"),
        ({"mean_f": (0.2, 0.0)}, "numbers above 0"),
        ({"rates": (float("inf"),)}, "numbers above 0"),
        ({"hidden": (0,)}, "numbers above 0"),
        ({"test_chrom": ()}, "test_chrom is"),
        ({"sd": 0.0}, "sd is 0.0"),
        ({"var_kept": 1.5}, "var_kept is 1.5"),
        ({"ld": None}, "give either the LD"),
        ({"bed": Path("a.bed")}, "give either the LD"),
        ({"ld": None, "bed": Path("a.bed")}, "--bed needs --block_file"),
        ({"fam": Path("a.fam")}, "--fam has no use with --ld"),
    ],
)
def test_settings_without_a_meaning_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        config(**options)


def test_every_seed_has_every_truth_and_mean_before_the_next_begins():
    settings = config(seeds=2, mean_f=(0.2, 2.0), control_mean_f=()).settings
    assert settings[:4] == (
        Setting("ushape", 0.2, 0),
        Setting("ushape", 2.0, 0),
        Setting("linear", 0.2, 0),
        Setting("linear", 2.0, 0),
    )
    assert [setting.seed for setting in settings] == [0] * 4 + [1] * 4


def test_the_control_has_means_of_its_own():
    settings = config(seeds=1, mean_f=(0.2, 2.0), control_mean_f=(0.5,)).settings
    assert settings == (
        Setting("ushape", 0.2, 0),
        Setting("ushape", 2.0, 0),
        Setting("linear", 0.5, 0),
    )
    assert config(quick=True).effective.means_of("linear") == (0.5,)


def test_equal_widths_are_no_fault_and_all_fits_are_counted():
    assert config(hidden=(16, 16), rates=(0.1, 0.2)).fits_per_setting == 2 * 2 * 2


def test_quick_decides_seeds_means_and_epochs_only():
    whole = config(quick=True, seeds=7, sd=2.0)
    quick = whole.effective
    assert (quick.seeds, quick.mean_f, quick.epochs) == (3, (0.5,), 8)
    assert (quick.sd, quick.rates, quick.truths) == (2.0, whole.rates, whole.truths)
    slow = config(seeds=7)
    assert slow.effective == slow


def test_where_a_study_runs_does_not_decide_its_results():
    one, other = config(jobs=1), config(jobs=4, output=Path("elsewhere"), progress="none")
    assert one.deciding() == other.deciding()
    assert one.deciding() != config(sd=2.0).deciding()
