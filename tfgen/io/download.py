"""Large files from web servers: resumed after a kill, checked, published by rename.

A file that is under way is `FILE.partial`, with `FILE.partial.json` beside it, which says where
it comes from and by which validators (ETag, Last-Modified) the server would tell that it has
changed. The next run asks for the missing bytes only (`Range` with `If-Range`, RFC 9110 section
14), and starts anew where the file has changed or the server sends it whole.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    OutputError,
    UnsupportedInputError,
)
from tfgen.io.atomic import publish
from tfgen.io.remote import RemoteInfo, Response, TransientError, WebClient
from tfgen.io.space import format_bytes, free_bytes

_BLOCK = 1 << 18
_OK, _PARTIAL, _RANGE = 200, 206, 416

Algorithm = Literal["md5", "sha256"]


@dataclass(frozen=True)
class Checksum:
    """A published checksum.

    Attributes:
        algorithm: `md5` or `sha256`.
        value: Lower-case hex.
    """

    algorithm: Algorithm
    value: str


@dataclass(frozen=True)
class RemoteFile:
    """What to fetch and what is known about it beforehand.

    Attributes:
        url: Where it is.
        size: Published size in bytes; None if unknown.
        checksum: Published checksum; None if there is none.
    """

    url: str
    size: int | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True)
class Downloaded:
    """A complete file.

    Attributes:
        size: Bytes.
        sha256: Its digest in hex.
        checked: What the content was compared with: a published `sha256` or `md5`, the `size`
            that was published or that the server gave, or `nothing`.
        transferred: Bytes that came over the network in this run.
        etag: The server's ETag at that time.
        last_modified: The server's Last-Modified at that time.
    """

    size: int
    sha256: str
    checked: str
    transferred: int
    etag: str | None
    last_modified: str | None


def _nothing(_: object = None) -> None:
    """The hooks that nobody wants."""


class Downloader:
    """Fetches one file after another; several threads may each have their own.

    Args:
        client: Asks the servers.
        on_bytes: Gets the number of bytes by which the partial file has grown, or minus those
            that were thrown away.
        check_stop: Called after every block; what it raises ends the download, to be resumed.
    """

    def __init__(
        self,
        client: WebClient,
        on_bytes: Callable[[int], None] = _nothing,
        check_stop: Callable[[], None] = _nothing,
    ) -> None:
        self._client = client
        self._on_bytes = on_bytes
        self._check_stop = check_stop
        self._transferred = 0

    def fetch(
        self,
        source: RemoteFile,
        path: Path,
        on_complete: Callable[[Downloaded], None] = _nothing,
    ) -> Downloaded:
        """Fetches a file, or what is missing of it.

        Args:
            source: What to fetch.
            path: Final name, in an existing folder; an existing file is replaced at the end.
            on_complete: Called when the file is complete and checked, before it has its name.

        Returns:
            What came.

        Raises:
            InputFormatError: The content does not have the published checksum (it is removed), or
                is a web page.
            InputMismatchError: The server's size is not the published one, or it has no such file.
            DownloadError: The server failed again and again; what came is kept.
            OutputError: The disk is full or the folder cannot be written.
        """
        part = _Partial(path, source.url, self._on_bytes)
        self._transferred = 0
        resumed = part.size > 0
        self._transfer_all(source, part)
        digests = part.digests(source.checksum, self._check_stop)
        if resumed and _differs(source.checksum, digests):
            # The server may have called another file the same: once more, from the first byte.
            part.restart(None)
            self._transfer_all(source, part)
            digests = part.digests(source.checksum, self._check_stop)
        if source.checksum is not None and _differs(source.checksum, digests):
            part.remove()
            raise InputFormatError(
                f"{source.url}: has {source.checksum.algorithm} "
                f"{digests[source.checksum.algorithm]}, published is {source.checksum.value}; the "
                "file was damaged on its way or has been replaced, and was removed; try again "
                "later"
            )
        info = part.info or RemoteInfo()
        known_size = source.size is not None or info.size is not None
        checked = source.checksum.algorithm if source.checksum else "size"
        result = Downloaded(
            size=part.size,
            sha256=digests["sha256"],
            checked=checked if source.checksum or known_size else "nothing",
            transferred=self._transferred,
            etag=info.etag,
            last_modified=info.last_modified,
        )
        on_complete(result)
        part.publish()
        return result

    def _transfer_all(self, source: RemoteFile, part: "_Partial") -> None:
        """Brings the partial file to its full size, with as many attempts as that takes."""
        failures = 0
        while True:
            before = self._transferred
            try:
                self._transfer(source, part)
                return
            except TransientError as error:
                # Only failures without any progress count as failures in a row.
                failures = 1 if self._transferred > before else failures + 1
                self._client.pause(source.url, failures, error)

    def _transfer(self, source: RemoteFile, part: "_Partial") -> None:
        """One request for what is missing.

        Raises:
            TransientError: The connection broke; what came is in the partial file.
        """
        if part.is_complete():
            return
        offset, headers = part.size, {}
        validator = part.info.validator if part.info else None
        if offset and validator:
            headers = {"Range": f"bytes={offset}-", "If-Range": validator}
        with self._client.open(source.url, headers) as response:
            if response.status == _RANGE and response.info.size == offset:
                # All of it was here; only its size was not known.
                part.note_size(offset)
                return
            if response.status == _OK:
                _require_file(source, response)
                part.restart(response.info)
                self._stream(response, part)
                return
            if response.status == _PARTIAL and headers and part.is_continued_by(response):
                _require_file(source, response)
                self._stream(response, part)
                return
        if not headers:
            raise TransientError(f"an answer with HTTP status {response.status} to a plain request")
        # A part of something else: the file has changed, or the server counts in its own way.
        part.restart(None)
        self._transfer(source, part)

    def _stream(self, response: Response, part: "_Partial") -> None:
        """Appends the answer to the partial file."""
        with part.appending() as write:
            while block := response.read(_BLOCK):
                write(block)
                self._transferred += len(block)
                self._check_stop()
        expected = part.info.size if part.info else None
        if expected is not None and part.size != expected:
            raise TransientError(f"the connection ended after {part.size} of {expected} bytes")


class _Appending:
    """The open partial file; calling it writes a block."""

    def __init__(self, part: "_Partial") -> None:
        self._part = part

    def __enter__(self) -> Callable[[bytes], None]:
        # Unbuffered: what was reported as come is in the file, whatever happens to the process.
        try:
            self._stream = self._part.path.open("ab", buffering=0)
        except OSError as error:
            raise _write_error(self._part.path, error) from error
        return self._write

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def _write(self, block: bytes) -> None:
        rest = memoryview(block)
        try:
            while rest:
                n_bytes = self._stream.write(rest) or 0
                rest = rest[n_bytes:]
                self._part.grow(n_bytes)
        except OSError as error:
            raise _write_error(self._part.path, error) from error


class _Partial:
    """`FILE.partial` and `FILE.partial.json`.

    Attributes:
        path: The partial file.
        size: Its bytes.
        info: What the server said about the file when its first byte came.
    """

    def __init__(self, final: Path, url: str, on_bytes: Callable[[int], None]) -> None:
        self._final = final
        self._url = url
        self._on_bytes = on_bytes
        self.path = partial_path(final)
        self._note = _note_path(self.path)
        self.size = self.path.stat().st_size if self.path.is_file() else 0
        self.info = self._read_note() if self.size else None
        if self.size and (self.info is None or not self._can_go_on(self.info)):
            self.restart(None)

    def _can_go_on(self, info: RemoteInfo) -> bool:
        """Whether the missing bytes can be told from those of a changed file."""
        too_long = info.size is not None and self.size > info.size
        return not too_long and (info.validator is not None or self.size == info.size)

    def is_complete(self) -> bool:
        """Whether every byte is here."""
        return self.size > 0 and self.info is not None and self.size == self.info.size

    def is_continued_by(self, response: Response) -> bool:
        """Whether a 206 answer goes on where the file ends, and is of the same content."""
        content_range, found = response.content_range, response.info
        if self.info is None or content_range is None or content_range[0] != self.size:
            return False
        return all(
            there is None or here is None or there == here
            for there, here in (
                (found.size, self.info.size),
                (found.etag, self.info.etag),
                (found.last_modified, self.info.last_modified),
            )
        )

    def restart(self, info: RemoteInfo | None) -> None:
        """Empties the partial file, and notes what is to come into it."""
        try:
            with self.path.open("wb"):
                pass
        except OSError as error:
            raise _write_error(self.path, error) from error
        self.grow(-self.size)
        self.info = info
        if info is None:
            with suppress(FileNotFoundError):
                self._note.unlink()
        else:
            self._write_note(info)

    def note_size(self, size: int) -> None:
        """Notes the size that the server told late."""
        if self.info is not None:
            self.info = RemoteInfo(size, self.info.etag, self.info.last_modified)
            self._write_note(self.info)

    def grow(self, n_bytes: int) -> None:
        """Counts bytes that were written or thrown away."""
        self.size += n_bytes
        if n_bytes:
            self._on_bytes(n_bytes)

    def appending(self) -> _Appending:
        """Opens the file for further bytes."""
        return _Appending(self)

    def digests(
        self, checksum: Checksum | None, check_stop: Callable[[], None]
    ) -> dict[Algorithm, str]:
        """SHA-256 of what is on the disk, and the published kind of checksum."""
        hashes: dict[Algorithm, Any] = {"sha256": hashlib.sha256()}
        if checksum is not None and checksum.algorithm == "md5":
            hashes["md5"] = hashlib.md5(usedforsecurity=False)
        with self.path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                for digest in hashes.values():
                    digest.update(block)
                check_stop()
        return {name: digest.hexdigest() for name, digest in hashes.items()}

    def publish(self) -> None:
        """Gives the file its name."""
        publish(self.path, self._final)
        self._note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Removes what came."""
        self.grow(-self.size)
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _write_note(self, info: RemoteInfo) -> None:
        """Notes where the bytes come from; one that is cut short by a kill counts as missing."""
        try:
            self._note.write_text(json.dumps({"url": self._url, **asdict(info)}), encoding="utf-8")
        except OSError as error:
            raise _write_error(self._note, error) from error

    def _read_note(self) -> RemoteInfo | None:
        """The note of a former run for the same URL; None if it is missing or another's."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            size, etag, date = note["size"], note["etag"], note["last_modified"]
            same = note["url"] == self._url
        except (OSError, ValueError, KeyError, TypeError):
            return None
        fits = isinstance(size, int | None) and isinstance(etag, str | None)
        if not same or not fits or not isinstance(date, str | None):
            return None
        return RemoteInfo(size, etag, date)


def partial_path(final: Path) -> Path:
    """Name of a file while it is under way."""
    return final.with_name(final.name + ".partial")


def remove_left_overs(final: Path) -> None:
    """Removes what a process that was killed left beside a file that is complete."""
    partial_path(final).unlink(missing_ok=True)
    _note_path(partial_path(final)).unlink(missing_ok=True)


def _note_path(partial: Path) -> Path:
    """Name of the note that says where the bytes of a partial file come from."""
    return partial.with_name(partial.name + ".json")


def _require_file(source: RemoteFile, response: Response) -> None:
    """Refuses an answer that cannot be the file."""
    size = response.info.size
    if source.size is not None and size is not None and size != source.size:
        raise InputMismatchError(
            f"{source.url}: the server's file has {size} bytes, published are {source.size}; it "
            "has been replaced, or the list of files is out of date"
        )
    encoding = response.headers.get("Content-Encoding") or "identity"
    if encoding != "identity":
        raise UnsupportedInputError(
            f"{source.url}: the server compresses what it sends ({encoding}), so that it cannot "
            "be resumed or checked; use another mirror"
        )
    if (response.headers.get("Content-Type") or "").startswith("text/html"):
        raise InputFormatError(
            f"{source.url}: the server sent a web page instead of the file; log in or use another "
            "mirror"
        )


def _differs(checksum: Checksum | None, digests: dict[Algorithm, str]) -> bool:
    """Whether the content is not what was published."""
    return checksum is not None and digests[checksum.algorithm] != checksum.value.lower()


def _write_error(path: Path, error: OSError) -> OutputError:
    """The one-line form of a failed write."""
    free = format_bytes(free_bytes(path.parent))
    return OutputError(
        f"{path}: cannot be written: {error.strerror} ({free} free); what has come is kept; free "
        "some space or check the folder, then run the same command again"
    )
