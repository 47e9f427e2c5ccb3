"""Web servers: what may be asked, what came back, what is worth another try."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from tfgen import __version__
from tfgen.errors import InputMismatchError, OutputError, UnsupportedInputError, UsageError
from tfgen.io.space import format_bytes

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that may be asked over plain http: this machine."""

TIMEOUT_S = 30.0
"""Seconds without a byte after which a connection counts as lost."""

_Result = TypeVar("_Result")

_OK, _RANGE = 200, 416
_GONE = (404, 410)
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_MAX_PAUSE_S = 60.0
_MAX_TEXT_BYTES = 256_000_000


class DownloadError(OutputError):
    """A server that could not be reached, or that broke off, time after time."""


class MissingRemoteError(InputMismatchError):
    """A file that the server does not have or does not give away.

    Attributes:
        status: The HTTP status of its answer.
    """

    def __init__(self, message: str, status: int = 404) -> None:
        super().__init__(message)
        self.status = status


class TransientError(Exception):
    """A fault that may be gone at the next attempt.

    Attributes:
        retry_after_s: Seconds that the server asks to wait; 0 if it said nothing.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class RemoteInfo:
    """What a server says about a file.

    Attributes:
        size: Bytes; None if the server does not say.
        etag: The `ETag` header, which changes with the content.
        last_modified: The `Last-Modified` header.
    """

    size: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What `If-Range` takes: a strong ETag, else the date (RFC 9110, section 13.1.5)."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class Response:
    """An open answer of a server; a context manager that closes it.

    Attributes:
        status: HTTP status: 200, 206 (a part) or 416 (no such part).
        headers: The header fields.
    """

    def __init__(self, status: int, headers: Message, stream: IO[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._stream = stream

    def __enter__(self) -> "Response":
        """Returns the answer itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the connection."""
        self._stream.close()

    @property
    def info(self) -> RemoteInfo:
        """Size of the whole file and its validators."""
        start_stop = self.content_range
        if self.status != _OK:
            size = start_stop[1] if start_stop else None
        else:
            size = _number(self.headers.get("Content-Length"))
        return RemoteInfo(size, self.headers.get("ETag"), self.headers.get("Last-Modified"))

    @property
    def content_range(self) -> tuple[int | None, int | None] | None:
        """First byte (0-based) and size of the whole file of `Content-Range`; None without it."""
        unit, _, rest = (self.headers.get("Content-Range") or "").partition(" ")
        if unit != "bytes":
            return None
        span, _, total = rest.partition("/")
        return _number(span.partition("-")[0]), _number(total)

    def read(self, n_bytes: int) -> bytes:
        """What has come, at most `n_bytes`; empty at the end.

        Raises:
            TransientError: The connection is lost.
        """
        try:
            # `read1` gives what is there; `read` would wait for all of it.
            read: Callable[[int], bytes] = getattr(self._stream, "read1", self._stream.read)
            return read(n_bytes)
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(_reason(error)) from error


def require_safe_url(url: str) -> None:
    """Refuses what is not https, except plain http to this machine.

    Raises:
        UsageError: Another scheme, no host, or a name and password in the URL.
    """
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.username is not None
    except ValueError as error:
        raise UsageError(f"{url}: is no URL: {error}") from error
    if secret:
        raise UsageError("a URL with a user name is refused; use a server without a login")
    if not host or any(character.isspace() or not character.isprintable() for character in url):
        raise UsageError(f"{url!r}: is no URL of a server; expected https://HOST/PATH")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise UsageError(
            f"{url}: {parts.scheme or 'no scheme'} is refused; use https "
            "(http only for a server on this machine)"
        )


class WebClient:
    """Asks servers, and again after a while where that may help.

    Only https is spoken, and plain http to this machine; a redirect to anything else is refused.
    The proxy of the environment is used (`https_proxy`), except for this machine.

    Args:
        attempts: Failures in a row after which to give up.
        sleep: Waits for so many seconds; tests give their own.
        timeout_s: Seconds without a byte after which a connection counts as lost.
    """

    def __init__(
        self,
        attempts: int = 6,
        sleep: Callable[[float], object] = time.sleep,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.attempts = attempts
        self.sleep = sleep
        self._timeout_s = timeout_s
        self._direct = _opener()
        self._proxied = _opener(urllib.request.ProxyHandler())

    def open(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Response:
        """One attempt to get an answer.

        Args:
            url: Whom to ask.
            headers: Further header fields, as `Range`.
            method: GET or HEAD.

        Returns:
            A `Response` with status 200, 206 or 416.

        Raises:
            MissingRemoteError: The server does not have the file or does not give it away.
            TransientError: The server is busy or cannot be reached.
            UnsupportedInputError: A redirect to what is not https.
            UsageError: The URL itself is refused.
        """
        require_safe_url(url)
        opener = self._direct if urlsplit(url).hostname in LOOPBACK else self._proxied
        fields = {"User-Agent": f"tfgen/{__version__}", "Accept-Encoding": "identity"}
        # The scheme was checked above.
        request = urllib.request.Request(  # noqa: S310
            url, headers={**fields, **(headers or {})}, method=method
        )
        try:
            answer = opener.open(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE:
                return Response(error.code, error.headers, error)
            with error:
                raise _status_error(url, error) from error
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(_reason(error)) from error
        return Response(answer.status, answer.headers, answer)

    def info(self, url: str) -> RemoteInfo:
        """What one HEAD request tells; nothing where the server answers only GET.

        Raises:
            MissingRemoteError: The server has no such file (status 404 or 410).
            TransientError: The server is busy or cannot be reached.
        """
        try:
            with self.open(url, method="HEAD") as response:
                return response.info
        except MissingRemoteError as error:
            if (
                isinstance(error.__cause__, urllib.error.HTTPError)
                and error.__cause__.code in _GONE
            ):
                raise
            return RemoteInfo()

    def read(self, url: str) -> bytes:
        """The whole content of a small file, as a list or a table of checksums.

        Raises:
            MissingRemoteError: The server does not have the file.
            DownloadError: It could not be read in all attempts, or is larger than 256 MB.
        """

        def attempt() -> bytes:
            with self.open(url) as response:
                return _read_all(url, response)

        return self.repeat(url, attempt)

    def repeat(self, url: str, attempt: Callable[[], _Result]) -> _Result:
        """Calls `attempt` until it raises no TransientError.

        Raises:
            DownloadError: All attempts failed.
        """
        for failures in range(1, self.attempts + 1):
            try:
                return attempt()
            except TransientError as error:
                self.pause(url, failures, error)
        raise AssertionError("pause raises at the last attempt")

    def pause(self, url: str, failures: int, error: TransientError) -> None:
        """Waits before the next attempt: 1, 2, 4, ... s, or as long as the server asks for.

        Args:
            url: Whom was asked.
            failures: Failures in a row, including this one.
            error: The last failure.

        Raises:
            DownloadError: It was the last attempt.
        """
        if failures >= self.attempts:
            raise DownloadError(
                f"{url}: {error}, {failures} attempts in a row; what has come is kept, run the "
                "same command again to go on"
            ) from error
        self.sleep(min(max(2.0 ** (failures - 1), error.retry_after_s), _MAX_PAUSE_S))


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http, and keeps the method."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """The request for the new address.

        Raises:
            UnsupportedInputError: The new address is not safe.
        """
        where = f"{req.full_url}: the server redirects to {newurl}"
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise UnsupportedInputError(f"{where}, which is not https; refused")
        try:
            require_safe_url(newurl)
        except UsageError as error:
            raise UnsupportedInputError(f"{where}; refused: {error}") from error
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None:
            request.method = req.get_method()
        return request


def _opener(*further: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """An opener that knows http and https only: no files of this machine, no ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        SafeRedirects(),
        *further,
    ):
        opener.add_handler(handler)
    return opener


