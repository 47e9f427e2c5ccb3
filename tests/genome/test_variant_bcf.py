import contextlib
import gzip
from pathlib import Path

import pysam
import pysam.bcftools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome.files import write_bgzip
from tfgen.errors import InputFormatError
from tfgen.genome.variant_bcf import VariantBcf
from tfgen.genome.variant_sites import Site

VCF = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=1000>
##contig=<ID=chr2>
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tsample
chr1\t5\trs1\ta\tG\t.\tPASS\tDP=3\tGT\t0|1
chr1\t4\t.\tAC\tA,<DEL>\t.\tPASS\tDP=3\tGT\t0|1
chr2\t10\t.\tN\t.\t.\tPASS\tDP=3\tGT\t0|1
chr2\t20\tx\tA\t]chr1:5]t,*\t.\tPASS\tDP=3\tGT\t0|1
"""


@pytest.fixture(scope="module")
def bcf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bcf")
    (folder / "v.vcf").write_text(VCF)
    path = folder / "v.bcf"
    pysam.bcftools.view("-Ob", "-o", str(path), str(folder / "v.vcf"), catch_stdout=False)
    return path


def test_records_come_in_file_order_with_upper_case_alleles(bcf: Path) -> None:
    source = VariantBcf(bcf)
    assert list(source.sites()) == [
        Site(1, "chr1", 5, "rs1", "A", ("G",)),
        Site(2, "chr1", 4, ".", "AC", ("A", "<DEL>")),
        Site(3, "chr2", 10, ".", "N", (".",)),
        # The name of a contig stays as it is.
        Site(4, "chr2", 20, "x", "A", ("]chr1:5]t", "*")),
    ]
    assert source.contig_lengths == {"chr1": 1000}


def test_text_that_is_not_utf8_does_not_matter_in_other_header_lines(
    bcf: Path, tmp_path: Path
) -> None:
    path = tmp_path / "v.bcf"
    path.write_bytes(gzip.decompress(bcf.read_bytes()).replace(b"Depth", b"D\xe9pth"))
    assert len(list(VariantBcf(path).sites())) == 4


def test_bcf_without_compression_is_read(bcf: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.bcf"
    path.write_bytes(gzip.decompress(bcf.read_bytes()))
    assert len(list(VariantBcf(path).sites())) == 4


def test_bcf_in_plain_gzip_asks_for_bgzip(bcf: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.bcf"
    path.write_bytes(gzip.compress(gzip.decompress(bcf.read_bytes())))
    with pytest.raises(InputFormatError, match="is BCF in gzip; recompress with bgzip"):
        list(VariantBcf(path).sites())


def test_interleaved_readers_leave_htslib_as_it_was(bcf: Path) -> None:
    before = pysam.get_verbosity()
    pairs = zip(VariantBcf(bcf).sites(), VariantBcf(bcf).sites(), strict=True)
    assert all(one == other and pysam.get_verbosity() == before for one, other in pairs)
    assert pysam.get_verbosity() == before


def test_truncated_bcf_is_refused(bcf: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.bcf"
    path.write_bytes(bcf.read_bytes()[:-28])
    with pytest.raises(InputFormatError, match="end marker is missing.*truncated"):
        list(VariantBcf(path).sites())


def test_a_record_that_is_cut_is_refused_with_its_number(bcf: Path, tmp_path: Path) -> None:
    path = write_bgzip(tmp_path / "v.bcf", gzip.decompress(bcf.read_bytes())[:-5])
    with pytest.raises(InputFormatError, match=r"v\.bcf: cannot be read as BCF behind record 3"):
        list(VariantBcf(path).sites())


@given(
    st.integers(0, 10_000),
    st.integers(1, 255),
    st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_any_damage_gives_sites_or_an_input_error(
    bcf: Path,
    tmp_path_factory: pytest.TempPathFactory,
    at: int,
    flip: int,
    cut: int | None,
) -> None:
    content = bytearray(gzip.decompress(bcf.read_bytes()))
    content[at % len(content)] ^= flip
    path = tmp_path_factory.mktemp("fuzz") / "v.bcf"
    path.write_bytes(content if cut is None else content[: cut % len(content)])
    with contextlib.suppress(InputFormatError):
        assert all(isinstance(site, Site) for site in VariantBcf(path).sites())
