import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import table, write
from tfgen.errors import InputFormatError, TfgenError
from tfgen.prior.features.bed_features import OPTIONS, BedSource, read_bed
from tfgen.prior.features.source_specs import parse_source

INTERVALS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1])),
    min_size=1,
    max_size=8,
)


def source(text, contigs=("1",)):
    return BedSource(parse_source("bed", str(text), OPTIONS), contigs)


def distance(intervals, start, end):
    """Base by base: 0 on overlap, 1 when adjacent."""
    covered = {base for first, last in intervals for base in range(first, last)}
    return min(abs(a - b) for a in covered for b in range(start, end))


@given(
    INTERVALS, st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5)), min_size=1, max_size=6)
)
def test_overlaps_and_distances_are_those_of_a_loop(tmp_path_factory, intervals, spans):
    path = tmp_path_factory.mktemp("bed") / "x.bed"
    write(path, "".join(f"chr1\t{start}\t{end}\n" for start, end in intervals))
    variants = table(*(f"1:{pos}:{'A' * length}:C" for pos, length in spans))
    values = source(f"{path}:distance=yes").values(variants)
    expected = [distance(intervals, pos - 1, pos - 1 + length) for pos, length in spans]
    assert values[:, 0].tolist() == [float(d == 0) for d in expected]
    np.testing.assert_allclose(values[:, 1], np.log10(1 + np.array(expected, float)), rtol=1e-6)


def test_ends_are_not_part_of_an_interval(tmp_path):
    found = source(write(tmp_path / "x.bed", "1\t10\t20\n"))
    assert found.columns == ("x",)
    variants = table("1:10:A:C", "1:11:A:C", "1:20:A:C", "1:21:A:C", "1:9:AAA:A", "1:9:AA:A")
    assert found.values(variants)[:, 0].tolist() == [0, 1, 1, 0, 1, 0]


def test_a_contig_without_intervals_is_outside_and_its_distance_missing(tmp_path):
    path = write(tmp_path / "x.bed.gz", "chr2\t10\t20\n")
    found = source(f"dhs={path}:distance=yes", ("1",))
    assert found.columns == ("dhs", "dhs.log10_distance")
    np.testing.assert_array_equal(found.values(table("1:15:A:C")), [[0, np.nan]])
    assert "no intervals on the contigs of the variants; it has 2" in found.warnings[0]


def test_headers_comments_and_further_columns_are_skipped(tmp_path):
    text = (
        "chrom start stop\n#x\ntrack name=a\nbrowser hide\n\n1 5 9 name 0.5\nchr1 7 12\n1 30 30\n"
    )
    intervals = read_bed(write(tmp_path / "x.bed", text))
    assert list(intervals) == ["1"]
    assert intervals["1"].starts.tolist() == [5]
    assert intervals["1"].ends.tolist() == [12]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t5\t9\n1\t9\t5\n", "x.bed:2: end 5 is before start 9"),
        ("1\t5\n", "x.bed:1: 2 fields; expected chrom, start, end"),
        ("1\t5\t9.5\n", "x.bed:1: start and end are 5, 9.5; expected whole numbers from 0"),
        ("1\t-5\t9\n", "x.bed:1: start and end are -5, 9"),
        ("chr1\tx\ty\n", "x.bed:1: start and end are x, y"),
        ("1\t5\t99999999999999999\n", "x.bed:1: start and end are"),
        ("#\n", "no intervals; expected BED lines"),
        ("1\t5\t5\n", "no intervals; expected BED lines"),
    ],
)
def test_malformed_lines_are_named(tmp_path, text, message):
    with pytest.raises(InputFormatError, match=message):
        read_bed(write(tmp_path / "x.bed", text))


@given(st.binary(max_size=120))
def test_any_bytes_are_intervals_or_a_known_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bed") / "x.bed"
    path.write_bytes(data)
    try:
        intervals = read_bed(path)
    except TfgenError:
        return
    assert all((found.starts < found.ends).all() for found in intervals.values())


def test_real_ld_blocks_cover_their_chromosome_without_gaps(shared_data):
    """The Berisa-Pickrell blocks of a chromosome touch, so their union is one interval."""
    intervals = read_bed(shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed"))
    assert len(intervals) == 22
    assert len(intervals["22"].starts) == 1
