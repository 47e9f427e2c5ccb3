"""What has been fetched into a folder, with digests: `manifest.json`.

While a run goes on, every finished file is a line of `manifest.json.new`, written before the file
gets its name; the next run takes those lines up, and the last line may be cut short by a kill.
"""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

from tfgen.errors import InputFormatError, OutputError
from tfgen.io.atomic import write_json

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Fetched:
    """A file that is there.

    Attributes:
        url: Where it came from.
        size: Bytes.
        sha256: Its digest in hex.
        checked: What it was compared with: a published `sha256` or `md5`, a `size`, or `nothing`.
        etag: The server's ETag.
        last_modified: The server's Last-Modified.
    """

    url: str
    size: int
    sha256: str
    checked: str
    etag: str | None = None
    last_modified: str | None = None


class Manifest:
    """The files of a folder by their relative paths; a context manager while files are added.

    Args:
        folder: The folder; need not exist for an empty manifest.

    Raises:
        InputFormatError: `manifest.json` is damaged or of a newer version.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / MANIFEST_NAME
        self._journal = folder / f"{MANIFEST_NAME}.new"
        self._lock = threading.Lock()
        self._stream: TextIO | None = None
        self.files: dict[str, Fetched] = self._read() | self._read_journal()

    def __enter__(self) -> "Manifest":
        """Opens the list of new files.

        Raises:
            OutputError: The folder cannot be written.
        """
        self._write()
        try:
            self._stream = self._journal.open("x", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{self._journal}: cannot be written: {error.strerror}") from error
        return self

    def __exit__(self, *error: object) -> None:
        """Writes `manifest.json`."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._write()

    def add(self, path: str, fetched: Fetched) -> None:
        """Notes a file; after this a kill does not lose it.

        Args:
            path: Its path relative to the folder.
            fetched: What is known of it.

        Raises:
            OutputError: The disk is full.
        """
        line = json.dumps({"path": path, **asdict(fetched)}, sort_keys=True)
        with self._lock:
            self.files[path] = fetched
            if self._stream is None:
                return
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
                os.fsync(self._stream.fileno())
            except OSError as error:
                raise OutputError(
                    f"{self._journal}: cannot be written: {error.strerror}; free some space and "
                    "run the same command again"
                ) from error

    def _write(self) -> None:
        """Writes the files known so far, then removes the list of new ones."""
        files = {path: asdict(fetched) for path, fetched in self.files.items()}
        write_json(self._path, {"format_version": MANIFEST_VERSION, "files": files})
        self._journal.unlink(missing_ok=True)

    def _read(self) -> dict[str, Fetched]:
        if not self._path.is_file():
            return {}
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            version = content["format_version"]
            if version != MANIFEST_VERSION:
                raise InputFormatError(
                    f"{self._path}: has version {version!r}, this tfgen knows {MANIFEST_VERSION}; "
                    "use the tfgen that wrote it, or fetch into another folder"
                )
            return {str(path): _fetched(item) for path, item in content["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputFormatError(
                f"{self._path}: is damaged or no manifest of this program; remove it to have the "
                "files that are there checked again"
            ) from error

    def _read_journal(self) -> dict[str, Fetched]:
        """The files of a run that did not end; a line that was cut short is none."""
        if not self._journal.is_file():
            return {}
        found = {}
        for line in self._journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                item = json.loads(line)
                path = str(item.pop("path"))
                found[path] = _fetched(item)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return found


def _fetched(item: Mapping[str, Any]) -> Fetched:
    """A file from its JSON.

    Raises:
        TypeError: A value of another type, or a field too many or too few.
    """
    fetched = Fetched(**item)
    for field in fields(Fetched):
        kinds: Any = field.type
        if not isinstance(getattr(fetched, field.name), kinds):
            raise TypeError(f"{field.name} is of another type")
    return fetched
