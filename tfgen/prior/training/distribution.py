"""Blocks over replicas: the strategy, who works on which block, and reading ahead."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import tensorflow as tf

from tfgen.errors import InputMismatchError, UsageError
from tfgen.prior.training.fit_options import StrategyName

Item = TypeVar("Item")


def make_strategy(name: StrategyName) -> tf.distribute.Strategy:
    """The strategy of a run.

    Args:
        name: `one`: the default device. `mirrored`: every GPU of this machine, or every logical
            CPU where there is none. `multiworker`: the machines that TF_CONFIG lists; must be made
            before any tensor.

    Raises:
        UsageError: There is no such strategy.
    """
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multiworker":
        jobs = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec().jobs
        if jobs != ["worker"]:
            raise UsageError(
                f"TF_CONFIG lists the jobs {', '.join(jobs) or 'none'}; expected worker alone, the "
                "first of which writes"
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise UsageError(f"strategy is {name!r}; use one, mirrored or multiworker")


def local_replicas(strategy: tf.distribute.Strategy) -> range:
    """Numbers of the replicas of this process, among all of the strategy."""
    resolver = strategy.cluster_resolver
    n_all = strategy.num_replicas_in_sync
    if resolver is None or not resolver.cluster_spec().jobs:
        return range(n_all)
    n_local = n_all // resolver.cluster_spec().num_tasks("worker")
    return range(resolver.task_id * n_local, (resolver.task_id + 1) * n_local)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes what all of them computed."""
    return local_replicas(strategy).start == 0


def require_agreement(strategy: tf.distribute.Strategy, value: int, what: str) -> None:
    """Stops unless a number is the same in all processes.

    Args:
        strategy: The strategy.
        value: The number of this process.
        what: What it is, for the message.

    Raises:
        InputMismatchError: It differs.
    """
    if strategy.num_replicas_in_sync == len(local_replicas(strategy)):
        return

    @tf.function(autograph=False)
    def total() -> tf.Tensor:
        def replica() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            moments = tf.constant([value, value * value], tf.float64)
            return context.all_reduce(tf.distribute.ReduceOp.MEAN, moments)

        return strategy.run(replica)

    mean, square = strategy.experimental_local_results(total())[0].numpy()
    if square - mean * mean > 1e-6:  # noqa: PLR2004
        raise InputMismatchError(
            f"{what}: {value} here, and another number at another worker; let all of them see the "
            "same files"
        )


def share_out(
    indices: Sequence[int], costs: Sequence[float], n_replicas: int
) -> list[tuple[int | None, ...]]:
    """Divides the blocks of a step among replicas, the largest first, each to the least laden.

    Args:
        indices: Blocks of the step.
        costs: Cost of every block, by its index.
        n_replicas: Number of replicas.

    Returns:
        Rounds: in each, one block per replica, or None for a replica that has nothing to do.
    """
    queues: list[list[int]] = [[] for _ in range(n_replicas)]
    loads = [0.0] * n_replicas
    for index in sorted(indices, key=lambda i: (-costs[i], i)):
        replica = loads.index(min(loads))
        queues[replica].append(index)
        loads[replica] += costs[index]
    n_rounds = max((len(queue) for queue in queues), default=0)
    return [tuple(q[i] if i < len(q) else None for q in queues) for i in range(n_rounds)]


def read_ahead(items: Sequence[int | None], read: Callable[[int], Item]) -> Iterator[Item | None]:
    """Reads one item ahead of the consumer in a thread of its own.

    Args:
        items: What to read, in order; None stands for nothing.
        read: Reads one.
    """
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(read, item) if item is not None else None for item in items[:2]]
        for place in range(len(items)):
            future = ahead.pop(0)
            following = items[place + 2] if place + 2 < len(items) else None
            if place + 2 < len(items):
                ahead.append(pool.submit(read, following) if following is not None else None)
            yield None if future is None else future.result()
