"""What a logit is made of: by stage and channel of the state, and by cell of the input."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rrjax.contract import Dynamics, State, Update, named_fields, run_segment, scan_updates
from rrjax.inside.growth import chain, stage_names

Read = Callable[[State], Array]
"""Reads numbers (cells,) out of a state: linear in it, such as a difference of two logits."""


class StageTerms(NamedTuple):
    """What one segment adds to the numbers that are read, by stage. A pytree.

    Attributes:
      before: (cells,) what is read before the segment.
      stages: (stages, cells) what each stage of `stage_names` adds, summed over the updates.
      state: the state after the segment.
    """

    before: Array
    stages: Array
    state: State


def stage_terms(dynamics: Dynamics, state: State, read: Read) -> StageTerms:
    """Returns what each stage of a segment adds to what is read out of the state.

    An update is the chain of states h₀ → … → h_S of `growth_by_part`. Stage s adds
    read(h_s) − read(h_{s−1}), so that `before` and all stages add up to what is read after the
    segment. For a linear readout this is direct logit attribution: a residual sum adds the product
    of the unembedding with its branch, and a norm adds what its rescaling changes.

    Args:
      dynamics: without a drive.
      state: the state before the segment.
      read: as `Read`; it need not be linear for the sum to hold.

    Example:
      >>> grow = rrjax.Dynamics.from_map(lambda z: 2 * z, jnp.ones(2))
      >>> terms = rrjax.inside.stage_terms(grow, grow.initial, lambda z: z)
      >>> print(terms.before, terms.stages)
      [1. 1.] [[1. 1.]]
    """
    names = stage_names(dynamics)

    def step(update: Update, state: State) -> tuple[State, Array]:
        stages = chain(update, dynamics.context, None, state)
        values = jnp.stack([read(each) for each in (state, *stages.states)])
        places = jnp.array([names.index(name) for name in stages.names])
        terms = jnp.zeros((len(names), *values.shape[1:]), values.dtype)
        return stages.states[-1], terms.at[places].set(jnp.diff(values, axis=0))

    after, terms = scan_updates(dynamics.schedule, step, state)
    return StageTerms(read(state), terms.sum(0), after)


def channel_terms(
    dynamics: Dynamics, state: State, read: Read, basis: Array | None = None
) -> Array:
    """Returns (cells, channels) products of unembedding and state, by channel of the answer.

    Where the readout of a cell is linear in that cell's own row of the answer, without a bias, they
    add up to what is read.

    Args:
      dynamics: whose state has a field of the answer, with a row for each cell at its end.
      state: the state that is read.
      read: as `Read`.
      basis: (channels, channels) orthonormal columns, in which channels are counted instead. How
        the terms spread over channels depends on the basis; their sum does not.

    Example:
      >>> grow = rrjax.Dynamics.from_map(lambda z: 2 * z, jnp.ones((3, 2)))
      >>> weights = jnp.array([1.0, -1.0])
      >>> print(rrjax.inside.channel_terms(grow, grow.initial, lambda z: z @ weights)[0])
      [ 1. -1.]
    """
    fields = named_fields(state)
    name = dynamics.answer or next(iter(fields))
    place = list(fields).index(name)
    gradient = jax.grad(lambda z: jnp.sum(read(z)))(state)
    weights, answer = jax.tree.leaves(gradient)[place], fields[name]
    if basis is not None:
        weights, answer = weights @ basis, answer @ basis
    cells = jax.eval_shape(read, state).shape[0]
    return (weights * answer)[len(answer) - cells :]


class Saliency(NamedTuple):
    """How a cell's answer depends on the embedded input of every cell. Arrays (targets, cells).

    Attributes:
      norm: ‖G‖ of the gradient G of what is read by the input of a cell.
      times_input: G · x, signed: the linear effect of the input against a zero vector.
      removal: G · (x_blank − x), signed: the linear effect of a blank in the place of the input.
    """

    norm: Array
    times_input: Array
    removal: Array


def saliency(
    dynamics: Dynamics,
    state: State,
    read: Callable[[Dynamics, State], Array],
    targets: Array,
    blank: Array,
) -> Saliency:
    """Returns how what is read after one segment depends on the input during that segment.

    The state before the segment is held. From the initial state, which knows nothing of the puzzle,
    the gradient is that of the whole answer after one segment.

    Args:
      dynamics: of a cell, whose context has the embedded input `x` (tokens, width), without a
        drive.
      state: the state before the segment.
      read: from dynamics and a state to (cells,) numbers.
      targets: (targets,) cells whose number is differentiated.
      blank: (tokens, width) the embedded input of a board without clues.

    Raises:
      ValueError: the context has no embedded input.

    Example:
      >>> add = lambda context, z, drive: z + 3 * context["x"]
      >>> toy = rrjax.Dynamics.from_updates(
      ...     jnp.zeros((2, 1)), (add,), lambda context, z: z, {"x": jnp.ones((2, 1))}
      ... )
      >>> effects = rrjax.inside.saliency(
      ...     toy, toy.initial, lambda toy, z: z[:, 0], jnp.array([1]), jnp.zeros((2, 1))
      ... )
      >>> float(effects.times_input[0, 1]), float(effects.removal[0, 1])
      (3.0, -3.0)
    """
    x = _input(dynamics)

    def answers(x: Array) -> Array:
        driven = replace(dynamics, context={**dynamics.context, "x": x})
        return read(driven, run_segment(driven, state))[targets]

    _, pullback = jax.vjp(answers, x)
    gradients = jax.vmap(lambda one: pullback(one)[0])(jnp.eye(len(targets), dtype=x.dtype))
    cells = jax.eval_shape(lambda: read(dynamics, state)).shape[0]
    gradients, x, blank = (leaf[..., -cells:, :] for leaf in (gradients, x, blank))
    return Saliency(
        jnp.linalg.norm(gradients, axis=-1),
        jnp.sum(gradients * x, -1),
        jnp.sum(gradients * (blank - x), -1),
    )


def _input(dynamics: Dynamics) -> Array:
    context: Any = dynamics.context
    if not isinstance(context, dict) or "x" not in context:
        raise ValueError(
            "saliency needs a cell, whose context has the embedded puzzle x; this model has "
            f"{type(context).__name__}"
        )
    return context["x"]
