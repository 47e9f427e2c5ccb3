"""One update: against a step written out by hand, on two replicas, with heads left alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from enformer.training_toys import TABLE, contig, tiny_config, tiny_model
from tfgen.enformer.augmentation import Augmentation
from tfgen.enformer.sampling import WindowSampler
from tfgen.enformer.training_step import TrainingStep
from tfgen.errors import UsageError

HERE = Path(__file__).resolve().parent


def sampler(batch_size=4, n_tracks=3):
    return WindowSampler([contig(n_tracks=n_tracks)], tiny_config(), batch_size, 1, Augmentation(3))


def gradients_by_hand(model, batch):
    """Loss and gradients, with the other strand taken window by window in numpy."""
    sequence, target = TABLE[batch.codes], batch.targets.copy()
    for row in np.flatnonzero(batch.other_strand):
        sequence[row] = sequence[row, ::-1, ::-1]
        target[row] = target[row, ::-1]
    with tf.GradientTape() as tape:
        p = model(sequence, is_training=True)["human"]
        loss = tf.reduce_mean(p - target * tf.math.log(p + 1e-7))
    found = tape.gradient(loss, model.trainable_variables)
    return float(loss), [None if g is None else g.numpy() for g in found]


def adam_by_hand(w, gradients, rate):
    """Adam as published (Kingma and Ba 2015, algorithm 1), all steps."""
    m = v = np.zeros_like(w, np.float64)
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        w = w - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_updates_are_those_of_adam_on_the_clipped_gradient(clip_norm):
    model, by_hand = tiny_model(), tiny_model()
    step = TrainingStep(model, TABLE, clip_norm=clip_norm)
    batches = [sampler().batch(i) for i in range(2)]
    seen = [[] for _ in by_hand.trainable_variables]
    for number, batch in enumerate(batches):
        loss, gradients = gradients_by_hand(by_hand, batch)
        norm = np.sqrt(sum((g**2).sum() for g in gradients if g is not None))
        factor = 1.0 if clip_norm is None or norm < clip_norm else clip_norm / norm
        result = step(batch, number, "human", 1e-3)
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.gradient_norm == pytest.approx(norm, rel=1e-4)
        for all_of_it, gradient in zip(seen, gradients, strict=True):
            all_of_it.append(gradient if gradient is None else factor * gradient)
        for ours, mine in zip(model.variables, by_hand.variables, strict=True):
            mine.assign(ours)
    start = [v.numpy() for v in tiny_model().trainable_variables]
    compared = 0
    for variable, w, gradients in zip(model.trainable_variables, start, seen, strict=True):
        if gradients[0] is None:
            np.testing.assert_array_equal(variable, w)
            continue
        expected = adam_by_hand(w, gradients, 1e-3)
        # Adam divides a gradient by its size: where that is only rounding (as for a bias before
        # a batch norm), so is the update.
        clear = np.min(np.abs(gradients), axis=0) > 1e-5
        np.testing.assert_allclose(variable.numpy()[clear], expected[clear], atol=2e-6)
        compared += clear.sum()
    assert compared > 500


def test_heads_take_turns_and_leave_each_other_alone():
    model = tiny_model()
    step = TrainingStep(model, TABLE, clip_norm=0.2)
    mouse, human = (model.heads[name].w.numpy() for name in ("mouse", "human"))
    step(sampler().batch(0), 0, "human", 1e-2)
    np.testing.assert_array_equal(model.heads["mouse"].w, mouse)
    assert (model.heads["human"].w.numpy() != human).any()
    # Moments lie beside their own variable: only those of the mouse head are still zero.
    still = {
        id(variable)
        for variable, moment in zip(model.trainable_variables, step.optimizer.v, strict=True)
        if not moment.numpy().any()
    }
    assert still == {id(model.heads["mouse"].w), id(model.heads["mouse"].b)}
    human = model.heads["human"].w.numpy()
    step(sampler(n_tracks=2).batch(1), 1, "mouse", 1e-2)
    np.testing.assert_array_equal(model.heads["human"].w, human)
    assert (model.heads["mouse"].w.numpy() != mouse).any()


def test_learning_lowers_the_loss():
    model = tiny_model()
    step = TrainingStep(model, TABLE, clip_norm=0.2)
    batch = sampler(16).batch(0)
    losses = [step(batch, number, "human", 1e-2).loss for number in range(30)]
    assert losses[-1] < losses[0] - 0.02


def test_two_replicas_are_one_with_the_whole_batch(tmp_path):
    output = tmp_path / "replicas.npz"
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)])
    done = subprocess.run(
        [sys.executable, str(HERE / "replicas.py"), str(output)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(output) as arrays:
        one, two = (
            {name[4:]: arrays[name] for name in arrays if name.startswith(f"{run}_")}
            for run in ("one", "two")
        )
    np.testing.assert_allclose(two["results"], one["results"], rtol=1e-4)
    np.testing.assert_allclose(two["moments"], one["moments"], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(two["statistics"], one["statistics"], rtol=1e-3, atol=1e-5)
    # Adam divides a gradient by its size: where that is only rounding, so is the update.
    clear = one["squares"] > 1e-14
    assert clear.mean() > 0.3
    np.testing.assert_allclose(two["weights"][clear], one["weights"][clear], atol=1e-6)
    assert two["between_replicas"] == 0


def test_tracks_that_are_not_those_of_the_head_are_refused():
    step = TrainingStep(tiny_model(), TABLE, clip_norm=0.2)
    with pytest.raises(UsageError, match="the batch has 3 tracks, but head 'mouse' has 2"):
        step(sampler().batch(0), 0, "mouse", 1e-3)


def test_an_unknown_head_is_refused():
    step = TrainingStep(tiny_model(), TABLE, clip_norm=0.2)
    with pytest.raises(UsageError, match="no head is called 'yeast'"):
        step(sampler().batch(0), 0, "yeast", 1e-3)


def test_a_clipping_norm_of_zero_is_refused():
    with pytest.raises(UsageError, match="clip_norm is 0.0; expected a positive number"):
        TrainingStep(tiny_model(), TABLE, clip_norm=0.0)
