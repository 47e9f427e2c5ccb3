import json
import threading
from types import SimpleNamespace

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.prior.training.distribution import (
    is_chief,
    local_replicas,
    make_strategy,
    read_ahead,
    require_agreement,
    share_out,
)


def test_one_device_is_the_default_strategy():
    strategy = make_strategy("one")
    assert strategy.num_replicas_in_sync == 1
    assert local_replicas(strategy) == range(1)
    assert is_chief(strategy)


def test_mirrored_takes_every_logical_cpu():
    strategy = make_strategy("mirrored")
    n = len(tf.config.list_logical_devices("CPU"))
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert local_replicas(strategy) == range(n)
    assert is_chief(strategy)


def test_multiworker_reads_tf_config(monkeypatch):
    made = []
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    monkeypatch.setattr(
        tf.distribute, "MultiWorkerMirroredStrategy", lambda: made.append(1) or "made"
    )
    assert make_strategy("multiworker") == "made"
    assert made == [1]


def test_another_strategy_is_refused():
    with pytest.raises(UsageError, match="strategy is 'tpu'; use one, mirrored or multiworker"):
        make_strategy("tpu")


def cluster(n_replicas, n_workers, task):
    spec = SimpleNamespace(jobs=["worker"], num_tasks=lambda _: n_workers)
    resolver = SimpleNamespace(cluster_spec=lambda: spec, task_id=task)
    return SimpleNamespace(cluster_resolver=resolver, num_replicas_in_sync=n_replicas)


@given(st.integers(1, 5), st.integers(1, 4))
def test_every_replica_belongs_to_one_process(n_workers, n_local):
    n = n_workers * n_local
    workers = [cluster(n, n_workers, task) for task in range(n_workers)]
    assert [i for worker in workers for i in local_replicas(worker)] == list(range(n))
    assert [is_chief(worker) for worker in workers] == [True] + [False] * (n_workers - 1)


@given(st.lists(st.floats(1, 1e9), max_size=20), st.integers(1, 5))
def test_every_block_is_worked_on_once_and_the_load_is_balanced(costs, n_replicas):
    rounds = share_out(range(len(costs)), costs, n_replicas)
    assert all(len(row) == n_replicas for row in rounds)
    assert sorted(i for row in rounds for i in row if i is not None) == list(range(len(costs)))
    loads = [sum(costs[row[r]] for row in rounds if row[r] is not None) for r in range(n_replicas)]
    # Graham 1969: whoever ends last began when nobody had more than the mean of the rest.
    longest = max(costs, default=0.0)
    assert max(loads) <= (sum(costs) - longest) / n_replicas + longest + 1
    assert max(loads) - min(loads) <= longest + 1


def test_the_largest_comes_first_and_idle_replicas_get_nothing():
    costs = [1.0, 9.0, 3.0, 3.0, 3.0]
    assert share_out([0, 1, 2, 3, 4], costs, 2) == [(1, 2), (0, 3), (None, 4)]
    assert share_out([3], costs, 3) == [(3, None, None)]
    assert share_out([], costs, 2) == []


@given(st.lists(st.none() | st.integers(0, 9), max_size=8))
def test_items_come_in_their_order(items):
    expected = [None if item is None else 10 * item for item in items]
    assert list(read_ahead(items, lambda item: 10 * item)) == expected


def test_the_next_item_is_read_before_it_is_asked_for():
    read = [threading.Event() for _ in range(3)]
    items = read_ahead([0, 1, 2], lambda item: read[item].set() or item)
    assert next(items) == 0
    assert read[1].wait(timeout=60)
    assert list(items) == [1, 2]


def test_an_item_that_cannot_be_read_stops_the_consumer_in_its_place():
    def read(item):
        if item == 2:
            raise OSError("gone")
        return item

    seen = []
    with pytest.raises(OSError, match="gone"):
        seen.extend(read_ahead([0, 1, 2, 3], read))
    items = read_ahead([0, 1, 2, 3], read)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        next(items)
    assert list(items) == []


def test_a_consumer_may_stop_early():
    before = threading.active_count()
    items = read_ahead(list(range(100)), lambda item: item)
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before


def test_a_cluster_with_a_chief_is_refused(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    with pytest.raises(UsageError, match="lists the jobs chief, worker; expected worker alone"):
        make_strategy("multiworker")
    monkeypatch.delenv("TF_CONFIG")
    with pytest.raises(UsageError, match="lists the jobs none"):
        make_strategy("multiworker")


def test_one_process_always_agrees_with_itself():
    require_agreement(tf.distribute.get_strategy(), 3, "epochs")
