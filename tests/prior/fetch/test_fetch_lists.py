import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.loopback import path_of, serving
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.io.remote import DownloadError, WebClient
from tfgen.prior.fetch.encode_portal import search_url
from tfgen.prior.fetch.fetch_lists import keep_list, listed_files, md5_table
from tfgen.prior.fetch.recipe import recipe

SEARCH = Path(__file__).parents[1].joinpath("encode_search.json")
FANTOM = recipe()["fantom"]
ALL = recipe()["fantom_all"]
ENCODE = recipe()["encode"]


@pytest.fixture
def site():
    with serving() as running:
        yield running


@pytest.fixture
def client():
    return WebClient(attempts=2, sleep=lambda seconds: None, timeout_s=5)


def index(*names):
    links = "".join(f'<tr><td><a href="{name}">{name}</a></td></tr>' for name in names)
    return f"<html><body><a href='?C=N'>Name</a><a>x</a>{links}</body></html>".encode()


def sample(number, strand):
    return f"sample%252c%2520{number:03d}.CNhs{number:05d}.hg38.tpm.{strand}.bw"


def test_all_links_of_an_index_to_files(site, client, tmp_path):
    site.files["/"] = index(
        "../",
        "/5/",
        "00_readme.txt",
        "other/a.fwd.bw",
        "b.fwd.bw?x",
        "https://e.org/c.fwd.bw",
        sample(2, "fwd"),
        sample(1, "rev"),
        sample(1, "fwd"),
    )
    entries = listed_files(ALL, site.url, tmp_path, client)
    assert [entry.url for entry in entries] == [
        sample(1, "fwd"),
        sample(1, "rev"),
        sample(2, "fwd"),
    ]
    # The escapes of the server's names are undone twice: %252c is %2c there and a comma in print.
    assert entries[0].path == "sample_001.CNhs00001.hg38.tpm.fwd.bw"


def test_both_strands_of_the_samples_of_the_recipe(site, client, tmp_path):
    names = [sample(number, strand) for number in range(180) for strand in ("fwd", "rev")]
    site.files["/"] = index(*names[::-1])
    entries = listed_files(FANTOM, site.url, tmp_path, client)
    assert len(entries) == 40
    # The smallest numbers of the recipe are 1, 27 and 34, the largest 175.
    assert [entry.url for entry in entries[:3]] == [
        sample(1, "fwd"),
        sample(1, "rev"),
        sample(27, "fwd"),
    ]
    assert entries[-1].url == sample(175, "rev")


def test_too_few_samples_are_an_error(site, client, tmp_path):
    site.files["/"] = index(*(sample(number, "fwd") for number in range(175)))
    with pytest.raises(InputMismatchError, match="has 175 samples, the recipe asks for number 175"):
        listed_files(FANTOM, site.url, tmp_path, client)


def test_an_index_without_files_is_an_error(site, client, tmp_path):
    site.files["/"] = b"<html>moved"
    with pytest.raises(InputMismatchError, match=r"no links to files that end in .fwd.bw or"):
        listed_files(ALL, site.url, tmp_path, client)


def test_names_that_become_one_are_an_error(site, client, tmp_path):
    site.files["/"] = index("a%20b.fwd.bw", "a%2cb.fwd.bw")
    with pytest.raises(InputMismatchError, match="two of its files would get the same name"):
        listed_files(ALL, site.url, tmp_path, client)


def test_no_link_leads_out_of_the_folder(site, client, tmp_path):
    site.files["/"] = index("%2e%2e%2fevil.fwd.bw", "..%252fworse.rev.bw")
    entries = listed_files(ALL, site.url, tmp_path, client)
    assert sorted(entry.path for entry in entries) == ["evil.fwd.bw", "worse.rev.bw"]


def serve_encode(site):
    empty = json.dumps({"@graph": []}).encode()
    for search in ENCODE.search["searches"]:
        url = site.url + search_url(ENCODE.search, search["query"])
        site.files[path_of(url)] = SEARCH.read_bytes() if search["name"] == "tf_chip" else empty


