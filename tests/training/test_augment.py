"""Noise of perturbed starts: its statistics, schedule and reproducibility, and refusals."""

import dataclasses
import re
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import init_params, initial_state
from rrjax.checks import check_choice
from rrjax.training.augment import (
    Augmentation,
    draw_sigma,
    perturbed_fields,
    ramp,
    starts,
)
from tests.tools import tiny_training as tiny

MULTI = Augmentation("multi_perturbed_ce", sigma=(0.5, 0.5), num_trajectories=3)
START = initial_state(init_params(jax.random.key(0), tiny.CONFIG), tiny.CONFIG)


_starts = jax.jit(starts, static_argnums=(2, 4))


def moved(augmentation: Augmentation, step: int = 0, seed: int = 0, num_puzzles: int = 4):
    """z − z0 of every trajectory, (puzzles, trajectories, tokens, width) in each field."""
    found = _starts(jax.random.key(seed), START, augmentation, jnp.asarray(step), num_puzzles)
    shape = num_puzzles, augmentation.trajectories
    return jax.tree.map(lambda z, z0: np.asarray(z - z0).reshape(*shape, *z0.shape), found, START)


def sigmas(augmentation: Augmentation, step: int, number: int = 4000) -> np.ndarray:
    keys = jax.random.split(jax.random.key(3), number)
    draw = jax.jit(jax.vmap(lambda key: draw_sigma(key, augmentation, jnp.asarray(step))))
    return np.asarray(draw(keys))


def test_the_first_of_many_is_clean_and_the_others_have_noise_of_their_own():
    for noise in moved(MULTI):
        assert not noise[:, 0].any()
        perturbed = noise[:, 1:].reshape(8, -1)
        # 8 · 17 · 32 draws: the spread is known to 1.1 % and the mean to .0076, five times each
        assert abs(perturbed.std() - 0.5) < 0.03
        assert abs(perturbed.mean()) < 0.04
        overlaps = np.corrcoef(perturbed) - np.eye(8)
        assert np.abs(overlaps).max() < 5 / np.sqrt(perturbed.shape[1])


def test_noise_differs_between_tokens_and_between_latents():
    z_H, z_L = moved(MULTI)
    assert np.abs(np.corrcoef(z_H[0, 1]) - np.eye(len(z_H[0, 1]))).max() < 0.9
    assert abs(np.corrcoef(z_H[0, 1].ravel(), z_L[0, 1].ravel())[0, 1]) < 0.22


def test_a_single_trajectory_is_perturbed():
    single = dataclasses.replace(MULTI, objective="single_perturbed_ce")
    assert single.trajectories == 1
    for noise in moved(single):
        assert noise.any(axis=(2, 3)).all()


@pytest.mark.parametrize(("latents", "z_H", "z_L"), [("both", 1, 1), ("z_H", 1, 0), ("z_L", 0, 1)])
def test_only_the_named_latents_move(latents, z_H, z_L):
    noise = moved(dataclasses.replace(MULTI, latents=latents))
    assert (bool(noise.z_H.any()), bool(noise.z_L.any())) == (z_H, z_L)


def test_z_l_is_every_latent_but_the_answer():
    six = ("z_H", "z_L1", "z_L2")
    assert perturbed_fields(Augmentation(latents="z_L"), six) == ("z_L1", "z_L2")
    assert perturbed_fields(Augmentation(latents="z_L"), ("z_L",)) == ("z_L",)
    with pytest.raises(ValueError, match=r"latents must be part of .*which has z_L; got z_H"):
        perturbed_fields(Augmentation(latents="z_H"), ("z_L",))


@pytest.mark.slow
def test_a_trajectory_keeps_its_noise_whatever_runs_beside_it():
    few, many = moved(MULTI, num_puzzles=2), moved(MULTI, num_puzzles=5)
    wide = moved(dataclasses.replace(MULTI, num_trajectories=5))
    other = moved(MULTI, seed=1)
    np.testing.assert_array_equal(few.z_L, many.z_L[:2])
    np.testing.assert_array_equal(few.z_L, wide.z_L[:2, :3])
    assert (few.z_L[:, 1:] != other.z_L[:2, 1:]).all()


def test_random_starts_forget_the_initial_vector():
    drawn = Augmentation("multi_perturbed_ce", starts="random", num_trajectories=3, latents="z_L")
    noise = moved(drawn)
    assert not noise.z_H.any()
    assert not noise.z_L[:, 0].any()
    states = (noise.z_L + np.asarray(START.z_L))[:, 1:].reshape(8, -1)
    # 8 · 17 · 32 draws of variance 1, none beyond 2 / .8796
    assert abs(states.std() - 1) < 0.06
    assert 2.2 < np.abs(states).max() < 2.28
    assert np.abs(np.corrcoef(states) - np.eye(8)).max() < 5 / np.sqrt(states.shape[1])


