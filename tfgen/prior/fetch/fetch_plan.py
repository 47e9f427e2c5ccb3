"""What a download has to do: which files there are, which of them are here, how large the rest."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urljoin, urlsplit

from tfgen.errors import OutputError
from tfgen.io.download import Checksum, RemoteFile, partial_path
from tfgen.io.remote import MissingRemoteError, TransientError, WebClient
from tfgen.io.stop import StopRequest
from tfgen.prior.fetch.fetch_config import FetchConfig
from tfgen.prior.fetch.fetch_lists import listed_files, md5_table
from tfgen.prior.fetch.fetch_manifest import Fetched, Manifest
from tfgen.prior.fetch.recipe import Entry, Group

State = Literal["there", "unknown", "missing"]

_POLL_S = 0.2
_MAX_UNANSWERED = 3
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Item:
    """One file of the plan.

    Attributes:
        group: Its group.
        path: Its path below the output folder.
        source: Where it is, and what is published about it.
        state: `there`: complete; `unknown`: a file of this name that no run has fetched;
            `missing`.
        md5sums: Address of a table of MD5 sums that has not been asked yet.
        size: Size on the server in bytes; None if unknown.
        here: Bytes of it that a former run has brought.
    """

    group: str
    path: str
    source: RemoteFile
    state: State
    md5sums: str = ""
    size: int | None = None
    here: int = 0


class Cancelled(Exception):
    """The run ends; what the thread was doing is to be left as it is."""


class Workers:
    """Threads that work on one list of things after another and end when the run does.

    Args:
        jobs: Threads.
        stop: Asked while the threads work.
    """

    def __init__(self, jobs: int, stop: StopRequest) -> None:
        self._jobs = jobs
        self._stop = stop
        self._ended = threading.Event()

    def check(self) -> None:
        """Ends the work of the thread that calls.

        Raises:
            Cancelled: The run ends.
        """
        if self._ended.is_set():
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Waits, but no longer than the run lasts.

        Raises:
            Cancelled: The run ends.
        """
        self._ended.wait(seconds)
        self.check()

    def run(self, work: Callable[[_Item], None], items: Iterable[_Item]) -> None:
        """Calls `work` for every item, in order, several at a time.

        Raises:
            InterruptedRunError: SIGINT or SIGTERM came; the threads have ended.
            Exception: What `work` raised first; no further item is begun.
        """

        def guarded(item: _Item) -> None:
            if self._ended.is_set():
                return
            try:
                work(item)
            except BaseException:
                self._ended.set()
                raise

        with ThreadPoolExecutor(self._jobs) as pool:
            pending = {pool.submit(guarded, item) for item in items}
            try:
                while pending:
                    done, pending = wait(pending, _POLL_S, FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    self._stop.raise_if_requested()
            except BaseException:
                self._ended.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def make_plan(
    config: FetchConfig,
    groups: Iterable[Group],
    manifest: Manifest,
    client: WebClient,
    workers: Workers,
) -> tuple[list[Item], Mapping[str, tuple[Entry, ...]]]:
    """Every file of some groups, with what the servers say about those that are missing.

    Args:
        config: Folder, chromosomes, mirrors.
        groups: Groups that can be fetched.
        manifest: What is there.
        client: Asks the servers.
        workers: Asks several at a time.

    Returns:
        The files in the order of the groups, and the lists of those groups that are listed online.

    Raises:
        InputFormatError: A list or a table that is not what it should be.
        InputMismatchError: A file that the server does not have.
        DownloadError: A list cannot be read.
    """
    folder = _output(config)
    items: list[Item] = []
    lists: dict[str, tuple[Entry, ...]] = {}
    for group in groups:
        base = config.mirrors.get(group.name, group.base)
        entries = group.of_chroms(config.chroms)
        if group.is_listed_online:
            entries = listed_files(group, base, folder / group.name, client)
            lists[group.name] = entries
        items += [_item(group, base, entry, folder, manifest) for entry in entries]
    items = _with_md5(items, client)
    return _with_sizes(items, client, workers), lists


def _item(group: Group, base: str, entry: Entry, folder: Path, manifest: Manifest) -> Item:
    """A file, compared with what is in the folder."""
    path = f"{group.name}/{entry.path}"
    final = inside(folder, path)
    source = RemoteFile(urljoin(base, entry.url), entry.size, entry.checksum)
    state: State = "missing"
    known = manifest.files.get(path)
    if final.is_file():
        if known is None:
            state = "unknown"
        elif final.stat().st_size == known.size and _fits(source, known):
            state = "there"
    partial = partial_path(final)
    here = partial.stat().st_size if partial.is_file() else 0
    return Item(
        group.name,
        path,
        source,
        state,
        entry.md5sums and urljoin(base, entry.md5sums),
        entry.size,
        here,
    )


def _fits(source: RemoteFile, known: Fetched) -> bool:
    """Whether the file that was fetched is the one that is published now."""
    checksum = source.checksum
    if checksum is not None and checksum.algorithm == "sha256":
        return checksum.value == known.sha256
    return source.size is None or source.size == known.size


def _with_md5(items: list[Item], client: WebClient) -> list[Item]:
    """Adds the sums of the tables that the servers publish beside their files."""
    tables: dict[str, Mapping[str, str] | None] = {}
    found = []
    for item in items:
        if item.state != "there" and item.md5sums:
            if item.md5sums not in tables:
                tables[item.md5sums] = md5_table(item.md5sums, client)
            name = urlsplit(item.source.url).path.rpartition("/")[2]
            md5 = (tables[item.md5sums] or {}).get(name)
            if md5 is not None:
                item = replace(item, source=replace(item.source, checksum=Checksum("md5", md5)))
        found.append(item)
    return found


def _with_sizes(items: list[Item], client: WebClient, workers: Workers) -> list[Item]:
    """Asks for the sizes that are not published."""
    sizes: dict[str, int | None] = {}
    unanswered: dict[str, int] = {}

    def ask(item: Item) -> None:
        host = urlsplit(item.source.url).netloc
        if unanswered.get(host, 0) >= _MAX_UNANSWERED:
            return
        try:
            sizes[item.path] = client.info(item.source.url).size
        except MissingRemoteError:
            # The download of this file says so; the others are fetched.
            sizes[item.path] = None
        except TransientError:
            # No reason to give up: the download has its own attempts.
            unanswered[host] = unanswered.get(host, 0) + 1

    workers.run(ask, [item for item in items if item.state != "there" and item.size is None])
    return [replace(item, size=sizes.get(item.path, item.size)) for item in items]


def inside(folder: Path, path: str) -> Path:
    """The full name of a file below a folder.

    Raises:
        OutputError: A link leads out of the folder.
    """
    final = folder / path
    if not final.parent.resolve().is_relative_to(folder.resolve()):
        raise OutputError(f"{final}: a link leads out of {folder}; refused")
    return final


def _output(config: FetchConfig) -> Path:
    """The output folder, which every action but --list has."""
    output: Any = config.output
    return Path(output)
