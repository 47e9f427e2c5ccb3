import contextlib
import gzip
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from genome import oracle
from genome.files import write_bgzip, write_fasta
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import Fasta, Interval, decode, encode

CONTIGS = {
    "chr1": "".join("ACGTacgtNnRm"[i * i % 12] for i in range(150)),
    "short": "GATTACA",
}


@pytest.fixture(scope="module", params=["plain", "bgzip"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fasta")
    if request.param == "plain":
        return write_fasta(folder / "g.fa", CONTIGS, width=17)
    return write_bgzip(folder / "g.fa.gz", oracle.fasta_text(CONTIGS, 17).encode())


@given(
    chrom=st.sampled_from(sorted(CONTIGS)),
    start=st.integers(-200, 200),
    width=st.integers(0, 250),
)
def test_any_interval_reads_as_upper_case_padded_with_n(
    path: Path, chrom: str, start: int, width: int
) -> None:
    interval = Interval(chrom, start, start + width)
    expected = oracle.window(CONTIGS[chrom], start, start + width)
    with Fasta(path) as fasta:
        assert fasta.fetch(interval) == expected
        codes = fasta.codes(interval)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, encode(expected))


def test_contigs_have_their_lengths_in_file_order(path: Path) -> None:
    with Fasta(str(path)) as fasta:
        assert list(fasta.contigs.items()) == [("chr1", 150), ("short", 7)]
        assert fasta.contig_length("short") == 7
        assert fasta.path == path


@given(st.lists(st.tuples(st.integers(-20, 170), st.integers(0, 60)), max_size=8))
def test_codes_do_not_depend_on_what_was_read_before(
    path: Path, spans: list[tuple[int, int]]
) -> None:
    with Fasta(path) as fasta:
        for start, width in spans:
            codes = fasta.codes(Interval("chr1", start, start + width))
            assert decode(codes) == oracle.window(CONTIGS["chr1"], start, start + width)
            codes[:] = 0


def test_a_soft_masked_genome_loses_nothing(tmp_path: Path) -> None:
    with Fasta(write_fasta(tmp_path / "g.fa", {"c": "acgtn"})) as fasta:
        assert fasta.fetch(Interval("c", 0, 5)) == "ACGTN"
        assert fasta.codes(Interval("c", 0, 5)).tolist() == [0, 1, 2, 3, 4]


def test_unknown_contig_is_a_mismatch(path: Path) -> None:
    with Fasta(path) as fasta:
        for read in (fasta.fetch, fasta.codes):
            with pytest.raises(InputMismatchError, match="no contig 'chr9'; it has chr1, short"):
                read(Interval("chr9", 0, 1))


@pytest.mark.parametrize("letter", ["U", "-", "*", "X"])
def test_letters_that_are_not_dna_are_refused_with_their_place(tmp_path: Path, letter: str) -> None:
    with Fasta(write_fasta(tmp_path / "g.fa", {"c": f"ACGT{letter}A"})) as fasta:
        with pytest.raises(InputFormatError, match=r"g\.fa: c:2-6: .* at index 2 of a sequence"):
            fasta.codes(Interval("c", 2, 6))
        assert fasta.codes(Interval("c", 0, 4)).tolist() == [0, 1, 2, 3]
        assert fasta.fetch(Interval("c", 4, 5)) == letter


def test_plain_gzip_asks_for_bgzip(tmp_path: Path) -> None:
    path = tmp_path / "g.fa.gz"
    path.write_bytes(gzip.compress(b">a\nACGT\n"))
    with pytest.raises(InputFormatError, match="recompress with bgzip"):
        Fasta(path)


def test_truncated_bgzip_is_refused(tmp_path: Path) -> None:
    path = write_bgzip(tmp_path / "g.fa.gz", b">a\n" + b"ACGT" * 40_000 + b"\n")
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(InputFormatError, match="truncated"):
        Fasta(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFormatError, match=r"none\.fa: cannot be read"):
        Fasta(tmp_path / "none.fa")


def test_a_damaged_block_is_refused_when_it_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sequence = decode(rng.integers(0, 4, 1_000_000, np.uint8))
    path = write_bgzip(tmp_path / "g.fa.gz", oracle.fasta_text({"c": sequence}, 1_000_000).encode())
    Fasta(path).close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 50] = bytes(50)
    path.write_bytes(content)
    with Fasta(path) as fasta, pytest.raises(InputFormatError, match="is damaged at c:0-1000000"):
        fasta.fetch(Interval("c", 0, 1_000_000))


def test_a_blank_that_an_index_cannot_know_is_no_dna_letter(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "g.fa", {"c": "ACGTACGTACGT"}, width=4)
    Fasta(path).close()
    path.write_text(path.read_text()[:-4] + " GT\n")
    with Fasta(path) as fasta, pytest.raises(InputFormatError, match="' ' at index 9 of a sequ"):
        fasta.codes(Interval("c", 0, 12))


@pytest.mark.parametrize("n_lines", [0, 1, 2400])
def test_a_file_cut_while_open_is_refused(tmp_path: Path, n_lines: int) -> None:
    path = write_fasta(tmp_path / "g.fa", {"c": "ACGT" * 50_000})
    content = path.read_bytes()
    with Fasta(path) as fasta:
        path.write_bytes(content[: n_lines * 61])
        with pytest.raises(InputFormatError, match=r"is damaged at c:.* or changed while"):
            fasta.fetch(Interval("c", 140_000, 160_000))


def test_handles_of_one_file_work_side_by_side(path: Path) -> None:
    found: list[str] = []

    def read() -> None:
        with Fasta(path) as fasta:
            for start in range(100):
                found.append(fasta.fetch(Interval("chr1", start, start + 10)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [oracle.window(CONTIGS["chr1"], start, start + 10) for start in range(100)]
    assert sorted(found) == sorted(expected * 4)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_fasta_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "g.fa"
    path.write_bytes(content)
    with contextlib.suppress(InputFormatError), Fasta(path) as fasta:
        for chrom, length in fasta.contigs.items():
            assert len(fasta.fetch(Interval(chrom, 0, length))) == length


SEQUENCE_LINES = st.sampled_from(
    [b"ACGT", b"acgn", b"NNNN", b"ACGT", b"AC", b"A-", b"A C", b"", b"\xff"]
)
RECORDS = st.tuples(
    st.sampled_from([b">a", b">b c", b">d", b"> e", b">", b"\n>f"]),
    st.lists(SEQUENCE_LINES, min_size=1, max_size=3),
).map(lambda record: [record[0], *record[1]])


@given(st.lists(RECORDS, max_size=3), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_any_lines_are_read_as_their_records_or_refused(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[bytes]], end: bytes, is_bgzip: bool
) -> None:
    content = end.join(line for record in records for line in record) + end
    folder = tmp_path_factory.mktemp("fuzz")
    if is_bgzip:
        path = write_bgzip(folder / "g.fa.gz", content)
    else:
        path = folder / "g.fa"
        path.write_bytes(content)
    try:
        with Fasta(path) as fasta:
            found = {c: fasta.fetch(Interval(c, 0, n)) for c, n in fasta.contigs.items()}
    except InputFormatError:
        event("refused")
    else:
        event("read")
        assert found == {
            header.split(b">")[1].split()[0].decode(): b"".join(lines).upper().decode()
            for header, *lines in records
        }
