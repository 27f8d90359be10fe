"""Interventions: dynamics whose state is changed once, before one update of one segment.

An intervention is an update with its drive. The drive says when, one truth value for each segment;
what is inserted lies in the context, once. So rollouts, spectra and sweeps take the result as they
take any dynamics, a segment keeps its number of updates, and `vmap` runs many interventions by one
program.

What tangents do: a component that is inserted does not depend on the state that it replaces, so its
tangent is zero from there on, and tangents of other components pass unchanged. Along a `direction`
the component of the tangent is removed alike. A kick is a constant that is added: tangents pass.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from rrjax.checks import check_count
from rrjax.contract import (
    Context,
    Drive,
    Dynamics,
    Repeat,
    Schedule,
    State,
    Update,
    change_update,
    count_updates,
    describe_sizes,
    named_fields,
    run_updates,
    split_last,
)
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.rollout import run_segments
from rrjax.dynamics.starts import check_fields
from rrjax.dynamics.tangent import split_drives

LONGEST = 1024
"""For how many segments an intervention's drive lasts unless another number is asked for."""


def patch(
    dynamics: Dynamics,
    source: Dynamics | State,
    segment: Any,
    cells: Any = None,
    *,
    state: Collection[str] | None = None,
    direction: State | None = None,
    update: int = 0,
    num_segments: int | None = None,
) -> Dynamics:
    r"""Returns dynamics in which a part of the state is replaced once by another trajectory's.

    After `segment` whole segments and `update` updates of the next one,

        z ← where(M, source, z),    or    z ← z + M d (d·M(source − z)) / ‖M d‖²

    for a direction d, where M chooses the fields and cells. To replace the output of update u,
    patch before update u + 1. Components that are inserted have no tangent (see the module).

    Where M is empty, or the source is the trajectory's own, no bit of a state changes.

    Args:
      dynamics: of one puzzle; `vmap` over sources, segments or cells for many.
      source: what is inserted: a state, or other dynamics with states of the same shapes, which are
        run up to the same update.
      segment: how many segments run before, from 0; it may be traced where the source is a state.
      cells: which cells are replaced: their numbers, or (cells,) truth values, which may be traced.
        The cells are the last rows of a state, as many as the readout has positions; puzzle and
        register tokens before them are replaced only where all are. None: all rows.
      state: the names of the fields that are replaced; None: all.
      direction: replace the component along this vector alone: a state of any length.
      update: how many updates of the segment run before, from 0.
      num_segments: how many segments can be run; None: those of the drive of `dynamics`, or 1024.

    Raises:
      ValueError: the source or the direction has another structure, other shapes or numbers that
        are not finite, or a segment, update, cell or field is not there.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> patched = rrjax.inside.patch(shrink, jnp.array([5.0, 7.0]), segment=1)
      >>> rrjax.rollout(patched, 2).readout
      Array([[1. , 1. ],
             [3.5, 4.5]], dtype=float32)
    """
    chosen = _choose(dynamics, state, cells)
    when = _check_when(dynamics, segment, update, num_segments)
    if isinstance(source, Dynamics):
        _check_like("source", source.initial, dynamics.initial)
        # in the same program as the patched run: another one may round differently
        alike = _intervene(
            source, _Insert(), (source.initial, chosen), update, jnp.zeros_like(when)
        )
        source = state_at(alike, segment, update)
    source = _check_like("source", source, dynamics.initial)
    if direction is None:
        return _intervene(dynamics, _Insert(), (source, chosen), update, when)
    direction = _check_like("direction", direction, dynamics.initial)
    along = jax.tree.map(lambda d, mask: jnp.where(mask, d, 0), direction, chosen)
    return _intervene(dynamics, _InsertAlong(), (source, _unit(along)), update, when)


def insert(
    dynamics: Dynamics,
    own: State,
    source: State,
    cells: Any = None,
    *,
    state: Collection[str] | None = None,
) -> State:
    """Returns the state in which `patch` leaves a state of the trajectory.

    Args:
      dynamics, source, cells, state: as in `patch`.
      own: the state that is changed.

    Raises:
      ValueError: as `patch`.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> rrjax.inside.insert(shrink, jnp.zeros(2), jnp.array([5.0, 7.0]), cells=[1])
      Array([0., 7.], dtype=float32)
    """
    chosen = _choose(dynamics, state, cells)
    return _Insert()(own, _check_like("source", source, dynamics.initial), chosen)


