"""Sparse LD matrices; files are those of SciPy itself where it matters."""

import gzip

import numpy as np
import pytest
import scipy.sparse

from prior.ld_toys import correlation, haplotypes, variants, write_window
from tfgen.errors import InputFormatError, InputMismatchError, UnsupportedInputError
from tfgen.prior.ld.ukb_ld import (
    read_sparse_ld,
    read_window_variants,
    window_files,
    window_name,
)


@pytest.fixture
def ld():
    return correlation(haplotypes(60, 8))


def triangle(ld, diagonal, upper=False):
    matrix = np.tril(ld, -1) + diagonal * np.eye(len(ld))
    return matrix.T if upper else matrix


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("diagonal", [0.5, 1.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_triangle_as_scipy_saves_it(tmp_path, ld, upper, diagonal, dtype):
    path = tmp_path / "m.npz"
    matrix = triangle(ld, diagonal, upper).astype(dtype)
    scipy.sparse.save_npz(path, scipy.sparse.coo_matrix(matrix))
    np.testing.assert_allclose(read_sparse_ld(path, 8), ld, atol=1e-7)


def test_both_triangles(tmp_path, ld):
    path = tmp_path / "m.npz"
    scipy.sparse.save_npz(path, scipy.sparse.coo_array(ld))
    np.testing.assert_array_equal(read_sparse_ld(path, 8), ld)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda ld: triangle(ld, 0.7), r"0\.7 to 0\.7 on the diagonal, one of the triangles"),
        (lambda ld: triangle(ld, 0.0), "0 to 0 on the diagonal"),
        (lambda ld: ld - 0.5 * np.eye(8), r"0\.5 to 0\.5 on the diagonal, both of the triangles"),
        (lambda ld: np.diag([0.5] * 4 + [1.0] * 4), r"0\.5 to 1 on the diagonal"),
    ],
)
def test_other_conventions_are_refused(tmp_path, ld, make, message):
    path = tmp_path / "m.npz"
    scipy.sparse.save_npz(path, scipy.sparse.coo_matrix(make(ld)))
    with pytest.raises(InputFormatError, match=message):
        read_sparse_ld(path, 8)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_other_sparse_formats_are_refused(tmp_path, ld, kind):
    path = tmp_path / "m.npz"
    scipy.sparse.save_npz(path, scipy.sparse.coo_matrix(ld).asformat(kind))
    with pytest.raises(UnsupportedInputError, match=f"sparse format '{kind}'; expected 'coo'"):
        read_sparse_ld(path, 8)


def test_a_matrix_of_other_variants_is_refused(tmp_path, ld):
    path = write_window(tmp_path, 1, 3000001, variants(range(1, 9)), ld)
    with pytest.raises(InputMismatchError, match="LD of 8 x 8 variants, but .* lists 9"):
        read_sparse_ld(path, 9)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"row": np.full(36, 8)}, "outside the matrix"),
        ({"row": np.full(36, -1)}, "outside the matrix"),
        ({"row": np.full(36, 0.0)}, "outside the matrix"),
        ({"row": np.zeros(36, int), "col": np.zeros(36, int)}, "occur twice"),
        ({"data": np.zeros(35)}, "outside the matrix or are no numbers"),
        ({"data": np.array(["x"] * 36)}, "are no numbers"),
        ({"col": None}, "no array 'col'"),
        ({"format": None}, "sparse format 'none'"),
        ({"format": np.array(["a", "b"])}, "sparse format ''"),
        ({"data": np.array([{}] * 36, object)}, "no sparse matrix that can be read"),
    ],
)
def test_damaged_matrices_are_refused(tmp_path, ld, arrays, message):
    path = write_window(tmp_path, 1, 3000001, variants(range(1, 9)), ld, **arrays)
    with pytest.raises((InputFormatError, UnsupportedInputError), match=message):
        read_sparse_ld(path, 8)


def test_a_file_that_is_cut_or_missing_is_refused(tmp_path, ld):
    path = write_window(tmp_path, 1, 3000001, variants(range(1, 9)), ld)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputFormatError, match=r"npz: no sparse matrix that can be read"):
        read_sparse_ld(path, 8)
    path.unlink()
    with pytest.raises(InputFormatError, match="No such file"):
        read_sparse_ld(path, 8)


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path):
    path = tmp_path / "m.npz"
    np.savez_compressed(path, data=np.zeros(10**6))
    with pytest.raises(
        UnsupportedInputError, match=r"unpacks to 0\.0 GB, .* raise --max_memory_gb"
    ):
        read_sparse_ld(path, 8, max_bytes=1e6)


def test_allele1_is_the_counted_allele(tmp_path):
    path = tmp_path / "w.gz"
    text = "rsid chromosome position allele1 allele2\nrs1 22 5 a G\nrs2 chr22 7 C CT\n"
    path.write_bytes(gzip.compress(text.encode()))
    table = read_window_variants(path)
    assert table.alt.tolist() == ["A", "C"]
    assert table.ref.tolist() == ["G", "CT"]
    assert table.chrom.tolist() == ["22", "22"]
    assert table.pos.tolist() == [5, 7]
    assert table.id.tolist() == ["rs1", "rs2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsid chromosome position allele1\n", r"w\.gz:1: no column allele2"),
        ("", r"w\.gz:1: no column rsid, chromosome"),
        ("rsid chromosome position allele1 allele2\nrs1 22 x A G\n", r"w\.gz:2: 'rs1 22 x A G'"),
        ("rsid chromosome position allele1 allele2\nrs1 22 5 A\n", "expected 5 fields"),
    ],
)
def test_malformed_tables_are_refused(tmp_path, text, message):
    path = tmp_path / "w.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(InputFormatError, match=message):
        read_window_variants(path)


def test_windows_are_found_by_their_names(tmp_path, ld):
    path = write_window(tmp_path, 16000001, 19000001, variants(range(1, 9)), ld)
    (tmp_path / "other.npz").write_bytes(b"")
    assert window_files(tmp_path) == {path: ("22", 16_000_000, 19_000_000)}
    assert window_name("22", 16_000_000, 19_000_000) == path.name
    path.unlink()
    with pytest.raises(InputFormatError, match="no LD matrices; expected files such as chr22_"):
        window_files(tmp_path)
