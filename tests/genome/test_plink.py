"""PLINK 1 files; genotypes are written bit by bit by the tests (format: cog-genomics.org)."""

import gzip
import sys
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.ld_toys import variants, write_plink
from tfgen.errors import InputFormatError, InputMismatchError, TfgenError, UsageError
from tfgen.genome.plink import PlinkGenotypes, Sample, read_bim, read_fam


@pytest.fixture
def small(tmp_path):
    rng = np.random.default_rng(3)
    genotypes = rng.choice(np.array([0, 1, 2, -127], np.int8), (7, 9))
    table = variants(range(100, 1000, 100))
    return write_plink(tmp_path / "small", genotypes, table), genotypes, table


def test_genotypes_are_read_as_counts_of_a1(small):
    prefix, genotypes, table = small
    with PlinkGenotypes(prefix) as found:
        np.testing.assert_array_equal(found.read(slice(None)), genotypes)
        np.testing.assert_array_equal(found.read(slice(2, 5)), genotypes[:, 2:5])
        np.testing.assert_array_equal(found.read(np.array([8, 0])), genotypes[:, [8, 0]])
        assert found.read(slice(0, 2)).dtype == np.int8
        assert found.variants.alt.tolist() == table.alt.tolist()
        assert found.variants.ref.tolist() == table.ref.tolist()
        assert np.isnan(found.variants.af).all()
        assert found.samples[1] == Sample("F1", "I1", "2", "-9")


def test_the_three_files_may_lie_anywhere_and_the_bim_may_be_gzip(small, tmp_path):
    prefix, genotypes, _ = small
    zipped = tmp_path / "elsewhere.bim.gz"
    zipped.write_bytes(gzip.compress(prefix.with_suffix(".bim").read_bytes()))
    fam = prefix.with_suffix(".fam").rename(tmp_path / "people")
    prefix.with_suffix(".bim").unlink()
    found = PlinkGenotypes(prefix.with_suffix(".bed"), zipped, fam)
    np.testing.assert_array_equal(found.read(slice(None)), genotypes)


def test_a_gzip_bim_beside_the_bed_is_found(small):
    prefix, genotypes, _ = small
    bim = prefix.with_suffix(".bim")
    bim.with_name("small.bim.gz").write_bytes(gzip.compress(bim.read_bytes()))
    bim.unlink()
    np.testing.assert_array_equal(PlinkGenotypes(prefix).read(slice(None)), genotypes)


def test_a_truncated_bed_is_refused(small):
    bed = small[0].with_suffix(".bed")
    bed.write_bytes(bed.read_bytes()[:-1])
    with pytest.raises(InputMismatchError, match=r"20 bytes, but 9 variants of 7 people need 21"):
        PlinkGenotypes(small[0])


def test_a_bim_of_another_bed_is_refused(small):
    bim = small[0].with_suffix(".bim")
    bim.write_text("".join(bim.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputMismatchError, match="8 variants of 7 people need 19"):
        PlinkGenotypes(small[0])


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\x6c\x1b\x00", "ordered by people; make it anew with plink --make-bed"),
        (b"VCF", "begins with 56 43 46; expected 6c 1b 01"),
        (b"", "begins with nothing"),
    ],
)
def test_other_files_are_no_bed(small, head, message):
    small[0].with_suffix(".bed").write_bytes(head)
    with pytest.raises(InputFormatError, match=message):
        PlinkGenotypes(small[0])


def test_a_missing_file_is_named_with_its_flag(small):
    small[0].with_suffix(".fam").unlink()
    with pytest.raises(InputFormatError, match=r"small\.fam: no such file; name it with --fam"):
        PlinkGenotypes(small[0])


def test_a_bed_that_vanishes_is_an_error_of_one_line(small):
    genotypes = PlinkGenotypes(small[0])
    small[0].with_suffix(".bed").unlink()
    with pytest.raises(InputFormatError, match="cannot be read"):
        genotypes.read(slice(None))


