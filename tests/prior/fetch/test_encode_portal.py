import itertools
import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError
from tfgen.io.download import Checksum
from tfgen.prior.fetch.encode_portal import (
    parse_experiments,
    plain_name,
    quality_score,
    search_url,
    select_files,
)
from tfgen.prior.fetch.recipe import recipe

SEARCH = Path(__file__).parents[1].joinpath("encode_search.json")


def experiment(accession="ENCSR000AAA", assay="TF ChIP-seq", target="CTCF", **fields):
    value = {
        "accession": accession,
        "assay_title": assay,
        "date_released": "2015-01-01",
        "files": [bigwig()],
        **fields,
    }
    return value if target is None else {**value, "target": {"label": target}}


def bigwig(accession="ENCFF000AAA", output="fold change over control", **fields):
    return {
        "accession": accession,
        "href": f"/files/{accession}/@@download/{accession}.bigWig",
        "file_format": "bigWig",
        "output_type": output,
        "assembly": "GRCh38",
        "status": "released",
        **fields,
    }


def chosen(*experiments):
    return [entry.path for entry in select_files(experiments)]


def test_the_search_asks_for_released_human_experiments():
    search = recipe()["encode"].search
    url = search_url(search, search["searches"][0]["query"])
    pairs = parse_qsl(urlsplit(url).query)
    query = dict(pairs)
    assert url.startswith("search/?type=Experiment&status=released&")
    assert query["assay_title"] == "TF ChIP-seq"
    assert query["target.investigated_as"] == "transcription factor"
    assert query["replicates.library.biosample.donor.organism.scientific_name"] == "Homo sapiens"
    assert query["audit.NOT_COMPLIANT.category!"] == "*"
    assert "audit.ERROR.category!=*" in url
    assert ("field", "files.md5sum") in pairs
    assert (query["limit"], query["format"]) == ("all", "json")


def test_a_stored_answer_of_the_portal_gives_the_files_of_the_rule():
    # Made by hand in the form of a search answer: two CTCF experiments, of which the deeper one
    # wins; a POLR2A one with an audit of the level ERROR; an eCLIP one without a fold change.
    experiments = parse_experiments(SEARCH.read_bytes(), "portal")
    entries = select_files(experiments)
    assert [entry.path for entry in entries] == [
        "TF_ChIP-seq_CTCF_ENCSR000DKV/ENCFF473IZV.bigWig",
        "eCLIP_RBFOX2_ENCSR756CKJ/ENCFF002EXP.bigWig",
    ]
    assert entries[0].url == "files/ENCFF473IZV/@@download/ENCFF473IZV.bigWig"
    assert (entries[0].size, entries[0].checksum) == (1024, Checksum("md5", "0" * 31 + "1"))
    assert (entries[1].size, entries[1].checksum) == (None, None)


@pytest.mark.parametrize(
    ("fields", "score"),
    [
        # 2001-09-09 is 1e9 s after 1970, to 6,400 s.
        ({"date_released": "2001-09-09"}, 0.09999936),
        ({"date_released": "soon"}, 0.0),
        ({"date_released": "1970-01-01", "replication_type": "isogenic"}, 0.5),
        ({"date_released": "1970-01-01", "replication_type": "anisogenic"}, 0.0),
        ({"date_released": "1970-01-01", "audit": {"WARNING": [{}, {}]}}, -0.2),
        ({"date_released": "1970-01-01", "audit": {"WARNING": 3}}, 0.0),
        (
            {
                "date_released": "1970-01-01",
                "files": [
                    {"quality_metrics": [{"read_depth": 2.5e7}, {"read_depth": 1e7}, 7]},
                    {"quality_metrics": [{}]},
                    {"quality_metrics": 5},
                    "@id",
                ],
            },
            0.25,
        ),
        (
            {"date_released": "1970-01-01", "files": [{"quality_metrics": [{"read_depth": 9e8}]}]},
            1.0,
        ),
    ],
)
def test_the_score_by_hand(fields, score):
    assert quality_score(experiment(**fields)) == pytest.approx(score, abs=1e-12)


