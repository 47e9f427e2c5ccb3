import numpy as np
import pytest

from prior.outputs.test_eval_trait import block
from tfgen.io import read_table
from tfgen.prior.outputs.calibration import Enrichment, Group
from tfgen.prior.outputs.eval_tables import number, write_blocks, write_deciles, write_enrichments
from tfgen.prior.outputs.held_out import TraitResult
from tfgen.prior.training.traits import Trait


def read(path):
    return read_table(path, comment="#")


def test_blocks_have_a_row_per_trait(tmp_path):
    results = [
        TraitResult(Trait(name, 1e3, {}, {}), (block(0, 1.0), block(1, 2.0)), {}, {})
        for name in ("height", "bmi")
    ]
    write_blocks(tmp_path / "blocks.tsv", results)
    table = read(tmp_path / "blocks.tsv")
    assert table["TRAIT"] == ["height", "height", "bmi", "bmi"]
    assert table["BLOCK"] == ["b0", "b1"] * 2
    assert table["TEST"] == ["folds"] * 4
    assert table["FOLD"] == ["chr22"] * 4
    assert table["LLR_CONSTANT"] == ["1", "2", "1", "2"]
    assert table["LLR_NO_EFFECTS"] == ["3", "6", "3", "6"]
    residuals = block(1, 2.0).residuals
    assert float(table["MAHALANOBIS"][1]) == pytest.approx(residuals @ residuals, rel=1e-7)
    assert float(table["MAHALANOBIS_PER_K"][1]) == pytest.approx((residuals**2).mean(), rel=1e-7)
    total = float(table["P_UPPER"][0]) + float(table["P_LOWER"][0])
    assert total == pytest.approx(1, abs=1e-6)


def test_tenths_are_numbered_for_every_trait(tmp_path):
    group = Group(10, 0.5, 2.0, 1.9, 1.05, 0.1, 0.98, float("nan"))
    groups = {("a", "folds"): [group, group], ("b", "final"): [group]}
    write_deciles(tmp_path / "deciles.tsv", groups)
    table = read(tmp_path / "deciles.tsv")
    assert (table["TRAIT"], table["DECILE"]) == (["a", "a", "b"], ["1", "2", "1"])
    assert table["TEST"] == ["folds", "folds", "final"]
    assert (table["Z2_RATIO"][0], table["EM_RATIO_SE"][0]) == ("1.05", "NA")


def test_enrichments_have_a_header_even_without_annotations(tmp_path):
    key = ("a", "folds")
    write_enrichments(tmp_path / "e.tsv", {key: [Enrichment("coding", 5, 0.1, 2.0, 4.0, 0.3)]})
    table = read(tmp_path / "e.tsv")
    assert (table["ANNOTATION"], table["ENRICHMENT"], table["N"]) == (["coding"], ["4"], ["5"])
    assert (table["TRAIT"], table["TEST"]) == (["a"], ["folds"])
    write_enrichments(tmp_path / "none.tsv", {key: []})
    assert list(read(tmp_path / "none.tsv")) == list(table)


def test_numbers_have_eight_digits():
    assert number(np.pi * 1e-9) == "3.1415927e-09"
    assert number(float("nan")) == "NA"
