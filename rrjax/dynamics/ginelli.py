"""Ginelli's way forwards and back, in blocks that are run twice instead of being kept."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rrjax.contract import Dynamics, State, count_updates
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.tangent import Carry, first_failure, push_forward, push_segment
from rrjax.frames import Frame, above_round_off, count_vectors


@dataclass(frozen=True)
class Plan:
    """A run of forward transient, window and backward transient, in segments, and its blocks.

    `precision` is that of the matrix products.

    The first block starts with the window. The forward transient is cut into blocks backwards from
    there. Segments of a block that lie before the run or after its end are blanks.
    """

    segments: int
    forward: int
    backward: int
    block: int
    precision: str

    @property
    def window(self) -> int:
        return self.segments - self.forward - self.backward

    @property
    def blocks(self) -> int:
        return -(-(self.segments - self.forward) // self.block)

    @property
    def transient_blocks(self) -> int:
        return -(-self.forward // self.block)

    @property
    def forward_visits(self) -> int:
        """Blocks to visit on the way forward: all but the last, which only the way back visits."""
        return self.transient_blocks + self.blocks - 1

    @property
    def visits(self) -> int:
        return self.forward_visits + self.blocks


class Window(NamedTuple):
    """What is known of the segments of the window, along a leading axis.

    Attributes:
      log_growth: (segments, updates, k) ln ‖J v‖ of the covariant vectors.
      resolved: (segments, k) whether Rᵢᵢ stood above round-off.
      pair: (segments, 2, k, k) two C, from different coefficients at the end of the run.
      states: The states after the segments.
      vectors: The covariant vectors there.
    """

    log_growth: Array
    resolved: Array
    pair: Array
    states: State
    vectors: Frame


@partial(jax.jit, static_argnums=2)
def ginelli(dynamics: Dynamics, start: Carry, plan: Plan) -> tuple[Window, Int[Array, ""]]:
    """Returns the window, and the update of the run at which state or R was first not finite."""
    checkpoints = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (plan.blocks, *leaf.shape)), start
    )
    carry = checkpoints, _final_coefficients(start[1]), _empty_window(dynamics, start, plan)
    with exact_products():
        # One loop goes forwards and back, so that one compiled block does both: the rounding of
        # another program, magnified by chaos, would give a recomputed block that does not end
        # where the next one starts.
        (_, _, window), sound = jax.lax.scan(
            partial(_visit_block, dynamics, plan), carry, jnp.arange(plan.visits)
        )
    # the first visits are those of all blocks in their order; blanks are sound
    in_order = sound[: plan.transient_blocks + plan.blocks].ravel()
    blanks = plan.transient_blocks * plan.block - plan.forward
    return window, first_failure(in_order[blanks * count_updates(dynamics.schedule) :])


def _final_coefficients(frame: Frame) -> Float[Array, "2 k k"]:
    """Returns C after the last segment, and another C to see how much it matters in the window."""
    k, dtype = count_vectors(frame), jnp.result_type(*jax.tree.leaves(frame))
    ones = jnp.triu(jnp.ones((k, k), dtype))
    return jnp.stack([jnp.eye(k, dtype=dtype), ones / jnp.linalg.norm(ones, axis=0)])


def _empty_window(dynamics: Dynamics, start: Carry, plan: Plan) -> Window:
    pair = _final_coefficients(start[1])
    growth = jnp.zeros((count_updates(dynamics.schedule), pair.shape[-1]), pair.dtype)
    entry = Window(growth, jnp.ones(pair.shape[-1], bool), pair, *start)
    return jax.tree.map(lambda leaf: jnp.zeros((plan.window, *leaf.shape), leaf.dtype), entry)


def _visit_block(
    dynamics: Dynamics, plan: Plan, carry: tuple, visit: Int[Array, ""]
) -> tuple[tuple, Bool[Array, "segments updates"]]:
    """Runs one block from its checkpoint, and steps the coefficients back through it.

    On the way forward only the end of the block matters: coefficients start anew at the last block,
    and what was written into the window is overwritten later.
    """
    checkpoints, pair, window = carry
    ahead = visit < plan.forward_visits
    block = jnp.where(ahead, visit - plan.transient_blocks, plan.visits - 1 - visit)
    start = jax.tree.map(lambda leaf: leaf[jnp.maximum(block, 0)], checkpoints)
    end, (R, sound, states, frames) = _run_block(dynamics, plan, start, block)
    # the end of the last block would go past the last place: clamped, it replaces a used start
    checkpoints = _write(checkpoints, jnp.maximum(block + 1, 0), end)
    pair = jnp.where(visit <= plan.forward_visits, _final_coefficients(start[1]), pair)
    pair, window = _step_block_back(plan, pair, window, block, (R, states, frames))
    return (checkpoints, pair, window), sound


def _run_block(
    dynamics: Dynamics, plan: Plan, start: Carry, block: Int[Array, ""]
) -> tuple[Carry, Any]:
    """Returns the end of a block, and for each segment R and `sound` of its updates, and its end.

    R is NaN where it is not sound.
    """
    drives = dynamics.drives(plan.segments)
    push = partial(push_forward, precision=plan.precision)

    def record(R: Array, sound: Array, extra: None) -> tuple[Array, Array]:
        return jnp.where(sound, R, jnp.nan), sound

    def run(carry: Carry, segment: Array) -> tuple[Carry, Any]:
        drive = jax.tree.map(lambda leaf: leaf[segment], drives)
        return push_segment(dynamics, carry, drive, record=record, push=push)

    def blank(carry: Carry, segment: Array) -> tuple[Carry, Any]:
        R, sound = jax.eval_shape(run, carry, segment)[1]
        ones = jnp.eye(R.shape[-1], dtype=R.dtype)
        return carry, (jnp.broadcast_to(ones, R.shape), jnp.ones(sound.shape, bool))

    def advance(carry: Carry, segment: Array) -> tuple[Carry, Any]:
        inside = (segment >= 0) & (segment < plan.segments)
        carry, records = jax.lax.cond(inside, run, blank, carry, segment)
        return carry, (*records, *carry)

    first = plan.forward + block * plan.block
    return jax.lax.scan(advance, start, first + jnp.arange(plan.block))


def _step_block_back(
    plan: Plan, pair: Float[Array, "2 k k"], window: Window, block: Int[Array, ""], records: Any
) -> tuple[Float[Array, "2 k k"], Window]:
    """Steps the coefficients from the end of a block to its start, and fills in the window."""

    def back(carry: tuple, inputs: tuple) -> tuple[tuple, None]:
        pair, window = carry
        segment, (R, state, frame) = inputs
        before, growth = jax.lax.scan(_step_back, pair, R, reverse=True)
        resolved = jax.vmap(above_round_off)(R).all(0)
        entry = Window(growth, resolved, pair, state, _combine(pair[0], frame))
        # segments outside are written to the ends of the window, before the right ones
        window = _write(window, jnp.clip(segment, 0, plan.window - 1), entry)
        return (before, window), None

    segments = block * plan.block + jnp.arange(plan.block)
    return jax.lax.scan(back, (pair, window), (segments, records), reverse=True)[0]


def _step_back(
    pair: Float[Array, "2 k k"], R: Float[Array, "k k"]
) -> tuple[Float[Array, "2 k k"], Float[Array, " k"]]:
    """Returns R⁻¹ C with unit columns for two C, and the growth ln ‖J v‖ of the first's vectors."""
    diagonal = jnp.diagonal(R)
    # a vector that shrinks to nothing comes from the kernel: the limit of a vanishing Rᵢᵢ
    largest = jnp.max(jnp.abs(R))
    least = jnp.finfo(R.dtype).eps * jnp.where(largest > 0, largest, 1)
    solvable = R + jnp.diag(jnp.where(diagonal == 0, least, 0))
    X = jax.vmap(lambda C: jax.scipy.linalg.solve_triangular(solvable, C))(pair)
    scale = jnp.max(jnp.abs(X), axis=1, keepdims=True)
    length = jnp.sqrt(jnp.sum(jnp.square(X / scale), axis=1, keepdims=True))
    growth = -(jnp.log(scale) + jnp.log(length))[0, 0]
    return X / scale / length, jnp.where(diagonal == 0, -jnp.inf, growth)


def _combine(C: Float[Array, "k k"], frame: Frame) -> Frame:
    """Returns V = Q C, with the vectors as rows."""
    return jax.tree.map(lambda leaf: jnp.tensordot(C.T.astype(leaf.dtype), leaf, axes=1), frame)


def _write(buffers: Any, place: Array, values: Any) -> Any:
    return jax.tree.map(
        lambda buffer, value: jax.lax.dynamic_update_index_in_dim(buffer, value, place, 0),
        buffers,
        values,
    )