def test_one_experiment_for_each_assay_and_target():
    assert chosen(
        experiment("ENCSR000AAA"),
        experiment("ENCSR000AAB", replication_type="isogenic"),
        experiment("ENCSR000AAC", target="MYC"),
        experiment("ENCSR000AAD", assay="DNase-seq", target=None),
    ) == [
        "DNase-seq_ENCSR000AAD/ENCFF000AAA.bigWig",
        "TF_ChIP-seq_CTCF_ENCSR000AAB/ENCFF000AAA.bigWig",
        "TF_ChIP-seq_MYC_ENCSR000AAC/ENCFF000AAA.bigWig",
    ]


def test_the_order_of_the_answer_does_not_matter():
    items = [
        experiment("ENCSR000AAC"),
        experiment("ENCSR000AAA"),
        experiment("ENCSR000AAB", target="MYC"),
    ]
    results = {tuple(chosen(*order)) for order in itertools.permutations(items)}
    assert results == {
        (
            "TF_ChIP-seq_CTCF_ENCSR000AAA/ENCFF000AAA.bigWig",
            "TF_ChIP-seq_MYC_ENCSR000AAB/ENCFF000AAA.bigWig",
        )
    }


@pytest.mark.parametrize("level", ["ERROR", "NOT_COMPLIANT"])
def test_severe_audits_exclude(level):
    assert chosen(experiment(audit={level: [{"category": "extreme read depth"}]})) == []


@pytest.mark.parametrize(
    ("outputs", "taken"),
    [
        (["signal p-value", "fold change over control"], 1),
        (["signal p-value", "Peaks", "fold change over control"], 1),
        (["signal p-value", "signal of unique reads"], 1),
        (["signal of all reads", "signal of unique reads"], 0),
        (["signal p-value"], None),
        ([], None),
    ],
)
def test_the_file_of_an_experiment(outputs, taken):
    files = [bigwig(f"ENCFF00{number}", output) for number, output in enumerate(outputs)]
    expected = [] if taken is None else [f"TF_ChIP-seq_CTCF_ENCSR000AAA/ENCFF00{taken}.bigWig"]
    assert chosen(experiment(files=files)) == expected
    assert chosen(experiment(files=files[::-1])) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"assembly": "hg19"},
        {"status": "archived"},
        {"file_format": "bed"},
        {"href": "https://elsewhere.org/a.bigWig"},
        {"href": None},
        {"accession": None},
    ],
)
def test_other_files_are_not_taken(fields):
    assert chosen(experiment(files=[bigwig(**fields), "/files/ENCFF1/"])) == []


@pytest.mark.parametrize("md5", ["", "ABC", "0" * 31, None])
def test_a_sum_that_is_none_is_not_compared(md5):
    entries = select_files([experiment(files=[bigwig(md5sum=md5, file_size=-1)])])
    assert (entries[0].checksum, entries[0].size) == (None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "not the JSON of a search"),
        (b"[]", "not the JSON of a search"),
        (b"{}", "no @graph"),
        (b"\xff", "not the JSON"),
        (b'{"@graph": {}}', "is no list"),
        (b'{"@graph": [3]}', "experiment 0 has no accession"),
        (b'{"@graph": [{"accession": "E"}]}', "experiment 0 has no accession"),
        (b'{"@graph": [{"accession": "E", "assay_title": "a", "files": 1}]}', "experiment 0"),
    ],
)
def test_an_answer_in_another_form_is_refused(content, message):
    with pytest.raises(InputFormatError, match=message):
        parse_experiments(content, "portal")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["target", "audit", "files", "date_released"]), JSON))
def test_any_experiment_gives_a_file_or_none(fields):
    value = {"accession": "E", "assay_title": "a", **fields}
    content = json.dumps({"@graph": [value]}).encode()
    try:
        experiments = parse_experiments(content, "portal")
    except InputFormatError:
        return
    assert len(select_files(experiments)) <= 1


@given(st.text(max_size=20))
def test_a_plain_name_is_a_file_name(text):
    name = plain_name(text)
    assert name
    assert name not in (".", "..")
    assert not set("/,: \\\0") & set(name)


def test_plain_names_keep_what_they_can():
    assert plain_name("H3K27ac, 5-mC/+ (rep.2)") == "H3K27ac_5-mC_rep.2"
