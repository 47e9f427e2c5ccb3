"""Trains on one and on two logical CPU devices and writes what came out; run by a test.

A process of its own, because the devices are fixed once TensorFlow has started.
"""

import sys
from pathlib import Path

import numpy as np
import sonnet as snt
import tensorflow as tf

from enformer.training_toys import TABLE, contig, tiny_config, tiny_model
from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.sampling import WindowSampler
from tfgen.enformer.training_step import TrainingStep

STEPS, RATE, CLIP_NORM = 2, 1e-5, 0.01


def trained(strategy):
    """What came out of a few steps, by name."""
    sampler = WindowSampler([contig()], tiny_config(), 4, 1, Augmentation(3))
    with strategy.scope():
        model = tiny_model()
        step = TrainingStep(
            model,
            TABLE,
            clip_norm=CLIP_NORM,
            strategy=strategy if strategy.num_replicas_in_sync > 1 else None,
        )
    results = [step(sampler.batch(i), i, "human", RATE) for i in range(STEPS)]
    replicas = [
        np.ptp([value.numpy() for value in strategy.experimental_local_results(variable)], axis=0)
        for variable in model.variables
    ]
    return {
        "results": np.array([[result.loss, result.gradient_norm] for result in results]),
        "moments": np.concatenate([m.numpy().ravel() for m in step.optimizer.m]),
        "squares": np.concatenate([v.numpy().ravel() for v in step.optimizer.v]),
        "weights": np.concatenate([w.numpy().ravel() for w in model.trainable_variables]),
        "statistics": np.concatenate(
            [v.numpy().ravel() for v in model.variables if not v.trainable]
        ).astype(np.float32),
        "between_replicas": np.array(max(difference.max() for difference in replicas)),
    }


def main(output):
    """Writes the arrays of both runs."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = snt.distribute.Replicator(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    arrays = {}
    for name, strategy in (("one", tf.distribute.get_strategy()), ("two", two)):
        arrays |= {f"{name}_{what}": array for what, array in trained(strategy).items()}
    np.savez(output, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
