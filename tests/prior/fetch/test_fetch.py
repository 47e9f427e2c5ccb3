"""Whole downloads from a server on this machine: complete, repeated, killed, damaged."""

import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from prior.loopback import path_of, serving
from tfgen.errors import (
    InputFormatError,
    InputMismatchError,
    InterruptedRunError,
    OutputError,
    UsageError,
)
from tfgen.io import OutputLock
from tfgen.io.remote import DownloadError, WebClient
from tfgen.prior.fetch import fetch
from tfgen.prior.fetch.encode_portal import search_url
from tfgen.prior.fetch.fetch import fetch_data
from tfgen.prior.fetch.fetch_config import FetchConfig
from tfgen.prior.fetch.recipe import recipe

ROOT = Path(__file__).resolve().parents[3]
PHYLO = recipe()["phylo"]
BIG = "/phyloP447way/hg38.phyloP447way.bw"
WITHOUT_SUM = "/phyloP7way/hg38.phyloP7way.bw"


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def site():
    """A mirror of the conservation tracks: one of 600 kB, the others small."""
    rng = random.Random(5)
    with serving() as running:
        for entry in PHYLO.entries:
            path = "/" + entry.url
            running.files[path] = rng.randbytes(600_000 if path == BIG else rng.randrange(1, 9000))
            if path != WITHOUT_SUM:
                sums = f"{md5(running.files[path])}  {entry.path}\n"
                running.files["/" + entry.md5sums] = sums.encode()
        yield running


@pytest.fixture
def config(site, tmp_path):
    return FetchConfig(
        download=True,
        output=tmp_path / "data",
        group=("phylo",),
        mirror=(f"phylo={site.url}",),
        jobs=3,
        progress="none",
    )


def quick(attempts=3):
    return WebClient(attempts=attempts, sleep=lambda seconds: None, timeout_s=5)


def run(config, attempts=3):
    return fetch_data(config, quick(attempts))


def tracks(site):
    return {entry.path: site.files["/" + entry.url] for entry in PHYLO.entries}


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def served_tracks(site):
    return sum(n for path, n in site.served.items() if path.endswith(".bw"))


def test_all_files_come_with_their_digests(site, config):
    summary = run(config)
    assert content(config.output / "phylo") == tracks(site)
    report = summary.groups[0]
    assert (report.n_files, report.n_there, report.n_missing) == (15, 15, 0)
    assert (report.n_unknown, report.n_unchecked, report.bytes_missing) == (0, 0, 0)
    assert summary.n_fetched == 15
    assert summary.transferred == sum(map(len, tracks(site).values())) == served_tracks(site)
    files = json.loads((config.output / "manifest.json").read_text())["files"]
    assert len(files) == 15
    for entry in PHYLO.entries:
        found, expected = files[f"phylo/{entry.path}"], site.files["/" + entry.url]
        assert found["sha256"] == hashlib.sha256(expected).hexdigest()
        assert found["size"] == len(expected)
        assert found["checked"] == ("size" if "/" + entry.url == WITHOUT_SUM else "md5")
        assert found["etag"] == site.etag("/" + entry.url)
    written = json.loads((config.output / "run.json").read_text())
    assert written["results"]["fetched"] == 15
    assert written["flags"]["group"] == ["phylo"]
    assert sorted(path.name for path in config.output.parent.iterdir()) == ["data"]


def test_a_second_run_transfers_nothing(site, config):
    run(config)
    site.forget()
    summary = run(config)
    assert site.requests == []
    assert (summary.n_fetched, summary.transferred, summary.groups[0].n_there) == (0, 0, 15)


def test_a_missing_and_a_cut_file_are_fetched_again(site, config):
    run(config)
    folder = config.output / "phylo"
    (folder / "hg38.phyloP4way.bw").unlink()
    with (folder / "hg38.phyloP447way.bw").open("r+b") as stream:
        stream.truncate(1000)
    site.forget()
    assert run(config).n_fetched == 2
    assert content(folder) == tracks(site)


