from pathlib import Path

import pytest

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import (
    ContigNames,
    contig_length_mismatches,
    load_contig_map,
    require_common_contig,
)


@pytest.mark.parametrize(
    ("contigs", "name", "expected"),
    [
        (["chr1", "chr2"], "chr1", "chr1"),
        (["chr1", "chr2"], "1", "chr1"),
        (["1", "2"], "chr2", "2"),
        (["1", "chr1"], "1", "1"),
        (["1", "chr1"], "chr1", "chr1"),
        (["chrM"], "MT", "chrM"),
        (["MT"], "chrM", "MT"),
        (["MT"], "M", "MT"),
        (["M", "MT"], "chrM", None),
        (["chr1"], "chr11", None),
        (["chr1"], "Chr1", None),
        (["chr1"], "chr", None),
        (["chr1"], "", None),
    ],
)
def test_names_map_only_when_one_spelling_fits(
    contigs: list[str], name: str, expected: str | None
) -> None:
    assert ContigNames(contigs).resolve(name) == expected


def test_renamed_names_are_kept_for_the_log() -> None:
    names = ContigNames(["chr1", "2"])
    assert [names.resolve(name) for name in ("1", "2", "x", "1")] == ["chr1", "2", None, "chr1"]
    assert names.renamed == {"1": "chr1"}


def test_overrides_decide_first() -> None:
    names = ContigNames(["chr1", "NC_000001.11"], {"chr1": "NC_000001.11"})
    assert names.resolve("chr1") == "NC_000001.11"
    assert names.resolve("1") == "chr1"


def test_override_to_a_contig_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        InputMismatchError, match=r"'1' leads to 'chr9', which the FASTA does not.*a, b, c, \.\.\."
    ):
        ContigNames(["a", "b", "c", "d"], {"1": "chr9"})


def test_no_common_contig_stops_with_three_names_of_each_file() -> None:
    names = ContigNames(["chrA", "chrB", "chrC", "chrD"])
    with pytest.raises(
        InputMismatchError,
        match=r"v\.vcf and g\.fa have no contig in common: .* 1, 2, the second chrA, chrB, chrC, ",
    ):
        require_common_contig(["1", "2"], names, Path("v.vcf"), Path("g.fa"))


@pytest.mark.parametrize("seen", [[], ["zzz", "chrA"], ["A"]])
def test_one_common_contig_or_no_record_is_enough(seen: list[str]) -> None:
    require_common_contig(seen, ContigNames(["chrA"]), Path("v.vcf"), Path("g.fa"))


def test_every_renamed_contig_is_known_afterwards() -> None:
    names = ContigNames(["chr1", "chr2", "chrM"])
    require_common_contig(["chr1", "U", "2", "MT"], names, Path("v.vcf"), Path("g.fa"))
    assert names.renamed == {"2": "chr2", "MT": "chrM"}


def test_contigs_of_another_length_are_reported() -> None:
    lengths = {"chr1": 100, "chr2": 50}
    names = ContigNames(lengths)
    found = contig_length_mismatches({"1": 100, "2": 51, "3": 7}, lengths, names)
    assert [str(mismatch) for mismatch in found] == [
        "contig 2: 51 bp in the header of the variant file, 50 bp as chr2 in the FASTA"
    ]


def test_contig_map_has_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text("# comment\n1\tchr1\r\n\n2 chr2\n1 chr1\n")
    assert load_contig_map(path) == {"1": "chr1", "2": "chr2"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 chr1\n2\n", r"map\.txt:2: 1 columns; expected 2"),
        (b"1 chr1\n1 chr2\n", r"map\.txt:2: contig '1' leads to 'chr1' and to 'chr2'"),
        (b"1 chr\xff\n", r"map\.txt: cannot be read as a contig map"),
    ],
)
def test_faulty_contig_maps_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "map.txt"
    path.write_bytes(content)
    with pytest.raises(InputFormatError, match=message):
        load_contig_map(path)


def test_missing_contig_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFormatError, match=r"none\.txt: cannot be read"):
        load_contig_map(tmp_path / "none.txt")
