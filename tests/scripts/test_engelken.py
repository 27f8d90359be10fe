"""Engelken's experiment, tiny: its task, its resume to the bit, its script and figures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.store import read_arrays, read_result
from scripts.studies import engelken, engelken_runs
from scripts.studies import memory_task as task

TINY = {"size": 6, "num_exponents": 4, "batch": 2, "length": 20, "delay": 3}
TINY |= {"uncounted": 2, "horizon": 8, "flossing_steps": 3}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> engelken_runs.Setting:
    """A run of three blocks; what uses it shares its compiled programs."""
    monkeypatch.setattr(engelken_runs, "BLOCK", 4)
    monkeypatch.setattr(engelken, "BLOCK", 4)
    return engelken_runs.Setting(**TINY, epochs=12)


def test_targets_by_their_definition():
    bits = task.draw_bits(jax.random.key(0), 30)
    s = np.asarray(bits)[:, 0].astype(int)
    copied, mixed = (np.asarray(task.target(name, bits, 4)) for name in task.TASKS)
    for t in range(8, 30):
        assert copied[t] == s[t - 4]
        assert mixed[t] == (s[t - 4] ^ s[t - 8])
    assert {0, 1} == set(s)


def test_the_loss_ignores_what_comes_before_twice_the_delay():
    params = task.init_params(jax.random.key(0), 6, 1)
    params |= {"readout": jnp.zeros(6), "offset": jnp.asarray(30.0)}
    bits = jnp.zeros((1, 12, 1))
    # always "1", with every target 0: wrong at each counted step, by 30 nats
    loss, accuracy = task.task_loss(params, bits, "xor", 3)
    np.testing.assert_allclose(loss, 30, rtol=1e-6)
    assert accuracy == 0
    early = bits.at[0, :2].set(1.0)  # seen by the targets of steps 3, 4 and 6, 7
    assert task.task_loss(params, early, "copy", 3)[0] == loss
    assert task.task_loss(params, early, "xor", 3)[1] > 0


def test_clipping_is_array_by_array():
    clip = task.clip_each(0.5)
    found, _ = clip.update({"a": jnp.array([3.0, 4.0]), "b": jnp.array([0.1])}, clip.init({}))
    np.testing.assert_allclose(found["a"], [0.3, 0.4], rtol=1e-6)
    np.testing.assert_allclose(found["b"], [0.1], rtol=1e-6)


def test_the_long_term_jacobian_of_a_linear_network():
    setting = engelken_runs.Setting(**TINY)
    params = task.init_params(jax.random.key(0), 6, 1)
    # no bias, input or start: x stays 0, where the Jacobian is J itself
    params = {name: jnp.zeros_like(leaf) for name, leaf in params.items()}
    params["J"] = jnp.diag(jnp.array([1.0, 1.0, 0.5, 0.5, 0.5, 0.25]))
    found = engelken_runs.long_term_jacobian(setting, params)
    np.testing.assert_allclose(found["exponents"], np.log([1, 1, 0.5, 0.5, 0.5, 0.25]), atol=1e-6)
    np.testing.assert_allclose(found["log_condition"], 6 * np.log(2), rtol=1e-6)
    powers = np.array([1, 1, 0.5, 0.5, 0.5, 0.25]) ** 12
    np.testing.assert_allclose(
        found["participation"], powers.sum() ** 2 / (powers**2).sum(), rtol=1e-5
    )


@pytest.mark.slow
def test_flossing_pulls_the_exponents_to_zero():
    setting = engelken_runs.Setting(**TINY, learning_rate=0.02)
    state = engelken_runs.start(setting, engelken_runs.Run("xor", "pre", 0))
    frame = engelken_runs.random_frame(jax.random.key(0), state.params["initial"][0], 4)
    key = jax.random.key(1)
    after, losses = engelken_runs.floss(setting, state, frame, key, jnp.asarray(0), 60)
    assert losses[-10:].mean() < 0.2 * losses[:3].mean()
    for name in ("readout", "offset", "initial"):
        np.testing.assert_array_equal(after.params[name], state.params[name])
    assert not np.array_equal(after.params["J"], state.params["J"])


@pytest.mark.slow
def test_a_killed_run_ends_in_the_same_bits(tmp_path, short):
    setting, run = short, engelken_runs.Run("copy", "both", 1)
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    assert list(engelken_runs.advance(setting, run, folders[0])) == [4, 8, 12]
    assert next(engelken_runs.advance(setting, run, folders[1])) == 4
    assert list(engelken_runs.advance(setting, run, folders[1])) == [8, 12]
    assert list(engelken_runs.advance(setting, run, folders[1])) == []
    whole, killed = (read_arrays(folder / "copy-both-1.npz") for folder in folders)
    assert whole.keys() == killed.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], killed[name])
    assert len(whole["accuracy"]) == 12
    assert len(whole["flossing_loss"]) == 9  # before, and at epochs 4 and 8
    assert whole["log_condition"].shape == (4,)


@pytest.mark.slow
def test_the_script_writes_results_and_figures(tmp_path, short):
    out = tmp_path / "out"
    engelken.main(engelken.Options(out, 2, ("copy",), ("none", "pre"), short))
    arrays, record = read_result(out / "results.npz")
    assert arrays["accuracy"].shape == (1, 2, 2, 12)
    assert arrays["exponents"].shape == (1, 2, 2, 4, 6)
    assert arrays.keys() == record["axes"].keys() == record["units"].keys()
    assert set(record["summary"]) == {"copy, none", "copy, pre"}
    for name in ("accuracy", "jacobian"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    # the same start for every condition
    np.testing.assert_array_equal(
        read_arrays(out / "copy-none-0.npz")["skipped"], arrays["skipped"][0, 0, 0]
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delay": 10}, "delay must lie in 1..9"),
        ({"horizon": 2}, "horizon must lie in 3..20"),
        ({"num_exponents": 7}, "num_exponents must lie in 1..6"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        engelken_runs.Setting(**{**TINY, **wrong})