def test_damage_that_keeps_the_size_is_found_by_verify(site, config, capfd):
    run(config)
    path = config.output / "phylo" / "hg38.phyloP447way.bw"
    with path.open("r+b") as stream:
        stream.write(b"damage")
    assert run(config).n_fetched == 0
    assert run(dataclasses.replace(config, verify=True)).n_fetched == 1
    assert "hg38.phyloP447way.bw: is damaged; it is fetched anew" in capfd.readouterr().err
    assert content(path.parent) == tracks(site)
    assert run(dataclasses.replace(config, verify=True)).n_fetched == 0


def test_a_plan_asks_and_fetches_nothing(site, config):
    dry = dataclasses.replace(config, download=False, dry_run=True)
    summary = run(dry)
    report = summary.groups[0]
    assert (report.n_missing, report.n_there, report.n_unknown) == (15, 0, 0)
    assert report.bytes_missing == sum(map(len, tracks(site).values()))
    assert report.size.endswith("kB")
    assert summary.free > 0
    assert not config.output.exists()
    assert served_tracks(site) == 0


def test_a_list_asks_nobody():
    summary = fetch_data(FetchConfig(list=True), WebClient(sleep=None))
    reports = {report.group.name: report for report in summary.groups}
    assert tuple(reports) == tuple(recipe())
    assert (reports["ukb_ld"].n_files, reports["ukb_ld"].size) == (5526, "terabytes")
    assert (reports["ld_blocks"].n_files, reports["ld_blocks"].size) == (1, "35.5 kB")
    assert (reports["phylo"].n_files, reports["phylo"].size) == (15, "unknown")
    assert (reports["baselineLF"].n_files, reports["baselineLF"].size) == (1, "about 30 GB")
    assert reports["encode"].n_files is None
    assert reports["dbnsfp"].n_files is None


def test_manual_groups_do_not_keep_the_rest_from_being_done(config):
    summary = run(dataclasses.replace(config, group=("dbnsfp", "phylo", "ukbb_sumstats")))
    assert [group.name for group in summary.manual] == ["ukbb_sumstats", "dbnsfp"]
    assert summary.n_fetched == 15
    written = json.loads((config.output / "run.json").read_text())
    assert written["results"]["manual"] == ["ukbb_sumstats", "dbnsfp"]


def test_windows_of_one_chromosome(site, config):
    group = recipe()["ukb_ld"]
    for entry in group.of_chroms(("22",)):
        site.files["/" + entry.url] = entry.path.encode()
    summary = run(
        dataclasses.replace(
            config, group=("ukb_ld",), chroms=("22",), mirror=(f"ukb_ld={site.url}",), jobs=8
        )
    )
    found = content(config.output / "ukb_ld")
    assert len(found) == 76
    assert all(name.encode() == value for name, value in found.items())
    assert summary.n_fetched == 76


def test_the_progress_counts_bytes(config, capfd, site):
    run(dataclasses.replace(config, progress="lines"))
    total = sum(map(len, tracks(site).values()))
    assert f"downloading: {total:,}/{total:,} bytes in" in capfd.readouterr().err


def test_a_list_from_the_portal_is_kept_for_the_next_run(site, config, capfd):
    group = recipe()["encode"]
    answer = json.loads(Path(__file__).parents[1].joinpath("encode_search.json").read_bytes())
    track, other = b"track", b"other"
    file = answer["@graph"][1]["files"][2]
    file["md5sum"], file["file_size"] = md5(track), len(track)
    urls = [site.url + search_url(group.search, item["query"]) for item in group.search["searches"]]
    for url in urls:
        site.files[path_of(url)] = b'{"@graph": []}'
    site.files[path_of(urls[0])] = json.dumps(answer).encode()
    site.files["/files/ENCFF002EXP/@@download/ENCFF002EXP.bigWig"] = other
    # As on the portal, the address of a file leads to another one.
    name = "/files/ENCFF473IZV/@@download/ENCFF473IZV.bigWig"
    site.redirects[name] = "/cloud/file"
    config = dataclasses.replace(config, group=("encode",), mirror=(f"encode={site.url}",))
    with pytest.raises(InputMismatchError, match="1 of 2 files could not be fetched; the first: "):
        run(config)
    for url in urls:
        site.files[path_of(url)] = b'{"@graph": []}'
    site.files["/cloud/file"] = track
    assert run(config).n_fetched == 1
    folder = config.output / "encode"
    assert sorted(path.name for path in folder.iterdir()) == [
        "TF_ChIP-seq_CTCF_ENCSR000DKV",
        "eCLIP_RBFOX2_ENCSR756CKJ",
        "files.json",
    ]
    taken = folder / "TF_ChIP-seq_CTCF_ENCSR000DKV" / "ENCFF473IZV.bigWig"
    assert taken.read_bytes() == track
    assert "failed: " in capfd.readouterr().err


