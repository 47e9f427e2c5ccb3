from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome import oracle
from genome.files import write_fasta
from tfgen.errors import InputMismatchError, UsageError
from tfgen.genome import (
    CheckedVariant,
    ContigNames,
    Fasta,
    ReferencePolicy,
    Status,
    Variant,
    check_variant,
)

#         1234567890123456789012345
CHR1 = "ACGTACGTACCCAGTTNNRMGACAGACAGT"
CONTIGS = {"chr1": CHR1, "chrM": "GATTACA"}
Check = Callable[..., CheckedVariant]


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fasta]:
    with Fasta(write_fasta(tmp_path_factory.mktemp("g") / "g.fa", CONTIGS)) as opened:
        yield opened


@pytest.fixture(scope="module")
def check(fasta: Fasta) -> Check:
    names = ContigNames(fasta.contigs)

    def run(
        variant: Variant,
        max_indel: int = 40_960,
        ref_policy: ReferencePolicy = "skip",
        max_allele: int | None = None,
    ) -> CheckedVariant:
        return check_variant(variant, fasta, names, max_indel, ref_policy, max_allele)

    return run


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "status", "detail"),
    [
        (5, "A", "C", Status.OK, ""),
        (5, "AC", "GT", Status.OK, ""),
        (5, "A", "AG", Status.OK, ""),
        (5, "ACG", "A", Status.OK, ""),
        (5, "ACG", "TT", Status.OK, ""),
        (5, "A", "N", Status.OK, ""),
        (17, "NN", "A", Status.OK, ""),
        (30, "T", "A", Status.OK, ""),
        (0, "A", "C", Status.POS_RANGE, "0-0 is not within 1-30 of chr1"),
        (-4, "A", "C", Status.POS_RANGE, "-4--4 is not within 1-30 of chr1"),
        (31, "A", "C", Status.POS_RANGE, "31-31 is not within 1-30 of chr1"),
        (30, "TT", "T", Status.POS_RANGE, "30-31 is not within 1-30 of chr1"),
        (5, "A", ".", Status.NO_ALT, "ALT '.' is not a sequence"),
        (5, "A", "", Status.NO_ALT, "ALT '' is not a sequence"),
        (5, "A", "<DEL>", Status.SYMBOLIC, "ALT '<DEL>' is not a sequence"),
        (5, "A", "<*>", Status.SYMBOLIC, "ALT '<*>' is not a sequence"),
        (5, "A", "A<CTG1>", Status.SYMBOLIC, "ALT 'A<CTG1>' is not a sequence"),
        (5, "A", "A]17:198982]", Status.BREAKEND, "ALT 'A]17:198982]' is not a sequence"),
        (5, "A", "[<CTG1>:7[A", Status.BREAKEND, "ALT '[<CTG1>:7[A' is not a sequence"),
        (5, "A", ".A", Status.BREAKEND, "ALT '.A' is not a sequence"),
        (5, "A", "A.", Status.BREAKEND, "ALT 'A.' is not a sequence"),
        (5, "A", "*", Status.STAR, "ALT '*' is not a sequence"),
        (5, "A", "R", Status.NON_ACGT, "ALT 'R' has letters other than A C G T N"),
        (5, "A", "AXA", Status.NON_ACGT, "ALT 'AXA' has letters other than A C G T N"),
        (5, "U", "A", Status.NON_ACGT, "REF 'U' has letters other than A C G T N"),
        (5, "", "A", Status.NON_ACGT, "REF '' has letters other than A C G T N"),
        (5, "A", "A", Status.REF_EQ_ALT, "REF and ALT are both A"),
        (5, "C", "T", Status.REF_MISMATCH, "REF C, but the genome has NACGT[A]CGTAC"),
    ],
)
def test_each_fault_has_its_status(
    check: Check, pos: int, ref: str, alt: str, status: Status, detail: str
) -> None:
    checked = check(Variant("chr1", pos, ref, alt, "x"))
    assert checked.status is status
    assert checked.detail.startswith(detail)
    assert bool(checked.detail) == (status is not Status.OK)
    assert checked.variant == Variant("chr1", pos, ref, alt, "x")
    assert not checked.swapped


