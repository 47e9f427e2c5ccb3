import gzip
from pathlib import Path

import pytest

from genome.files import write_bgzip
from tfgen.errors import InputFormatError
from tfgen.genome.fasta_faults import find_fault, require_fasta


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected a FASTA file"),
        (b"\n\r\n \n", "is empty; expected a FASTA file"),
        (b"ACGT\n", r"begins with b'ACGT.*'; a FASTA file begins with a '>' header"),
        (b"@read\nACGT\n+\nIIII\n", "begins with b'@read"),
        (gzip.compress(b">a\nACGT\n", mtime=0), "is gzip, .* recompress with bgzip"),
    ],
)
def test_what_is_no_fasta_is_said_at_once(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.fa"
    path.write_bytes(content)
    with pytest.raises(InputFormatError, match=message):
        require_fasta(path)


def test_plain_and_bgzip_fasta_pass(tmp_path: Path) -> None:
    plain = tmp_path / "a.fa"
    plain.write_bytes(b"\n>a\nACGT\n")
    require_fasta(plain)
    require_fasta(write_bgzip(tmp_path / "a.fa.gz", b">a\nACGT\n"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b">a x\nACGT\n>b\nAC\n>a y\nGT\n", "contig 'a' occurs twice (lines 1 and 5)"),
        (b">a\nAC\n>\nGT\n", "line 3 is a header without a name"),
        (b">a\nAC\n>\xff\nGT\n", "the contig name in line 3 is not UTF-8"),
        (b">a\n>b\nGT\n", "contig 'a' has no sequence"),
        (b">a\nAC\n>b", "contig 'b' has no sequence"),
        (b">a\nACG\n \n", "line 3 has the character b' '"),
        (b">a\nAC GT\n", "line 2 has the character b' '"),
        (b">a\nAC\xc3\xa9\n", "line 2 has the character b'\\xc3'"),
        (b">a\nAC\nACG\n", "line 3 of contig 'a' breaks the rule that all lines"),
        (b">a\nACG\nAC\nACG\n", "line 4 of contig 'a' breaks the rule that all lines"),
        (b">a\nACG\n\nACG\n", "line 4 of contig 'a' breaks the rule that all lines"),
        (b">a\nACG\nACG\r\nACG\n", "line 4 of contig 'a' breaks the rule that all lines"),
        (b">a\nACG\nACG\nA\n\n>b\nACGT", "htslib refuses it"),
    ],
)
def test_the_first_fault_is_named_with_its_line(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "a.fa"
    path.write_bytes(content)
    assert find_fault(path).startswith(fault)