def kick(
    dynamics: Dynamics,
    direction: State,
    size: Any,
    segment: Any,
    *,
    update: int = 0,
    num_segments: int | None = None,
) -> Dynamics:
    """Returns dynamics in which the state is moved once along a direction: z ← z + size d / ‖d‖.

    Tangents pass unchanged. A size of 0 changes no bit of a state. For a control along a random
    direction of equal size take `rrjax.frames.random_frame(key, state, 1)[0]` as the direction.

    Args:
      dynamics, segment, update, num_segments: as in `patch`.
      direction: a state of any length, such as a covariant vector after that segment
        (`rrjax.covariant_vectors`).
      size: the distance, in the unit of the state; it may be traced.

    Raises:
      ValueError: as `patch`.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> kicked = rrjax.inside.kick(shrink, jnp.array([3.0, 4.0]), 0.5, segment=1)
      >>> rrjax.rollout(kicked, 2).readout
      Array([[1.  , 1.  ],
             [1.65, 1.7 ]], dtype=float32)
    """
    when = _check_when(dynamics, segment, update, num_segments)
    unit = _unit(_check_like("direction", direction, dynamics.initial))
    dtype = jnp.result_type(*jax.tree.leaves(dynamics.initial))
    return _intervene(dynamics, _Kick(), (unit, jnp.asarray(size, dtype)), update, when)


def erase(
    dynamics: Dynamics,
    erasers: Mapping[str, Any],
    segments: Collection[int],
    cells: Any = None,
    *,
    num_segments: int | None = None,
) -> Dynamics:
    """Returns dynamics in which directions of every cell's state are erased after some segments.

      z ← where(M, z − out into (z − mean), z)

    for the channels z of each row that M chooses. Tangents are projected alike. So any affine map
    of a cell's state can be applied: x + A (x − mean) is that of `out` = −A and `into` = 1.

    Args:
      dynamics, cells, num_segments: as in `patch`.
      erasers: by the name of a field its `mean` (d,), `out` (d, rank) and `into` (rank, d), as
        `rrjax.inside.leace` returns them; other fields stay. They may be traced.
      segments: after how many whole segments the directions are erased, each from 0.

    Raises:
      ValueError: as `patch`, and for an eraser of states of another size.

    Example:
      >>> still = rrjax.Dynamics.from_map(lambda z: z, jnp.array([[1.0, 2.0]]))
      >>> first = rrjax.inside.Eraser(np.zeros(2), np.eye(2)[:, :1], np.eye(2)[:1])
      >>> rrjax.rollout(rrjax.inside.erase(still, {"state": first}, [1]), 2).readout[:, 0]
      Array([[1., 2.],
             [0., 2.]], dtype=float32)
    """
    chosen = _choose(dynamics, list(erasers), cells)
    fields = named_fields(dynamics.initial)
    maps = tuple(
        _check_eraser(name, erasers[name], fields[name]) for name in fields if name in erasers
    )
    numbers = list(segments)
    when = [_check_when(dynamics, segment, 0, num_segments) for segment in numbers]
    if not when:
        raise ValueError("segments must name one or more segments after which to erase; got none")
    places = tuple(i for i, name in enumerate(fields) if name in erasers)
    return _intervene(dynamics, _Erase(places), (maps, chosen), 0, jnp.stack(when).any(0))


def state_at(dynamics: Dynamics, segment: int, update: int = 0) -> State:
    """Returns the state of a trajectory after some segments and some updates of the next one.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> rrjax.inside.state_at(shrink, 2)
      Array([1.5, 1.5], dtype=float32)
    """
    with exact_products():
        return _state_at(dynamics, dynamics.drives(segment + 1), segment, update)


@partial(jax.jit, static_argnums=(2, 3))
def _state_at(dynamics: Dynamics, drives: Drive, segment: int, update: int) -> State:
    first, last = split_drives(drives, segment, 1)
    state = dynamics.initial
    if segment:
        state = run_segments(dynamics, state, first, segment)
    head, _ = split_last(dynamics.schedule, count_updates(dynamics.schedule) - update)
    return run_updates(head, dynamics, state, jax.tree.map(lambda leaf: leaf[0], last))


