#!/usr/bin/env python3
r"""Fetches the public data of the functional prior: LD panels, annotations, tracks.

Example:
  prior_fetch.py --list
  prior_fetch.py --dry_run --output=prior_data --group=phylo,ukb_ld --chroms=22
  prior_fetch.py --download --output=prior_data --group=phylo,ukb_ld --chroms=22 --max_gb=200

Every group of files goes into a folder of its own below --output; manifest.json there has the
digest of every file. A run that was stopped or killed transfers only the missing bytes when it is
started again. Groups behind a login or a bill are not fetched: the lines printed for them say
what to do. The last lines name the command that uses the files.
"""

from collections.abc import Sequence

from absl import flags

from _command import build, define_flags, run
from tfgen.io import format_bytes
from tfgen.prior.fetch.fetch import FetchSummary, GroupReport, fetch_data
from tfgen.prior.fetch.fetch_config import FetchConfig
from tfgen.prior.fetch.recipe import Group

define_flags(FetchConfig)


def main(values: flags.FlagValues) -> None:
    """Fetches, then says how the files stand."""
    config = build(FetchConfig, values)
    summary = fetch_data(config)
    folder = summary.output or "OUTPUT"
    if config.list:
        print_list(summary)
        details = [report.group for report in summary.groups]
    elif config.dry_run:
        print_plan(summary)
        details = []
    else:
        print_download(summary)
        details = [report.group for report in summary.groups if report.n_there]
    for group in (*details, *(group for group in summary.manual if not config.list)):
        print_details(group, f"{folder}/{group.name}")


def print_list(summary: FetchSummary) -> None:
    """The table of groups."""
    rows = [("group", "files", "size", "build", "access", "destination")]
    for report in summary.groups:
        group = report.group
        files = "?" if report.n_files is None else f"{report.n_files:,}"
        access = group.access.replace("_", " ")
        rows.append((group.name, files, report.size, group.build, access, f"{group.name}/"))
    print_table(rows)
    print("?: the server is asked, or you are; --dry_run asks")


def print_plan(summary: FetchSummary) -> None:
    """What a download would do."""
    rows = [("group", "files", "there", "missing", "to fetch", "of unknown size")]
    for report in summary.groups:
        rows.append((report.group.name, *counts(report), f"{report.n_unknown:,}"))
    print_table(rows)
    n_bytes = sum(report.bytes_missing for report in summary.groups)
    print(f"to fetch: {format_bytes(n_bytes)} of known size; free: {format_bytes(summary.free)}")
    if n_bytes > summary.free:
        print("the disk is too small for all of it")


def print_download(summary: FetchSummary) -> None:
    """What a download did."""
    rows = [("group", "files", "there", "missing", "to fetch", "unchecked")]
    for report in summary.groups:
        rows.append((report.group.name, *counts(report), f"{report.n_unchecked:,}"))
    print_table(rows)
    came = f"{summary.n_fetched:,} files, {format_bytes(summary.transferred)}"
    print(f"{summary.output}: fetched {came}; manual {len(summary.manual)}")


def counts(report: GroupReport) -> tuple[str, str, str, str]:
    """The columns of numbers."""
    return (
        f"{report.n_files or 0:,}",
        f"{report.n_there:,}",
        f"{report.n_missing:,}",
        format_bytes(report.bytes_missing),
    )


def print_details(group: Group, folder: str) -> None:
    """What a group is, what to do by hand, and the command that uses it."""
    print(f"\n{group.name}: {group.title} [{group.build}]\n  terms: {group.terms}")
    for entry in group.entries:
        if entry.about:
            print(f"  {entry.path}: {entry.about}")
    if group.without_npz:
        print(f"  published without a matrix, left out: {', '.join(group.without_npz)}")
    for line in group.manual:
        print(f"  by hand: {line.format(folder=folder)}")
    print(f"  then: {group.then.format(folder=folder)}")


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their longest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        words = [word.ljust(width) for word, width in zip(row, widths, strict=True)]
        print("  ".join(words).rstrip())


if __name__ == "__main__":
    run(main)
