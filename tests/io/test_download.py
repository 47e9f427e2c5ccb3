"""Downloads from a server on this machine: whole, broken off, resumed, changed, damaged."""

import errno
import hashlib
import json
import random

import pytest

from prior.loopback import serving
from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    OutputError,
    UnsupportedInputError,
)
from tfgen.io import download
from tfgen.io.download import Checksum, Downloader, RemoteFile, partial_path
from tfgen.io.remote import DownloadError, WebClient

CONTENT = random.Random(1).randbytes(1_000_000)
OTHER = random.Random(2).randbytes(900_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Stopped(Exception):
    """What the caller of a download raises to end it."""


@pytest.fixture
def site():
    with serving() as running:
        running.files["/a.bw"] = CONTENT
        yield running


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def target(tmp_path):
    return tmp_path / "a.bw"


@pytest.fixture
def fetch(site, target, pauses):
    client = WebClient(attempts=3, sleep=pauses.append, timeout_s=5)
    counted = []

    def run(checksum=None, size=None, stop=lambda: None, on_complete=lambda file: None):
        counted.clear()
        source = RemoteFile(site.url + "a.bw", size, checksum)
        return Downloader(client, counted.append, stop).fetch(source, target, on_complete)

    run.counted = counted
    return run


def stop_after(target, n_bytes):
    """Ends a download once the partial file has so many bytes."""

    def check():
        if partial_path(target).stat().st_size >= n_bytes:
            raise Stopped

    return check


def begin(fetch, target, n_bytes=300_000):
    """Leaves a partial file; gives its size."""
    with pytest.raises(Stopped):
        fetch(stop=stop_after(target, n_bytes))
    assert not target.exists()
    return partial_path(target).stat().st_size


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_comes_whole(site, fetch, target):
    done = fetch()
    assert target.read_bytes() == CONTENT
    assert (done.size, done.sha256, done.transferred) == (len(CONTENT), SHA256, len(CONTENT))
    assert (done.checked, done.etag, done.last_modified) == ("size", site.etag("/a.bw"), None)
    assert sum(fetch.counted) == len(CONTENT)
    assert left(target) == ["a.bw"]


@pytest.mark.parametrize("checksum", [Checksum("sha256", SHA256), Checksum("md5", MD5.upper())])
def test_a_published_checksum_is_compared(fetch, checksum):
    assert fetch(checksum).checked == checksum.algorithm


def test_a_file_without_any_length_is_not_checked(site, fetch, target):
    site.lengths = False
    assert fetch().checked == "nothing"
    assert target.read_bytes() == CONTENT


def test_an_empty_file_is_a_file(site, fetch, target):
    site.files["/a.bw"] = b""
    assert fetch().size == 0
    assert target.read_bytes() == b""


def test_only_the_missing_bytes_are_transferred(site, fetch, target):
    here = begin(fetch, target)
    site.forget()
    done = fetch()
    assert target.read_bytes() == CONTENT
    assert site.gets("/a.bw") == [f"bytes={here}-"]
    assert site.served["/a.bw"] == done.transferred == len(CONTENT) - here
    assert sum(fetch.counted) == len(CONTENT) - here
    assert left(target) == ["a.bw"]


def test_what_was_complete_is_not_asked_for_again(site, fetch, target):
    def die(_):
        raise Stopped

    with pytest.raises(Stopped):
        fetch(on_complete=die)
    assert not target.exists()
    site.forget()
    assert fetch(Checksum("md5", MD5)).transferred == 0
    assert site.requests == []
    assert target.read_bytes() == CONTENT


def test_what_was_complete_without_a_known_size_is_asked_for_once(site, fetch, target):
    site.lengths = False
    with pytest.raises(Stopped):
        fetch(on_complete=lambda _: stop_after(target, 0)())
    site.forget()
    assert fetch().transferred == 0
    assert site.gets("/a.bw") == [f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


def test_a_connection_that_breaks_is_resumed(site, fetch, target, pauses):
    site.cuts["/a.bw"] = [300_000, 0, 200_000, 0]
    assert fetch().transferred == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert site.gets("/a.bw")[1:] == [f"bytes={n}-" for n in (300_000, 300_000, 500_000, 500_000)]
    # Pauses grow with failures in a row, and begin anew after some progress.
    assert pauses == [1, 2, 1, 2]


def test_a_server_that_always_breaks_off_is_given_up_and_its_bytes_kept(site, fetch, target):
    site.cuts["/a.bw"] = [400_000] + [0] * 20
    with pytest.raises(DownloadError, match="ended after 400000 of 1000000 bytes, 3 attempts"):
        fetch()
    assert partial_path(target).stat().st_size == 400_000
    site.cuts.clear()
    assert fetch().transferred == 600_000


def test_a_changed_file_is_fetched_anew(site, fetch, target):
    begin(fetch, target)
    site.files["/a.bw"] = OTHER
    site.forget()
    assert fetch().transferred == len(OTHER)
    assert target.read_bytes() == OTHER
    assert len(site.gets("/a.bw")) == 1


def test_a_changed_file_is_seen_on_a_server_that_ignores_if_range(site, fetch, target):
    begin(fetch, target)
    site.files["/a.bw"] = OTHER
    site.ignore_if_range = True
    assert fetch().sha256 == hashlib.sha256(OTHER).hexdigest()


def test_a_file_that_became_shorter_is_fetched_anew(site, fetch, target):
    begin(fetch, target)
    site.files["/a.bw"] = OTHER[:1000]
    site.ignore_if_range = True
    fetch()
    assert target.read_bytes() == OTHER[:1000]


def test_a_server_that_ignores_ranges_sends_it_all(site, fetch, target):
    here = begin(fetch, target)
    site.ignore_range = True
    assert fetch().transferred == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert sum(fetch.counted) == len(CONTENT) - here


def test_nothing_is_resumed_without_a_validator(site, fetch, target):
    site.validators = False
    begin(fetch, target)
    site.forget()
    fetch()
    assert site.gets("/a.bw") == [None]
    assert target.read_bytes() == CONTENT


def test_the_date_is_a_validator_too(site, fetch, target):
    date = "Tue, 01 Feb 2022 00:00:00 GMT"
    site.validators = False
    site.ignore_if_range = True
    site.headers["/a.bw"] = {"Last-Modified": date}
    here = begin(fetch, target)
    assert fetch().transferred == len(CONTENT) - here
    begin(fetch, target.unlink() or target)
    site.headers["/a.bw"] = {"Last-Modified": "Wed, 02 Feb 2022 00:00:00 GMT"}
    assert fetch().transferred == len(CONTENT)


@pytest.mark.parametrize(
    "note",
    [
        None,
        "{",
        "[]",
        '{"url": "elsewhere", "size": 1000000, "etag": "e", "last_modified": null}',
        '{"url": "URL", "size": "many", "etag": "e", "last_modified": null}',
        '{"url": "URL", "size": 1000000, "etag": "e", "last_modified": 3}',
        '{"url": "URL", "size": 10, "etag": "e", "last_modified": null}',
    ],
)
def test_a_partial_file_of_unknown_origin_is_not_built_on(site, fetch, target, note):
    partial = partial_path(target)
    partial.write_bytes(b"z" * 5000)
    if note is not None:
        partial.with_name("a.bw.partial.json").write_text(note.replace("URL", site.url + "a.bw"))
    fetch()
    assert target.read_bytes() == CONTENT
    assert sum(fetch.counted) == len(CONTENT) - 5000


def test_a_wrong_checksum_is_an_error_with_both_sums(fetch, target):
    wrong = "0" * 64
    with pytest.raises(
        InputFormatError, match=f"has sha256 {SHA256}, published is {wrong}"
    ) as caught:
        fetch(Checksum("sha256", wrong))
    assert caught.value.exit_code == 3
    assert left(target) == []
    assert sum(fetch.counted) == 0


def test_a_damaged_partial_file_is_fetched_anew_once(site, fetch, target):
    begin(fetch, target)
    with partial_path(target).open("r+b") as stream:
        stream.write(b"damage")
    site.forget()
    fetch(Checksum("sha256", SHA256))
    assert target.read_bytes() == CONTENT
    assert len(site.gets("/a.bw")) == 2


def test_another_size_than_the_published_one_is_refused(fetch, target):
    with pytest.raises(InputMismatchError, match="has 1000000 bytes, published are 5"):
        fetch(size=5)
    assert not target.exists()
    assert fetch(size=len(CONTENT)).checked == "size"


def test_a_web_page_is_no_file(site, fetch):
    site.headers["/a.bw"] = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(InputFormatError, match="sent a web page instead"):
        fetch()


def test_content_in_another_coding_is_refused(site, fetch):
    site.headers["/a.bw"] = {"Content-Encoding": "gzip"}
    with pytest.raises(UnsupportedInputError, match=r"compresses what it sends \(gzip\)"):
        fetch()


def test_a_range_error_to_a_plain_request_is_a_fault_of_the_server(site, fetch):
    site.statuses["/a.bw"] = [(416,)] * 5
    with pytest.raises(DownloadError, match="HTTP status 416 to a plain request"):
        fetch()


def test_an_existing_file_stays_until_the_new_one_is_complete(site, fetch, target):
    target.write_bytes(b"former")
    with pytest.raises(Stopped):
        fetch(stop=stop_after(target, 300_000))
    assert target.read_bytes() == b"former"
    fetch()
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_named_and_what_came_is_kept(fetch, target, monkeypatch):
    former = download._Partial.grow

    def grow(self, n_bytes):
        former(self, n_bytes)
        if self.size > 200_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download._Partial, "grow", grow)
    with pytest.raises(OutputError, match=r"No space left on device .* free\); what has come"):
        fetch()
    monkeypatch.undo()
    assert partial_path(target).stat().st_size > 200_000
    assert fetch().transferred < len(CONTENT)


def test_a_folder_that_is_gone_is_named(site, fetch, target):
    target.parent.rmdir()
    with pytest.raises(OutputError, match="a.bw.partial: cannot be written: No such file"):
        fetch()


def test_a_partial_file_that_cannot_be_opened_is_named(fetch, target, monkeypatch):
    here = begin(fetch, target)
    assert here
    partial_path(target).rename(target.parent / "aside")
    partial_path(target).mkdir()
    with pytest.raises(OutputError, match="cannot be written: Is a directory"):
        fetch()


def test_the_note_says_where_the_bytes_come_from(site, fetch, target):
    begin(fetch, target)
    note = json.loads((target.parent / "a.bw.partial.json").read_text())
    assert note == {
        "url": site.url + "a.bw",
        "size": len(CONTENT),
        "etag": site.etag("/a.bw"),
        "last_modified": None,
    }
