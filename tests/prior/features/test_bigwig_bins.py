import numpy as np
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import bigwig, table, write
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.prior.features import bigwig_bins
from tfgen.prior.features.bigwig_bins import BigwigSignal, base_bins, bin_label, symmetric_bins
from tfgen.prior.features.source_specs import parse_source


def signal(path, bins, transform="none", contigs=("1",)):
    return BigwigSignal(parse_source("bigwig", str(path)), bins, transform, contigs)


def test_bins_widen_symmetrically():
    bins = symmetric_bins((1, 16, 64, 256, 1024))
    assert [bin_label(*edges) for edges in bins] == [
        "-1360..-337",
        "-336..-81",
        "-80..-17",
        "-16..-1",
        "0",
        "1..16",
        "17..80",
        "81..336",
        "337..1360",
    ]
    assert symmetric_bins((4, 2)) == ((-4, -2), (-2, 2), (2, 4))
    assert base_bins(4) == ((-2, -1), (-1, 0), (0, 1), (1, 2))
    assert base_bins(3) == ((-1, 0), (0, 1), (1, 2))


TRACKS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.floats(-8, 8, width=32)),
    min_size=1,
    max_size=10,
)


@given(
    TRACKS,
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(5, 40),
)
def test_bins_are_the_means_of_a_loop(tmp_path_factory, steps, sites, widths, longest):
    """Uncovered bases, and those beyond the ends of the contig, count as 0."""
    intervals, at = [], 0
    for gap, length, value in steps:
        intervals.append(("1", at + gap, at + gap + length, value))
        at += gap + length
    length = max(at, 60)
    path = bigwig(tmp_path_factory.mktemp("bw") / "x.bw", {"1": length}, intervals)
    base = np.zeros(length)
    for _, start, end, value in intervals:
        base[start:end] = value
    bins = symmetric_bins(widths)
    with pytest.MonkeyPatch.context() as patch:
        # Also where the sites fall into several reads.
        patch.setattr(bigwig_bins, "_LARGEST_GAP", 3)
        patch.setattr(bigwig_bins, "_LONGEST_READ", longest)
        values = signal(path, bins).values(table(*(f"1:{pos}:A:C" for pos in sites)))
    for pos, row in zip(sites, values, strict=True):
        for (first, last), value in zip(bins, row, strict=True):
            covered = [
                base[i] if 0 <= i < length else 0.0 for i in range(pos - 1 + first, pos - 1 + last)
            ]
            np.testing.assert_allclose(value, np.mean(covered), rtol=1e-6, atol=1e-6)


def test_single_bases_are_exact_beside_a_large_signal(tmp_path):
    path = bigwig(tmp_path / "x.bw", {"1": 200}, [("1", 0, 100, 3e7), ("1", 100, 101, 1.1e-3)])
    values = signal(path, base_bins(2)).values(table("1:1:A:C", "1:101:A:C"))
    np.testing.assert_array_equal(values, np.array([[0, 3e7], [3e7, 1.1e-3]], np.float32))


def test_absent_contigs_are_missing_and_named(tmp_path):
    path = bigwig(tmp_path / "H3K27ac.bw", {"chr1": 100}, [("chr1", 10, 20, 2)])
    found = signal(path, base_bins(2), contigs=("1", "2", "1"))
    assert found.columns == ("H3K27ac:-1", "H3K27ac:0")
    assert found.name == "H3K27ac"
    assert found.warnings == [f"--bigwig={path}: no contig 2; its values are missing"]
    values = found.values(table("2:11:A:C", "1:11:A:C", "1:50:A:C"))
    np.testing.assert_array_equal(values, [[np.nan, np.nan], [0, 2], [0, 0]])


@pytest.mark.parametrize(
    ("transform", "expected"), [("none", 3), ("log1p", np.log(4)), ("arcsinh", np.arcsinh(3))]
)
def test_means_are_transformed(tmp_path, transform, expected):
    path = bigwig(tmp_path / "x.bw", {"1": 100}, [("1", 10, 11, 6)])
    values = signal(path, ((0, 2),), transform).values(table("1:11:A:C", "1:40:A:C"))
    np.testing.assert_allclose(values[:, 0], [expected, 0], rtol=1e-6)


def test_log1p_of_negative_signal_is_refused(tmp_path):
    path = bigwig(tmp_path / "x.bw", {"1": 100}, [("1", 10, 20, -3)])
    with pytest.raises(InputFormatError, match="negative signal on 1 .-3., of which log1p"):
        signal(path, base_bins(1), "log1p").values(table("1:11:A:C"))
    values = signal(path, base_bins(1), "arcsinh").values(table("1:11:A:C"))
    np.testing.assert_allclose(values, [[np.arcsinh(-3)]], rtol=1e-6)


