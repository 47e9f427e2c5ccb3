from pathlib import Path
from typing import get_args

import pytest

from prior.sumstats_files import FILES
from tfgen.errors import InputFormatError, UsageError
from tfgen.prior.sumstats.sumstats_columns import (
    FIELDS,
    FORMATS,
    FormatName,
    parse_overrides,
    resolve_columns,
)

PATH = Path("in.txt")


def resolve(header, name="auto", **overrides):
    return resolve_columns(PATH, header.split(), name, overrides)


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_told_by_its_header(name):
    header = FILES[name].partition("\n")[0].replace(",", " ").replace("#", "")
    assert resolve(header).format == name
    assert resolve(header.lower()).format == name
    assert resolve(header, name).format == name


def test_every_format_can_be_chosen():
    names = {fmt.name for fmt in FORMATS}
    assert names | {"auto", "generic"} == set(get_args(FormatName)) == set(FILES) | {"auto"}


def test_every_field_and_signature_of_the_table_is_in_lower_case_and_known():
    for fmt in FORMATS:
        assert set(fmt.columns) <= set(FIELDS)
        names = [alias for aliases in fmt.columns.values() for alias in aliases]
        assert all(name == name.lower() for name in [*names, *fmt.signature])
        assert len(set(names)) == len(names), "one column for two fields"


def test_the_effect_allele_is_the_one_that_each_program_documents():
    effect = {
        name: resolve(text.partition("\n")[0].replace(",", " ").replace("#", "")).names["A1"]
        for name, text in FILES.items()
    }
    assert effect["bolt"] == "ALLELE1"
    assert effect["regenie"] == "ALLELE1"
    assert effect["plink2"] == "A1"
    assert effect["saige"] == "Allele2"
    assert effect["ssf"] == "effect_allele"


def test_genpos_is_a_position_for_regenie_and_a_genetic_distance_for_bolt():
    bolt = resolve("SNP CHR BP GENPOS ALLELE1 ALLELE0 BETA SE")
    regenie = resolve("CHROM GENPOS ID ALLELE0 ALLELE1 BETA SE")
    assert (bolt.names["BP"], regenie.names["BP"]) == ("BP", "GENPOS")


def test_the_score_statistic_of_saige_is_no_z():
    found = resolve("CHR POS MarkerID Allele1 Allele2 AF_Allele2 BETA SE Tstat p.value")
    assert "Z" not in found


def test_maf_is_not_the_frequency_of_a1():
    found = resolve("SNP CHR BP A1 A2 Z N MAF")
    assert "A1FREQ" not in found
    assert "MAF" in found


def test_one_of_several_candidates_is_not_chosen_silently():
    with pytest.raises(
        InputFormatError, match=r"BP .* could be any of the columns BP, POS; .*--columns=BP:BP"
    ):
        resolve("CHR BP POS A1 A2 Z N X")
    assert resolve("CHR BP POS A1 A2 Z N X", BP="pos").names["BP"] == "POS"


def test_overrides_come_before_the_format_and_can_switch_a_field_off():
    found = resolve("SNP CHR BP A1 A2 Z N my_z", Z="my_z", N="")
    assert found.names["Z"] == "my_z"
    assert "N" not in found
    assert not resolve("SNP CHR BP A1 A2 Z N", CHR="").has_positions


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(InputFormatError, match="no column 'zz'; the file has SNP, CHR"):
        resolve("SNP CHR BP A1 A2 Z N", Z="zz")


def test_a_repeated_column_that_is_used_is_refused():
    with pytest.raises(InputFormatError, match="repeated column 'z'"):
        resolve("SNP CHR BP A1 A2 Z Z N")


def test_a_header_of_two_formats_needs_a_choice():
    both = "SNP CHR POS A1 A2 N AF1 BETA SE P freq b Z"
    with pytest.raises(InputFormatError, match="fits the formats fastgwa, cojo, ldsc .*--format"):
        resolve(both)
    assert resolve(both, "fastgwa").format == "fastgwa"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("CHR BP ALLELE1 ALLELE2 BETA SE", "ALLELE1 and ALLELE2 is the effect allele is not said"),
        ("CHR BP REF ALT BETA SE", "REF and ALT is the effect allele is not said"),
        ("CHR BP A1 BETA SE", "no columns for the effect allele A1 and the other allele A2"),
        ("CHR A1 A2 BETA SE", "no columns CHR and BP, and no SNP"),
        ("SNP A1 A2 BETA N", "no z-score, and no effect"),
        ("SNP A1 A2 SE P", "no z-score, and no effect"),
    ],
)
def test_what_is_missing_is_said_with_the_remedy(header, message):
    with pytest.raises(InputFormatError, match=message) as caught:
        resolve(header)
    assert "--columns" in str(caught.value)


def test_overrides_are_pairs_of_field_and_column():
    assert parse_overrides(("z: my_z", "N:", "A1:x:y")) == {"Z": "my_z", "N": "", "A1": "x:y"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (("Z",), "'Z'; expected FIELD:column"),
        (("ZZ:a",), "FIELD one of SNP, CHR"),
        (("Z:a", "z:b"), "Z is given twice"),
    ],
)
def test_overrides_of_another_form_are_refused(entries, message):
    with pytest.raises(UsageError, match=message):
        parse_overrides(entries)