class _Context(NamedTuple):
    """The context of the dynamics that are intervened in, and what the change is made of."""

    inner: Context
    arguments: Any


class _When(NamedTuple):
    """A drive: whether the state is changed in a segment, and the slice of the inner drive."""

    now: Array
    inner: Drive


Change = Callable[..., State]
"""`change(state, *arguments)` returns the state after an intervention."""


def _intervene(
    dynamics: Dynamics, change: Change, arguments: tuple, update: int, when: Array
) -> Dynamics:
    schedule = change_update(
        _map_updates(dynamics.schedule),
        update,
        lambda inner: Update(inner.name, _Changed(inner.apply.update, change)),  # pyright: ignore[reportFunctionMemberAccess]
    )
    inner = jax.tree.map(lambda leaf: leaf[: len(when)], dynamics.drive)
    return replace(
        dynamics,
        schedule=schedule,
        readout=_InnerReadout(dynamics.readout),
        context=_Context(dynamics.context, arguments),
        drive=_When(when, inner),
    )


def _map_updates(schedule: Schedule) -> Schedule:
    return tuple(
        Update(item.name, _Unchanged(item))
        if isinstance(item, Update)
        else Repeat(item.times, _map_updates(item.body))
        for item in schedule
    )


# Each of these equals another one with the same parts, so that both compile once.
@dataclass(frozen=True)
class _Unchanged:
    update: Update

    def __call__(self, context: _Context, state: State, drive: _When) -> State:
        return self.update(context.inner, state, drive.inner)


@dataclass(frozen=True)
class _Changed:
    update: Update
    change: Change

    def __call__(self, context: _Context, state: State, drive: _When) -> State:
        changed = self.change(state, *context.arguments)
        state = jax.tree.map(lambda new, old: jnp.where(drive.now, new, old), changed, state)
        return self.update(context.inner, state, drive.inner)


@dataclass(frozen=True)
class _InnerReadout:
    readout: Callable[[Context, State], Any]

    def __call__(self, context: _Context, state: State) -> Any:
        return self.readout(context.inner, state)


@dataclass(frozen=True)
class _Insert:
    def __call__(self, state: State, source: State, chosen: State) -> State:
        return jax.tree.map(jnp.where, chosen, source, state)


@dataclass(frozen=True)
class _InsertAlong:
    def __call__(self, state: State, source: State, unit: State) -> State:
        products = jax.tree.map(lambda d, a, b: jnp.sum(d * (a - b)), unit, source, state)
        length = sum(jax.tree.leaves(products))
        return jax.tree.map(lambda z, d: _moved(z, length * d), state, unit)


@dataclass(frozen=True)
class _Kick:
    def __call__(self, state: State, unit: State, size: Array) -> State:
        return jax.tree.map(lambda z, d: _moved(z, size * d), state, unit)


@dataclass(frozen=True)
class _Erase:
    places: tuple[int, ...]  # of the fields among the leaves

    def __call__(self, state: State, maps: tuple, chosen: State) -> State:
        leaves, treedef = jax.tree.flatten(state)
        masks = jax.tree.leaves(chosen)
        for place, (mean, out, into) in zip(self.places, maps, strict=True):
            z = leaves[place]
            leaves[place] = jnp.where(masks[place], z - (z - mean) @ into.T @ out.T, z)
        return treedef.unflatten(leaves)


def _moved(z: Array, change: Array) -> Array:
    return jnp.where(change == 0, z, z + change)  # −0 + 0 is 0


def _unit(direction: State) -> State:
    """Returns a vector of length 1, or the zero vector where there is no other."""
    squares = jax.tree.map(lambda leaf: jnp.sum(jnp.square(leaf)), direction)
    norm = jnp.sqrt(sum(jax.tree.leaves(squares)))
    return jax.tree.map(lambda leaf: leaf / jnp.where(norm == 0, 1, norm), direction)


