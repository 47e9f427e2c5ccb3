import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome.files import write_bgzip, write_fasta
from genome.oracle import fasta_text
from tfgen.errors import InputFormatError, OutputError
from tfgen.genome import fasta_index
from tfgen.genome.fasta_index import IndexOrigin, fitting_index

CONTIGS = {"chr1": "ACGTTGCA" * 40, "chr2": "A", "chrM": "GATTACA" * 30}
LENGTHS = {name: len(sequence) for name, sequence in CONTIGS.items()}


def origin_of(path: Path) -> IndexOrigin:
    with fitting_index(path) as index:
        return index.origin


def old(path: Path) -> None:
    """Dates a file back, so that any other is newer."""
    os.utime(path, (1, 1))


@pytest.fixture(params=["plain", "bgzip"])
def fasta(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "plain":
        return write_fasta(tmp_path / "g.fa", CONTIGS)
    return write_bgzip(tmp_path / "g.fa.gz", fasta_text(CONTIGS).encode())


def rewrite(path: Path, contigs: dict[str, str], width: int = 60) -> None:
    if path.suffix == ".gz":
        write_bgzip(path, fasta_text(contigs, width).encode())
    else:
        write_fasta(path, contigs, width)


def test_a_missing_index_is_built_once_and_kept(fasta: Path) -> None:
    with fitting_index(fasta) as index:
        assert index.contigs == LENGTHS
        assert index.origin == "built"
        assert index.fai.is_file()
    made = sorted(path.name for path in fasta.parent.iterdir())
    gzi = [f"{fasta.name}.gzi"] if fasta.suffix == ".gz" else []
    assert made == [fasta.name, f"{fasta.name}.fai", *gzi]
    assert origin_of(fasta) == "existing"


def test_the_kept_index_is_that_of_htslib(fasta: Path, tmp_path: Path) -> None:
    origin_of(fasta)
    kept = Path(f"{fasta}.fai").read_text()
    assert [line.split("\t")[:2] for line in kept.splitlines()] == [
        [name, str(length)] for name, length in LENGTHS.items()
    ]
    copy = tmp_path / "copy" / fasta.name
    copy.parent.mkdir()
    shutil.copyfile(fasta, copy)
    pysam.faidx(str(copy))
    assert Path(f"{copy}.fai").read_text() == kept


def test_a_read_only_folder_stays_as_it_is(fasta: Path) -> None:
    fasta.parent.chmod(0o555)
    try:
        with fitting_index(fasta) as index:
            assert (index.contigs, index.origin) == (LENGTHS, "built")
        assert [path.name for path in fasta.parent.iterdir()] == [fasta.name]
    finally:
        fasta.parent.chmod(0o755)


@pytest.mark.parametrize("error", [OSError(28, "no space"), OutputError("disk is full")])
def test_an_index_that_cannot_be_kept_is_used_all_the_same(
    fasta: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(partial: Path, final: Path) -> None:
        raise error

    monkeypatch.setattr(fasta_index, "publish", fail)
    assert origin_of(fasta) == "built"
    assert [path.name for path in fasta.parent.iterdir()] == [fasta.name]


CHANGES: dict[str, Callable[[Path], None]] = {
    "longer contig": lambda path: rewrite(path, CONTIGS | {"chr1": "ACGTTGCA" * 41}),
    "shorter last contig": lambda path: rewrite(path, CONTIGS | {"chrM": "GATTACA"}),
    "renamed contig": lambda path: rewrite(
        path, {name.replace("2", "3"): bases for name, bases in CONTIGS.items()}
    ),
    "one contig less": lambda path: rewrite(path, {"chr1": CONTIGS["chr1"]}),
    "one contig more": lambda path: rewrite(path, CONTIGS | {"chr9": "ACGT"}),
    "other order": lambda path: rewrite(path, dict(reversed(CONTIGS.items()))),
    "other line width": lambda path: rewrite(path, CONTIGS, 50),
}


@pytest.mark.parametrize("index_is_newer", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_stale_index_is_replaced_whatever_the_dates_say(
    fasta: Path, change: str, index_is_newer: bool
) -> None:
    origin_of(fasta)
    CHANGES[change](fasta)
    for path in fasta.parent.iterdir():
        if index_is_newer == (path == fasta):
            old(path)
    with fitting_index(fasta) as index:
        assert index.origin == "rebuilt"
        with pysam.FastaFile(
            str(fasta), str(index.fai), str(index.gzi) if index.gzi else None
        ) as handle:
            found = {name: handle.fetch(name) for name in handle.references}
    with pysam.FastxFile(str(fasta)) as records:
        assert found == {record.name: record.sequence for record in records}
    assert origin_of(fasta) == "existing"


def test_an_older_index_that_fits_is_used(fasta: Path) -> None:
    origin_of(fasta)
    for path in fasta.parent.iterdir():
        if path != fasta:
            old(path)
    assert origin_of(fasta) == "existing"


def test_bgzip_blocks_that_moved_make_a_new_index(tmp_path: Path) -> None:
    path = write_bgzip(tmp_path / "g.fa.gz", fasta_text({"a": "ACGT" * 50_000}).encode())
    origin_of(path)
    gzi = Path(f"{path}.gzi").read_bytes()
    write_bgzip(path, fasta_text({"a": "TTTT" * 50_000}).encode())
    assert origin_of(path) == "rebuilt"
    assert Path(f"{path}.gzi").read_bytes() != gzi


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"chr1\n",
        b"chr1\t320\t21\t60\t61\tx\n",
        b"chr1\t320\t21\t60\t59\n",
        b"chr1\t320\t21\t0\t61\n",
        b"chr1\t320\t21\t60\t999999999999999999\n",
        b"chr1\t999999999999999999\t999999999999999999\t1\t2\n",
        b"chr1\t320\t21\t60\t61\nchr1\t1\t369\t1\t2\n",
        b"chr\xff\t320\t21\t60\t61\n",
    ],
)
def test_a_broken_index_is_replaced(fasta: Path, content: bytes) -> None:
    origin_of(fasta)
    Path(f"{fasta}.fai").write_bytes(content)
    assert origin_of(fasta) == "rebuilt"


def test_a_bgzip_index_without_its_block_index_is_replaced(tmp_path: Path) -> None:
    path = write_bgzip(tmp_path / "g.fa.gz", fasta_text(CONTIGS).encode())
    origin_of(path)
    Path(f"{path}.gzi").unlink()
    assert origin_of(path) == "rebuilt"


@pytest.mark.parametrize("number", range(5))
def test_any_changed_number_of_an_index_is_noticed(tmp_path: Path, number: int) -> None:
    path = write_fasta(tmp_path / "g.fa", CONTIGS)
    origin_of(path)
    fai = Path(f"{path}.fai")
    lines = fai.read_text().splitlines()
    fields = lines[0].split("\t")
    fields[number] += "1"
    fai.write_text("\n".join(["\t".join(fields), *lines[1:]]) + "\n")
    assert origin_of(path) == "rebuilt"


@pytest.mark.parametrize(
    "content",
    [
        b">a\r\nACGT\r\nAC\r\n>b\r\nACGT\r\nACGT",
        b">a\nACGT\nAC\n\n\n>b x\ty\nACGT\nACGT\n\n\n",
        b"\n\n> a\nACGT\nAC\n",
        b">a\nACGT",
    ],
)
def test_unusual_but_regular_files_are_indexed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(content)
    with fitting_index(path) as index:
        assert index.contigs["a"] == (4 if content == b">a\nACGT" else 6)
    assert origin_of(path) == "existing"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b">a\nACGT\n>a\nAC\n", r"cannot be indexed: contig 'a' occurs twice \(lines 1 and 3\)"),
        (b">a\nACGT\nAC\nACGT\n", "cannot be indexed: line 4 of contig 'a'"),
        (b">a\nAC GT\n", "cannot be indexed: line 2 has the character"),
        (b">a\xff\nACGT\n", "cannot be indexed: the contig name in line 1 is not UTF-8"),
        (b">a\n>b\nACGT\n", "cannot be indexed: contig 'a' has no sequence"),
        (b">\nACGT\n", "cannot be indexed: line 1 is a header without a name"),
    ],
)
def test_files_that_cannot_be_indexed_say_why(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "g.fa"
    path.write_bytes(content)
    with pytest.raises(InputFormatError, match=message):
        origin_of(path)
    assert [found.name for found in tmp_path.iterdir()] == ["g.fa"]


def test_errors_of_the_caller_pass_through(fasta: Path) -> None:
    origin_of(fasta)
    with pytest.raises(InputFormatError, match="from the caller"), fitting_index(fasta):
        raise InputFormatError("from the caller")


@given(
    st.lists(st.text("ACGTNacgtn", min_size=1, max_size=200), min_size=1, max_size=5),
    st.integers(1, 70),
    st.sampled_from(["\n", "\r\n"]),
)
def test_an_index_by_htslib_of_a_regular_file_always_fits(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[str], width: int, end: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "g.fa"
    contigs = {f"c{number}": bases for number, bases in enumerate(sequences)}
    path.write_text(fasta_text(contigs, width, end), newline="")
    pysam.faidx(str(path))
    assert origin_of(path) == "existing"
