"""The contract: a recurrent reasoner is a schedule of pure maps on a state.

A cell produces a `Dynamics`. Everything that measures, perturbs or trains consumes one and knows
nothing of puzzles, weights or Flax. This module imports JAX alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import partial
from numbers import Integral
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

State = Any
"""A pytree of floating-point arrays that holds what the next update needs and nothing else. It has
no labels, counters or batch axis, because the tangent space of a spectrum is that of the state. A
field is a leaf of the state; its name is the path to it (`named_fields`)."""

Context = Any
"""What stays fixed along a trajectory: parameters and the embedded puzzle. The tangent dynamics do
not differentiate it, and it is an argument (not a constant) of every compiled program."""

Drive = Any
"""What drives one segment (the input of an RNN, held noise); None for autonomous systems."""

Carry = TypeVar("Carry")


@dataclass(frozen=True)
class Update:
    """A named pure map, `apply(context, state, drive) -> state`: one module evaluation."""

    name: str
    apply: Callable[[Context, State, Drive], State]

    def __call__(self, context: Context, state: State, drive: Drive) -> State:
        """Returns the next state.

        Raises:
          ValueError: while tracing, if the map changes the structure, shapes or dtypes of states.
        """
        after = self.apply(context, state, drive)
        if _layout(after) != _layout(state):
            raise ValueError(
                f"update {self.name!r} must return a state with the structure, shapes and dtypes "
                f"of the one that it is given; it was given {jax.tree.map(jax.typeof, state)} and "
                f"returned {jax.tree.map(jax.typeof, after)}"
            )
        return after


def _layout(state: State) -> tuple:
    leaves, treedef = jax.tree.flatten(state)
    return treedef, [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]


class Part(NamedTuple):
    """A value inside of an update.

    Attributes:
      name: what the sub-layer is called that the value comes out of.
      value: the value, while the update is traced.
      token_axis: the axis of the value along which the rows of the state lie.
      role: `sum` for a value that takes the place of the field; `branch` for what a residual sum
        adds; `inner` for a value inside of a branch.
    """

    name: str
    value: jax.Array
    token_axis: int
    role: Literal["sum", "branch", "inner"]


Edit = Callable[[int, Part], jax.Array]
"""`edit(place, part)` returns what takes the place of a part's value, which the update goes on
with; `place` counts the parts of the update from 0."""


class _Listener(NamedTuple):
    """The parts that were named so far, and what is done with each."""

    parts: list[Part]
    edit: Edit


_LISTENER: ContextVar[_Listener | None] = ContextVar("listener", default=None)


def part(name: str, value: jax.Array, token_axis: int = 0) -> jax.Array:
    """Returns the value, and names it for whoever listens while the update is traced.

    An update whose parts are named is a chain: each named value takes the place of the one field
    that the update rewrites, and all that follows depends on it and on the other fields alone. The
    compiled program is the same as without names. Names inside of a scan, a vmap or a jit of the
    update's own are not allowed.

    Args:
      name: of the sub-layer that the value comes out of; a name may come again.
      value: as large as the field that is rewritten.
      token_axis: see `Part`.
    """
    return _tell(Part(name, value, token_axis, "sum"))


def branch(name: str, value: jax.Array, token_axis: int = 0) -> jax.Array:
    """Returns the value, and names it as what the residual sum of this name adds; see `part`."""
    return _tell(Part(name, value, token_axis, "branch"))


def inner(name: str, value: jax.Array, token_axis: int = 0) -> jax.Array:
    """Returns the value, and names it as one inside of a branch; see `part`.

    It may have any shape. A sub-layer that mixes tokens names what it reads as its branch's name
    followed by " reads".
    """
    return _tell(Part(name, value, token_axis, "inner"))


def _tell(named: Part) -> jax.Array:
    listener = _LISTENER.get()
    if listener is None:
        return named.value
    value = listener.edit(len(listener.parts), named)
    listener.parts.append(named._replace(value=value))
    return value


def _keep(place: int, named: Part) -> jax.Array:
    return named.value


@contextmanager
def listen(edit: Edit = _keep) -> Iterator[list[Part]]:
    """Yields a list to which the updates that are traced inside of it add their parts.

    Args:
      edit: says what takes the place of each value; without it the values stay.
    """
    parts: list[Part] = []
    token = _LISTENER.set(_Listener(parts, edit))
    try:
        yield parts
    finally:
        _LISTENER.reset(token)


@dataclass(frozen=True)
class Repeat:
    """`times` passes over `body`. It compiles to a scan: more passes do not take longer to compile.

    Attributes:
      times: the number of passes.
      body: what `as_schedule` takes; kept as a schedule.
    """

    times: int
    body: Any

    def __post_init__(self):
        if not isinstance(self.times, Integral) or self.times < 1:
            raise ValueError(
                "a Repeat takes a number of passes of at least 1 and then what is repeated, as in "
                f"Repeat(3, (think, answer)); got {self.times!r} as the number"
            )
        object.__setattr__(self, "body", as_schedule(self.body))


Schedule = tuple[Update | Repeat, ...]
"""One segment, as nested repeats of updates."""


def as_schedule(items: Any) -> tuple:
    """Returns updates, repeats and functions as a schedule.

    Args:
      items: one of these, or a list or tuple of them. A function `(context, state, drive) -> state`
        becomes an `Update` with the function's `__name__`.

    Raises:
      ValueError: for an item that is none of these.
    """
    listed = items if isinstance(items, tuple | list) else (items,)
    for item in listed:
        if not (isinstance(item, Update | Repeat) or callable(item)):
            raise ValueError(
                "a schedule holds updates, repeats and functions (context, state, drive) -> state; "
                f"got {item!r}"
            )
    return tuple(
        item
        if isinstance(item, Update | Repeat)
        else Update(getattr(item, "__name__", type(item).__name__), item)
        for item in listed
    )


def named_fields(state: State) -> dict[str, Any]:
    """Returns the leaves of a state by name, in the order in which JAX flattens it.

    A name is the path to the leaf, its parts joined by dots: `z_H` for a field of a named tuple,
    `fast` for a key of a dictionary. A state that is a single array has the one field `state`.
    """
    paths = jax.tree_util.tree_leaves_with_path(state)
    name = partial(jax.tree_util.keystr, simple=True, separator=".")
    return {name(path) or "state": leaf for path, leaf in paths}


def describe_sizes(tree: Any) -> str:
    """Returns the names and shapes of a pytree's leaves, on one line."""
    leaves = named_fields(tree).items()
    return ", ".join(f"{name} {tuple(getattr(leaf, 'shape', ()))}" for name, leaf in leaves)