def test_the_first_fault_in_the_documented_order_is_reported(check: Check) -> None:
    assert check(Variant("chr9", 0, "U", "<DEL>")).status is Status.UNKNOWN_CONTIG
    assert check(Variant("chr1", 0, "U", "<DEL>")).status is Status.POS_RANGE
    assert check(Variant("chr1", 1, "U", "<DEL>")).status is Status.SYMBOLIC
    assert check(Variant("chr1", 1, "U", "U")).status is Status.NON_ACGT
    assert check(Variant("chr1", 1, "CC", "CC"), 0).status is Status.REF_EQ_ALT
    assert check(Variant("chr1", 1, "CC", "C"), 0).status is Status.INDEL_TOO_LONG


def test_contig_names_are_those_of_the_fasta(check: Check) -> None:
    assert check(Variant("1", 5, "A", "C", "x")).variant == Variant("chr1", 5, "A", "C", "x")
    assert check(Variant("MT", 1, "G", "C")).variant.chrom == "chrM"
    unknown = check(Variant("chrZ", 5, "A", "C"))
    assert (unknown.status, unknown.variant.chrom) == (Status.UNKNOWN_CONTIG, "chrZ")
    assert unknown.detail == "contig 'chrZ' is not in the FASTA"


def test_lower_case_alleles_are_read_as_upper_case(check: Check) -> None:
    assert check(Variant("chr1", 5, "a", "c")).variant == Variant("chr1", 5, "A", "C")


def test_mismatch_shows_five_genome_bases_on_either_side(check: Check) -> None:
    assert check(Variant("chr1", 10, "GG", "G")).detail == (
        "REF GG, but the genome has ACGTA[CC]CAGTT"
    )
    assert check(Variant("chr1", 1, "T", "G")).detail == "REF T, but the genome has NNNNN[A]CGTAC"
    assert check(Variant("chr1", 30, "A", "G")).detail == "REF A, but the genome has GACAG[T]NNNNN"


@pytest.mark.parametrize(
    ("pos", "ref", "is_match"),
    [
        (17, "N", True),
        (17, "A", False),
        (5, "N", False),
        (19, "A", True),
        (19, "G", True),
        (19, "C", False),
        (19, "N", False),
        (19, "GC", True),
        (19, "GT", False),
        (18, "NAAG", True),
    ],
)
def test_n_matches_only_itself_and_a_base_resolves_an_ambiguity(
    check: Check, pos: int, ref: str, is_match: bool
) -> None:
    expected = Status.OK if is_match else Status.REF_MISMATCH
    assert check(Variant("chr1", pos, ref, "TTTTT")).status is expected


@pytest.mark.parametrize(
    ("ref", "alt", "max_indel", "status"),
    [
        ("A", "ACG", 2, Status.OK),
        ("A", "ACGT", 2, Status.INDEL_TOO_LONG),
        ("ACG", "A", 2, Status.OK),
        ("ACGT", "A", 2, Status.INDEL_TOO_LONG),
        ("ACG", "TTT", 2, Status.OK),
        ("ACGT", "TTTT", 0, Status.OK),
        ("ACGTAC", "TTTT", 2, Status.OK),
        ("A", "C", 0, Status.OK),
        ("A", "AC", 0, Status.INDEL_TOO_LONG),
    ],
)
def test_max_indel_bounds_the_bases_that_are_added_or_removed(
    check: Check, ref: str, alt: str, max_indel: int, status: Status
) -> None:
    checked = check(Variant("chr1", 5, ref, alt), max_indel)
    assert checked.status is status
    if status is Status.INDEL_TOO_LONG:
        assert checked.detail == (
            f"alleles of {len(ref)} and {len(alt)} bp; at most {max_indel} bp may be added or "
            "removed"
        )


@pytest.mark.parametrize(
    ("ref", "alt", "status"),
    [
        ("ACGT", "TTTT", Status.OK),
        ("ACGTA", "TTTTT", Status.INDEL_TOO_LONG),
        ("A", "ACGTA", Status.INDEL_TOO_LONG),
    ],
)
def test_no_allele_may_be_longer_than_what_a_window_holds(
    check: Check, ref: str, alt: str, status: Status
) -> None:
    checked = check(Variant("chr1", 5, ref, alt), max_allele=4)
    assert checked.status is status
    if status is Status.INDEL_TOO_LONG:
        assert checked.detail == (
            f"alleles of {len(ref)} and {len(alt)} bp; an allele may have at most 4 bp"
        )


@pytest.mark.parametrize(
    ("pos", "ref", "alt"),
    [(5, "G", "A"), (5, "GC", "A"), (5, "TT", "ACG"), (30, "C", "T"), (17, "A", "N")],
)
def test_swap_orients_the_variant_as_the_genome(check: Check, pos: int, ref: str, alt: str) -> None:
    variant = Variant("chr1", pos, ref, alt, "x")
    assert check(variant).status is Status.REF_MISMATCH
    checked = check(variant, ref_policy="swap")
    assert checked == CheckedVariant(Variant("chr1", pos, alt, ref, "x"), Status.OK, swapped=True)


