"""Trains on one and on two logical CPU devices and writes what came out; run by a test.

A process of its own, because the devices are fixed once TensorFlow has started.
"""

import sys
from pathlib import Path

import numpy as np
import sonnet as snt
import tensorflow as tf
from enformer.training_toys import TABLE, contig, tiny_config, tiny_model, weights

from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.sampling import WindowSampler
from tfgen.enformer.training_step import TrainingStep

STEPS, RATE = 3, 1e-3


def trained(strategy, clip_norm):
    """Loss and norm of every step, weights, moments."""
    sampler = WindowSampler([contig()], tiny_config(), 4, 1, Augmentation(3))
    with strategy.scope():
        model = tiny_model()
        step = TrainingStep(
            model,
            TABLE,
            clip_norm=clip_norm,
            strategy=strategy if strategy.num_replicas_in_sync > 1 else None,
        )
    results = [step(sampler.batch(i), i, "human", RATE) for i in range(STEPS)]
    moments = [m.numpy() for m in (*step.optimizer.m, *step.optimizer.v)]
    seen = [[result.loss, result.gradient_norm] for result in results]
    replicas = [
        tf.reduce_max(tf.abs(values[0] - values[-1])).numpy()
        for values in map(strategy.experimental_local_results, model.variables)
        if values[0].dtype.is_floating
    ]
    return [np.array(seen), *weights(model), *moments, np.array(max(replicas))]


def main(output):
    """Writes the arrays of both runs, with and without clipping."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = snt.distribute.Replicator(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    arrays = {}
    for clip_norm in (None, 0.01):
        for name, strategy in (("one", tf.distribute.get_strategy()), ("two", two)):
            for number, array in enumerate(trained(strategy, clip_norm)):
                arrays[f"{name}_{clip_norm}_{number}"] = array
    np.savez(output, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
