"""Takes gradient steps on one and on two logical CPU devices and writes the weights; run by a test.

A process of its own, because the devices are fixed once TensorFlow has started.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from prior.prior_toys import CONFIGS, features, prior, rows, without_dropout
from tfgen.prior.heads.saved_prior import load_prior, prior_card, save_prior

RATE = 1e-3


def flat(weights):
    return np.concatenate([weight.numpy().ravel() for weight in weights])


def trained(strategy, config):
    """Weights before and after steps on the sum of log f squared over all replicas."""
    with strategy.scope():
        model = prior(config)
    weights = [weight.value for weight in model.trainable_weights]
    before = flat(weights)
    inputs, n = features(8), strategy.num_replicas_in_sync
    parts = [
        {key: tf.constant(value) for key, value in rows(inputs, slice(i, None, n)).items()}
        for i in range(n)
    ]

    @tf.function
    def step(values):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(values, training=True) ** 2)
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce("sum", tape.gradient(loss, weights))
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign_sub(RATE * tf.clip_by_norm(gradient, 1.0))

    distributed = strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )
    for _ in range(2):
        strategy.run(step, (distributed,))
    return before, flat(weights)


def saved(strategy, folder):
    """log f of a model on replicas, and of what was saved of it and loaded there again."""
    with strategy.scope():
        model = prior("linear-flat")
    save_prior(model, folder, prior_card(model, (1.0, 1.0)))
    with strategy.scope():
        again, _ = load_prior(folder)
    return model(features(8)).numpy(), again(features(8)).numpy()


def main(output):
    """Writes the arrays of all architectures."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one = tf.distribute.MirroredStrategy(["CPU:0"])
    two = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    arrays = {}
    for name, config in CONFIGS.items():
        for count, strategy in (("one", one), ("two", two)):
            before, after = trained(strategy, without_dropout(config))
            arrays |= {f"{name} before": before, f"{name} {count}": after}
    arrays["on replicas"], arrays["saved"] = saved(two, Path(output).with_name("model"))
    np.savez(output, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
