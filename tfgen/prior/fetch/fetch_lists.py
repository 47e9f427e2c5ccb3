"""Lists of files that only a server knows: the links of a web page, a search, MD5 sums.

A list is kept as `GROUP/files.json`, so that a run that goes on, next week or after a kill,
fetches the files that the first one chose. Removing it asks anew.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.io.atomic import write_json
from tfgen.io.download import Checksum
from tfgen.io.remote import MissingRemoteError, WebClient
from tfgen.prior.fetch.encode_portal import parse_experiments, plain_name, search_url, select_files
from tfgen.prior.fetch.recipe import Entry, Group, check_relative_path

LIST_NAME = "files.json"
_LIST_VERSION = 1
_MD5_LINE = re.compile(r"([0-9a-fA-F]{32})\s+\*?(\S+)")


def listed_files(group: Group, base: str, folder: Path, client: WebClient) -> tuple[Entry, ...]:
    """The files of a group whose list is online: the kept list, else what the server says.

    Args:
        group: A group with an index or a search.
        base: Its address, or that of a mirror.
        folder: Folder of the group, which may hold a list.
        client: Asks the server.

    Raises:
        InputFormatError: The answer, or the kept list, is not what it should be.
        InputMismatchError: The server has other files than the recipe expects.
        DownloadError: The server cannot be reached.
    """
    kept = folder / LIST_NAME
    if kept.is_file():
        return _read_list(kept, group)
    if group.index:
        return tuple(_from_index(group, base, client))
    entries: list[Any] = []
    for search in group.search["searches"]:
        url = urljoin(base, search_url(group.search, search["query"]))
        entries += parse_experiments(client.read(url), url)
    files = select_files(entries)
    if not files:
        raise InputMismatchError(f"{base}: the search for {group.name} found no usable file")
    return tuple(files)


def keep_list(group: Group, entries: Sequence[Entry], folder: Path) -> None:
    """Writes `GROUP/files.json`, unless it is there.

    Raises:
        OutputError: The file cannot be written.
    """
    path = folder / LIST_NAME
    if not path.is_file():
        files = [
            {
                "url": entry.url,
                "path": entry.path,
                "size": entry.size,
                "md5": entry.checksum.value if entry.checksum else None,
            }
            for entry in entries
        ]
        content = {"format_version": _LIST_VERSION, "recipe": _digest(group), "files": files}
        write_json(path, content)


def md5_table(url: str, client: WebClient) -> Mapping[str, str] | None:
    """A server's table of MD5 sums.

    Args:
        url: Its address; lines of `md5sum`: the sum, spaces, perhaps `*`, the file name.
        client: Asks the server.

    Returns:
        File name to MD5 in lower-case hex; None if the server has no such table.

    Raises:
        InputFormatError: A line is something else.
    """
    try:
        text = client.read(url).decode("utf-8", errors="replace")
    except MissingRemoteError:
        return None
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _MD5_LINE.fullmatch(line.strip())
        if match is None:
            raise InputFormatError(
                f"{url}:{number}: {line[:80]!r} is no line of MD5 sums; expected 32 hex digits and "
                "a file name"
            )
        sums[match[2].rpartition("/")[2]] = match[1].lower()
    return sums


class _Links(HTMLParser):
    """Collects the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes the target of an `<a>`."""
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _from_index(group: Group, base: str, client: WebClient) -> list[Entry]:
    """The files that a web page links to, all or some of the samples."""
    url = urljoin(base, group.index["url"])
    links = _Links()
    links.feed(client.read(url).decode("utf-8", errors="replace"))
    endings = tuple(group.index["endings"])
    names = sorted(
        {link for link in links.found if link.endswith(endings) and not set("/?#:") & set(link)}
    )
    if not names:
        raise InputMismatchError(
            f"{url}: has no links to files that end in {' or '.join(endings)}; the server may have "
            "moved them"
        )
    chosen = _of_samples(url, names, endings, group.index.get("samples"))
    entries = [Entry(url=group.index["url"] + name, path=_file_name(name)) for name in chosen]
    if len({entry.path for entry in entries}) != len(entries):
        raise InputMismatchError(f"{url}: two of its files would get the same name")
    return entries


def _of_samples(
    url: str, names: list[str], endings: tuple[str, ...], samples: Sequence[int] | None
) -> list[str]:
    """The files of some samples, given by their place (from 0) among the sorted sample names."""
    if samples is None:
        return names
    by_sample: dict[str, list[str]] = {}
    for name in names:
        ending = next(ending for ending in endings if name.endswith(ending))
        by_sample.setdefault(unquote(unquote(name.removesuffix(ending))), []).append(name)
    ordered = sorted(by_sample)
    if max(samples) >= len(ordered):
        raise InputMismatchError(
            f"{url}: has {len(ordered)} samples, the recipe asks for number {max(samples)}; take "
            "the group with all of them"
        )
    return [name for number in sorted(samples) for name in by_sample[ordered[number]]]


def _file_name(link: str) -> str:
    """The name on our disk: the server's escapes, of escapes, have no place in a file name."""
    return check_relative_path(plain_name(unquote(unquote(link))))


def _read_list(path: Path, group: Group) -> tuple[Entry, ...]:
    """The kept list of a group."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, digest = content["format_version"], content["recipe"]
        entries = tuple(
            Entry(
                url=str(item["url"]),
                path=check_relative_path(str(item["path"])),
                size=None if item["size"] is None else int(item["size"]),
                checksum=Checksum("md5", str(item["md5"])) if item["md5"] else None,
            )
            for item in content["files"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputFormatError(
            f"{path}: is no list of files of this program; remove it to ask the server again"
        ) from error
    if version != _LIST_VERSION or digest != _digest(group):
        raise InputMismatchError(
            f"{path}: was made by another recipe; remove it to ask the server again, or fetch into "
            "another folder"
        )
    return entries


def _digest(group: Group) -> str:
    """What determines the list, apart from the server."""
    text = json.dumps([dict(group.index), dict(group.search)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