def test_a_variant_behind_the_end_tells_of_another_build(tmp_path):
    path = bigwig(tmp_path / "x.bw", {"1": 100}, [("1", 10, 20, 1)])
    signal(path, base_bins(1)).values(table("1:100:A:C"))
    with pytest.raises(InputMismatchError, match="a variant at 1:101, behind its end at 100"):
        signal(path, base_bins(1)).values(table("1:101:A:C"))


def test_files_that_do_not_fit_are_refused(tmp_path, shared_data):
    with pytest.raises(InputFormatError, match="none.bw: no such file"):
        signal(tmp_path / "none.bw", base_bins(1))
    with pytest.raises(InputFormatError, match="text.bw: not a bigWig file; it begins with 78"):
        signal(write(tmp_path / "text.bw", "x"), base_bins(1))
    path = bigwig(tmp_path / "x.bw", {"chr1": 100}, [("chr1", 10, 20, 1)])
    with pytest.raises(InputMismatchError, match="none of the contigs 2, 3; it has chr1"):
        signal(path, base_bins(1), contigs=("2", "3"))
    with pytest.raises(InputFormatError, match="is a bigBed; give its intervals as --bed"):
        signal(shared_data("bigwig/pybigwig_test.bigBed"), base_bins(1))


def test_what_the_library_cannot_open_is_named(tmp_path, monkeypatch):
    def broken(name):
        raise RuntimeError("no index")

    path = bigwig(tmp_path / "x.bw", {"1": 100}, [("1", 10, 20, 1)])
    monkeypatch.setattr(pyBigWig, "open", broken)
    with pytest.raises(InputFormatError, match="x.bw: a damaged bigWig file .no index.; get it"):
        signal(path, base_bins(1))


def test_a_file_that_was_cut_is_one_error_and_no_other_line(tmp_path, capfd):
    path = bigwig(tmp_path / "x.bw", {"1": 100}, [("1", 10, 20, 1)])
    data = path.read_bytes()
    for length in (0, 40, 64, 80, 200, len(data) // 2):
        path.write_bytes(data[:length])
        with pytest.raises(InputFormatError, match="x.bw: (a damaged|not a) bigWig file"):
            signal(path, base_bins(1))
    assert capfd.readouterr().err == ""


def test_signal_beyond_32_bit_floats_is_infinite(tmp_path):
    path = bigwig(tmp_path / "x.bw", {"1": 100}, [("1", 10, 20, 1e39)])
    with pytest.raises(InputFormatError, match="x.bw: infinite signal in 1:10-11"):
        signal(path, base_bins(1)).values(table("1:11:A:C"))


class BrokenFile:
    """A bigWig whose data cannot be read, or that holds an infinity."""

    def __init__(self, values):
        self._values = values

    def values(self, name, start, stop, numpy):
        if self._values is None:
            raise RuntimeError("bad block")
        return np.full(stop - start, self._values)


@pytest.mark.parametrize(
    ("values", "message"), [(None, "bad block.; the file is damaged"), (np.inf, "infinite signal")]
)
def test_damage_found_while_reading_is_named(tmp_path, monkeypatch, values, message):
    path = bigwig(tmp_path / "x.bw", {"1": 100}, [("1", 10, 20, 1)])
    found = signal(path, base_bins(1))
    monkeypatch.setattr(found, "_file", BrokenFile(values))
    with pytest.raises(InputFormatError, match=message):
        found.values(table("1:11:A:C"))


def test_real_signal_equals_its_bases(shared_data):
    """ENCFF826FLP against pyBigWig's own values, base by base."""
    path = shared_data("bigwig/ENCFF826FLP.chr22.hg19.bw")
    sites = [16_871_137, 17_054_720, 36_000_000, 36_000_100, 36_000_101, 51_000_000]
    bins = symmetric_bins((1, 16, 64, 256, 1024))
    variants = table(*(f"22:{pos}:A:C" for pos in sites))
    binned = signal(path, bins, contigs=("22",)).values(variants)
    by_base = signal(path, base_bins(256), contigs=("22",)).values(variants)
    file = pyBigWig.open(str(path))
    for row, pos in enumerate(sites):
        for column, (first, last) in enumerate(bins):
            bases = file.values("chr22", pos - 1 + first, pos - 1 + last)
            mean = np.mean(np.nan_to_num(np.array(bases)))
            np.testing.assert_allclose(binned[row, column], mean, rtol=1e-6, atol=1e-9)
        bases = file.values("chr22", pos - 1 - 128, pos - 1 + 128)
        np.testing.assert_array_equal(by_base[row], np.nan_to_num(np.array(bases, np.float32)))
    assert binned.any()
