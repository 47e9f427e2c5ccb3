import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import table, write
from tfgen.errors import InputFormatError
from tfgen.prior.features.distance_features import OPTIONS, DistanceSource
from tfgen.prior.features.source_specs import parse_source


def source(text, contigs=("1",)):
    return DistanceSource(parse_source("distance_to", str(text), OPTIONS), contigs)


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=8),
    st.lists(st.integers(1, 90), min_size=1, max_size=8),
)
def test_the_nearest_point_is_that_of_a_loop(tmp_path_factory, points, sites):
    path = tmp_path_factory.mktemp("points") / "tss.tsv"
    write(path, "chromosome\tposition\tgene\n" + "".join(f"chr1\t{p}\tg\n" for p in points))
    values = source(path).values(table(*(f"1:{pos}:A:C" for pos in sites)))[:, 0]
    expected = [np.log10(1 + min(abs(pos - point) for point in points)) for pos in sites]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_contigs_without_a_point_are_missing(tmp_path):
    found = source(write(tmp_path / "tss.csv", "chrom,tss\n1,5\n"), ("1", "2"))
    assert found.columns == ("log10_distance_to_tss",)
    assert "no position on the contigs 2" in found.warnings[0]
    np.testing.assert_array_equal(found.values(table("2:5:A:C", "1:5:A:C")), [[np.nan], [0]])


def test_columns_are_named_or_counted(tmp_path):
    path = write(tmp_path / "genes.csv", "g1,1,100,A,+\n")
    found = source(f"tss={path}:header=no:chrom=2:pos=3")
    assert found.columns == ("log10_distance_to_tss",)
    np.testing.assert_allclose(found.values(table("1:109:A:C")), [[1.0]])
    with pytest.raises(InputFormatError, match="no column for chrom, pos; it has 1, 2, 3, 4, 5"):
        source(f"{path}:header=no")


def test_positions_that_are_none_are_named(tmp_path):
    with pytest.raises(InputFormatError, match="tss.tsv:2: pos is 0; expected a position from 1"):
        source(write(tmp_path / "tss.tsv", "chrom\tpos\n1\t0\n"))


def test_real_genes(shared_data):
    """gene_list.csv: ENSG00000000457 starts at 169,863,408 of chromosome 1."""
    path = shared_data("predictions/gene_list.csv")
    found = source(f"{path}:header=no:chrom=2:pos=3")
    values = found.values(table("1:169863408:A:C", "1:169863417:A:C"))
    np.testing.assert_allclose(values[:, 0], [0, 1], rtol=1e-6)
