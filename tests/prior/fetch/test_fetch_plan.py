import hashlib
import threading

import pytest

from prior.loopback import serving
from tfgen.errors import InterruptedRunError, OutputError
from tfgen.io.download import Checksum
from tfgen.io.remote import WebClient
from tfgen.io.stop import StopRequest
from tfgen.prior.fetch.fetch_config import FetchConfig
from tfgen.prior.fetch.fetch_manifest import Fetched, Manifest
from tfgen.prior.fetch.fetch_plan import Cancelled, Workers, inside, make_plan
from tfgen.prior.fetch.recipe import recipe

PHYLO = recipe()["phylo"]
TRACK = "hg38.phyloP4way.bw"
MD5 = hashlib.md5(b"abc", usedforsecurity=False).hexdigest()


@pytest.fixture
def site():
    with serving() as running:
        for entry in PHYLO.entries:
            running.files["/" + entry.url] = b"abc"
            running.files["/" + entry.md5sums] = f"{MD5}  {entry.path}\n".encode()
        yield running


def plan(site, folder, group=PHYLO, **fields):
    config = FetchConfig(
        dry_run=True, output=folder, mirror=(f"{group.name}={site.url}",), **fields
    )
    client = WebClient(attempts=2, sleep=lambda seconds: None, timeout_s=5)
    workers = Workers(3, StopRequest())
    return make_plan(config, [group], Manifest(folder), client, workers)[0]


def test_sizes_and_sums_of_what_is_missing(site, tmp_path):
    items = plan(site, tmp_path / "new")
    assert [item.path for item in items] == [f"phylo/{entry.path}" for entry in PHYLO.entries]
    assert {item.state for item in items} == {"missing"}
    assert {item.size for item in items} == {3}
    assert {item.source.checksum for item in items} == {Checksum("md5", MD5)}
    assert items[0].source.url == site.url + "phyloP447way/hg38.phyloP447way.bw"
    assert not (tmp_path / "new").exists()


def test_a_sum_that_is_not_published_is_not_needed(site, tmp_path):
    site.files["/phyloP4way/md5sum.txt"] = f"{MD5}  other.bw\n".encode()
    del site.files["/phyloP7way/md5sum.txt"]
    items = {item.path: item for item in plan(site, tmp_path)}
    for name in ("4", "7"):
        assert items[f"phylo/hg38.phyloP{name}way.bw"].source.checksum is None


def test_what_is_there_is_not_asked_about(site, tmp_path):
    (tmp_path / "phylo").mkdir()
    with Manifest(tmp_path) as manifest:
        for entry in PHYLO.entries:
            (tmp_path / "phylo" / entry.path).write_bytes(b"abc")
            manifest.add(f"phylo/{entry.path}", Fetched("u", 3, "0" * 64, "md5"))
    assert {item.state for item in plan(site, tmp_path)} == {"there"}
    assert site.requests == []


def test_the_states_of_a_file(site, tmp_path):
    folder = tmp_path / "phylo"
    folder.mkdir()
    names = [entry.path for entry in PHYLO.entries]
    with Manifest(tmp_path) as manifest:
        manifest.add(f"phylo/{names[0]}", Fetched("u", 3, "0" * 64, "md5"))
        manifest.add(f"phylo/{names[1]}", Fetched("u", 3, "0" * 64, "md5"))
    (folder / names[0]).write_bytes(b"ab")
    (folder / names[2]).write_bytes(b"abc")
    (folder / (names[3] + ".partial")).write_bytes(b"a")
    items = plan(site, tmp_path)
    assert [item.state for item in items[:4]] == ["missing", "missing", "unknown", "missing"]
    assert [item.here for item in items[:4]] == [0, 0, 0, 1]


def test_a_file_that_the_recipe_replaced_is_missing(site, tmp_path):
    group = recipe()["ld_blocks"]
    entry = group.entries[0]
    (tmp_path / "ld_blocks").mkdir()
    (tmp_path / "ld_blocks" / entry.path).write_bytes(b"x" * 35540)
    for sha256, state in ((entry.checksum.value, "there"), ("0" * 64, "missing")):
        with Manifest(tmp_path) as manifest:
            manifest.add(f"ld_blocks/{entry.path}", Fetched("u", 35540, sha256, "sha256"))
        assert [item.state for item in plan(site, tmp_path, group)] == [state]


def test_a_server_that_does_not_answer_leaves_sizes_open(site, tmp_path):
    group = recipe()["ukb_ld"]
    site.on_request = lambda path: (_ for _ in ()).throw(ConnectionError)
    items = plan(site, tmp_path, group, chroms=("22",))
    assert len(items) == 76
    assert {item.size for item in items} == {None}
    # Three failures and those that were under way at the same time are enough.
    assert len(site.requests) <= 3 + 2


def test_a_link_out_of_the_folder_is_refused(site, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "phylo").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="a link leads out of"):
        plan(site, tmp_path / "out")
    assert inside(tmp_path, "a/b") == tmp_path / "a" / "b"


def test_workers_do_everything_once():
    done = []
    Workers(4, StopRequest()).run(done.append, range(100))
    assert sorted(done) == list(range(100))


def test_the_first_error_ends_the_work():
    workers = Workers(2, StopRequest())
    done = []

    def work(number):
        done.append(number)
        if number == 3:
            raise OutputError("full")

    with pytest.raises(OutputError, match="full"):
        workers.run(work, range(10_000))
    assert len(done) < 10_000
    for ended in (workers.check, lambda: workers.sleep(1000)):
        with pytest.raises(Cancelled):
            ended()


def test_a_signal_ends_the_work_and_the_pauses():
    class Stop(StopRequest):
        requested_by = threading.Event()

        def raise_if_requested(self):
            if self.requested_by.wait(5):
                raise InterruptedRunError("stopped by SIGTERM", 15)

    stop = Stop()
    workers = Workers(2, stop)
    ended = []

    def work(number):
        stop.requested_by.set()
        try:
            workers.sleep(1000)
        except Cancelled:
            ended.append(number)

    with pytest.raises(InterruptedRunError, match="SIGTERM"):
        workers.run(work, range(2))
    assert sorted(ended) in ([0], [0, 1])


def test_pauses_pass_while_the_run_goes_on():
    Workers(1, StopRequest()).sleep(0)
