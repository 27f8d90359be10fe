"""Growth by part: which sub-layer, field, update and token stretches the leading vectors."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.tree_util import Partial
from jaxtyping import Array

from rrjax.checks import check_count
from rrjax.contract import (
    Context,
    Drive,
    Dynamics,
    Part,
    State,
    Update,
    listen,
    updates,
)
from rrjax.dynamics.precision import exact_products
from rrjax.dynamics.rollout import Observe, as_partial
from rrjax.dynamics.tangent import (
    Carry,
    GrowthAlongRun,
    initial_frame,
    push_frame,
    raw_growth,
    read_growth,
)
from rrjax.frames import Frame, orthonormalize


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class GrowthByPart(GrowthAlongRun):
    """The growth of k tangent vectors along one trajectory, split into signed parts. A pytree.

    Each array of parts adds up to `log_growth`, and over a whole run to the exponents times the
    number of updates, up to round-off.

    Attributes:
      exponents: (k,) as in `rrjax.Spectrum`, nats per update.
      log_growth: (updates, k) ln Rᵢᵢ of every update, in nats.
      stages: (segments, updates of a segment, stages, k) nats: the contribution of each stage of
        `stage_names`; 0 where an update has no such stage.
      alignment: of the same shape: of the contribution of a residual sum, the part that the
        alignment of the branch with the vector gives. It is 0 for other stages.
      size: of the same shape: the part that the size of the branch gives, which is never negative.
      rows: for each field of the state, (segments, k, rows): the contribution of each row (for
        cells a token) to the growth over a segment, in nats.
      state: the end state.
      frame: the end frame, orthonormal: a state with a leading axis k.
      failed_at: () as in `rrjax.Spectrum`.
      resolved: (k,) as in `rrjax.Spectrum`.
      observed: what `observe` returned, stacked over the segments; None without it.
    """

    exponents: Array
    log_growth: Array
    stages: Array
    alignment: Array
    size: Array
    rows: State
    state: State
    frame: Frame
    failed_at: Array
    resolved: Array
    observed: Any


def growth_by_part(
    dynamics: Dynamics,
    num_vectors: int = 1,
    num_segments: int = 16,
    *,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    observe: Observe | None = None,
) -> GrowthByPart:
    r"""Returns the growth of the k leading tangent vectors, split by stage, update, field and row.

    An update whose parts are named (`rrjax.contract.part`) is a chain of maps on the whole state:
    z = h₀ → h₁ → … → h_S = z′, in which each named value stands in the place of the field that the
    update rewrites, and the other fields stay. The blocks of TRM, HRM and transformer have the
    stages `input` (the sum that enters the block), `mixing` or `attention` (the residual sum
    x + f(x), branch included), its `norm`, `swiglu` (the residual sum) and its `norm`, for each
    layer. An update without names, or one that changes several fields, is its own only stage.

    With V_s = D(h_s) Q the images of the orthonormal frame Q before the update, V_s = Q_s R_s and
    R_0 = 1, stage s contributes to the growth of vector i

        g_s = ln ρ,    ρ = (R_s)ᵢᵢ / (R_{s−1})ᵢᵢ,    Σ_s g_s = ln Rᵢᵢ.

    For i = 1 it is ln ‖v_s‖ − ln ‖v_{s−1}‖ of the leading vector. For i > 1 what is split is the
    growth of the part of vector i that is orthogonal to the vectors before it: the volume of i
    vectors over that of i − 1. A stage that is an isometry of the state contributes 0, and one that
    multiplies it by g contributes ln g. A stage acts on the field that is rewritten alone: where
    other fields hold most of the vector, even a large gain contributes little.

    With q and q′ the i-th vectors of Q_{s−1} and Q_s, the share of row r of field f is exact:

        g_{s,f,r} = φ(ρ) (ρ² ‖q′_{f,r}‖² − ‖q_{f,r}‖²),    φ(ρ) = ln ρ / (ρ² − 1),    φ(1) = 1/2.

    A residual sum maps q to q + b with b = Df q, so that ρ² − 1 = 2 q·b + ‖b‖² less what leaves
    along the earlier vectors. Its contribution has the two parts

        alignment = 2 φ(ρ) q·b,    size = φ(ρ) ‖b‖² ≥ 0,

    which for i = 1 add up to it. Large terms of both signs nearly cancel, so that terms are to be
    read with their sums.

    Args:
      dynamics, num_segments, key, frame, initial, observe: as in `rrjax.spectrum`.
      num_vectors: The number k. Where `frame` is given, its size counts instead.

    Raises:
      ValueError: as `rrjax.spectrum`, and where an update names a part of another size than the
        field that it rewrites.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.ones(2))
      >>> parts = rrjax.inside.growth_by_part(shrink, 1, 3, key=jax.random.key(0))
      >>> parts.log_growth.round(3)[:, 0]
      Array([-0.693, -0.693, -0.693], dtype=float32)
    """
    check_count("num_segments", num_segments, least=1)
    start = dynamics.start(initial)
    first = initial_frame(start, key, frame, num_vectors, "num_vectors")
    observe = observe and as_partial(observe)
    return _growth_by_part(dynamics, start, first, observe, num_segments)


def stage_names(dynamics: Dynamics) -> tuple[str, ...]:
    """Returns the names of all stages, in the order in which they first come in a segment.

    A name that comes again within an update is numbered: `swiglu`, `swiglu 2`. So the layers of a
    block are told apart.

    Example:
      >>> shrink = rrjax.Dynamics.from_map(lambda z: 0.5 * z + 1, jnp.zeros(2))
      >>> rrjax.inside.stage_names(shrink)
      ('step',)
    """
    drive = jax.tree.map(lambda leaf: leaf[0], dynamics.drive)
    names: dict[str, None] = {}
    for update in dict.fromkeys(updates(dynamics.schedule)):

        def trace(context: Context, drive: Drive, state: State, update: Update = update) -> None:
            names.update(dict.fromkeys(chain(update, context, drive, state)[2]))

        jax.eval_shape(trace, dynamics.context, drive, dynamics.initial)
    return tuple(names)


@partial(jax.jit, static_argnums=4)
def _growth_by_part(
    dynamics: Dynamics, start: State, frame: Frame, observe: Partial | None, num_segments: int
) -> GrowthByPart:
    push = partial(_push_by_part, stage_names(dynamics))

    def keep(before: Carry, after: Carry, records: Any) -> Any:
        *growth, parts = records
        rows = jax.tree.map(lambda leaf: leaf.sum(0), parts.rows)
        observed = observe(dynamics, before[0], *after) if observe else None
        return (*growth, None), parts._replace(rows=rows), observed

    with exact_products():
        (state, frame), (records, parts, observed) = push_frame(
            dynamics,
            (start, frame),
            dynamics.drives(num_segments),
            num_segments,
            record=raw_growth,
            push=push,
            qr=_done,
            keep=keep,
        )
    growth, _ = read_growth(records)
    return GrowthByPart(**growth, **parts._asdict(), state=state, frame=frame, observed=observed)


class _Parts(NamedTuple):
    """The arrays of a `GrowthByPart`: of one update, (stages, k) and (k, rows)."""

    stages: Array
    alignment: Array
    size: Array
    rows: State


class Chain(NamedTuple):
    """The states that an update goes through.

    Attributes:
      states: the state after each stage; the last is the state after the update.
      branches: what each residual sum adds, by the name of its stage.
      names: the name of each stage.
      field: the leaf of the state that the update rewrites; 0 without names.
    """

    states: list[State]
    branches: dict[str, Array]
    names: list[str]
    field: int


def chain(update: Update, context: Context, drive: Drive, state: State) -> Chain:
    """Returns the states that an update goes through, from its named parts."""
    with listen() as parts:
        after = update(context, state, drive)
    before, treedef = jax.tree.flatten(state)
    rewritten = [i for i, leaf in enumerate(jax.tree.leaves(after)) if leaf is not before[i]]
    if not parts or len(rewritten) != 1:
        return Chain([after], {}, [update.name], 0)
    (field,) = rewritten
    sums = [part for part in parts if part.role == "sum"]
    branches = [part for part in parts if part.role == "branch"]
    for part in (*sums, *branches):
        _check_part(update, part, before[field])
    states = [
        treedef.unflatten([*before[:field], _by_row(part), *before[field + 1 :]]) for part in sums
    ]
    names = _numbered(sums)
    if not sums or sums[-1].value is not jax.tree.leaves(after)[field]:
        states, names = [*states, after], [*names, update.name]
    values = dict(zip(_numbered(branches), map(_by_row, branches), strict=True))
    return Chain(states, values, names, field)


def _by_row(part: Part) -> Array:
    return jnp.moveaxis(part.value, part.token_axis, 0)


def _check_part(update: Update, part: Part, field: Array) -> None:
    expected, shape = jnp.shape(field), _by_row(part).shape
    if shape != expected:
        raise ValueError(
            f"the part {part.name!r} of update {update.name!r} must have the shape {expected} of "
            f"the field that the update rewrites; got {shape}"
        )


def _numbered(parts: list[Part]) -> list[str]:
    names = [part.name for part in parts]
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [f"{n} {count}" if count > 1 else n for n, count in zip(names, counts, strict=True)]


def _push_by_part(
    all_names: tuple[str, ...], context: Context, drive: Drive, update: Update, carry: Carry
) -> tuple[Carry, _Parts]:
    """Moves a state and a frame through the chain of an update, with a QR after every stage."""
    z, Q = carry
    traced: list[Chain] = []

    def run(z: State) -> tuple[list[State], list[Array]]:
        traced.append(chain(update, context, drive, z))
        return traced[-1].states, list(traced[-1].branches.values())

    (states, _), jacobian = jax.linearize(run, z)
    images, branches = jax.vmap(jacobian)(Q)
    names, with_branch, field = traced[-1].names, [*traced[-1].branches], traced[-1].field
    split = _split(Q, images)
    alignment = size = jnp.zeros_like(split.rho)
    if branches:
        indices = np.array([names.index(name) for name in with_branch])
        products = _branch_products(split, indices, jnp.stack(branches), field)
        alignment, size = (jnp.zeros_like(split.rho).at[indices].set(part) for part in products)
    places = np.array([all_names.index(name) for name in names])

    def placed(values: Array) -> Array:
        return jnp.zeros((len(all_names), *values.shape[1:]), values.dtype).at[places].set(values)

    by_stage = map(placed, (jnp.log(split.rho), alignment, size))
    return (states[-1], split.end), _Parts(*by_stage, rows=split.rows)


def _done(end: tuple[Frame, Array]) -> tuple[Frame, Array]:
    """Returns the QR of an update, which is that after its last stage."""
    return end


class _Split(NamedTuple):
    """What the QRs of all stages say.

    Attributes:
      Q: the orthonormal frame before each stage.
      R: the R before it.
      rho: (stages, k) ρ.
      phi: (stages, k) φ(ρ).
      rows: (k, rows) the contributions of the rows, summed over the stages.
      end: the frame and the R after the last stage.
    """

    Q: Frame
    R: Array
    rho: Array
    phi: Array
    rows: State
    end: tuple[Frame, Array]


def _split(Q: Frame, images: list[Frame]) -> _Split:
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *images)
    after, R_after = jax.vmap(orthonormalize)(stacked)  # as one batch of frames
    before = jax.tree.map(_shifted, Q, after)
    R = _shifted(jnp.eye(R_after.shape[-1], dtype=R_after.dtype), R_after)
    rho = jnp.diagonal(R_after, axis1=-2, axis2=-1) / jnp.diagonal(R, axis1=-2, axis2=-1)
    phi = _phi(rho)

    def row_shares(first: Array, later: Array) -> Array:
        squares = _row_squares(later, 2)
        earlier = _shifted(_row_squares(first, 1), squares)
        return (phi[..., None] * (jnp.square(rho)[..., None] * squares - earlier)).sum(0)

    rows = jax.tree.map(row_shares, Q, after)
    end = jax.tree.map(lambda leaf: leaf[-1], (after, R_after))
    return _Split(before, R, rho, phi, rows, end)


def _row_squares(leaf: Array, num_batch_axes: int) -> Array:
    """Returns the squared norms of the rows of unit vectors: (…, rows)."""
    batch, rows = leaf.shape[:num_batch_axes], leaf.shape[num_batch_axes : num_batch_axes + 1]
    return jnp.square(leaf).reshape(*batch, *(rows or (1,)), -1).sum(-1)


def _shifted(first: Array, later: Array) -> Array:
    return jnp.concatenate([first[None], later[:-1]])


def _branch_products(
    split: _Split, indices: np.ndarray, branches: Array, field: int
) -> tuple[Array, Array]:
    """Returns 2 φ q·b and φ ‖b‖² of the stages that are residual sums, from Df V_{s−1}."""
    phi, R = split.phi[indices], split.R[indices]
    flat = branches.reshape(*phi.shape, -1)
    q = jax.tree.leaves(split.Q)[field][indices].reshape(flat.shape)
    identity = jnp.eye(R.shape[-1], dtype=R.dtype)
    inverse = jax.vmap(lambda r: solve_triangular(r, identity))(R)  # small, unlike its right side
    b = inverse.mT @ flat
    return 2 * phi * jnp.sum(q * b, -1), phi * jnp.sum(jnp.square(b), -1)


def _phi(rho: Array) -> Array:
    """Returns ln ρ / (ρ² − 1), which is 1/2 at ρ = 1."""
    excess = rho - 1
    safe = jnp.where(excess == 0, 1, excess)
    return jnp.where(excess == 0, 0.5, jnp.log1p(safe) / (safe * (2 + safe)))
