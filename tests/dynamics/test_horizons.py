"""Windows and clocks of one pass: sums of its growth, against runs over just that window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import hrm
from rrjax.cells.config import Arch, Config
from rrjax.contract import Dynamics, Repeat, Update, clock_steps, count_updates
from rrjax.dynamics.horizons import (
    exponents_per_step,
    fast_lyapunov_indicator,
    growth_per_step,
    running_exponents,
)


def named(name):
    return Update(name, lambda context, z, drive: z)


CYCLES = (Repeat(2, (Repeat(3, (named("latent"),)), named("answer"))),)


@pytest.mark.parametrize(
    ("clock", "steps"),
    [
        ("update", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("latent", (0, 1, 2, 2, 3, 4, 5, 5)),
        ("cycle", (0, 0, 0, 0, 1, 1, 1, 1)),
        ("segment", (0, 0, 0, 0, 0, 0, 0, 0)),
    ],
)
def test_steps_of_every_clock(clock, steps):
    assert clock_steps(CYCLES, clock) == steps


def test_official_hrm_counts_96_updates_and_64_latent_steps_in_16_segments():
    arch = Arch("hrm", H_cycles=2, L_cycles=2, H_layers=4, L_layers=4)
    schedule = hrm.schedule(Config(arch, seq_len=81, vocab_size=11))
    assert 16 * count_updates(schedule) == 96
    growth = growth_per_step(jnp.ones((96, 1)), schedule, "latent")
    assert growth.shape == (64, 1)
    np.testing.assert_array_equal(growth[:4, 0], [1, 2, 1, 2])


def test_an_answer_without_a_latent_update_is_a_step_of_its_own():
    assert clock_steps((named("answer"),), "latent") == (0,)
    assert clock_steps((named("answer"), named("latent")), "latent") == (0, 0)
    assert clock_steps((named("a"), Repeat(2, (named("b"),))), "cycle") == (0, 1, 2)


def henon(z):
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def test_any_window_equals_a_run_over_just_that_window():
    with jax.enable_x64(True):
        dynamics = Dynamics.from_map(henon, jnp.zeros(2, jnp.float64))
        whole = rrjax.spectrum(dynamics, 2, 12, key=jax.random.key(0))
        first = rrjax.spectrum(dynamics, 2, 5, key=jax.random.key(0))
        rest = rrjax.spectrum(dynamics, num_segments=7, frame=first.frame, initial=first.state)
        window = exponents_per_step(whole.log_growth, dynamics.schedule, "segment", 5, 12)
        np.testing.assert_allclose(window, rest.exponents, atol=1e-12)
        running = running_exponents(whole.log_growth, dynamics.schedule, "update")
        np.testing.assert_allclose(running[4], first.exponents, atol=1e-12)
        np.testing.assert_allclose(running[-1], whole.exponents, atol=1e-12)


def test_clocks_differ_by_how_many_updates_a_step_has():
    growth = jax.random.normal(jax.random.key(0), (24, 3))
    total = growth.sum(0)
    for clock, steps in (("update", 24), ("latent", 18), ("cycle", 6), ("segment", 3)):
        found = exponents_per_step(growth, CYCLES, clock)
        np.testing.assert_allclose(found * steps, total, rtol=1e-5)
        assert running_exponents(growth, CYCLES, clock).shape == (steps, 3)
    last = exponents_per_step(growth, CYCLES, "segment", start=2)
    np.testing.assert_allclose(last, growth[16:].sum(0), rtol=1e-5)


def test_bad_windows_are_refused():
    growth = jnp.zeros((16, 2))
    with pytest.raises(ValueError, match="clock must be one of update, latent, cycle, segment"):
        growth_per_step(growth, CYCLES, "second")
    with pytest.raises(ValueError, match="whole segments of 8 updates; it has 15 rows"):
        growth_per_step(growth[:15], CYCLES, "update")
    for start, stop in ((2, 2), (-1, 1), (0, 3)):
        with pytest.raises(ValueError, match=r"must lie in 0\.\.2, the run's segment steps"):
            exponents_per_step(growth, CYCLES, "segment", start, stop)


def test_growth_by_segment_is_read_by_segment_alone():
    growth = jax.random.normal(jax.random.key(0), (24, 3))
    by_segment = growth_per_step(growth, CYCLES, "segment")
    window = exponents_per_step(by_segment, CYCLES, "segment", 1, rows="segment")
    np.testing.assert_array_equal(window, exponents_per_step(growth, CYCLES, "segment", 1))
    running = running_exponents(by_segment, CYCLES, "segment", rows="segment")
    np.testing.assert_array_equal(running, running_exponents(growth, CYCLES, "segment"))
    for rows, clock in (("segment", "update"), ("3 segments", "segment")):
        with pytest.raises(ValueError, match=f"by {rows} cannot be read by {clock}"):
            growth_per_step(by_segment, CYCLES, clock, rows)


def test_the_indicator_is_the_running_maximum_of_the_length():
    growth = np.array([[0.5, 9], [-1.0, 9], [0.75, 9], [0.5, 9]], np.float32)
    np.testing.assert_allclose(fast_lyapunov_indicator(growth), [0.5, 0.5, 0.5, 0.75])
    np.testing.assert_allclose(fast_lyapunov_indicator(-growth[:1]), [-0.5])


def test_the_indicator_is_that_of_a_freely_evolved_vector():
    with jax.enable_x64(True):
        start, frame = jnp.array([0.1, 0.1]), jnp.array([[0.6, 0.8], [-0.8, 0.6]])
        result = rrjax.spectrum(Dynamics.from_map(henon, start), num_segments=30, frame=frame)
        z, w, lengths = start, frame[0], []
        for _ in range(30):
            z, w = jax.jvp(henon, (z,), (w,))
            lengths.append(np.log(np.linalg.norm(w)))
        expected = np.maximum.accumulate(lengths)
        np.testing.assert_allclose(fast_lyapunov_indicator(result.log_growth), expected, atol=1e-6)


def test_the_indicator_after_failure_and_annihilation():
    growth = jnp.array([1.0, jnp.nan, 1.0])[:, None]
    np.testing.assert_array_equal(fast_lyapunov_indicator(growth), [1, np.nan, np.nan])
    growth = jnp.array([1.0, -jnp.inf, -jnp.inf])[:, None]
    np.testing.assert_array_equal(fast_lyapunov_indicator(growth), [1, 1, 1])


@pytest.mark.parametrize("shape", [(3,), (0, 1), (3, 0), (2, 3, 1)])
def test_an_indicator_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"log_growth must have the shape \(updates, k\)"):
        fast_lyapunov_indicator(jnp.zeros(shape))
