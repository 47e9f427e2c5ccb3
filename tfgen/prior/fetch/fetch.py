"""Fetches what the functional prior is trained on, and goes on where a former run ended."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    OutputError,
    TfgenError,
    UnsupportedInputError,
    UsageError,
)
from tfgen.io.digest import sha256_file
from tfgen.io.download import Downloaded, Downloader, remove_left_overs
from tfgen.io.lock import OutputLock
from tfgen.io.progress import Progress
from tfgen.io.provenance import RunReport
from tfgen.io.remote import DownloadError, WebClient
from tfgen.io.space import format_bytes, free_bytes, require_free_space
from tfgen.io.stop import StopRequest
from tfgen.prior.fetch.fetch_config import FetchConfig
from tfgen.prior.fetch.fetch_lists import keep_list
from tfgen.prior.fetch.fetch_manifest import Fetched, Manifest
from tfgen.prior.fetch.fetch_plan import Cancelled, Item, Workers, inside, make_plan
from tfgen.prior.fetch.recipe import Group, recipe

_GB = 1e9
_MAX_FAILURES_IN_A_ROW = 3
_PER_FILE = (InputFormatError, InputMismatchError, UnsupportedInputError, DownloadError)


@dataclass(frozen=True)
class GroupReport:
    """A group and how its files stand.

    Attributes:
        group: The group.
        n_files: Its files; None where the server was not asked.
        n_there: Files that are complete.
        n_missing: Files that are not.
        size: Size of all its files in words: exact, "about ...", or "unknown".
        bytes_missing: Bytes to fetch, as far as they are known.
        n_unknown: Missing files of unknown size.
        n_unchecked: Complete files for which neither checksum nor size was known.
    """

    group: Group
    n_files: int | None
    n_there: int = 0
    n_missing: int = 0
    size: str = "unknown"
    bytes_missing: int = 0
    n_unknown: int = 0
    n_unchecked: int = 0


@dataclass(frozen=True)
class FetchSummary:
    """What came of a call.

    Attributes:
        output: The folder; None for a list.
        groups: The groups that can be fetched, in the order of the recipe; all for a list.
        manual: Groups that have to be fetched by hand.
        n_fetched: Files that this run completed.
        transferred: Bytes that came over the network.
        free: Free bytes on the disk of the folder before the run; 0 for a list.
    """

    output: Path | None
    groups: tuple[GroupReport, ...]
    manual: tuple[Group, ...] = ()
    n_fetched: int = 0
    transferred: int = 0
    free: int = 0


def fetch_data(config: FetchConfig, client: WebClient | None = None) -> FetchSummary:
    """Lists the groups, plans a download, or fetches what is missing.

    A file appears under its name when it is complete and checked. A run that was stopped or
    killed transfers only the missing bytes when it is started again. A file that cannot be
    fetched does not keep the others from being fetched.

    Args:
        config: The settings.
        client: Asks the servers; by default one that tries six times.

    Returns:
        What is there and what is not.

    Raises:
        InputFormatError: A file with another checksum than the published one (exit code 3).
        InputMismatchError: A file that the server does not have, or that has changed its size.
        DownloadError: A server cannot be reached.
        OutputError: No space, a folder in use, or a file in the way that is not ours.
        UsageError: More is missing than `max_gb`.
        InterruptedRunError: SIGINT or SIGTERM; the same command goes on.
    """
    chosen = [recipe()[name] for name in config.groups]
    if config.list or config.output is None:
        return FetchSummary(None, tuple(_listed(group) for group in chosen))
    open_groups = [group for group in chosen if not group.manual]
    manual = tuple(group for group in chosen if group.manual)
    with StopRequest() as stop:
        workers = Workers(config.jobs, stop)
        client = client or WebClient(sleep=workers.sleep)
        run = _Run(config, config.output, workers, client)
        if config.dry_run:
            items, _ = make_plan(config, open_groups, run.manifest, client, workers)
            return run.summary(open_groups, manual, items)
        try:
            config.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{config.output}: cannot be made: {error.strerror}; choose another folder"
            ) from error
        with OutputLock(config.output):
            return run.download(open_groups, manual)


class _Run:
    """One call for a folder: what the threads share.

    Attributes:
        manifest: What is in the folder.
    """

    def __init__(
        self, config: FetchConfig, folder: Path, workers: Workers, client: WebClient
    ) -> None:
        self._config = config
        self._folder = folder
        self._workers = workers
        self._client = client
        self._lock = threading.Lock()
        self._failures: list[tuple[str, TfgenError]] = []
        self._in_a_row = 0
        self._n_fetched = 0
        self._transferred = 0
        self._came = 0
        self._progress: Progress
        self._free = free_bytes(folder)
        self.manifest = Manifest(folder)

    def download(self, groups: Sequence[Group], manual: tuple[Group, ...]) -> FetchSummary:
        """Plans, checks that the plan fits, and fetches."""
        report = RunReport("prior_fetch", asdict(self._config))
        # The lock was taken after the manifest was first read.
        self.manifest = Manifest(self._folder)
        if self._config.verify:
            self._verify()
        items, lists = make_plan(self._config, groups, self.manifest, self._client, self._workers)
        missing = [item for item in items if item.state == "missing"]
        self._require_room(missing)
        by_name = {group.name: group for group in groups}
        with self.manifest:
            for item in items:
                final = inside(self._folder, item.path)
                final.parent.mkdir(parents=True, exist_ok=True)
                if item.state == "there":
                    remove_left_overs(final)
            for name, entries in lists.items():
                keep_list(by_name[name], entries, self._folder / name)
            known = all(item.size is not None for item in missing)
            self._progress = Progress(
                sum(item.size or 0 for item in missing) if known else None,
                "downloading",
                "bytes",
                mode=self._config.progress,
                initial=sum(item.here for item in missing),
            )
            with self._progress:
                self._adopt([item for item in items if item.state == "unknown"])
                self._workers.run(self._fetch_one, missing)
        summary = self.summary(groups, manual, self._now(items))
        report.results |= {
            "files": len(items),
            "fetched": self._n_fetched,
            "bytes": self._transferred,
            "failed": [path for path, _ in self._failures],
            "manual": [group.name for group in manual],
        }
        report.write(self._folder / "run.json")
        self._raise_failures(len(items))
        return summary

    def summary(
        self, groups: Sequence[Group], manual: tuple[Group, ...], items: Sequence[Item]
    ) -> FetchSummary:
        """How the files stand."""
        reports = tuple(
            _report(group, [item for item in items if item.group == group.name], self.manifest)
            for group in groups
        )
        return FetchSummary(
            self._folder, reports, manual, self._n_fetched, self._transferred, self._free
        )

    def _now(self, items: Sequence[Item]) -> list[Item]:
        """The plan after the download: what failed is still missing."""
        failed = {path for path, _ in self._failures}
        return [
            replace(item, state="missing" if item.path in failed else "there") for item in items
        ]

    def _require_room(self, missing: Sequence[Item]) -> None:
        """Refuses what is more than the user or the disk allows."""
        n_bytes = sum(max((item.size or 0) - item.here, 0) for item in missing)
        limit = self._config.max_gb
        if limit is not None and n_bytes > limit * _GB:
            raise UsageError(
                f"{format_bytes(n_bytes)} are missing, more than --max_gb={limit:g}; choose fewer "
                "groups or chromosomes, or raise it"
            )
        require_free_space(self._folder, n_bytes, "the download")

    def _verify(self) -> None:
        """Forgets the files whose content is not what was fetched."""

        def check(path: str) -> None:
            final = inside(self._folder, path)
            if final.is_file() and sha256_file(final) != self.manifest.files[path].sha256:
                damaged.append(path)
            self._count(1)

        damaged: list[str] = []
        names = [path for path in self.manifest.files if path.split("/")[0] in self._config.groups]
        mode = self._config.progress
        with Progress(len(names), "verifying", "files", mode=mode) as self._progress:
            self._workers.run(check, names)
            for path in sorted(damaged):
                final = inside(self._folder, path)
                self._progress.note(f"warning: {final}: is damaged; it is fetched anew")
                final.unlink()
                del self.manifest.files[path]

    def _adopt(self, items: Sequence[Item]) -> None:
        """Takes up files that no run has fetched, if they are the published ones."""
        for item in items:
            final = inside(self._folder, item.path)
            size, sha256, checksum = final.stat().st_size, sha256_file(final), item.source.checksum
            if checksum is None:
                same, checked = item.size == size, "size"
            else:
                found = sha256
                if checksum.algorithm == "md5":
                    with final.open("rb") as stream:
                        found = hashlib.file_digest(stream, _md5).hexdigest()
                same, checked = found == checksum.value, checksum.algorithm
            if not same:
                raise OutputError(
                    f"{final}: is no file that was fetched into this folder, and not the published "
                    "one; move it away, or choose another output"
                )
            self.manifest.add(item.path, Fetched(item.source.url, size, sha256, checked))

    def _fetch_one(self, item: Item) -> None:
        """Fetches one file; a fault of this file alone is noted and the next one taken."""
        downloader = Downloader(self._client, self._count_bytes, self._workers.check)

        def on_complete(file: Downloaded) -> None:
            self.manifest.add(
                item.path,
                Fetched(
                    item.source.url,
                    file.size,
                    file.sha256,
                    file.checked,
                    file.etag,
                    file.last_modified,
                ),
            )

        try:
            file = downloader.fetch(item.source, inside(self._folder, item.path), on_complete)
        except Cancelled:
            return
        except _PER_FILE as error:
            with self._lock:
                self._failures.append((item.path, error))
                self._progress.note(f"failed: {error}")
                self._in_a_row += isinstance(error, DownloadError)
                if self._in_a_row >= _MAX_FAILURES_IN_A_ROW:
                    raise
            return
        with self._lock:
            self._in_a_row = 0
            self._n_fetched += 1
            self._transferred += file.transferred

    def _count(self, n_bytes: int) -> None:
        """Shows progress."""
        with self._lock:
            self._progress.update(n_bytes)

    def _count_bytes(self, n_bytes: int) -> None:
        """Shows progress, and holds to the limit also where a server did not tell a size."""
        self._count(n_bytes)
        with self._lock:
            self._came += max(n_bytes, 0)
        limit = self._config.max_gb
        if limit is not None and self._came > limit * _GB:
            raise OutputError(
                f"{self._folder}: the files are larger than the servers said, more than "
                f"--max_gb={limit:g}; what has come is kept; raise it to go on"
            )

    def _raise_failures(self, n_files: int) -> None:
        """Ends with the error of the first file that failed."""
        if self._failures:
            _, first = self._failures[0]
            raise type(first)(
                f"{len(self._failures)} of {n_files} files could not be fetched; the first: {first}"
            )


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def _listed(group: Group) -> GroupReport:
    """A group as the recipe alone knows it."""
    n_files = None if group.manual or group.is_listed_online else len(group.entries)
    return GroupReport(group, n_files, size=_size(group, [entry.size for entry in group.entries]))


def _size(group: Group, sizes: Sequence[int | None]) -> str:
    """The size of all files in words, and never a guess."""
    if sizes and all(size is not None for size in sizes):
        return format_bytes(sum(size or 0 for size in sizes))
    return group.about or "unknown"


def _report(group: Group, items: Sequence[Item], manifest: Manifest) -> GroupReport:
    """How the files of a group stand."""
    missing = [item for item in items if item.state == "missing"]
    there = [item for item in items if item.state != "missing"]
    sizes = [
        manifest.files[item.path].size if item.path in manifest.files else item.size
        for item in items
    ]
    return GroupReport(
        group,
        n_files=len(items),
        n_there=len(there),
        n_missing=len(missing),
        size=_size(group, sizes),
        bytes_missing=sum(max((item.size or 0) - item.here, 0) for item in missing),
        n_unknown=sum(item.size is None for item in missing),
        n_unchecked=sum(
            item.path in manifest.files and manifest.files[item.path].checked == "nothing"
            for item in there
        ),
    )