class Brief:
    """A dataclass of arrays (declared with `repr=False`) that prints as one line of their sizes."""

    def __repr__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # pyright: ignore[reportArgumentType]
        sizes = (describe_sizes({name: value}) for name, value in values.items())
        return f"{type(self).__name__}({', '.join(filter(None, sizes))})"


def check_key(key: Any) -> None:
    """Refuses what is not a single key of `jax.random`.

    Raises:
      ValueError: for a seed, which is not a key, and for many keys.
    """
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", ())
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        axes = shape
    elif dtype == jnp.uint32 and shape:  # the words of a key in JAX's older form
        axes = shape[:-1]
    else:
        seed = key if isinstance(key, Integral) else 0
        raise ValueError(f"key must be a key of JAX, such as jax.random.key({seed}); got {key!r}")
    if axes:
        raise ValueError(f"key must be a single key, got {axes} keys; jax.vmap takes many")


def scan_updates(
    schedule: Schedule, step: Callable[[Update, Carry], tuple[Carry, Any]], carry: Carry
) -> tuple[Carry, Any]:
    """Runs `step(update, carry) -> (carry, output)` over the updates of a schedule, in order.

    Returns the last carry, and the outputs stacked along a leading axis of length
    `count_updates(schedule)` (None for an empty schedule). Nested repeats become nested scans.
    """
    if not schedule:
        return carry, None
    outputs = []
    for item in schedule:
        if isinstance(item, Update):
            carry, output = step(item, carry)
            outputs.append(jax.tree.map(lambda leaf: leaf[None], output))
        elif item.times == 1:
            carry, output = scan_updates(item.body, step, carry)
            outputs.append(output)
        else:
            carry, output = jax.lax.scan(
                lambda inner, _, body=item.body: scan_updates(body, step, inner),
                carry,
                length=item.times,
            )
            outputs.append(jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), output))
    return carry, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *outputs)


def updates(schedule: Schedule) -> Iterator[Update]:
    """Yields the updates of one segment in the order in which they run."""
    for item in schedule:
        if isinstance(item, Update):
            yield item
        else:
            for _ in range(item.times):
                yield from updates(item.body)