@pytest.mark.parametrize(("pos", "ref", "alt"), [(5, "G", "T"), (5, "T", "AT"), (30, "A", "TN")])
def test_swap_needs_the_alternative_allele_in_the_genome(
    check: Check, pos: int, ref: str, alt: str
) -> None:
    checked = check(Variant("chr1", pos, ref, alt), ref_policy="swap")
    assert (checked.status, checked.swapped) == (Status.REF_MISMATCH, False)
    assert checked.variant.ref == ref


def test_swap_leaves_matching_variants_alone(check: Check) -> None:
    assert not check(Variant("chr1", 5, "A", "AC"), ref_policy="swap").swapped


def test_error_policy_names_the_record(check: Check) -> None:
    with pytest.raises(
        InputMismatchError, match=r"chr1:5 C>T \(rs7\): REF C, but the genome has NACGT\[A\]CGTAC;"
    ):
        check(Variant("1", 5, "C", "T", "rs7"), ref_policy="error")
    assert check(Variant("1", 5, "A", "T"), ref_policy="error").status is Status.OK


def test_unknown_policy_is_refused(check: Check) -> None:
    with pytest.raises(UsageError, match="ref_policy 'flip': expected 'skip', 'swap' or 'error'"):
        check(Variant("chr1", 5, "A", "T"), ref_policy="flip")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "expected"),
    [
        (9, "A", "AC", False),
        (10, "C", "CC", True),
        (12, "C", "CC", True),
        (9, "ACC", "AC", True),
        (9, "AC", "A", False),
        (9, "AC", "AGG", True),
        (9, "AC", "GGG", False),
        (1, "A", "TA", False),
        (1, "AC", "C", False),
        (1, "AC", "TAC", True),
        (9, "AC", "GC", False),
    ],
)
def test_indels_that_are_not_in_their_shortest_leftmost_form_are_flagged(
    check: Check, pos: int, ref: str, alt: str, expected: bool
) -> None:
    assert check(Variant("chr1", pos, ref, alt)).not_normalised is expected


def left_aligned(contig: str, pos: int, ref: str, alt: str) -> tuple[int, str, str]:
    """The normal form, reached step by step (Tan et al. 2015, algorithm 1)."""
    while ref and alt and ref[-1] == alt[-1]:
        if min(len(ref), len(alt)) > 1:
            ref, alt = ref[:-1], alt[:-1]
        elif pos > 1:
            pos -= 1
            ref, alt = contig[pos - 1] + ref[:-1], contig[pos - 1] + alt[:-1]
        else:
            break
    while min(len(ref), len(alt)) > 1 and ref[0] == alt[0]:
        pos, ref, alt = pos + 1, ref[1:], alt[1:]
    return pos, ref, alt


@given(st.integers(1, 16), st.integers(1, 4), st.text("ACG", min_size=1, max_size=5))
def test_normal_form_agrees_with_stepwise_normalisation(
    check: Check, pos: int, ref_length: int, alt: str
) -> None:
    ref = CHR1[pos - 1 : pos - 1 + ref_length]
    checked = check(Variant("chr1", pos, ref, alt))
    if checked.status is Status.OK and len(ref) != len(alt):
        changed = left_aligned(CHR1, pos, ref, alt) != (pos, ref, alt)
        assert checked.not_normalised == changed


@given(st.integers(-2, 33), st.text("ACGTN", min_size=1, max_size=4), st.text("ACGTN", max_size=3))
def test_reference_check_agrees_with_reading_the_letters(
    check: Check, pos: int, ref: str, alt: str
) -> None:
    checked = check(Variant("chr1", pos, ref, alt + "G"))
    if checked.status in (Status.OK, Status.REF_MISMATCH):
        pairs = zip(ref, oracle.window(CHR1, pos - 1, pos - 1 + len(ref)), strict=True)
        fits = all(b == g or (g in "RM" and b in oracle.MEMBERS[g]) for b, g in pairs)
        assert (checked.status is Status.OK) == fits


def test_alleles_of_any_text_get_a_status(check: Check) -> None:
    @given(st.text(max_size=6), st.text(max_size=6), st.integers(-5, 40))
    def run(ref: str, alt: str, pos: int) -> None:
        assert isinstance(check(Variant("chr1", pos, ref, alt)).status, Status)

    run()