def test_the_searches_of_the_portal(site, client, tmp_path):
    serve_encode(site)
    entries = listed_files(ENCODE, site.url, tmp_path, client)
    assert [entry.path for entry in entries] == [
        "TF_ChIP-seq_CTCF_ENCSR000DKV/ENCFF473IZV.bigWig",
        "eCLIP_RBFOX2_ENCSR756CKJ/ENCFF002EXP.bigWig",
    ]
    assert len(site.requests) == 3


def test_a_search_without_a_file_is_an_error(site, client, tmp_path):
    serve_encode(site)
    for path in site.files:
        site.files[path] = b'{"@graph": []}'
    with pytest.raises(InputMismatchError, match="the search for encode found no usable file"):
        listed_files(ENCODE, site.url, tmp_path, client)


def test_a_portal_that_cannot_be_reached_is_an_error(site, client, tmp_path):
    serve_encode(site)
    for path in site.files:
        site.statuses[path] = [(503,)] * 5
    with pytest.raises(DownloadError, match="503"):
        listed_files(ENCODE, site.url, tmp_path, client)


def test_a_kept_list_is_used_whatever_the_portal_says(site, client, tmp_path):
    serve_encode(site)
    entries = listed_files(ENCODE, site.url, tmp_path, client)
    keep_list(ENCODE, entries, tmp_path)
    site.files.clear()
    site.forget()
    assert listed_files(ENCODE, site.url, tmp_path, client) == entries
    assert site.requests == []
    before = (tmp_path / "files.json").read_bytes()
    keep_list(ENCODE, entries[:1], tmp_path)
    assert (tmp_path / "files.json").read_bytes() == before


def test_a_list_of_another_recipe_is_refused(site, client, tmp_path):
    serve_encode(site)
    keep_list(ENCODE, listed_files(ENCODE, site.url, tmp_path, client), tmp_path)
    with pytest.raises(InputMismatchError, match="made by another recipe; remove it"):
        listed_files(recipe()["encode_more"], site.url, tmp_path, client)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', '{"files": 3}'])
def test_a_damaged_list_is_named(client, tmp_path, text):
    (tmp_path / "files.json").write_text(text)
    with pytest.raises(InputFormatError, match="no list of files of this program; remove it"):
        listed_files(ENCODE, "https://example.org/", tmp_path, client)


def test_a_list_that_was_tampered_with_does_not_lead_out(site, client, tmp_path):
    serve_encode(site)
    keep_list(ENCODE, listed_files(ENCODE, site.url, tmp_path, client), tmp_path)
    path = tmp_path / "files.json"
    path.write_text(path.read_text().replace("eCLIP_RBFOX2_ENCSR756CKJ/", "../../"))
    with pytest.raises(InputFormatError, match="leads out of the output folder"):
        listed_files(ENCODE, site.url, tmp_path, client)


def test_a_table_of_md5_sums(site, client):
    site.files["/md5sum.txt"] = (
        b"d41d8cd98f00b204e9800998ecf8427e  hg38.phyloP4way.bw\r\n\n"
        b"0CC175B9C0F1B6A831C399E269772661 *./hg38.phyloP4way.mod\n"
    )
    assert md5_table(site.url + "md5sum.txt", client) == {
        "hg38.phyloP4way.bw": "d41d8cd98f00b204e9800998ecf8427e",
        "hg38.phyloP4way.mod": "0cc175b9c0f1b6a831c399e269772661",
    }
    assert md5_table(site.url + "elsewhere.txt", client) is None


@given(st.binary(max_size=60))
def test_any_table_is_read_or_refused_with_its_line(content):
    class Server:
        def read(self, url):
            return content

    try:
        table = md5_table("md5sum.txt", Server())
    except InputFormatError:
        with pytest.raises(InputFormatError, match=r"^md5sum.txt:\d+: "):
            md5_table("md5sum.txt", Server())
    else:
        assert all(len(value) == 32 for value in table.values())
