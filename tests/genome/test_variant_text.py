import contextlib
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome.files import VCF_HEADER, write_bgzip
from tfgen.errors import InputFormatError
from tfgen.genome.variant_sites import Site
from tfgen.genome.variant_text import VariantText

HEADER = VCF_HEADER.encode()
RECORD = b"chr1\t5\trs1\tA\tG\t.\tPASS\t.\n"


@pytest.fixture
def sites(tmp_path: Path) -> Callable[..., list[Site]]:
    def read(content: bytes, is_table: bool = False) -> list[Site]:
        path = tmp_path / "v.vcf"
        path.write_bytes(content)
        return list(VariantText(path, is_table).sites())

    return read


Sites = Callable[..., list[Site]]


def test_a_record_has_its_line_and_its_first_five_columns(sites: Sites) -> None:
    found = sites(HEADER + RECORD + b"2\t007\t.\tac\tA,<del>,*\tx\n")
    assert found == [
        Site(3, "chr1", 5, "rs1", "A", ("G",)),
        # Only sequences are upper-cased.
        Site(4, "2", 7, ".", "AC", ("A", "<del>", "*")),
    ]


@pytest.mark.parametrize("write", [Path.write_bytes, write_bgzip])
def test_compressed_files_read_as_plain_ones(
    tmp_path: Path, write: Callable[[Path, bytes], object]
) -> None:
    path = tmp_path / "v.vcf.gz"
    content = HEADER + RECORD * 5000
    write(path, gzip.compress(content) if write is Path.write_bytes else content)
    assert len(list(VariantText(path).sites())) == 5000


@pytest.mark.parametrize(
    "header",
    [
        b"##fileformat=VCFv4.2\n",
        b"#CHROM\tPOS\tID\tREF\tALT\n",
        b"\xef\xbb\xbf##fileformat=VCFv4.2\n",
        b"##fileformat=VCFv4.2\n##source=\xff\n##contig=<ID=chr1>\n",
    ],
)
def test_any_header_line_makes_it_a_vcf(sites: Sites, header: bytes) -> None:
    assert [site.pos for site in sites(header + RECORD)] == [5]


@pytest.mark.parametrize("n_columns", [5, 6, 7, 8, 9, 3000])
def test_any_number_of_columns_from_five_on_is_accepted(sites: Sites, n_columns: int) -> None:
    fields = [b"chr1", b"5", b"rs1", b"A", b"G"] + [b"0|1"] * (n_columns - 5)
    found = sites(HEADER + b"\t".join(fields) + b"\n")
    assert found == [Site(3, "chr1", 5, "rs1", "A", ("G",))]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\n", b"\r\n\r\n \n"])
def test_line_ends_and_blank_lines_at_the_end_have_no_effect(sites: Sites, end: bytes) -> None:
    content = (HEADER + RECORD + b"chr1\t6\t\tA\tT").replace(
        b"\n", b"\r\n" if b"\r" in end else b"\n"
    )
    assert sites(content + end)[1] == Site(4, "chr1", 6, ".", "A", ("T",))


def test_a_header_alone_has_no_records(sites: Sites) -> None:
    assert sites(HEADER) == []
    assert sites(b"chrom\tpos\tid\tref\talt\n", is_table=True) == []


@pytest.mark.parametrize("pos", [b"0", b"-3", b"999999999999999999"])
def test_impossible_positions_are_passed_on(sites: Sites, pos: bytes) -> None:
    assert sites(HEADER + b"c\t" + pos + b"\tx\tA\tG\n")[0].pos == int(pos)


@pytest.mark.parametrize("alt", [b"", b".", b"<DUP:TANDEM>", b"N[CHR2:5[", b"R", b"A,,C"])
def test_alleles_that_are_no_sequence_are_passed_on(sites: Sites, alt: bytes) -> None:
    site = sites(HEADER + b"c\t5\tx\tA\t" + alt + b"\n")[0]
    assert site.alts == tuple(alt.decode().split(","))


def test_contig_lengths_come_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "v.vcf"
    path.write_bytes(
        b"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422,assembly=hg38>\n"
        b"##contig=<length=5,ID=x>\n##contig=<ID=y>\n##contig=<ID=z,length=many>\n##contig=zz\n"
    )
    source = VariantText(path)
    assert list(source.sites()) == []
    assert source.contig_lengths == {"chr1": 248956422, "x": 5}