def test_without_bed_reader_the_remedy_is_named(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "bed_reader", None)
    with pytest.raises(UsageError, match=r"pip install 'tfgen\[geno\]'"):
        PlinkGenotypes(small[0]).read(slice(None))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 rs1 0 100 A", r"x\.bim:2: 5 fields; expected 6: chromosome, id"),
        ("1 rs1 0 1e3 A G", r"x\.bim:2: position '1e3'; expected a whole number"),
        ("", r"x\.bim:2: 0 fields"),
    ],
)
def test_a_malformed_bim_is_refused(tmp_path, line, message):
    path = tmp_path / "x.bim"
    path.write_text(f"1 rs0 0 50 a g\n{line}\n")
    with pytest.raises(InputFormatError, match=message):
        read_bim(path)


def test_a_bim_that_is_no_text_or_empty_is_refused(tmp_path):
    path = tmp_path / "x.bim"
    path.write_bytes(b"\xff\xfe 1 2 3 4 5\n")
    with pytest.raises(InputFormatError, match=r"x\.bim:1: not UTF-8"):
        read_bim(path)
    path.write_text("")
    with pytest.raises(InputFormatError, match="is empty"):
        read_bim(path)


def test_a_truncated_gzip_bim_is_refused(small, tmp_path):
    path = tmp_path / "cut.bim.gz"
    path.write_bytes(gzip.compress(small[0].with_suffix(".bim").read_bytes())[:-9])
    with pytest.raises(InputFormatError, match="damaged or truncated"):
        read_bim(path)


def test_a_person_twice_is_refused(tmp_path):
    path = tmp_path / "x.fam"
    path.write_text("F I 0 0 1 -9\nF J 0 0 1 -9\nF I 0 0 1 -9\n")
    with pytest.raises(InputMismatchError, match=r"x\.fam:3: F I is also in line 1"):
        read_fam(path)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_table_or_an_error_of_ours(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.bim"
    path.write_bytes(content)
    with suppress(TfgenError):
        assert len(read_bim(path)) > 0


def test_real_panels(shared_data):
    # Numbers of variants and people: shared/data/MANIFEST.md section 9.
    for name, n_variants, n_samples in (
        ("height_chr22/1000G_eur_chr22.bed", 15_938, 378),
        ("bolt_EUR_subset/EUR_subset.bed", 54_051, 379),
        ("bigsnpr_example/example.bed", 4_542, 517),
    ):
        found = PlinkGenotypes(shared_data(f"gwas_ld/{name}"))
        assert (len(found.variants), len(found.samples)) == (n_variants, n_samples)
        dosages = found.read(slice(n_variants - 50, n_variants))
        assert set(np.unique(dosages)) <= {-127, 0, 1, 2}
        # A1 is the minor allele in files of PLINK 1.
        assert np.mean(dosages[dosages >= 0]) < 1


def test_ld_agrees_with_that_of_plink(shared_data):
    # example.ld.gz: PLINK --r2, 1431 pairs of at least 0.2 (shared/data/MANIFEST.md section 9).
    folder = shared_data("gwas_ld/bigsnpr_example/example.bed").parent
    found = PlinkGenotypes(folder / "example.bed")
    rows = {name: i for i, name in enumerate(found.variants.id)}
    lines = gzip.open(folder / "example.ld.gz", "rt").read().split("\n")[1:-1]
    fields = [line.split() for line in lines]
    dosages = found.read(slice(None)).astype(float)
    dosages[dosages < 0] = np.nan
    for row in fields[::40]:
        first, second = (dosages[:, rows[row[i]]] for i in (2, 5))
        both = ~np.isnan(first) & ~np.isnan(second)
        r = np.corrcoef(first[both], second[both])[0, 1]
        assert r**2 == pytest.approx(float(row[6]), rel=1e-3, abs=1e-4)