def test_one_bad_file_does_not_keep_the_others(site, config):
    sums = "/phyloP4way/md5sum.txt"
    good = site.files[sums]
    site.files[sums] = f"{'0' * 32}  hg38.phyloP4way.bw\n".encode()
    with pytest.raises(InputFormatError, match="1 of 15 files .* has md5 .* published is 000"):
        run(config)
    folder = config.output / "phylo"
    assert len(content(folder)) == 14
    written = json.loads((config.output / "run.json").read_text())
    assert written["results"]["failed"] == ["phylo/hg38.phyloP4way.bw"]
    site.files[sums] = good
    assert run(config).n_fetched == 1
    assert content(folder) == tracks(site)


def test_a_file_that_the_server_lacks_does_not_keep_the_others(site, config):
    del site.files[WITHOUT_SUM]
    with pytest.raises(InputMismatchError, match="1 of 15 files .*HTTP status 404"):
        run(config)
    assert len(content(config.output / "phylo")) == 14


def test_a_server_that_is_down_is_not_asked_a_thousand_times(site, config):
    for entry in PHYLO.entries:
        site.statuses["/" + entry.url] = [(503,)] * 100
    with pytest.raises(DownloadError, match="HTTP status 503") as caught:
        run(dataclasses.replace(config, jobs=1), attempts=2)
    assert caught.value.exit_code == 5
    assert sum(method == "GET" and path.endswith(".bw") for method, path, _ in site.requests) == 6


def test_more_than_allowed_is_refused_before_it_begins(site, config):
    with pytest.raises(UsageError, match=r"kB are missing, more than --max_gb=0.0001; choose"):
        run(dataclasses.replace(config, max_gb=1e-4))
    assert served_tracks(site) == 0


def test_more_than_allowed_is_noticed_where_the_server_does_not_tell(site, config):
    site.head = False
    with pytest.raises(OutputError, match="larger than the servers said, more than --max_gb"):
        run(dataclasses.replace(config, max_gb=1e-4))
    assert run(config).groups[0].n_there == 15


def test_a_disk_that_is_too_small_is_named_before_it_begins(site, config, monkeypatch):
    usage = shutil.disk_usage(config.output.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OutputError, match=r"the download needs 6\d\d\.\d kB but 1.0 kB is free"):
        run(config)
    assert served_tracks(site) == 0


def test_a_file_in_the_way_that_is_the_published_one_is_taken_up(site, config):
    folder = config.output / "phylo"
    folder.mkdir(parents=True)
    for path in (BIG, WITHOUT_SUM):
        (folder / Path(path).name).write_bytes(site.files[path])
    assert run(config).n_fetched == 13
    files = json.loads((config.output / "manifest.json").read_text())["files"]
    assert files["phylo/hg38.phyloP447way.bw"]["checked"] == "md5"
    assert files["phylo/hg38.phyloP7way.bw"]["checked"] == "size"
    assert content(folder) == tracks(site)


@pytest.mark.parametrize("path", [BIG, WITHOUT_SUM])
def test_a_file_in_the_way_that_is_another_is_left_alone(site, config, path):
    folder = config.output / "phylo"
    folder.mkdir(parents=True)
    (folder / Path(path).name).write_bytes(b"mine")
    with pytest.raises(OutputError, match="not the published one; move it away"):
        run(config)
    assert (folder / Path(path).name).read_bytes() == b"mine"


def test_a_table_with_a_published_sha256_is_taken_up(shared_data, config):
    source = shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed")
    folder = config.output / "ld_blocks"
    folder.mkdir(parents=True)
    shutil.copy(source, folder)
    summary = run(dataclasses.replace(config, group=("ld_blocks",)))
    assert (summary.n_fetched, summary.groups[0].n_there) == (0, 1)