def _choose(dynamics: Dynamics, fields: Collection[str] | None, cells: Any) -> State:
    """Returns by field which rows are chosen, in a shape that broadcasts against the field."""
    if fields is not None:
        check_fields(fields, dynamics.initial, "state")
    leaves = named_fields(dynamics.initial)
    chosen = set(leaves if fields is None else fields)
    mask = None if cells is None else _cell_mask(dynamics, cells)
    masks = [_row_mask(name, leaf, name in chosen, mask) for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(dynamics.initial), masks)


def _row_mask(name: str, leaf: Array, chosen: bool, mask: Any) -> Array:
    if not chosen or mask is None:
        return jnp.asarray(chosen)
    if jnp.ndim(leaf) < 1 or len(leaf) < len(mask):
        raise ValueError(
            f"cells: the field {name} of shape {jnp.shape(leaf)} has no row for each of "
            f"{len(mask)} cells; name the fields that have (state=…)"
        )
    rows = jnp.concatenate([jnp.zeros(len(leaf) - len(mask), bool), mask])
    return rows.reshape(-1, *[1] * (leaf.ndim - 1))


def _cell_mask(dynamics: Dynamics, cells: Any) -> Any:
    number = num_cells(dynamics)
    if getattr(cells, "dtype", np.dtype(object)).kind == "b":
        if jnp.shape(cells) != (number,):
            raise ValueError(
                f"cells must be {number} truth values, one for each cell, or numbers of cells; "
                f"got truth values of shape {jnp.shape(cells)}"
            )
        return jnp.asarray(cells)
    numbers = np.asarray(cells)
    outside = numbers.dtype.kind not in "iu" or (numbers < 0).any() or (numbers >= number).any()
    if numbers.ndim != 1 or (numbers.size and outside):
        raise ValueError(f"cells must be a list of numbers in 0..{number - 1}, got {cells}")
    return jnp.zeros(number, bool).at[numbers.astype(int)].set(True)


def num_cells(dynamics: Dynamics) -> int:
    """Returns how many cells a state has: the positions of its logits, else its rows."""
    readout = jax.eval_shape(dynamics.readout, dynamics.context, dynamics.initial)
    logits = getattr(readout, "logits", readout)
    shape = getattr(logits, "shape", ()) or jnp.shape(jax.tree.leaves(dynamics.initial)[0])
    return shape[0] if shape else 1


def _check_when(dynamics: Dynamics, segment: Any, update: int, num_segments: int | None) -> Array:
    """Returns for each segment of the drive whether it is the one."""
    check_count("num_segments", num_segments, least=1)
    lengths = [len(leaf) for leaf in jax.tree.leaves(dynamics.drive)]
    length = num_segments or min(lengths, default=LONGEST)
    dynamics.drives(length)  # refuses more than there are
    if not isinstance(segment, Tracer):
        check_count("segment", segment, least=0, most=length - 1)
    check_count("update", update, least=0, most=count_updates(dynamics.schedule) - 1)
    return jnp.arange(length) == segment


def _check_eraser(field: str, eraser: Any, leaf: Array) -> tuple[Array, Array, Array]:
    mean, out, into = eraser.mean, eraser.out, eraser.into
    channels = leaf.shape[-1] if leaf.ndim else 1
    if mean.shape != (channels,) or out.shape != into.T.shape or len(out) != channels:
        shapes = f"mean {mean.shape}, out {out.shape} and into {into.shape}"
        raise ValueError(
            f"erasers: the field {field} has {channels} channels, so that its eraser needs mean "
            f"({channels},), out ({channels}, rank) and into (rank, {channels}); got {shapes}"
        )
    return jax.tree.map(lambda part: jnp.asarray(part, leaf.dtype), (mean, out, into))


def _check_like(name: str, given: Any, like: State) -> State:
    """Returns what was given in the types of a state, after a look at its shapes and numbers."""
    structures = jax.tree.structure(given), jax.tree.structure(like)
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (given, like)]
    if structures[0] != structures[1] or shapes[0] != shapes[1]:
        raise ValueError(
            f"{name} must have the fields and shapes of the state that it goes into, "
            f"{describe_sizes(like)}; got {describe_sizes(given) or given!r}"
        )
    for field, leaf in named_fields(given).items():
        if not isinstance(leaf, Tracer) and not np.isfinite(leaf).all():
            raise ValueError(f"{name} must be finite, but its field {field} is not")
    return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), given, like)