def count_updates(schedule: Schedule) -> int:
    """Returns the number of module evaluations in one segment."""
    return sum(
        1 if isinstance(item, Update) else item.times * count_updates(item.body)
        for item in schedule
    )


CLOCKS = ("update", "latent", "cycle", "segment")
"""What can count as one step of a trajectory; see `clock_steps`."""


def clock_steps(schedule: Schedule, clock: str) -> tuple[int, ...]:
    """Returns, for each update of one segment, the step of a clock that it belongs to, from 0.

    - `update`: every module evaluation is a step.
    - `latent`: an update named `answer` belongs to the step before it. The official HRM evaluates
      96 modules in 16 segments, which are 64 steps.
    - `cycle`: a step is one pass of a repeat at the top of the schedule, or an update there.
    - `segment`: all updates of a segment are one step.
    """
    if clock == "update":
        return tuple(range(count_updates(schedule)))
    if clock == "latent":
        starts = [update.name != "answer" for update in updates(schedule)]
        return tuple(max(0, sum(starts[: i + 1]) - 1) for i in range(len(starts)))
    if clock == "cycle":
        sizes = []
        for item in schedule:
            sizes += [1] if isinstance(item, Update) else item.times * [count_updates(item.body)]
        return tuple(step for step, size in enumerate(sizes) for _ in range(size))
    if clock == "segment":
        return (0,) * count_updates(schedule)
    raise ValueError(f"clock must be one of {', '.join(CLOCKS)}; got {clock!r}")


def split_last(schedule: Schedule, number: int) -> tuple[Schedule, Schedule]:
    """Splits a schedule in two, of which the second holds exactly the last `number` updates."""
    total = count_updates(schedule)
    if not 0 <= number <= total:
        raise ValueError(f"number must lie in 0..{total}, the updates of a segment; got {number}")
    if number == 0:
        return schedule, ()
    *front, last = schedule
    size = count_updates((last,))
    if isinstance(last, Update) or number >= size:
        head, tail = split_last(tuple(front), number - size)
        return head, (*tail, last)
    passes, rest = divmod(number, count_updates(last.body))
    head, tail = split_last(last.body, rest) if rest else ((), ())
    whole = last.times - passes - (1 if rest else 0)
    before = (Repeat(whole, last.body),) if whole else ()
    after = (Repeat(passes, last.body),) if passes else ()
    return (*front, *before, *head), (*tail, *after)


def change_update(schedule: Schedule, index: int, change: Callable[[Update], Update]) -> Schedule:
    """Returns the schedule with one update changed, which is counted from 0 within a segment.

    A repeat in which it lies becomes repeats of fewer passes, so that the cycles of the clock stay.
    """
    items: list = []
    for item in schedule:
        size = count_updates((item,))
        if not 0 <= index < size:
            items.append(item)
        elif isinstance(item, Update):
            items.append(change(item))
        else:
            passes, rest = divmod(index, count_updates(item.body))
            items += [Repeat(passes, item.body)] if passes else []
            items.append(Repeat(1, change_update(item.body, rest, change)))
            after = item.times - passes - 1
            items += [Repeat(after, item.body)] if after else []
        index -= size
    return tuple(items)


def number_updates(schedule: Schedule, change: Callable[[int, Update], Update]) -> Schedule:
    """Returns the schedule with every update changed by its number within a segment, from 0.

    Every pass of a repeat becomes a repeat of its own, so that the cycles of the clock stay. The
    passes are then compiled one by one.
    """
    items: list = []
    for item in schedule:
        for _ in range(1 if isinstance(item, Update) else item.times):
            first = count_updates(tuple(items))
            if isinstance(item, Update):
                items.append(change(first, item))
            else:
                body = number_updates(item.body, lambda i, u, first=first: change(first + i, u))
                items.append(Repeat(1, body))
    return tuple(items)


