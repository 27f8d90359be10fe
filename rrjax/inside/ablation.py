"""Ablations: what sub-layers read or add at some tokens is replaced, in every update of a run.

What takes its place is a mean over reference puzzles at the same update and token, or the value in
the run of another puzzle. Zero would be a value that the model never sees.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rrjax.contract import Context, Dynamics, Part, State, Update, listen, scan_updates, updates
from rrjax.inside.mixing import READS


class Ablation(NamedTuple):
    """Which tokens are ablated, (tokens,) truth values each; fields may have leading axes.

    Attributes:
      reads: what the sub-layers that mix tokens read of these tokens: the columns out of them.
      mixed: what these sub-layers add to these tokens: the rows into them.
      added: what the other sub-layers add to these tokens: for cells, the SwiGLU of channels.
    """

    reads: Any
    mixed: Any
    added: Any


def part_values(update: Update, context: Context, state: State) -> tuple[State, list[Array]]:
    """Returns the state after an update, and what its sub-layers read and add, (tokens, width)."""
    with listen() as parts:
        after = update(context, state, None)
    kinds = _ablated(parts)
    return after, [_by_token(parts[place]) for place in kinds]


def ablate_update(
    update: Update, context: Context, state: State, values: Array, ablation: Ablation
) -> State:
    """Returns the state after an update in which some values are replaced.

    Args:
      update, context, state: an update of dynamics without a drive.
      values: (parts, tokens, width) what takes the place, in the order of `part_values`; there may
        be more than this update has parts.
      ablation: which tokens.
    """
    with listen() as parts:
        update(context, state, None)
    kinds = _ablated(parts)
    order = list(kinds)

    def edit(place: int, part: Part) -> Array:
        if place not in kinds:
            return part.value
        mask = getattr(ablation, kinds[place])[:, None]
        value = jnp.where(mask, values[order.index(place)], _by_token(part))
        return jnp.moveaxis(value, 0, part.token_axis)

    with listen(edit):
        return update(context, state, None)


def _by_token(part: Part) -> Array:
    return jnp.moveaxis(part.value, part.token_axis, 0)


def _ablated(parts: list[Part]) -> dict[int, str]:
    """Returns by place among the parts which field of an `Ablation` it belongs to."""
    mixing = {part.name.removesuffix(READS) for part in parts if part.name.endswith(READS)}
    kinds = {}
    for place, part in enumerate(parts):
        if part.role == "inner" and part.name.endswith(READS):
            kinds[place] = "reads"
        elif part.role == "branch":
            kinds[place] = "mixed" if part.name in mixing else "added"
    return kinds


class Ablated(NamedTuple):
    """The end states of runs under ablations.

    Attributes:
      clean: the state without an ablation.
      mean: the states with means in the place of values; leading axis of ablations.
      resampled: those with another puzzle's values.
    """

    clean: State
    mean: State
    resampled: State


def mean_values(bind: Callable[[Any], Dynamics], puzzles: Any, num_segments: int) -> Array:
    """Returns the means over reference puzzles of what the sub-layers read and add.

    Args:
      bind: from one puzzle to its dynamics, which have no drive.
      puzzles: a pytree with a leading axis of puzzles.
      num_segments: segments of the run.

    Returns:
      (segments · updates, parts, tokens, width).
    """
    first = bind(jax.tree.map(lambda leaf: leaf[0], puzzles))
    number = num_parts(first)

    def step(update: Update, states: State) -> tuple[State, Array]:
        def one(puzzle: Any, state: State) -> tuple[State, Array]:
            after, values = part_values(update, bind(puzzle).context, state)
            return after, _padded(values, number)

        states, values = jax.vmap(one)(puzzles, states)
        return states, values.mean(0)

    def segment(states: State, _: None) -> tuple[State, Array]:
        return scan_updates(first.schedule, step, states)

    starts = jax.vmap(lambda puzzle: bind(puzzle).initial)(puzzles)
    means = jax.lax.scan(segment, starts, length=num_segments)[1]
    return means.reshape(-1, *means.shape[2:])


def run_ablated(dynamics: Dynamics, donor: Dynamics, means: Array, ablations: Ablation) -> Ablated:
    """Runs under several ablations, each with means and with the donor's values.

    Args:
      dynamics: without a drive.
      donor: the same on another puzzle.
      means: of `mean_values`; its length says how many segments are run.
      ablations: with a leading axis of ablations.
    """
    count = len(ablations.reads)
    number = num_parts(dynamics)
    lanes = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), dynamics.initial
    )
    start = Ablated(dynamics.initial, lanes, lanes), donor.initial, jnp.zeros((), int)

    def step(update: Update, carry: tuple) -> tuple[tuple, None]:
        states, other, place = carry
        other, values = part_values(update, donor.context, other)

        def ablated(state: State, values: Array) -> State:
            def one(state: State, ablation: Ablation) -> State:
                return ablate_update(update, dynamics.context, state, values, ablation)

            return jax.vmap(one)(state, ablations)

        states = Ablated(
            update(dynamics.context, states.clean, None),
            ablated(states.mean, means[place]),
            ablated(states.resampled, _padded(values, number)),
        )
        return (states, other, place + 1), None

    def segment(carry: tuple, _: None) -> tuple[tuple, None]:
        return scan_updates(dynamics.schedule, step, carry)

    length = len(means) // sum(1 for _ in updates(dynamics.schedule))
    return jax.lax.scan(segment, start, length=length)[0][0]


def num_parts(dynamics: Dynamics) -> int:
    """Returns the largest number of values that an update of the dynamics can have ablated."""

    def count(update: Update) -> int:
        run = lambda context, state: part_values(update, context, state)[1]  # noqa: E731
        return len(jax.eval_shape(run, dynamics.context, dynamics.initial))

    return max(map(count, dict.fromkeys(updates(dynamics.schedule))))


def _padded(values: list[Array], number: int) -> Array:
    stacked = jnp.stack(values)
    return jnp.pad(stacked, ((0, number - len(values)), (0, 0), (0, 0)))
