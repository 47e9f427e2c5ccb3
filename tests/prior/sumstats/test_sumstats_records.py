import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri_exp

from tfgen.errors import UsageError
from tfgen.io import RejectLog
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munge_ledger import Ledger
from tfgen.prior.sumstats.sumstats_columns import resolve_columns
from tfgen.prior.sumstats.sumstats_reader import Block
from tfgen.prior.sumstats.sumstats_records import (
    SumstatsRecords,
    other_frequency,
    parse_block,
    ratio_to_p,
)

ROW = {"SNP": "rs1", "CHR": "1", "BP": "10", "A1": "a", "A2": "G", "N": "100"}


def block(rows, name="generic"):
    header = list(rows[0])
    columns = resolve_columns(Path("in.txt"), header, name, {})
    values = {
        field: np.array([row[column] for row in rows], object)
        for field, column in columns.names.items()
    }
    return Block(columns, 2, values)


def parse(*rows, name="generic", **settings):
    config = MungeConfig(input=Path("in.txt"), output=Path("out.tsv"), **settings)
    ledger = Ledger(RejectLog())
    return parse_block(block(rows, name), config, ledger), ledger.counts


def one(name="generic", **values):
    """The records of one row, and the code of what is wrong with it."""
    records, counts = parse({**ROW, **values}, name=name)
    assert len(records) + sum(counts.values()) == 1
    return records, next(iter(counts), None)


def test_a_good_row_is_read():
    records, code = one(EAF="0.8", BETA="0.5", SE="0.25", INFO="0.9")
    assert code is None
    assert records.variants.label(0) == "1:10:G:A (rs1)"
    assert (records.z[0], records.n[0], records.line[0]) == (2, 100, 2)
    assert (records.variants.af[0], records.maf[0]) == (0.8, 0.2)
    assert (records.beta[0], records.se[0]) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"CHR": "NA"}, "POSITION"),
        ({"CHR": "0"}, "POSITION"),
        ({"BP": "0"}, "POSITION"),
        ({"BP": "x"}, "POSITION"),
        ({"A1": "N"}, "ALLELE"),
        ({"A1": "<DEL>"}, "ALLELE"),
        ({"A2": ""}, "ALLELE"),
        ({"A2": "A"}, "ALLELE"),
        ({"EAF": "1.2"}, "FREQUENCY"),
        ({"EAF": "-0.1"}, "FREQUENCY"),
        ({"EAF": "x"}, "NUMBER"),
        ({"MAF": "7"}, "FREQUENCY"),
        ({"EAF": "0.9995"}, "LOW_MAF"),
        ({"MAF": "0.0005"}, "LOW_MAF"),
        ({"INFO": "0.59"}, "LOW_INFO"),
        ({"INFO": "-1"}, "NUMBER"),
        ({"BETA": "inf"}, "NUMBER"),
        ({"BETA": "1e300", "SE": "1e-300"}, "NUMBER"),
        ({"SE": "0"}, "SE_RANGE"),
        ({"SE": "-1"}, "SE_RANGE"),
        ({"SE": "NA"}, "MISSING"),
        ({"BETA": "NA"}, "MISSING"),
        ({"Z": "-1"}, "INCONSISTENT"),
        ({"CHISQ_BOLT_LMM": "-1"}, "CHISQ_RANGE"),
        ({"CHISQ_BOLT_LMM": "4", "BETA": "0"}, "NO_SIGN"),
        ({"N": "0"}, "N_RANGE"),
        ({"N": "NA"}, "MISSING"),
        ({"N": "many"}, "NUMBER"),
        ({"TEST": "DOMDEV"}, "TEST"),
        ({"TEST": "add"}, None),
        ({"EAF": "NA", "INFO": "."}, None),
        ({"INFO": "1.3"}, None),
        ({"BETA": "0"}, None),
    ],
)
def test_every_fault_and_filter_has_its_code(values, code):
    assert one(**{"BETA": "0.5", "SE": "0.25", **values})[1] == code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"OR": "0", "SE": "1"}, "OR_RANGE"),
        ({"OR": "-2", "SE": "1"}, "OR_RANGE"),
        ({"BETA": "1", "P": "0"}, "P_ZERO"),
        ({"BETA": "1", "P": "1.5"}, "P_RANGE"),
        ({"BETA": "1", "P": "x"}, "P_RANGE"),
        ({"BETA": "1", "P": "NA"}, "MISSING"),
        ({"BETA": "0", "P": "0.01"}, "NO_SIGN"),
        ({"BETA": "1", "LOG10P": "-3"}, "P_RANGE"),
        ({"BETA": "1", "LOG10P": "1e308"}, "MISSING"),
    ],
)
def test_faults_of_odds_ratios_and_p_values(values, code):
    assert one(**values)[1] == code


