"""Trajectory augmentation: the same puzzle from perturbed starts, all to reach its solution.

z0 → z0 + σ·N(0, 1) with inputs and labels unchanged, and the same supervised loss.
Source: recursive-reasoning-dynamics, `trajectory_augmentation_notes.md`.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.checks import check_choice, check_count, refuse, refuse_idle
from rrjax.contract import State
from rrjax.dynamics.starts import perturb

Objective = Literal["clean_ce", "single_perturbed_ce", "multi_perturbed_ce"]
Rollout = Literal["serial_act", "parallel_fixed", "masked_act"]
Latents = Literal["both", "z_H", "z_L"]
_CHOICES = {"objective": Objective, "rollout": Rollout, "latents": Latents}


@dataclass(frozen=True)
class Augmentation:
    """From which starts a puzzle is run, and how far.

    Attributes:
      objective: which trajectories a puzzle has. `clean_ce`: the clean one; `single_perturbed_ce`:
        a perturbed one; `multi_perturbed_ce`: the clean one and `num_trajectories` − 1 perturbed
        ones, whose losses are averaged.
      rollout: what one optimizer step runs. `serial_act`: a segment, each trajectory streaming
        through slots of its own; `parallel_fixed`: all `halt_max_steps` segments of new puzzles;
        `masked_act`: the same, but a trajectory that has halted counts no longer.
      num_trajectories: K of `multi_perturbed_ce`.
      sigma: lowest and highest σ in the states' own unit; each trajectory draws one log-uniformly
        (twice the same number: that number).
      p_clean: probability that a trajectory to be perturbed stays clean.
      latents: what is perturbed: the answer z_H, the latents z_L, or both.
      clean_steps: optimizer steps before the first noise.
      ramp_steps: optimizer steps after them over which both ends of `sigma` grow from 0.
    """

    objective: Objective = "clean_ce"
    rollout: Rollout = "serial_act"
    num_trajectories: int = 4
    sigma: tuple[float, float] = (1e-3, 1e-3)
    p_clean: float = 0.0
    latents: Latents = "both"
    clean_steps: int = 0
    ramp_steps: int = 0

    def __post_init__(self):
        for name, kind in _CHOICES.items():
            check_choice(f"augmentation.{name}", getattr(self, name), kind)
        check_count("augmentation.num_trajectories", self.num_trajectories, least=1)
        for name in ("clean_steps", "ramp_steps"):
            check_count(f"augmentation.{name}", getattr(self, name))
        if not 0 <= self.p_clean <= 1:
            _refuse("p_clean", "lie in 0..1", self.p_clean)
        _check_interval(self.sigma)

    def refuse_idle(self) -> None:
        """Refuse settings that the objective does not read.

        Raises:
          ValueError: naming one.
        """
        if self.objective == "clean_ce":
            idle = {f.name for f in fields(self)} - {"objective", "rollout"}
            refuse_idle("augmentation", self, idle, "augmentation.objective")
        elif self.objective == "single_perturbed_ce":
            needed = "augmentation.objective multi_perturbed_ce"
            refuse_idle("augmentation", self, ("num_trajectories",), needed)

    @property
    def trajectories(self) -> int:
        """Trajectories of one puzzle."""
        return self.num_trajectories if self.objective == "multi_perturbed_ce" else 1


def _check_interval(sigma: tuple[float, float]) -> None:
    low, high = sigma
    if not 0 <= low <= high or math.isinf(high):
        _refuse("sigma", "be two finite numbers, 0 ≤ lowest ≤ highest", sigma)
    if low == 0 < high:
        _refuse("sigma", "have a lowest above 0, for log-uniform draws reach no 0", sigma)


def _refuse(name: str, rule: str, found: object) -> None:
    refuse(f"augmentation.{name}", rule, found)


def ramp(augmentation: Augmentation, step: Array) -> Float[Array, ""]:
    """By what σ is multiplied in the optimizer step after `step` ones.

    0 through the clean warm-up, then (step − clean_steps)/ramp_steps, from there on 1.
    """
    since = step - augmentation.clean_steps
    grown = jnp.clip(since / max(1, augmentation.ramp_steps), 0, 1)
    return jnp.where(since < 0, 0.0, grown if augmentation.ramp_steps else 1.0)


def draw_sigma(key: jax.Array, augmentation: Augmentation, step: Array) -> Float[Array, ""]:
    """σ of one perturbed trajectory: ramp · LogUniform(lowest, highest), or 0 with `p_clean`."""
    key_clean, key_sigma = jax.random.split(key)
    low, high = augmentation.sigma
    sigma = jnp.asarray(low)
    if low < high:
        share = jax.random.uniform(key_sigma)
        sigma = low * (high / low) ** share
    clean = jax.random.uniform(key_clean) < augmentation.p_clean
    return jnp.where(clean, 0.0, ramp(augmentation, step) * sigma)


def starts(
    key: jax.Array, start: State, augmentation: Augmentation, step: Array, num_puzzles: int
) -> State:
    """The starts of all trajectories of one optimizer step, those of a puzzle side by side.

    Args:
      key: of the step; a trajectory's noise depends on it and on the two numbers of puzzle and
        trajectory alone.
      start: z0 of one puzzle.
      augmentation: what is perturbed, and how much.
      step: optimizer steps done.
      num_puzzles: B.

    Returns:
      A state with a leading axis of B · `augmentation.trajectories`.

    Raises:
      ValueError: if the state lacks what is to be perturbed.
    """
    fields = perturbed_fields(augmentation, start._fields)
    has_clean = augmentation.objective != "single_perturbed_ce"

    def one(puzzle: Array, trajectory: Array) -> State:
        mine = jax.random.fold_in(jax.random.fold_in(key, puzzle), trajectory)
        key_sigma, key_noise = jax.random.split(mine)
        sigma = draw_sigma(key_sigma, augmentation, step)
        clean = has_clean & (trajectory == 0)
        return perturb(key_noise, start, jnp.where(clean, 0.0, sigma), fields)

    index = jnp.arange(num_puzzles * augmentation.trajectories)
    return jax.vmap(one)(*jnp.divmod(index, augmentation.trajectories))


def perturbed_fields(augmentation: Augmentation, known: Collection[str]) -> tuple[str, ...] | None:
    """Which of the state's fields, `known` by name, are perturbed; None: all.

    Raises:
      ValueError: if the state has none of them.
    """
    if augmentation.latents == "both":
        return None
    fields = tuple(name for name in known if name.startswith(augmentation.latents))
    if not fields:
        rule = f"be part of the cell's state, which has {', '.join(known)}"
        _refuse("latents", rule, augmentation.latents)
    return fields
