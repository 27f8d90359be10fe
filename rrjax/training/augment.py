"""Trajectory augmentation: a puzzle is run from perturbed starts, which all must reach its answer.

z0 → z0 + σ·N(0, 1) with inputs and labels unchanged, and the same supervised loss.
Source: recursive-reasoning-dynamics, `trajectory_augmentation_notes.md`.
"""

from collections.abc import Collection

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.checks import refuse
from rrjax.contract import State
from rrjax.dynamics.starts import perturb
from rrjax.training.settings import Augmentation


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


def starts(
    key: jax.Array, start: State, augmentation: Augmentation, step: Array, num_puzzles: int
) -> State:
    """Returns the starts of all trajectories of one optimizer step, puzzle after puzzle.

    Args:
      key: the step's key; a trajectory's noise depends only on it and on the numbers of puzzle
        and trajectory.
      start: z0 of one puzzle.
      augmentation: what is perturbed, and how much.
      step: optimizer steps done.
      num_puzzles: B.

    Returns:
      A state with a leading axis of B · `augmentation.trajectories`.
    """
    fields = perturbed_fields(augmentation, start._fields)
    has_clean = augmentation.objective != "single_perturbed_ce"

    def one(puzzle: Array, trajectory: Array) -> State:
        own = jax.random.fold_in(jax.random.fold_in(key, puzzle), trajectory)
        key_sigma, key_noise = jax.random.split(own)
        sigma = draw_sigma(key_sigma, augmentation, step)
        clean = has_clean & (trajectory == 0)
        return perturb(key_noise, start, jnp.where(clean, 0.0, sigma), fields)

    index = jnp.arange(num_puzzles * augmentation.trajectories)
    return jax.vmap(one)(*jnp.divmod(index, augmentation.trajectories))


def perturbed_fields(augmentation: Augmentation, known: Collection[str]) -> tuple[str, ...] | None:
    """Returns which of the state's fields, `known` by name, are perturbed; None means all."""
    if augmentation.latents == "both":
        return None
    fields = tuple(name for name in known if name.startswith(augmentation.latents))
    if not fields:
        rule = f"be part of the cell's state, which has {', '.join(known)}"
        refuse("augmentation.latents", rule, augmentation.latents)
    return fields
