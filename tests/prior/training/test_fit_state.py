import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputMismatchError, OutputError
from tfgen.prior.training import fit_state
from tfgen.prior.training.fit_state import CONVERGED_GAIN, EpochRecord, FitState, gain_to_come


def record(epoch, training=1.0, held_out=float("nan")):
    return EpochRecord(epoch, 3 * epoch, training, held_out, (1.0, 1.5), 0.25, epoch - 1)


def variables(value=0.0):
    return [tf.Variable(np.full((2, 3), value, np.float32)), tf.Variable(round(value), tf.int64)]


def state(n=2):
    records = [record(i + 1) for i in range(n)]
    return FitState(records, 1, 1.25, [np.full((2, 3), 7, np.float32)])


def test_a_new_state_has_done_nothing(tmp_path):
    new = FitState.load(tmp_path / "none.npz", variables(), "a")
    assert (new.epoch, new.step, new.best_epoch, new.best) == (0, 0, 0, [])
    assert new.best_held_out == np.inf
    assert not new.converged


def test_what_was_saved_is_read_again(tmp_path):
    path, kept = tmp_path / "s.npz", variables(4.0)
    state().save(path, kept, "a")
    assert [file.name for file in tmp_path.iterdir()] == ["s.npz"]
    others = variables()
    again = FitState.load(path, others, "a")
    # repr: NaN is not itself.
    assert repr(again.records) == repr(state().records)
    assert (again.best_epoch, again.best_held_out) == (1, 1.25)
    np.testing.assert_array_equal(again.best[0], np.full((2, 3), 7))
    np.testing.assert_array_equal(others[0].numpy(), kept[0].numpy())
    assert int(others[1]) == 4
    assert (again.epoch, again.step) == (2, 6)


def test_equal_states_are_equal_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        state().save(tmp_path / name, variables(2.0), "a")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(("identity", "n"), [("b", 2), ("a", 1)])
def test_the_state_of_another_fit_is_refused(tmp_path, identity, n):
    state().save(tmp_path / "s.npz", variables(), "a")
    with pytest.raises(InputMismatchError, match="s.npz: is the state of another fit; remove it"):
        FitState.load(tmp_path / "s.npz", variables()[:n], identity)


def test_a_kill_before_the_rename_leaves_the_former_state(tmp_path, monkeypatch):
    path = tmp_path / "s.npz"
    state(2).save(path, variables(2.0), "a")

    def killed(partial, final):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit_state, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            state(5).save(path, variables(5.0), "a")
    others = variables()
    assert FitState.load(path, others, "a").epoch == 2
    assert int(others[1]) == 2
    # What the killed run left is no hindrance.
    state(6).save(path, variables(6.0), "a")
    assert FitState.load(path, others, "a").epoch == 6
    assert [file.name for file in tmp_path.iterdir()] == ["s.npz"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(OutputError, match=r"s\.npz: cannot be written: No such file or directory"):
        state().save(tmp_path / "none" / "s.npz", variables(), "a")


@given(st.data())
def test_a_damaged_state_is_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "s.npz"
    state().save(path, variables(), "a")
    whole = path.read_bytes()
    damaged = data.draw(
        st.one_of(
            st.integers(0, len(whole) - 1).map(lambda size: whole[:size]), st.binary(max_size=40)
        )
    )
    path.write_bytes(damaged)
    with pytest.raises(InputMismatchError, match=r"s\.npz: is damaged \(.*remove it") as caught:
        FitState.load(path, variables(), "a")
    assert "\n" not in str(caught.value)


# ---- convergence -------------------------------------------------------------------------------


@given(st.floats(0.05, 0.95), st.floats(1e-5, 1.0), st.integers(3, 80))
def test_the_rest_of_a_geometric_series_is_known(ratio, size, n):
    objective = [1.0 + size * ratio**i for i in range(n)]
    width = min(10, max(1, n // 6))
    last = np.mean(objective[-width:])
    before = np.mean(objective[-2 * width : -width])
    expected = 1000 * max(last - 1.0, before - last)
    if ratio**width <= 0.98:
        assert gain_to_come(objective) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_what_stands_still_has_converged():
    assert gain_to_come([1.5] * 3) == 0
    assert FitState([record(i, 1.5) for i in range(1, 9)]).converged


def test_what_still_gains_has_not_converged():
    # 0.01 per 1,000 z-scores and epoch, without an end in sight.
    objective = [1 - 1e-5 * i for i in range(60)]
    assert gain_to_come(objective) > 5 * CONVERGED_GAIN
    assert not FitState([record(i + 1, x) for i, x in enumerate(objective)]).converged


def test_what_gains_again_or_grows_worse_has_not_converged():
    assert gain_to_come([1.0, 1.001, 1.0]) == pytest.approx(1.0)
    assert gain_to_come([1.0, 1.0, 1.002]) == pytest.approx(2.0)


def test_noise_around_the_optimum_is_averaged():
    rng = np.random.default_rng(0)
    objective = 1.2 + 2e-5 * rng.normal(size=60)
    assert gain_to_come(objective) < CONVERGED_GAIN


@pytest.mark.parametrize("n", [0, 1, 2])
def test_two_epochs_tell_nothing(n):
    assert gain_to_come([1.0] * n) == np.inf


def test_what_is_no_number_has_not_converged():
    assert not FitState([record(i, float("nan")) for i in range(1, 9)]).converged
