from pathlib import Path

import numpy as np
import pytest

from prior.sumstats_by_hand import ledger, records
from tfgen.errors import UsageError
from tfgen.prior.sumstats.harmonise import Harmonised, without_panel
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_filters import drop_low_n, filter_harmonised, least_n


def config(**settings):
    return MungeConfig(
        **{"input": Path("in.txt"), "output": Path("out.tsv"), "palindromic": "keep", **settings}
    )


def filtered(harmonised, **settings):
    counts = ledger()
    found, n_flipped = filter_harmonised(harmonised, config(**settings), counts)
    return found.records.line.tolist(), counts.counts, n_flipped


def test_n_is_compared_with_its_90th_percentile():
    rows = records(*[("1", i, "A", "G") for i in range(1, 12)], n=[666, 667, *[1000] * 9])
    counts = ledger()
    assert least_n(rows.n, config()) == pytest.approx(2000 / 3)
    assert drop_low_n(rows, least_n(rows.n, config()), counts).n.min() == 667
    assert counts.counts == {"LOW_N": 1}
    assert least_n(rows.n, config(min_n_fraction=0)) == 0


def test_the_hla_region_is_left_out_with_both_its_ends():
    rows = [("6", pos, "A", "G") for pos in (27_999_999, 28_000_000, 34_000_000, 34_000_001)]
    found = without_panel(records(*rows, ("5", 30_000_000, "A", "G")))
    assert filtered(found) == ([2, 5, 6], {"HLA": 2}, 0)
    assert filtered(found, keep_hla=True)[0] == [2, 3, 4, 5, 6]


def test_palindromic_variants_are_dropped_or_kept():
    found = without_panel(
        records(("1", 1, "A", "T"), ("1", 2, "C", "G"), ("1", 3, "A", "C"), ("1", 4, "AT", "A"))
    )
    assert filtered(found, palindromic="drop") == ([4, 5], {"PALINDROMIC": 2}, 0)
    assert filtered(found)[0] == [2, 3, 4, 5]


def with_panel_af(rows, panel_af):
    found = without_panel(rows)
    return Harmonised(found.records, found.key, np.array(panel_af, float))


def test_palindromic_variants_can_be_told_by_frequency():
    rows = records(
        ("1", 1, "A", "T", 0.9), ("1", 2, "A", "T", 0.5), ("1", 3, "A", "T"), ("1", 4, "A", "C")
    )
    found = with_panel_af(rows, [0.1, 0.1, 0.1, np.nan])
    lines, counts, n_flipped = filtered(found, palindromic="frequency", panel=Path("p"))
    assert (lines, counts, n_flipped) == ([2, 5], {"PALINDROMIC": 2}, 1)


@pytest.mark.parametrize(
    ("af", "panel_af", "name"), [(np.nan, 0.2, "in.txt"), (0.2, np.nan, "p.bim")]
)
def test_strands_need_frequencies_on_both_sides(af, panel_af, name):
    found = with_panel_af(records(("1", 1, "A", "T", af)), [panel_af])
    with pytest.raises(UsageError, match=f"{name}: no frequencies, which --palindromic=frequency"):
        filtered(found, palindromic="frequency", panel=Path("p.bim"))


def test_frequencies_that_differ_are_dropped_where_both_are_known():
    rows = records(
        *[("1", i, "A", "G", af) for i, af in enumerate((0.1, 0.45, np.nan, 0.9), start=1)]
    )
    found = with_panel_af(rows, [0.25, 0.2, 0.5, np.nan])
    assert filtered(found) == ([2, 4, 5], {"FREQUENCY_DIFFERS": 1}, 0)
    assert filtered(found, max_frequency_difference=0.3)[0] == [2, 3, 4, 5]


def test_a_variant_that_implies_another_variance_is_dropped_on_request():
    # se = 1 / sqrt(2 f (1 - f) N) for a trait of variance 1 and small effects; one is 1.5 times it,
    # so that it implies a variance of 2.25.
    af = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    se = 1 / np.sqrt(2 * af * (1 - af) * 1000)
    se[2] *= 1.5
    rows = [("1", i, "A", "G", value) for i, value in enumerate(af, start=1)]
    found = without_panel(records(*rows, ("1", 9, "A", "G"), se=[*se, 1.0], beta=np.full(6, 0.001)))
    assert filtered(found, qc=True) == ([2, 3, 5, 6, 7], {"VARIANCE_RATIO": 1}, 0)
    assert filtered(found)[1] == {}
    unknown = without_panel(records(("1", 1, "A", "G")))
    assert filtered(unknown, qc=True)[0] == [2]


def test_no_copy_of_a_duplicate_is_kept():
    found = without_panel(
        records(("1", 1, "A", "G"), ("1", 2, "A", "G"), ("1", 1, "G", "A"), ("1", 1, "A", "C"))
    )
    assert filtered(found) == ([3, 5], {"DUPLICATE": 2}, 0)
