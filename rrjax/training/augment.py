"""Trajectory augmentation: a puzzle is run from other starts, which all must reach its answer.

z0 → z0 + σ·N(0, 1), or random numbers, with inputs and labels unchanged, and the same loss.
Source: recursive-reasoning-dynamics, `trajectory_augmentation_notes.md`; EqR (arXiv 2605.21488),
which also disturbs every update.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from rrjax.checks import refuse
from rrjax.contract import Dynamics, State
from rrjax.dynamics.noise import with_update_noise
from rrjax.dynamics.starts import perturb, random_start
from rrjax.keys import make_key
from rrjax.training.settings import Augmentation, Recipe

_NOISE = 2**31
"""Branch of a step's key; exploration takes the small numbers."""


def ramp(augmentation: Augmentation, step: Array) -> Float[Array, ""]:
    """Returns the factor of σ in the optimizer step after `step` ones.

    It is 0 during the clean warm-up, then (step − clean_steps)/ramp_steps, and 1 after the ramp.
    """
    since = step - augmentation.clean_steps
    grown = jnp.clip(since / max(1, augmentation.ramp_steps), 0, 1)
    return jnp.where(since < 0, 0.0, grown if augmentation.ramp_steps else 1.0)


def draw_sigma(key: jax.Array, augmentation: Augmentation, step: Array) -> Float[Array, ""]:
    """Returns σ of a perturbed trajectory: ramp · LogUniform(lowest, highest); 0 with `p_clean`."""
    key_clean, key_sigma = jax.random.split(key)
    low, high = augmentation.sigma
    sigma = jnp.asarray(low)
    if low < high:
        sigma = low * (high / low) ** jax.random.uniform(key_sigma)
    clean = jax.random.uniform(key_clean) < augmentation.p_clean
    return jnp.where(clean, 0.0, ramp(augmentation, step) * sigma)


def noise_key(seed: UInt32[Array, ""], step: Int[Array, ""]) -> jax.Array:
    """Returns the key of the noise of the trajectories that start after `step` optimizer steps."""
    return jax.random.fold_in(jax.random.fold_in(make_key(seed), step), _NOISE)


def starts(
    key: jax.Array, start: State, augmentation: Augmentation, step: Array, num_puzzles: int
) -> State:
    """Returns the starts of all trajectories of one optimizer step, puzzle after puzzle.

    Args:
      key: that of `noise_key`.
      start: z0 of one puzzle.
      augmentation: what is perturbed, and how much.
      step: optimizer steps done.
      num_puzzles: B.

    Returns:
      A state with a leading axis of B · `augmentation.trajectories`.
    """
    slots = jnp.arange(num_puzzles * augmentation.trajectories)
    return jax.vmap(lambda slot: start_of_slot(key, start, augmentation, step, slot))(slots)


def start_of_slot(
    key: jax.Array, start: State, augmentation: Augmentation, step: Array, slot: Array
) -> State:
    """Returns the start of the trajectory of one slot.

    Its noise depends only on the key and on the numbers of its puzzle and of the trajectory.

    Args:
      key, start, augmentation, step: as in `starts`.
      slot: number of the slot; those of a puzzle are neighbours.
    """
    puzzle, trajectory = jnp.divmod(slot, augmentation.trajectories)
    fields = perturbed_fields(augmentation, start._fields)
    own = jax.random.fold_in(jax.random.fold_in(key, puzzle), trajectory)
    key_sigma, key_noise = jax.random.split(own)
    sigma = draw_sigma(key_sigma, augmentation, step)
    clean = (augmentation.objective != "single_perturbed_ce") & (trajectory == 0)
    sigma = jnp.where(clean, 0.0, sigma)
    if augmentation.starts == "perturbed":
        return perturb(key_noise, start, sigma, fields)
    drawn = random_start(key_noise, start, fields)
    return jax.tree.map(lambda new, old: jnp.where(sigma > 0, new, old), drawn, start)


def perturbed_fields(augmentation: Augmentation, known: Collection[str]) -> tuple[str, ...] | None:
    """Returns which of the state's fields, `known` by name, are perturbed; None means all."""
    if augmentation.latents == "both":
        return None
    fields = tuple(name for name in known if name.startswith(augmentation.latents))
    if not fields:
        rule = f"be part of the cell's state, which has {', '.join(known)}"
        refuse("augmentation.latents", rule, augmentation.latents)
    return fields


class Chance(NamedTuple):
    """What is drawn in an evaluation, as it was in training.

    Attributes:
      fields: the fields of the state that start at random.
      update_noise: standard deviation of the noise of every update.
    """

    fields: tuple[str, ...] = ()
    update_noise: float = 0.0


def chance(recipe: Recipe, known: Collection[str]) -> Chance:
    """Returns what is drawn in an evaluation, of a cell whose fields are `known`."""
    fields: tuple[str, ...] = ()
    if recipe.augmentation.evaluates_random_starts:
        fields = perturbed_fields(recipe.augmentation, known) or tuple(known)
    return Chance(fields, recipe.update_noise)


def draw(dynamics: Dynamics, drawn: Chance, key: jax.Array, num_segments: int) -> Dynamics:
    """Returns the dynamics with its random start and the noise of its updates."""
    key_start, key_noise = jax.random.split(key)
    if drawn.fields:
        start = random_start(key_start, dynamics.initial, drawn.fields)
        dynamics = replace(dynamics, initial=start)
    if not drawn.update_noise:
        return dynamics
    return with_update_noise(dynamics, num_segments, key=key_noise, sigma=drawn.update_noise)
