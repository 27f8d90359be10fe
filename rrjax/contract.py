"""The contract: a recurrent reasoner is a schedule of pure maps on a state.

Cells produce a `Dynamics`; everything that measures, perturbs or trains consumes one and knows
nothing of puzzles, weights or Flax. This module imports JAX alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

State = Any
"""A pytree of floating-point arrays with nothing in it but what the next update needs: no labels,
counters or batch axis, since the tangent space of the spectrum is the tangent of the state."""

Context = Any
"""What stays fixed along a trajectory: parameters and the embedded puzzle. Never differentiated by
the tangent dynamics, and an argument (not a constant) of every compiled program."""

Drive = Any
"""What one segment is driven by (an RNN's input, held noise); None for autonomous systems."""

Carry = TypeVar("Carry")


@dataclass(frozen=True)
class Update:
    """A named pure map, `apply(context, state, drive) -> state`: one module evaluation."""

    name: str
    apply: Callable[[Context, State, Drive], State]

    def __call__(self, context: Context, state: State, drive: Drive) -> State:
        """The next state.

        Raises:
          ValueError: while tracing, if the map changes the structure, shapes or dtypes of states.
        """
        after = self.apply(context, state, drive)
        if _layout(after) != _layout(state):
            raise ValueError(
                f"update {self.name!r} must return a state of the structure, shapes and dtypes it "
                f"is given; got {jax.tree.map(jax.typeof, state)} and returned "
                f"{jax.tree.map(jax.typeof, after)}"
            )
        return after


def _layout(state: State) -> tuple:
    leaves, treedef = jax.tree.flatten(state)
    return treedef, [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]


@dataclass(frozen=True)
class Repeat:
    """`times` passes over `body`; compiles to a scan, so its length costs no compile time."""

    times: int
    body: "Schedule"


Schedule = tuple[Update | Repeat, ...]
"""One segment, as nested repeats of updates."""


def fold(
    schedule: Schedule, step: Callable[[Update, Carry], tuple[Carry, Any]], carry: Carry
) -> tuple[Carry, Any]:
    """Run `step(update, carry) -> (carry, output)` over the updates of a schedule, in order.

    Returns the last carry and the outputs stacked along a leading axis of length
    `count_updates(schedule)` (None for an empty one). Nested repeats become nested scans.
    """
    if not schedule:
        return carry, None
    outputs = []
    for item in schedule:
        if isinstance(item, Update):
            carry, output = step(item, carry)
            outputs.append(jax.tree.map(lambda leaf: leaf[None], output))
        elif item.times == 1:
            carry, output = fold(item.body, step, carry)
            outputs.append(output)
        else:
            carry, output = jax.lax.scan(
                lambda inner, _, body=item.body: fold(body, step, inner),
                carry,
                length=item.times,
            )
            outputs.append(jax.tree.map(_merge_leading_axes, output))
    return carry, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *outputs)


def _merge_leading_axes(leaf: jax.Array) -> jax.Array:
    return leaf.reshape(-1, *leaf.shape[2:])


def updates(schedule: Schedule) -> Iterator[Update]:
    """The updates of one segment in the order in which they run."""
    for item in schedule:
        if isinstance(item, Update):
            yield item
        else:
            for _ in range(item.times):
                yield from updates(item.body)


def count_updates(schedule: Schedule) -> int:
    """The number of module evaluations in one segment."""
    return sum(
        1 if isinstance(item, Update) else item.times * count_updates(item.body)
        for item in schedule
    )


CLOCKS = ("update", "latent", "cycle", "segment")
"""What can count as one step of a trajectory; see `clock_steps`."""


def clock_steps(schedule: Schedule, clock: str) -> tuple[int, ...]:
    """To which step of a clock each update of one segment belongs, counted from 0.

    - `update`: every module evaluation is a step.
    - `latent`: an update named `answer` is folded into the step before it; 64 steps for 16
      segments of the official HRM, which evaluates 96 modules.
    - `cycle`: one pass of a repeat at the top of the schedule, or an update there.
    - `segment`: all updates of a segment are one step.

    Raises:
      ValueError: for another clock.
    """
    if clock == "update":
        return tuple(range(count_updates(schedule)))
    if clock == "latent":
        starts = [update.name != "answer" for update in updates(schedule)]
        return tuple(max(0, sum(starts[: i + 1]) - 1) for i in range(len(starts)))
    if clock == "cycle":
        return _cycles(schedule)
    if clock == "segment":
        return (0,) * count_updates(schedule)
    raise ValueError(f"clock must be one of {', '.join(CLOCKS)}; got {clock!r}")


def _cycles(schedule: Schedule) -> tuple[int, ...]:
    sizes = []
    for item in schedule:
        sizes += [1] if isinstance(item, Update) else item.times * [count_updates(item.body)]
    return tuple(step for step, size in enumerate(sizes) for _ in range(size))


