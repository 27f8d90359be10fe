"""Ginelli's way there and back, in blocks that are run twice instead of being kept."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rrjax.contract import Drive, Dynamics, State, Update, count_updates, fold
from rrjax.dynamics.spectrum import above_round_off, all_finite, tangent_step
from rrjax.frames import Frame

Carry = tuple[State, Frame]
Record = Callable[[State, Frame], tuple[State | None, Frame | None]]
"""What the way back needs of state and frame after a segment."""


@dataclass(frozen=True)
class Plan:
    """The run in segments: forward transient, window, backward transient; blocks from the window.

    The first block starts with the window. The forward transient is cut into blocks backwards from
    there, so that segments before the run and after its end are blanks.
    """

    segments: int
    forward: int
    backward: int
    block: int

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
        """The last block is visited on the way back only."""
        return self.transient_blocks + self.blocks - 1

    @property
    def visits(self) -> int:
        return self.forward_visits + self.blocks


def count_vectors(frame: Frame) -> int:
    """k."""
    return jax.tree.leaves(frame)[0].shape[0]


@partial(jax.jit, static_argnums=(2, 3))
def ginelli(
    dynamics: Dynamics, start: Carry, plan: Plan, record: Record
) -> tuple[tuple, Bool[Array, ""]]:
    """The window, and whether state and R factors were numbers all along.

    Returns:
      Per segment of the window: the updates' growth, what is resolved, two C, and what `record`
      keeps, its frames turned into covariant vectors.
    """
    checkpoints = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (plan.blocks, *leaf.shape)), start
    )
    window = _empty_window(dynamics, start, plan, record)
    carry = checkpoints, _final_coefficients(start[1]), window
    with jax.default_matmul_precision("highest"):
        # forwards and back by one loop, so by one compiled block: another program's rounding,
        # magnified by chaos, would give a recomputed block that does not end where the next starts
        (_, _, window), sound = jax.lax.scan(
            partial(_visit_block, dynamics, plan, record), carry, jnp.arange(plan.visits)
        )
    return window, sound.all()


def _final_coefficients(frame: Frame) -> Float[Array, "2 k k"]:
    """C after the last segment, and another one to see how much it matters in the window."""
    k, dtype = count_vectors(frame), jnp.result_type(*jax.tree.leaves(frame))
    ones = jnp.triu(jnp.ones((k, k), dtype))
    return jnp.stack([jnp.eye(k, dtype=dtype), ones / jnp.linalg.norm(ones, axis=0)])


def _empty_window(dynamics: Dynamics, start: Carry, plan: Plan, record: Record) -> Any:
    """Per segment: the updates' growth, what is resolved, two C, the state and the vectors."""
    pair = _final_coefficients(start[1])
    growth = jnp.zeros((count_updates(dynamics.schedule), pair.shape[-1]), pair.dtype)
    entry = growth, jnp.ones(pair.shape[-1], bool), pair, record(*start)
    return jax.tree.map(lambda leaf: jnp.zeros((plan.window, *leaf.shape), leaf.dtype), entry)


def _visit_block(
    dynamics: Dynamics, plan: Plan, record: Record, carry: tuple, visit: Int[Array, ""]
) -> tuple[tuple, Bool[Array, ""]]:
    """Run one block from its checkpoint, and step the coefficients back through it.

    On the way forward only the end of the block matters: coefficients start anew at the last block,
    and what was written into the window is overwritten later.
    """
    checkpoints, pair, window = carry
    ahead = visit < plan.forward_visits
    block = jnp.where(ahead, visit - plan.transient_blocks, plan.visits - 1 - visit)
    start = jax.tree.map(lambda leaf: leaf[jnp.maximum(block, 0)], checkpoints)
    end, records = _run_block(dynamics, plan, record, start, block)
    # the end of the last block would go past the last place: clamped, it replaces a used start
    checkpoints = _write(checkpoints, jnp.maximum(block + 1, 0), end)
    pair = jnp.where(visit <= plan.forward_visits, _final_coefficients(start[1]), pair)
    pair, window = _step_block_back(plan, pair, window, block, records)
    return (checkpoints, pair, window), jnp.isfinite(records[0]).all()


def _run_block(
    dynamics: Dynamics, plan: Plan, record: Record, start: Carry, block: Int[Array, ""]
) -> tuple[Carry, Any]:
    """The end of a block, and per segment its R factors (u, k, k) and what `record` keeps."""
    drives = dynamics.drives(plan.segments)

    def run(carry: Carry, segment: Array) -> tuple[Carry, Array]:
        drive = jax.tree.map(lambda leaf: leaf[segment], drives)
        step = partial(_checked_step, dynamics, drive)
        return fold(dynamics.schedule, step, carry)

    def blank(carry: Carry, segment: Array) -> tuple[Carry, Array]:
        shape = jax.eval_shape(run, carry, segment)[1]
        return carry, jnp.broadcast_to(jnp.eye(shape.shape[-1], dtype=shape.dtype), shape.shape)

    def advance(carry: Carry, segment: Array) -> tuple[Carry, Any]:
        inside = (segment >= 0) & (segment < plan.segments)
        carry, R = jax.lax.cond(inside, run, blank, carry, segment)
        return carry, (R, record(*carry))

    first = plan.forward + block * plan.block
    return jax.lax.scan(advance, start, first + jnp.arange(plan.block))


def _checked_step(
    dynamics: Dynamics, drive: Drive, update: Update, carry: Carry
) -> tuple[Carry, Float[Array, "k k"]]:
    """`tangent_step`, its R not a number where the state is not finite."""
    carry, R = tangent_step(dynamics.context, drive, update, carry)
    return carry, jnp.where(all_finite(carry[0]), R, jnp.nan)


def _step_block_back(
    plan: Plan, pair: Float[Array, "2 k k"], window: Any, block: Int[Array, ""], records: Any
) -> tuple[Float[Array, "2 k k"], Any]:
    """Coefficients from the end of a block to its start, noting those in the window."""

    def back(carry: tuple, inputs: tuple) -> tuple[tuple, None]:
        pair, window = carry
        segment, (R, (state, frame)) = inputs
        before, growth = jax.lax.scan(_step_back, pair, R, reverse=True)
        resolved = jax.vmap(above_round_off)(R).all(0)
        entry = (growth, resolved, pair, (state, _combine(pair[0], frame)))
        # segments outside are written to the ends of the window, before the right ones
        window = _write(window, jnp.clip(segment, 0, plan.window - 1), entry)
        return (before, window), None

    segments = block * plan.block + jnp.arange(plan.block)
    return jax.lax.scan(back, (pair, window), (segments, records), reverse=True)[0]


def _step_back(
    pair: Float[Array, "2 k k"], R: Float[Array, "k k"]
) -> tuple[Float[Array, "2 k k"], Float[Array, " k"]]:
    """R⁻¹ C with unit columns, for two C, and the growth ln ‖J v‖ of the first's vectors."""
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


def _combine(C: Float[Array, "k k"], frame: Frame | None) -> Frame | None:
    """V = Q C for the vectors as rows."""
    return jax.tree.map(lambda leaf: jnp.tensordot(C.T.astype(leaf.dtype), leaf, axes=1), frame)


def _write(buffers: Any, place: Array, values: Any) -> Any:
    return jax.tree.map(
        lambda buffer, value: jax.lax.dynamic_update_index_in_dim(buffer, value, place, 0),
        buffers,
        values,
    )
