"""LD blocks: every variant is observed exactly once, or listed."""

import gzip
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.ld_toys import variants
from tfgen.errors import InputFormatError, TfgenError, UsageError
from tfgen.genome import VariantTable
from tfgen.prior.ld.block_sets import (
    Region,
    plan_blocks,
    read_block_bed,
    read_windows,
    sliding_windows,
    whole_chromosomes,
    with_centres,
)

MB = 1_000_000


def observed(blocks):
    """How often each row is observed."""
    rows = [row for plan in blocks.plans for row in plan.rows[plan.in_centre].tolist()]
    return sorted(rows)


def test_a_window_observes_its_middle_megabase():
    regions = sliding_windows(variants([16_500_000, 22_500_000]))
    assert [region.id for region in regions][:2] == [
        "chr22_16000000_19000000",
        "chr22_17000000_20000000",
    ]
    assert (regions[1].centre_start, regions[1].centre_end) == (18 * MB, 19 * MB)
    # The first and the last reach to the edges.
    assert (regions[0].centre_start, regions[0].centre_end) == (16 * MB, 18 * MB)
    assert (regions[-1].centre_start, regions[-1].centre_end) == (21 * MB, 23 * MB)
    assert regions[-1].end == 23 * MB


def test_the_centre_is_half_open_in_1_based_positions():
    # Position 18,000,001 is the first base of the centre [START + 1 Mb, START + 2 Mb) of the
    # window with START = 17,000,001.
    table = variants([16 * MB + 1, 18 * MB, 18 * MB + 1, 19 * MB, 19 * MB + 1, 25 * MB])
    blocks = plan_blocks(table, sliding_windows(table))
    plan = next(plan for plan in blocks.plans if plan.id == "chr22_17000000_20000000")
    assert table.pos[plan.rows[plan.in_centre]].tolist() == [18 * MB + 1, 19 * MB]


def test_one_window_is_enough_for_a_short_contig():
    table = variants([5, 2 * MB])
    (region,) = sliding_windows(table)
    assert region == Region("22", 0, 3 * MB, 0, 3 * MB)


positions = st.lists(st.integers(1, 12 * MB), min_size=1, max_size=40)


