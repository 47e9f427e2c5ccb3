"""Multiply-accumulates of the published model, as counted by the TensorFlow profiler."""

import pytest

from bench.costs import engine_costs, plain_costs, tower_costs
from tfgen.enformer.config import EnformerConfig

PUBLISHED = EnformerConfig()
GIGA = 1e9


def test_the_plain_pass_costs_what_the_profiler_counts():
    # 3.29 TFLOP for one sequence with both heads; the mouse head is 4.52 GMAC of it.
    costs = plain_costs(PUBLISHED, "human")
    assert costs.tower / GIGA == pytest.approx(1274.40, abs=0.005)
    assert costs.blocks / GIGA == pytest.approx(348.79, abs=0.005)
    assert costs.head / GIGA == pytest.approx(4.23 + 14.62, abs=0.01)


def test_pooling_by_the_difference_of_a_pair_saves_half_of_its_products():
    saved = plain_costs(PUBLISHED, "human").tower - engine_costs(PUBLISHED, 896, 5313).tower
    assert saved / GIGA == pytest.approx(272.80 / 2, abs=0.01)


def test_the_engine_projects_no_positions_and_only_the_distances_and_queries_it_needs():
    plain, engine = plain_costs(PUBLISHED, "human"), engine_costs(PUBLISHED, 896, 5313)
    positions = 11 * 3071 * 192 * 512
    distances = 11 * 1536 * 512 * 1535
    # The last block asks for 896 of 1,536 bins: all but keys and values shrink with them.
    queries = (1536 - 896) * (1536 * 512 + 512 * 1536 * 2 + 1536 * 1536 + 5 * 1536 * 1536)
    assert plain.blocks - engine.blocks == positions + distances + queries


def test_a_local_block_is_a_small_part_of_the_tower():
    share = tower_costs(PUBLISHED, 12, 0.5) / tower_costs(PUBLISHED, 1536, 0.5)
    assert share == pytest.approx(12 / 1536)
