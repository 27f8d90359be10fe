"""Noise before every segment, or after every update: it is a drive, so tangents do not see it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rrjax.checks import check_count
from rrjax.contract import (
    Context,
    Dynamics,
    State,
    Update,
    change_update,
    check_key,
    named_fields,
    number_updates,
)
from rrjax.dynamics.starts import check_fields, perturb


class NoiseDrive(NamedTuple):
    """What draws the noise of a segment; with a leading axis of segments this is a drive.

    Attributes:
      key: draws the noise, which is as large as a state and is never kept.
      scale: the standard deviation, in the unit of the state.
    """

    key: jax.Array
    scale: Array


def with_noise(
    dynamics: Dynamics,
    num_segments: int,
    *,
    key: jax.Array,
    sigma: Any,
    fields: Collection[str] | None = None,
) -> Dynamics:
    """Returns the dynamics with N(0, σ²) added to the state before every segment, the first too.

      z(s + 1) = F(z(s) + σ ξ(s)),   ξ(s) ~ N(0, 1) independent in every component

    The first update of a segment draws the noise from a key in the drive. So trajectories with the
    same key are the same, the tangent of the segment is DF at z + σξ, and a segment has as many
    updates as without noise. ξ(s) depends on `key` and s alone: a longer run begins as a shorter
    one, and another σ has the same directions.

    Args:
      dynamics: without a drive.
      num_segments: for how many segments there is noise; no more can be run.
      key: draws the noise.
      sigma: σ ≥ 0 in the unit of the state, which may be traced. 0 changes no bit of a state, but
        the program differs from that of the undisturbed dynamics and may round differently: for
        comparisons run σ = 0 in the same program.
      fields: the names of the fields that are disturbed; None: all.

    Returns:
      Dynamics that compile once for all keys, σ and puzzles with equal schedules.

    Source: PTRM (arXiv 2605.19943), which disturbs z_L.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> noisy = rrjax.with_noise(shrink, 5, key=jax.random.key(0), sigma=0.1)
      >>> noisy
      Dynamics(state (2,); 1 update a segment: step, driven)
      >>> rrjax.rollout(noisy, 5).readout.shape
      (5, 2)
    """
    if fields is not None:
        check_fields(fields, dynamics.initial)
    drive = _drive(dynamics, num_segments, key, sigma)
    names = None if fields is None else tuple(fields)
    schedule = change_update(
        dynamics.schedule, 0, lambda first: Update(first.name, _DisturbFirst(first, names))
    )
    return replace(dynamics, schedule=schedule, drive=drive)


def with_update_noise(
    dynamics: Dynamics, num_segments: int, *, key: jax.Array, sigma: Any
) -> Dynamics:
    """Returns the dynamics with N(0, σ²) added after every update to the fields that it rewrites.

      z ← f(z) + σ ξ,   ξ ~ N(0, 1) independent in every component and update

    An update rewrites the fields that it does not return as they were given to it. The noise of an
    update depends on `key`, the segment and the number of the update within the segment alone: a
    longer run begins as a shorter one, and another σ has the same directions. Its updates are
    compiled one by one instead of in loops, since each has noise of its own.

    Args:
      dynamics: without a drive.
      num_segments: for how many segments there is noise; no more can be run.
      key: draws the noise.
      sigma: σ ≥ 0 in the unit of the state, which may be traced.

    Source: EqR (arXiv 2605.21488), which has σ = .01 in training and evaluation.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> noisy = rrjax.with_update_noise(shrink, 5, key=jax.random.key(0), sigma=0.1)
      >>> rrjax.rollout(noisy, 5).readout.shape
      (5, 2)
    """
    drive = _drive(dynamics, num_segments, key, sigma)
    schedule = number_updates(
        dynamics.schedule, lambda number, update: Update(update.name, _DisturbAfter(update, number))
    )
    return replace(dynamics, schedule=schedule, drive=drive)


def _drive(dynamics: Dynamics, num_segments: int, key: jax.Array, sigma: Any) -> NoiseDrive:
    if dynamics.drive is not None:
        raise ValueError("dynamics must have no drive: noise takes its place")
    check_count("num_segments", num_segments, least=1)
    check_key(key)
    keys = jax.vmap(lambda segment: jax.random.fold_in(key, segment))(jnp.arange(num_segments))
    return NoiseDrive(keys, jnp.broadcast_to(jnp.asarray(sigma, jnp.float32), (num_segments,)))


@dataclass(frozen=True)
class _DisturbAfter:
    """An update with noise after it. It equals another one with the same parts."""

    update: Update
    number: int

    def __call__(self, context: Context, state: State, drive: NoiseDrive) -> State:
        after = self.update(context, state, None)
        pairs = zip(named_fields(after).items(), named_fields(state).values(), strict=True)
        rewritten = [name for (name, new), old in pairs if new is not old]
        if not rewritten:
            return after
        return perturb(jax.random.fold_in(drive.key, self.number), after, drive.scale, rewritten)


@dataclass(frozen=True)
class _DisturbFirst:
    """An update behind noise. It equals another one with the same parts, so both compile once."""

    update: Update
    fields: tuple[str, ...] | None

    def __call__(self, context: Context, state: State, drive: NoiseDrive) -> State:
        disturbed = perturb(drive.key, state, drive.scale, self.fields)
        return self.update(context, disturbed, None)
