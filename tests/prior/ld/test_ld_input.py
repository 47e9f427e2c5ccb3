"""What all forms of input have in common."""

from pathlib import Path

import numpy as np
import pytest

from prior.ld_toys import variants
from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable
from tfgen.prior.ld.block_sets import BlockPlan
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_decomposition import Decomposition
from tfgen.prior.ld.ld_input import (
    chosen_chromosomes,
    digests,
    is_wanted,
    make_block,
    options_of,
    require_plans,
    rows_of,
    wanted_variants,
    with_frequencies,
)


def config(**settings):
    return BuildLdConfig(output=Path("o"), bed=Path("b"), **settings)


def plan(rows):
    rows = np.array(rows)
    return BlockPlan("chr22_0_9", "22", 0, 9, 0, 9, rows, np.ones(len(rows), bool))


def test_chromosomes_are_chosen_by_any_of_their_names():
    present = ["1", "2", "X"]
    assert chosen_chromosomes(config(), present, "f") == present
    assert chosen_chromosomes(config(chroms=("chr2", "23")), present, "f") == ["2", "X"]
    with pytest.raises(InputMismatchError, match="f: no variants on chromosome 5; it has 1, 2, X"):
        chosen_chromosomes(config(chroms=("2", "5")), present, "f")


def test_variants_are_wanted_whatever_their_strand_or_order(tmp_path):
    path = tmp_path / "w.bim"
    path.write_text("22 a 0 1 G A\n22 b 0 2 G A\n22 c 0 3 G C\n")
    settings = config(variants=path)
    table = VariantTable.of(["22"] * 4, [1, 2, 3, 4], list("GTGG"), list("ACTA"))
    assert is_wanted(table, wanted_variants(settings), settings).tolist() == [1, 1, 0, 0]
    assert wanted_variants(config()) is None
    assert is_wanted(table, None, config()).all()


def test_frequencies_come_from_the_list_for_the_counted_allele():
    table = VariantTable.of(
        ["22"] * 5, [1, 2, 2, 3, 4], ["G", "A", "AT", "G", "C"], ["A", "AT", "A", "T", "T"]
    )
    listed = VariantTable.of(
        ["22", "22", "22", "21", "22"],
        [1, 2, 4, 3, 9],
        ["A", "A", "G", "G", "C"],
        ["G", "AT", "A", "T", "T"],
        None,
        [0.25, 0.125, 0.5, 0.1, 0.2],
    )
    # Swapped; the same; the deletion beside the insertion that is listed; on another contig; the
    # other strand.
    found = with_frequencies(table, listed, config())
    np.testing.assert_array_equal(found.af, [0.75, 0.125, np.nan, np.nan, 0.5])
    assert found.alt.tolist() == table.alt.tolist()
    assert with_frequencies(table, None, config()) is table
    assert len(with_frequencies(table.take(slice(0, 0)), listed, config())) == 0


def test_a_block_is_made_of_its_plan_and_decomposition():
    found = Decomposition(np.ones((1, 3)), np.ones((1, 3)), np.array([2.5]), 0.125, -0.25)
    block = make_block(plan([4, 5, 6]), variants([1, 2, 3]), found)
    info = block.info
    assert (info.n, info.w, info.k, info.discarded_variance, info.min_eigenvalue) == (
        *(3, 3, 1, 0.125, -0.25),
    )
    assert block.q.dtype == block.p.dtype == np.float32


def test_rows_of_a_part_become_rows_of_the_whole():
    assert rows_of(plan([2, 0]), np.array([10, 11, 12])).rows.tolist() == [12, 10]


def test_nothing_to_do_is_an_error():
    with pytest.raises(InputMismatchError, match="f: no variant lies in a block; check the genome"):
        require_plans([], "f")
    require_plans([plan([0])], "f")


def test_digests_are_of_the_files_that_are_given(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digests(a=tmp_path / "a", b=None) == {"a": empty}


def test_options_are_those_of_the_settings():
    options = options_of(config(eps=0.01, var_kept=0.9, shrink=0.1, ld_fix="clip"))
    assert (options.eps, options.var_kept, options.shrink, options.ld_fix) == (
        0.01,
        0.9,
        0.1,
        "clip",
    )