@given(positions, positions, st.sampled_from([(3 * MB, MB), (2 * MB, MB // 2), (700, 100)]))
def test_sliding_windows_observe_every_variant_once(first, second, lengths):
    if lengths[0] < MB:
        first, second = [1 + p % 5000 for p in first], [1 + p % 5000 for p in second]
    table = VariantTable.of(
        ["X"] * len(first) + ["2"] * len(second),
        first + second,
        ["A"] * len(first + second),
        ["C"] * len(first + second),
    )
    blocks = plan_blocks(table, sliding_windows(table, *lengths))
    assert observed(blocks) == list(range(len(table)))
    assert blocks.without_block.size == 0
    flank = (lengths[0] - lengths[1]) // 2
    for plan in blocks.plans:
        assert np.all(np.diff(table.pos[plan.rows]) >= 0)
        assert plan.n == len(plan.rows)
        assert plan.w == plan.in_centre.sum() > 0
        # All variants within a flank of an observed one are in the window, unless the contig ends.
        for pos in table.pos[plan.rows[plan.in_centre]]:
            near = (table.chrom == plan.chrom) & (np.abs(table.pos - pos) <= flank - 1)
            assert set(np.flatnonzero(near)) <= set(plan.rows.tolist())
    chroms = [plan.chrom for plan in blocks.plans]
    assert chroms == sorted(chroms, key=["2", "X"].index)


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(1, 40 * MB), min_size=1, max_size=60),
)
def test_with_any_windows_missing_every_variant_is_observed_once_or_listed(starts, places):
    table = variants(places)
    regions = with_centres("22", [(start * MB, (start + 3) * MB) for start in starts])
    blocks = plan_blocks(table, regions)
    inside = [
        row
        for row, pos in enumerate(places)
        if any(start * MB < pos <= (start + 3) * MB for start in starts)
    ]
    assert observed(blocks) == inside
    assert blocks.without_block.tolist() == sorted(set(range(len(places))) - set(inside))


def test_windows_beside_a_gap_observe_up_to_its_edge():
    regions = with_centres("6", [(24 * MB, 27 * MB), (25 * MB, 28 * MB), (33 * MB, 36 * MB)])
    centres = [(region.centre_start // MB, region.centre_end // MB) for region in regions]
    assert centres == [(24, 26), (26, 28), (33, 36)]


def test_one_missing_window_is_shared_by_its_neighbours():
    regions = with_centres("1", [(0, 3 * MB), (2 * MB, 5 * MB)])
    assert regions[0].centre_end == regions[1].centre_start == 5 * MB // 2


def test_the_published_list_of_windows(shared_data):
    path = shared_data("gwas_ld/polyfun/ukb_regions.tsv.gz")
    regions = read_windows(path)
    assert len(regions) == 2763
    of = {chrom: [r for r in regions if r.chrom == chrom] for chrom in map(str, range(1, 23))}
    starts = {chrom: {region.start // MB for region in found} for chrom, found in of.items()}

    def gaps(chrom):
        return sorted(set(range(min(starts[chrom]), max(starts[chrom]))) - starts[chrom])

    # The long-range LD of chromosome 6 (with the HLA), 8 and 11 has no matrices; 1, 9 and 16 have
    # none at their centromeres; chromosome 17 is complete.
    assert gaps("6") == list(range(26, 33))
    assert gaps("8") == [8, 9]
    assert gaps("11") == list(range(47, 55))
    assert gaps("17") == []
    assert len(of["17"]) == 82
    assert [chrom for chrom in of if gaps(chrom)] == ["1", "6", "8", "9", "11", "16"]
    by_start = {region.start // MB: region for region in of["6"]}
    assert by_start[25].centre_end == 28 * MB
    assert by_start[33].centre_start == 33 * MB
    # Where there is no gap the centre is the middle megabase.
    middle = [r for r in of["17"][1:-1] if r.centre_start != r.start + MB]
    assert middle == []
    assert of["17"][0].centre_start == 0
    assert of["17"][-1].centre_end == of["17"][-1].end == 84 * MB
    # One variant per 100 kb of chromosome 6: those between 28 and 33 Mb are in no window.
    table = variants(range(50_000, 171 * MB, 100_000), chrom="6")
    blocks = plan_blocks(table, of["6"])
    outside = table.pos[blocks.without_block]
    assert (outside.min(), outside.max(), len(outside)) == (28_050_000, 32_950_000, 50)
    assert observed(blocks) == sorted(set(range(len(table))) - set(blocks.without_block.tolist()))


def test_blocks_of_a_bed_do_not_overlap_and_are_all_centre(shared_data):
    regions = read_block_bed(shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed"))
    # 1,703 blocks in 1,704 lines, of Berisa and Pickrell 2016.
    assert len(regions) == 1703
    assert regions[0] == Region("1", 10583, 1892607, 10583, 1892607)
    assert [region.chrom for region in regions[-2:]] == ["22", "22"]


@pytest.mark.parametrize("header", ["", "chrom start stop\n", "chr\tchromStart\tchromEnd\n"])
def test_bed_coordinates_are_0_based_and_half_open(tmp_path, header):
    path = tmp_path / "b.bed"
    path.write_text(f"{header}# comment\nchr2\t200\t300\n2 100 200 name\n\nchr1 0 50\n")
    table = VariantTable.of(
        ["2", "2", "2", "2", "1", "1", "3"],
        [100, 101, 200, 201, 50, 51, 7],
        ["A"] * 7,
        ["C"] * 7,
    )
    regions = read_block_bed(path)
    assert [region.id for region in regions] == ["chr1_0_50", "chr2_100_200", "chr2_200_300"]
    blocks = plan_blocks(table, regions)
    assert [plan.rows.tolist() for plan in blocks.plans] == [[4], [1, 2], [3]]
    assert blocks.without_block.tolist() == [0, 5, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 100\n1 99 200\n", r"1:0-100 and 1:99-200 overlap; blocks must not"),
        ("1 0 100\n1 0 100\n", "overlap"),
        ("1 0 100\n1 x 200\n", r"b\.bed:2: '1 x 200'; expected contig, start and end"),
        ("1 0\n", "expected contig, start and end"),
        ("1 0 100\n1 5\n", r"b\.bed:2: '1 5'"),
        ("1 100 100\n", "start 100, end 100; expected 0 <= start < end"),
        ("1 -5 100\n", "start -5"),
        ("", "no blocks"),
    ],
)
def test_malformed_blocks_are_refused(tmp_path, text, message):
    path = tmp_path / "b.bed"
    path.write_text(text)
    with pytest.raises(InputFormatError, match=message):
        read_block_bed(path)


def test_windows_are_1_based_in_the_file(tmp_path):
    path = tmp_path / "w.tsv.gz"
    path.write_bytes(gzip.compress(b"CHR\tSTART\tEND\tURL_PREFIX\n22\t1\t3000001\tx\n"))
    assert read_windows(path) == [Region("22", 0, 3 * MB, 0, 3 * MB)]
    path.write_bytes(gzip.compress(b"22\t0\t3000001\n"))
    with pytest.raises(InputFormatError, match="start 0, end 3000001; expected 1 <= start"):
        read_windows(path)


@pytest.mark.parametrize("inner", [(10, 20), (0, 50), (50, 100), (0, 100)])
def test_windows_within_each_other_are_refused(inner):
    with pytest.raises(InputFormatError, match="within each other"):
        with_centres("1", [(0, 100), inner])


def test_windows_that_overlap_by_all_but_a_base_have_centres_too():
    regions = with_centres("1", [(i, 100 + i) for i in range(5)])
    assert [region.centre_end - region.centre_start for region in regions] == [50, 1, 1, 1, 51]


def test_overlapping_centres_are_refused():
    table = variants([50])
    regions = [Region("22", 0, 100, 0, 100), Region("22", 10, 110, 10, 110)]
    with pytest.raises(UsageError, match=r"22:50:.* would be observed twice"):
        plan_blocks(table, regions)


@pytest.mark.parametrize("lengths", [(3, 3), (3, 0), (4, 1)])
def test_windows_that_have_no_middle_are_refused(lengths):
    with pytest.raises(UsageError, match="expected a shorter centre"):
        sliding_windows(variants([5]), *lengths)


def test_whole_chromosomes_and_unplaced_variants():
    table = VariantTable.of(["2", "1", "2", "0", "1"], [7, 5, 3, 9, 0], ["A"] * 5, ["C"] * 5)
    regions = whole_chromosomes(table)
    assert [region.id for region in regions] == ["chr1_4_5", "chr2_2_7"]
    blocks = plan_blocks(table, regions)
    assert [plan.rows.tolist() for plan in blocks.plans] == [[1], [2, 0]]
    assert blocks.without_block.tolist() == [3, 4]
    assert all(region.start >= 0 for region in sliding_windows(table))


@given(st.text(alphabet="chr12 \t\n#-X.0", max_size=60))
def test_any_text_is_blocks_or_an_error_of_ours(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.bed"
    path.write_text(text)
    with suppress(TfgenError):
        assert read_block_bed(path)