def split_last(schedule: Schedule, number: int) -> tuple[Schedule, Schedule]:
    """Split a schedule in two, the second holding exactly its last `number` updates.

    Raises:
      ValueError: if the schedule has fewer updates than that.
    """
    total = count_updates(schedule)
    if not 0 <= number <= total:
        raise ValueError(f"number must lie in 0..{total}, the updates of a segment; got {number}")
    if number == 0:
        return schedule, ()
    if number == total:
        return (), schedule
    *front, last = schedule
    size = count_updates((last,))
    if number > size:
        head, tail = split_last(tuple(front), number - size)
        return head, (*tail, last)
    if isinstance(last, Update):
        return tuple(front), (last,)
    return _split_repeat(tuple(front), last, number)


def _split_repeat(front: Schedule, last: Repeat, number: int) -> tuple[Schedule, Schedule]:
    passes, rest = divmod(number, count_updates(last.body))
    head, tail = split_last(last.body, rest)
    whole = last.times - passes - (1 if rest else 0)
    before = (Repeat(whole, last.body),) if whole else ()
    after = (Repeat(passes, last.body),) if passes else ()
    return (*front, *before, *(head if rest else ())), (*tail, *after)


@dataclass(frozen=True)
class Dynamics:
    """A state, the schedule of maps that moves it, and what can be read from it.

    A pytree: `initial`, `context` and `drive` are traced, the rest is static, so that one compiled
    program serves every puzzle, and `vmap` over `Dynamics` works.

    Attributes:
      initial: the state before the first segment.
      schedule: the updates of one segment.
      readout: `readout(context, state)` -> a pytree (for cells: logits and q logits).
      context: what every update and the readout see.
      drive: None, or a pytree whose leaves have one slice per segment along their first axis.
      gradient_updates: how many last updates of a segment carry gradient in training; None: all.
    """

    initial: State
    schedule: Schedule
    readout: Callable[[Context, State], Any]
    context: Context = ()
    drive: Drive = None
    gradient_updates: int | None = None

    @staticmethod
    def from_map(step: Callable[[State], State], initial: State) -> "Dynamics":
        """The dynamics of any map `step(state) -> state`; a segment is one application.

        The readout is the state itself. Arrays that `step` closes over become constants of the
        compiled program.

        Raises:
          ValueError: if `step` changes the structure, shapes or dtypes of the state.
        """
        initial = jax.tree.map(jnp.asarray, initial)
        update = Update("step", _Autonomous(step))
        jax.eval_shape(update, (), initial, None)
        return Dynamics(initial, (update,), _read_state)

    def start(self, initial: State | None) -> State:
        """The state to start from: `initial` where one is given, else the dynamics' own.

        Raises:
          ValueError: if `initial` has another structure or other shapes.
        """
        if initial is None:
            return self.initial
        expected, found = jax.tree.map(jnp.shape, self.initial), jax.tree.map(jnp.shape, initial)
        if expected != found:
            raise ValueError(f"initial must have the shapes {expected}, got {found}")
        return jax.tree.map(lambda old, new: jnp.asarray(new, old.dtype), self.initial, initial)

    def drives(self, num_segments: int) -> Drive:
        """The drive's slices for the first `num_segments` segments, to scan over.

        Raises:
          ValueError: for no segments, or more than the drive has.
        """
        if num_segments < 1:
            raise ValueError(f"num_segments must be at least 1, got {num_segments}")
        for leaf in jax.tree.leaves(self.drive):
            if leaf.shape[0] < num_segments:
                raise ValueError(
                    f"the drive has {leaf.shape[0]} segments, {num_segments} were asked for"
                )
        return jax.tree.map(lambda leaf: leaf[:num_segments], self.drive)


jax.tree_util.register_dataclass(
    Dynamics,
    data_fields=["initial", "context", "drive"],
    meta_fields=["schedule", "readout", "gradient_updates"],
)


@dataclass(frozen=True)
class _Autonomous:
    """Equal for equal `step`, so that binding the same map twice compiles once."""

    step: Callable[[State], State]

    def __call__(self, context: Context, state: State, drive: Drive) -> State:
        return self.step(state)


def _read_state(context: Context, state: State) -> State:
    return state


def run_updates(schedule: Schedule, dynamics: Dynamics, state: State, drive: Drive) -> State:
    """The state after the updates of `schedule`, with the context of `dynamics`."""

    def step(update: Update, state: State) -> tuple[State, None]:
        return update(dynamics.context, state, drive), None

    return fold(schedule, step, state)[0]


def run_segment(dynamics: Dynamics, state: State, drive: Drive = None) -> State:
    """The state one segment later."""
    return run_updates(dynamics.schedule, dynamics, state, drive)