def _status_error(url: str, error: urllib.error.HTTPError) -> Exception:
    """What an HTTP error status means."""
    status = f"HTTP status {error.code} ({error.reason})"
    if error.code in _BUSY:
        return TransientError(status, float(_number(error.headers.get("Retry-After")) or 0))
    return MissingRemoteError(
        f"{url}: {status}: the server does not have this file or does not give it away; the list "
        "of files may be out of date",
        error.code,
    )


def _read_all(url: str, response: Response) -> bytes:
    """The content of an answer.

    Raises:
        TransientError: It is cut short.
        DownloadError: It is far too large.
    """
    content = bytearray()
    while block := response.read(1 << 16):
        content += block
        if len(content) > _MAX_TEXT_BYTES:
            raise DownloadError(
                f"{url}: is larger than {format_bytes(_MAX_TEXT_BYTES)}; expected a list"
            )
    expected = response.info.size
    if expected is not None and len(content) != expected:
        raise TransientError(f"the connection ended after {len(content)} of {expected} bytes")
    return bytes(content)


def _number(text: str | None) -> int | None:
    """A header's number; None if there is none."""
    return int(text) if text and text.strip().isascii() and text.strip().isdecimal() else None


def _reason(error: BaseException) -> str:
    """What went wrong on the way, in a few words."""
    if isinstance(error, urllib.error.URLError):
        reason = error.reason
        error = reason if isinstance(reason, BaseException) else error
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"the connection failed ({text})"