@pytest.mark.parametrize(
    ("values", "z"),
    [
        ({"OR": "0.5", "SE": "0.1"}, math.log(0.5) / 0.1),
        ({"BETA": "-1", "P": "1e-400"}, ndtri_exp(-400 * math.log(10) - math.log(2))),
        ({"BETA": "2", "LOG10P": "400"}, -ndtri_exp(-400 * math.log(10) - math.log(2))),
        ({"OR": "0.9", "P": "0.05"}, -1.959963984540054),
        ({"BETA": "3", "SE": "1.5", "P": "0"}, 2.0),
        ({"BETA": "3", "SE": "NA", "P": "0.05"}, 1.959963984540054),
        ({"BETA": "3", "LOG10P": "NA", "P": "0.05"}, 1.959963984540054),
        ({"BETA": "-3", "CHISQ_BOLT_LMM_INF": "9", "SE": "1.5"}, -3.0),
        ({"BETA": "-3", "CHISQ_BOLT_LMM_INF": "9", "CHISQ_BOLT_LMM": "16"}, -4.0),
        ({"BETA": "3", "SE": "1", "CHISQ_BOLT_LMM": "NA"}, 3.0),
        ({"Z": "0", "BETA": "3", "SE": "1"}, 0.0),
    ],
)
def test_z_comes_from_the_best_that_is_there(values, z):
    records, code = one(**values)
    assert code is None
    assert records.z[0] == pytest.approx(z, rel=1e-12)


def test_the_odds_ratio_becomes_its_logarithm():
    assert one(OR="2", SE="0.1")[0].beta[0] == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("name", "chrom", "expected"),
    [
        ("generic", "chr1", "1"),
        ("generic", "CHR01", "1"),
        ("generic", "23", "X"),
        ("generic", "24", "Y"),
        ("generic", "chrM", "MT"),
        ("generic", "x", "X"),
        ("generic", "25", "25"),
        ("generic", "7.0", "7"),
        ("generic", "chrUn_KI270302v1", "Un_KI270302v1"),
        ("ssf", "25", "MT"),
        ("ssf", "23", "X"),
    ],
)
def test_contigs_are_named_alike(name, chrom, expected):
    row = {
        "chromosome": chrom,
        "base_pair_location": "5",
        "effect_allele": "A",
        "other_allele": "G",
        "beta": "1",
        "standard_error": "1",
        "n": "9",
    }
    records, counts = parse(row, name=name)
    assert not counts
    assert records.variants.chrom[0] == expected
    assert records.variants.id[0] == ""


@pytest.mark.parametrize(
    ("a1", "ref", "alt", "other"),
    [
        ("A", "G", "A", "G"),
        ("G", "G", "A", "A"),
        ("A", "G", "C,A", "G"),
        ("G", "G", "C,A", None),
        ("T", "G", "A", None),
    ],
)
def test_the_other_allele_of_plink2_is_the_one_that_is_not_tested(a1, ref, alt, other):
    row = {"CHROM": "1", "POS": "5", "ID": ".", "REF": ref, "ALT": alt, "A1": a1}
    records, counts = parse({**row, "TEST": "ADD", "OBS_CT": "9", "Z_STAT": "1"}, name="plink2")
    if other is None:
        assert counts == {"ALLELE": 1}
    else:
        assert (records.variants.ref[0], records.variants.alt[0]) == (other, a1)
        assert records.variants.id[0] == ""