def test_two_runs_do_not_share_a_folder(config):
    config.output.mkdir()
    with OutputLock(config.output), pytest.raises(OutputError, match="being written by process"):
        run(config)


def test_a_folder_that_cannot_be_made_is_named(config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made: Not a directory"):
        run(dataclasses.replace(config, output=tmp_path / "file" / "data"))


def test_a_full_disk_ends_the_run(site, config, monkeypatch):
    def full(self, path, fetched):
        raise OutputError("manifest.json.new: cannot be written: No space left on device")

    monkeypatch.setattr(fetch.Manifest, "add", full)
    with pytest.raises(OutputError, match="No space left"):
        run(config)
    monkeypatch.undo()
    run(config)
    assert content(config.output / "phylo") == tracks(site)


def test_a_polite_signal_ends_the_run_and_the_next_goes_on(site, config):
    asked = threading.Event()

    def interrupt(path):
        if path == BIG and not asked.is_set():
            asked.set()
            os.kill(os.getpid(), signal.SIGTERM)

    site.on_request = interrupt
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM") as caught:
        fetch_data(dataclasses.replace(config, jobs=1), None)
    assert caught.value.exit_code == 143
    run(config)
    assert content(config.output / "phylo") == tracks(site)


# Kills. The process is in another program, as SIGKILL leaves no time for anything.


def child(config, **options):
    settings = {
        "download": True,
        "output": str(config.output),
        "group": config.group,
        "mirror": config.mirror,
        "jobs": options.pop("jobs", 1),
        "progress": "none",
    }
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.run(
        [
            sys.executable,
            str(Path(__file__).parents[1].joinpath("fetch_child.py")),
            json.dumps({"config": settings, **options}),
        ],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def expect_whole(site, config):
    """The files are whole and nothing else is left."""
    assert content(config.output / "phylo") == tracks(site)
    assert sorted(path.name for path in config.output.iterdir()) == [
        "manifest.json",
        "phylo",
        "run.json",
    ]
    files = json.loads((config.output / "manifest.json").read_text())["files"]
    assert {Path(path).name: item["sha256"] for path, item in files.items()} == {
        name: hashlib.sha256(value).hexdigest() for name, value in tracks(site).items()
    }


def bytes_here(config):
    return sum(
        path.stat().st_size
        for path in (config.output / "phylo").iterdir()
        if path.suffix in (".bw", ".partial")
    )


@pytest.mark.parametrize("n_bytes", [1, 250_000, 599_999, 600_000, 620_000])
def test_killed_at_a_byte_only_the_missing_ones_are_transferred(site, config, n_bytes):
    killed = child(config, die_at_byte=n_bytes)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    here = bytes_here(config)
    assert here >= n_bytes
    site.forget()
    run(config)
    total = sum(map(len, tracks(site).values()))
    assert served_tracks(site) == total - here
    expect_whole(site, config)


@pytest.mark.parametrize(
    ("step", "passes"),
    [
        ("complete", 0),
        ("complete", 7),
        ("publish", 0),
        ("publish", 7),
        ("published", 0),
        ("published", 7),
        ("manifest", 0),
        ("report", 0),
    ],
)
def test_killed_between_two_steps_nothing_is_transferred_twice(site, config, step, passes):
    killed = child(config, die_in=step, die_after=passes)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    here = bytes_here(config)
    site.forget()
    run(config)
    assert served_tracks(site) == sum(map(len, tracks(site).values())) - here
    expect_whole(site, config)


def test_killed_again_and_again_with_several_threads(site, config):
    for n_bytes in (50_000, 120_000, 90_000):
        killed = child(config, die_at_byte=n_bytes, jobs=4)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    run(config)
    expect_whole(site, config)


def test_the_file_changes_between_two_runs(site, config):
    assert child(config, die_at_byte=250_000).returncode == -signal.SIGKILL
    site.files[BIG] = random.Random(9).randbytes(500_000)
    site.files["/phyloP447way/md5sum.txt"] = f"{md5(site.files[BIG])} {Path(BIG).name}".encode()
    run(config)
    expect_whole(site, config)
