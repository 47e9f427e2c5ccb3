import pytest

from tfgen.genome.variant_sites import contig_length


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("##contig=<ID=chr22,length=50818468,assembly=GRCh38>", ("chr22", 50_818_468)),
        ("##contig=<assembly=b37,length=5,ID=20>", ("20", 5)),
        ("##contig=<ID=HLA-A*01:01:01,length=3503>", ("HLA-A*01:01:01", 3503)),
    ],
)
def test_name_and_length_are_read_in_any_order_of_fields(line, expected):
    assert contig_length(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "##contig=<ID=20>",
        "##contig=<length=5>",
        "##contig=<ID=20,length=five>",
        "##contig=<ID=20,length=1234567890123456789>",
        "##INFO=<ID=AF,length=5>",
        "",
    ],
)
def test_a_line_without_both_says_nothing(line):
    assert contig_length(line) is None
