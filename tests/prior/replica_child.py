"""Fits a small problem on some replicas and writes what came of it; run as a process of its own.

    python replica_child.py MODE OUTPUT [INDEX PORT PORT]

MODE is one, two (logical CPUs) or workers (INDEX of two processes on the loopback).
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def main(mode, output, objective, *workers):
    if mode == "workers":
        index, *ports = workers
        addresses = [f"127.0.0.1:{port}" for port in ports]
        os.environ["TF_CONFIG"] = json.dumps(
            {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": int(index)}}
        )
    import tensorflow as tf

    from tfgen.prior.training.distribution import make_strategy

    tf.config.experimental.enable_tensor_float_32_execution(False)
    if mode == "two":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    name = {"one": "one", "two": "mirrored", "workers": "multiworker"}[mode]
    strategy = make_strategy(name)

    from prior.small_fits import draw, make_model
    from tfgen.prior.training.em import EmFit
    from tfgen.prior.training.fit import Fit
    from tfgen.prior.training.fit_loop import FitData
    from tfgen.prior.training.fit_options import FitOptions

    source = draw(6, n=40, people=30)
    with strategy.scope():
        model = make_model(source, "mlp", hidden=(8,), dropout=0.2 if objective == "mll" else 0.0)
        log_sigma = tf.Variable([0.0])
        options = FitOptions(
            objective=objective,
            epochs=2,
            sigma="trained",
            patience=0,
            blocks_per_step=3,
            em_batch=64,
            em_epochs=2,
        )
        kind = EmFit if objective == "em" else Fit
        fit = kind(model, log_sigma, FitData(source, tuple(range(6)), (), (1.0,)), options)
        start = [variable.numpy().tolist() for variable in model.trainable_variables]
        result = fit.run()
    weights = [variable.numpy().tolist() for variable in model.trainable_variables]
    Path(output).write_text(
        json.dumps(
            {
                "replicas": strategy.num_replicas_in_sync,
                "training": [record.training for record in result.records],
                "log_sigma": result.log_sigma,
                "gradient_norm": [record.gradient_norm for record in result.records],
                "start": start,
                "weights": weights,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