@pytest.mark.parametrize(
    "content",
    [
        b"chr1\t5\trs1\tA\tG\n",
        b"chrom\tpos\tid\tref\talt\nchr1\t5\trs1\tA\tG\n",
        b"#CHROM\tPOS\tID\tREF\tALT\tmore\nchr1\t5\trs1\tA\tG\t1\n",
        b"# a comment\n#another\nCHR\tPOS\tRSID\tREF\tALT\nchr1\t5\trs1\tA\tG\n",
        b"##fileformat=VCFv4.2\nchr1\t5\trs1\ta\tg\n",
    ],
)
def test_tables_need_no_header(sites: Sites, content: bytes) -> None:
    found = sites(content, is_table=True)
    assert [site[1:] for site in found] == [("chr1", 5, "rs1", "A", ("G",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"v\.vcf: is empty; expected variants"),
        (b"\n\n \n", r"v\.vcf: is empty; expected variants"),
        (RECORD, r"v\.vcf:1: no VCF header .*format 'tsv'"),
        (HEADER + RECORD + b"\n" + RECORD, r"v\.vcf:4: blank line"),
        (b"\n" + HEADER, r"v\.vcf:1: blank line"),
        (HEADER + b"chr1 5 rs1 A G . PASS .\n", r"v\.vcf:3: spaces instead of tabs: 1 tab"),
        (HEADER + b"chr1\t5\trs1\tA\n", r"v\.vcf:3: 4 tab-separated columns; expected at least 5"),
        (HEADER + b"chr1\t5.0\trs1\tA\tG\n", r"v\.vcf:3: POS '5\.0' is not an integer"),
        (HEADER + b"chr1\t+5\trs1\tA\tG\n", r"v\.vcf:3: POS '\+5' is not an integer"),
        (HEADER + b"chr1\t 5\trs1\tA\tG\n", r"v\.vcf:3: POS ' 5' is not an integer"),
        (HEADER + b"chr1\t1_0\trs1\tA\tG\n", r"v\.vcf:3: POS '1_0' is not an integer"),
        (HEADER + b"chr1\t\trs1\tA\tG\n", r"v\.vcf:3: POS '' is not an integer"),
        (HEADER + b"chr1\t" + b"9" * 19 + b"\trs1\tA\tG\n", r"v\.vcf:3: POS '9{19}' is not an"),
        (HEADER + b"\t5\trs1\tA\tG\n", r"v\.vcf:3: the contig name is empty"),
        (HEADER + b"chr1\t5\trs\xff\tA\tG\n", r"v\.vcf:3: 'rs\\xff' is not UTF-8"),
        (
            HEADER + b"chr1\t5\trs\x00\tA\tG\n",
            r"v\.vcf:3: 'rs\\x00' has a character that cannot be printed",
        ),
        (HEADER + RECORD + HEADER, r"v\.vcf:4: header line after the first record"),
        (HEADER + RECORD.strip() + b"\r" + RECORD, r"v\.vcf:3: carriage returns within the line"),
        (
            HEADER + RECORD * 2 + b"a\t1\t.\tA\tG\t.\rb",
            r"v\.vcf:5: carriage returns within the line",
        ),
        ((HEADER + RECORD).replace(b"\n", b"\r"), r"v\.vcf:1: carriage returns within the line"),
        (
            b"#CHROM\tPOS\tREF\tALT\n",
            r"v\.vcf:1: columns are .*; expected chrom, pos, id, ref, alt",
        ),
    ],
)
def test_what_cannot_be_parsed_stops_with_its_line(
    sites: Sites, content: bytes, message: str
) -> None:
    with pytest.raises(InputFormatError, match=message):
        sites(content)


def test_tables_with_other_columns_are_refused(sites: Sites) -> None:
    with pytest.raises(InputFormatError, match=r"v\.vcf:1: columns are .*expected chrom, pos, id"):
        sites(b"chrom\tpos\tref\talt\tid\n1\t5\tA\tG\trs1\n", is_table=True)


def test_long_fields_are_cut_in_messages(sites: Sites) -> None:
    with pytest.raises(InputFormatError, match="POS 'x{40}' is not"):
        sites(HEADER + b"chr1\t" + b"x" * 5000 + b"\trs1\tA\tG\n")


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputFormatError, match=r"none\.vcf: cannot be read"):
        list(VariantText(tmp_path / "none.vcf").sites())


@pytest.mark.parametrize("cut", [28, 40, 60])
def test_truncated_bgzip_is_refused(tmp_path: Path, cut: int) -> None:
    path = write_bgzip(tmp_path / "v.vcf.gz", HEADER + RECORD * 9000)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputFormatError, match="truncated"):
        list(VariantText(path).sites())


def test_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.vcf.gz"
    path.write_bytes(gzip.compress(HEADER + RECORD * 9000)[:-4])
    with pytest.raises(InputFormatError, match="truncated"):
        list(VariantText(path).sites())


def as_file(content: bytes, kind: str, path: Path) -> Path:
    if kind == "bgzip":
        return write_bgzip(path, content)
    path.write_bytes(gzip.compress(content) if kind == "gzip" else content)
    return path


KINDS = st.sampled_from(["plain", "gzip", "bgzip"])
FIELDS = st.sampled_from(
    [
        b"chr1",
        b"5",
        b"-1",
        b"",
        b".",
        b"A",
        b"ac",
        b"<DEL>",
        b"\xff",
        b" ",
        b"#x",
        b"A,C",
        b"\r",
        b"\0",
    ]
)
LINES = st.lists(FIELDS, min_size=0, max_size=7).map(b"\t".join)


@given(st.lists(LINES, max_size=4), st.sampled_from([b"\n", b"\r\n"]), st.booleans(), KINDS)
def test_any_lines_are_sites_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    end: bytes,
    is_table: bool,
    kind: str,
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    path = as_file(HEADER + end.join(lines), kind, folder / "v.vcf")
    with contextlib.suppress(InputFormatError):
        for site in VariantText(path, is_table).sites():
            fields = lines[site.line - 3].rstrip(b"\r").split(b"\t")
            assert site.chrom.encode() == fields[0]
            assert site.pos == int(fields[1])
            assert (site.id.encode(), site.ref.encode()) == (fields[2] or b".", fields[3].upper())
            alts = fields[4].split(b",")
            assert [alt.encode() for alt in site.alts] == [
                alt.upper() if alt.isalpha() else alt for alt in alts
            ]


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_sites_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, is_table: bool
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "v.vcf"
    path.write_bytes(content)
    with contextlib.suppress(InputFormatError):
        assert all(isinstance(site, Site) for site in VariantText(path, is_table).sites())


@given(st.data())
def test_any_damaged_gzip_is_sites_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = as_file(
        HEADER + RECORD * 20,
        data.draw(st.sampled_from(["gzip", "bgzip"])),
        tmp_path_factory.mktemp("fuzz") / "v.vcf.gz",
    )
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(InputFormatError):
        assert len(list(VariantText(path).sites())) == 20
