import socket
import ssl
import urllib.error
import urllib.request
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.loopback import serving
from tfgen.errors import UnsupportedInputError, UsageError
from tfgen.io import remote
from tfgen.io.remote import (
    DownloadError,
    MissingRemoteError,
    RemoteInfo,
    SafeRedirects,
    TransientError,
    WebClient,
    require_safe_url,
)


@pytest.fixture
def site():
    with serving() as running:
        yield running


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def client(pauses):
    return WebClient(attempts=4, sleep=pauses.append, timeout_s=5)


@pytest.mark.parametrize(
    "url", ["https://hgdownload.soe.ucsc.edu/a.bw", "http://127.0.0.1:80/a", "http://[::1]/a"]
)
def test_https_and_this_machine_are_asked(url):
    require_safe_url(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hgdownload.soe.ucsc.edu/a.bw", "http is refused; use https"),
        ("http://127.0.0.1.example.org/", "http is refused"),
        ("file:///etc/passwd", "no URL of a server"),
        ("ftp://example.org/a", "ftp is refused"),
        ("data/a.bw", "no URL of a server"),
        ("https:///a", "no URL of a server"),
        ("https://me:secret@example.org/", "user name is refused"),
        ("https://example.org/a b", "no URL of a server"),
        ("https://[::1/", "is no URL"),
    ],
)
def test_anything_else_is_refused(url, message):
    with pytest.raises(UsageError, match=message) as caught:
        require_safe_url(url)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_safe_url_or_refused(text):
    try:
        require_safe_url(text)
    except UsageError:
        return
    assert text.lower().startswith(("https://", "http://"))


def test_a_file_is_described_by_head(site, client):
    site.files["/a"] = b"x" * 1000
    site.headers["/a"] = {"Last-Modified": "Tue, 01 Feb 2022 00:00:00 GMT"}
    info = client.info(site.url + "a")
    assert info == RemoteInfo(1000, site.etag("/a"), "Tue, 01 Feb 2022 00:00:00 GMT")
    assert site.requests == [("HEAD", "/a", None)]
    assert site.served["/a"] == 0


def test_a_redirect_keeps_the_method(site, client):
    site.files["/b"] = b"x" * 10
    site.redirects["/a"] = "/b"
    assert client.info(site.url + "a").size == 10
    assert [method for method, _, _ in site.requests] == ["HEAD", "HEAD"]


def test_servers_without_head_or_length_leave_the_size_open(site, client):
    site.files["/a"] = b"x"
    site.lengths = False
    assert client.info(site.url + "a").size is None
    site.head = False
    assert client.info(site.url + "a") == RemoteInfo()


def test_a_file_that_is_not_there_is_missing(site, client):
    with pytest.raises(MissingRemoteError, match=r"nothing: HTTP status 404 .* out of date"):
        client.info(site.url + "nothing")
    with pytest.raises(MissingRemoteError, match="404") as caught:
        client.read(site.url + "nothing")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_after_growing_pauses(site, client, pauses, status):
    site.files["/a"] = b"here"
    site.statuses["/a"] = [(status,), (status,), (status,)]
    assert client.read(site.url + "a") == b"here"
    assert pauses == [1, 2, 4]


def test_the_server_may_ask_for_longer_pauses_but_not_for_ever(site, client, pauses):
    site.files["/a"] = b"here"
    site.statuses["/a"] = [
        (503, {"Retry-After": "20"}),
        (503, {"Retry-After": "86400"}),
        (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}),
    ]
    assert client.read(site.url + "a") == b"here"
    assert pauses == [20, 60, 4]


def test_it_gives_up_in_the_end(site, client, pauses):
    site.files["/a"] = b"here"
    site.statuses["/a"] = [(503,)] * 9
    with pytest.raises(DownloadError, match=r"HTTP status 503 .* 4 attempts in a row") as caught:
        client.read(site.url + "a")
    assert caught.value.exit_code == 5
    assert pauses == [1, 2, 4]


def test_a_machine_that_does_not_answer_is_named(client):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a"
        with pytest.raises(DownloadError, match=r"the connection failed \(Connection refused\)"):
            client.read(url)


def test_a_silent_server_is_given_up(pauses):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = WebClient(attempts=2, sleep=pauses.append, timeout_s=0.05)
        with pytest.raises(DownloadError, match="no answer in time, 2 attempts"):
            client.read(f"http://127.0.0.1:{silent.getsockname()[1]}/a")


def test_a_text_that_is_cut_short_is_read_again(site, client):
    site.files["/a"] = b"0123456789"
    site.cuts["/a"] = [4]
    assert client.read(site.url + "a") == b"0123456789"
    site.cuts["/a"] = [4] * 9
    with pytest.raises(DownloadError, match="ended after 4 of 10 bytes"):
        client.read(site.url + "a")


def test_a_list_of_gigabytes_is_no_list(site, client, monkeypatch):
    monkeypatch.setattr(remote, "_MAX_TEXT_BYTES", 5)
    site.files["/a"] = b"0123456789"
    with pytest.raises(DownloadError, match="larger than 5 B; expected a list"):
        client.read(site.url + "a")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://example.org/a", r"redirects to http://example.org/a; refused: .*use https"),
        ("ftp://example.org/a", "ftp"),
    ],
)
def test_redirects_to_unsafe_places_are_refused(site, client, target, message):
    site.redirects["/a"] = target
    with pytest.raises((UnsupportedInputError, MissingRemoteError), match=message):
        client.read(site.url + "a")


def test_redirects_from_https_to_http_are_refused_even_to_this_machine():
    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(UnsupportedInputError, match="which is not https; refused"):
        SafeRedirects().redirect_request(request, None, 302, "Found", {}, "http://127.0.0.1/a")


def test_redirects_between_https_servers_are_followed_with_the_range():
    request = urllib.request.Request(
        "https://example.org/a", headers={"Range": "bytes=5-"}, method="GET"
    )
    further = SafeRedirects().redirect_request(
        request, None, 302, "Found", Message(), "https://cdn.example.org/b"
    )
    assert further.full_url == "https://cdn.example.org/b"
    assert further.get_header("Range") == "bytes=5-"


def test_only_the_web_is_opened(client):
    for opener in (client._direct, client._proxied):
        assert not {"file", "ftp", "data"} & set(opener.handle_open)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (urllib.error.URLError(TimeoutError()), "no answer in time"),
        (urllib.error.URLError("unknown host"), "unknown host"),
        (ssl.SSLError(1, "certificate verify failed"), "certificate verify failed"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_reasons_are_short(error, text):
    assert text in remote._reason(error)


def test_a_weak_etag_does_not_allow_to_resume():
    assert RemoteInfo(1, 'W/"a"', "Tue").validator == "Tue"
    assert RemoteInfo(1, '"a"', "Tue").validator == '"a"'
    assert RemoteInfo(1).validator is None


def test_transient_errors_carry_the_pause():
    assert TransientError("busy").retry_after_s == 0