@dataclass(frozen=True, repr=False)
class Dynamics:
    """A state, the schedule of maps that moves it, and what can be read from it.

    This is a pytree: `initial`, `context` and `drive` are traced and the rest is static, so one
    compiled program serves every puzzle, and `vmap` over `Dynamics` works.

    Attributes:
      initial: the state before the first segment.
      schedule: the updates of one segment.
      readout: `readout(context, state)` returns a pytree (for cells: logits and q logits).
      context: what every update and the readout see.
      drive: None, or a pytree whose leaves have one slice for each segment along their first axis.
      gradient_updates: how many last updates of a segment carry a gradient in training; None: all.
      answer: the name of the state's field that the answer is read from; None if there is none.
    """

    initial: State
    schedule: Schedule
    readout: Callable[[Context, State], Any]
    context: Context = ()
    drive: Drive = None
    gradient_updates: int | None = None
    answer: str | None = None

    @staticmethod
    def from_map(step: Callable[[State], State], initial: State) -> "Dynamics":
        """Returns the dynamics of a map `step(state) -> state`; a segment is one application.

        The readout is the state itself. Arrays that `step` closes over become constants of the
        compiled program.

        Raises:
          ValueError: if `step` changes the structure, shapes or dtypes of the state.
        """
        return Dynamics.from_updates(initial, (Update("step", _Autonomous(step)),), _read_state)

    @staticmethod
    def from_updates(
        initial: State,
        schedule: Any,
        readout: Callable[[Context, State], Any],
        context: Context = (),
        *,
        drive: Drive = None,
        answer: str | None = None,
    ) -> "Dynamics":
        """Returns the dynamics of a schedule of functions.

        The other arguments are the attributes of `Dynamics`.

        Args:
          schedule: one segment: functions `(context, state, drive) -> state`, updates, and repeats
            of these (see `as_schedule`).

        Raises:
          ValueError: if an update changes the structure, shapes or dtypes of the state, or if
            `answer` is no field of it.
        """
        initial = jax.tree.map(jnp.asarray, initial)
        if answer is not None and answer not in named_fields(initial):
            raise ValueError(
                f"answer must be a field of the state ({', '.join(named_fields(initial))}), "
                f"got {answer!r}"
            )
        dynamics = Dynamics(initial, as_schedule(schedule), readout, context, drive, answer=answer)
        first = jax.tree.map(lambda leaf: leaf[0], drive)
        jax.eval_shape(partial(run_segment, dynamics), initial, first)
        return dynamics

    def __repr__(self) -> str:
        names = dict.fromkeys(update.name for update in updates(self.schedule))
        number = count_updates(self.schedule)
        driven = "" if self.drive is None else ", driven"
        return (
            f"Dynamics({describe_sizes(self.initial)}; {number} update{'s' * (number != 1)} a "
            f"segment: {', '.join(names)}{driven})"
        )

    def start(self, initial: State | None) -> State:
        """Returns the state to start from: `initial` if it is given, else the dynamics' own.

        Raises:
          ValueError: if `initial` has another structure or other shapes.
        """
        if initial is None:
            return self.initial
        expected, shapes = (jax.tree.map(jnp.shape, state) for state in (self.initial, initial))
        if expected != shapes:
            raise ValueError(f"initial must have the shapes {expected}, got {shapes}")
        return jax.tree.map(lambda old, new: jnp.asarray(new, old.dtype), self.initial, initial)

    def drives(self, num_segments: int) -> Drive:
        """Returns the drive's slices for the first `num_segments` segments, to scan over.

        Raises:
          ValueError: for no segments, or more than the drive has.
        """
        if num_segments < 1:
            raise ValueError(f"num_segments must be at least 1, got {num_segments}")
        for leaf in jax.tree.leaves(self.drive):
            if leaf.shape[0] < num_segments:
                raise ValueError(
                    f"the drive has {leaf.shape[0]} segments, but {num_segments} were asked for"
                )
        return jax.tree.map(lambda leaf: leaf[:num_segments], self.drive)


jax.tree_util.register_dataclass(
    Dynamics,
    data_fields=["initial", "context", "drive"],
    meta_fields=["schedule", "readout", "gradient_updates", "answer"],
)


@dataclass(frozen=True)
class _Autonomous:
    """A map as an update. It equals another one with the same `step`, so both compile once."""

    step: Callable[[State], State]

    def __call__(self, context: Context, state: State, drive: Drive) -> State:
        return self.step(state)


def _read_state(context: Context, state: State) -> State:
    return state


def run_updates(schedule: Schedule, dynamics: Dynamics, state: State, drive: Drive) -> State:
    """Returns the state after the updates of `schedule`, with the context of `dynamics`."""
    context = dynamics.context
    return scan_updates(schedule, lambda update, z: (update(context, z, drive), None), state)[0]


def run_segment(dynamics: Dynamics, state: State, drive: Drive = None) -> State:
    """Returns the state one segment later."""
    return run_updates(dynamics.schedule, dynamics, state, drive)