def test_sigma_is_log_uniform():
    found = np.log(sigmas(dataclasses.replace(MULTI, sigma=(3e-5, 3e-3)), step=0))
    low, high = np.log(3e-5), np.log(3e-3)
    assert low - 1e-5 <= found.min() < low + 0.05
    assert high - 0.05 < found.max() <= high + 1e-5
    shares = np.histogram(found, bins=4, range=(low, high))[0] / len(found)
    np.testing.assert_allclose(shares, 0.25, atol=5 * np.sqrt(0.25 * 0.75 / 4000))


def test_equal_ends_fix_sigma():
    np.testing.assert_allclose(sigmas(MULTI, step=0), 0.5)


def test_a_share_of_the_trajectories_stays_clean():
    found = sigmas(dataclasses.replace(MULTI, p_clean=0.3), step=0)
    assert set(np.unique(found)) == {0.0, 0.5}
    assert abs((found == 0).mean() - 0.3) < 0.037  # five standard errors


def test_noise_starts_after_the_clean_steps_and_grows_to_its_full_size():
    augmentation = Augmentation(clean_steps=10, ramp_steps=4)
    found = [float(ramp(augmentation, jnp.asarray(step))) for step in (0, 9, 10, 11, 13, 14, 99)]
    assert found == [0, 0, 0, 0.25, 0.75, 1, 1]
    assert [float(ramp(Augmentation(clean_steps=3), jnp.asarray(s))) for s in (2, 3)] == [0, 1]
    assert float(ramp(Augmentation(), jnp.asarray(0))) == 1


def test_both_ends_of_the_interval_are_ramped():
    augmentation = dataclasses.replace(MULTI, sigma=(0.1, 10.0), ramp_steps=100)
    found, full = sigmas(augmentation, step=25), sigmas(augmentation, step=100)
    np.testing.assert_allclose(found, full / 4, rtol=1e-6)


def test_during_the_warm_up_every_start_is_clean():
    late = dataclasses.replace(MULTI, clean_steps=5)
    assert not any(noise.any() for noise in moved(late, step=4))
    assert all(noise[:, 1:].any(axis=(2, 3)).all() for noise in moved(late, step=5))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"sigma": (1.0, 2.0)}, "sigma"),
        ({"num_trajectories": 7}, "num_trajectories"),
        ({"ramp_steps": 7}, "ramp_steps"),
        ({"objective": "single_perturbed_ce", "num_trajectories": 7}, "num_trajectories"),
        ({"starts": "random"}, "starts"),
        ({"objective": "multi_perturbed_ce", "starts": "random", "sigma": (1.0, 1.0)}, "sigma"),
    ],
)
def test_settings_that_the_objective_does_not_read_are_refused(settings, field):
    with pytest.raises(ValueError, match=rf"augmentation\.{field} must stay at .* without"):
        Augmentation(**settings).refuse_idle()


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation("single_perturbed_ce", sigma=(1.0, 2.0), clean_steps=3),
        Augmentation("multi_perturbed_ce", "parallel_fixed", num_trajectories=2),
    ],
)
def test_it_is_the_objective_that_decides(augmentation):
    """What it reads is taken, and the very same is refused where it reads none of it."""
    augmentation.refuse_idle()
    idle = dataclasses.replace(augmentation, objective="clean_ce")
    with pytest.raises(ValueError, match=r"without augmentation\.objective"):
        idle.refuse_idle()
    dataclasses.replace(Augmentation(), rollout=augmentation.rollout).refuse_idle()


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("num_trajectories", 0, "be at least 1"),
        ("clean_steps", -1, "be at least 0"),
        ("ramp_steps", 2**31, "be at most 2147483647"),
        ("p_clean", -0.1, "be at least 0 and at most 1"),
        ("p_clean", 1.1, "be at least 0 and at most 1"),
        ("p_clean", float("nan"), "be at least 0 and at most 1"),
        ("sigma", (-1.0, 1.0), "0 ≤ lowest ≤ highest"),
        ("sigma", (2.0, 1.0), "0 ≤ lowest ≤ highest"),
        ("sigma", (1.0, float("inf")), "two finite numbers"),
        ("sigma", (1.0, float("nan")), "two finite numbers"),
        ("sigma", (0.0, 1.0), "lowest above 0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(field, value, rule):
    with pytest.raises(ValueError, match=rf"augmentation\.{field} must .*{re.escape(rule)}"):
        Augmentation(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("objective", "kl"), ("rollout", "parallel"), ("latents", "z_l")]
)
def test_an_unknown_choice_is_refused_with_the_known_ones(field, value):
    kind = get_type_hints(Augmentation)[field]
    known = ", ".join(get_args(kind))
    with pytest.raises(
        ValueError, match=rf"augmentation\.{field} must be one of {known}; got '{value}'"
    ):
        check_choice(f"augmentation.{field}", value, kind)


def test_no_noise_at_all_is_allowed():
    silent = dataclasses.replace(MULTI, sigma=(0.0, 0.0))
    assert not any(noise.any() for noise in moved(silent))