def test_omitted_of_plink2_is_the_other_allele():
    row = {"CHROM": "1", "POS": "5", "ID": "rs1", "REF": "G", "ALT": "C,A", "A1": "G"}
    row |= {"OMITTED": "C", "OBS_CT": "9", "Z_STAT": "1"}
    assert parse(row, name="plink2")[0].variants.ref[0] == "C"


def test_a_row_that_ldsc_left_empty_is_no_fault():
    row = {"SNP": "rs1", "A1": "A", "A2": "G", "Z": "1", "N": "5"}
    empty = {"SNP": "rs2", "A1": "", "A2": "", "Z": "", "N": ""}
    records, counts = parse(row, empty, name="ldsc")
    assert counts == {"EMPTY": 1}
    assert records.variants.id.tolist() == ["rs1"]
    assert (records.variants.chrom[0], records.variants.pos[0]) == ("", 0)


def test_the_first_reason_counts():
    values = {"BETA": "0.5", "SE": "0", "EAF": "0.0001", "N": "x"}
    assert one(**values)[1] == "LOW_MAF"
    assert one(**values, TEST="DOM")[1] == "TEST"


def test_cases_and_controls_give_the_effective_n():
    records, _ = one(BETA="1", SE="1", n_cases="100", n_controls="300")
    assert records.n[0] == pytest.approx(300)
    assert parse({**ROW, "Z": "1"}, n=77)[0].n[0] == 77


def test_a_missing_sample_size_stops():
    with pytest.raises(UsageError, match="no column with the sample size"):
        parse({name: value for name, value in {**ROW, "Z": "1"}.items() if name != "N"})


def test_a_rejected_row_is_listed_as_it_stood(tmp_path):
    rows = [{**ROW, "BETA": "0.5", "SE": "0.1"}, {**ROW, "BETA": "huge", "SE": "0.1"}]
    with RejectLog(tmp_path) as rejects:
        config = MungeConfig(input=Path("in.txt"), output=Path("out.tsv"))
        parse_block(block(rows), config, Ledger(rejects))
        rejects.write(tmp_path / "r.tsv")
    line = (tmp_path / "r.tsv").read_text().splitlines()[1]
    assert line == "3\t1\t10\trs1\tG\ta\tNUMBER\tBETA is 'huge'; not a finite number"


def test_records_can_be_taken_and_joined():
    first, _ = one(BETA="1", SE="1")
    second, _ = one(BETA="2", SE="1", BP="20")
    both = SumstatsRecords.concatenate([first, second])
    assert both.z.tolist() == [1, 2]
    assert both.take(np.array([False, True])).describe(0) == (2, "1", 20, "rs1", "G", "A")


def test_the_frequency_of_the_other_allele_is_as_it_would_be_written():
    assert other_frequency(np.array([0.722463])).tolist() == [0.277537]


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 1.0), (3.0, 3.0)])
def test_effects_are_compared_with_p(scale, expected):
    rng = np.random.default_rng(3)
    rows = [
        {**ROW, "BETA": repr(z * scale), "SE": "1.0", "P": repr(math.erfc(abs(z) / math.sqrt(2)))}
        for z in rng.normal(size=300).tolist()
    ]
    assert ratio_to_p(block(rows)) == pytest.approx(expected)
    assert math.isnan(ratio_to_p(block(rows[:20])))
    assert math.isnan(ratio_to_p(block([{**row, "P": "NA"} for row in rows])))


FIELD_TEXT = st.one_of(
    st.sampled_from(["", "NA", "0", "1", "-1", "0.5", "1e-400", "1e999", "inf", "A", "G", "ADD"]),
    st.text(max_size=6),
)


@given(
    st.lists(
        st.fixed_dictionaries(
            dict.fromkeys(
                "SNP CHR BP A1 A2 EAF MAF INFO BETA OR SE Z P LOG10P N TEST "
                "CHISQ_BOLT_LMM CHISQ_BOLT_LMM_INF CHISQ_LINREG".split(),
                FIELD_TEXT,
            )
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_stands_in_the_fields_every_row_is_read_or_counted(rows):
    records, counts = parse(*rows)
    assert len(records) + sum(counts.values()) == len(rows)
    assert np.isfinite(records.z).all()
    assert (records.n > 0).all()
    assert (records.variants.pos > 0).all()
    ratio_to_p(block(rows))
