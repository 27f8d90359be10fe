"""A certificate of a spectrum: what the rounding of tangents and states does to its exponents."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rrjax.checks import check_count
from rrjax.contract import Context, Drive, Dynamics, State, Update
from rrjax.dynamics.coarse import (
    loose_growth,
    loosen,
    orthonormalize_loose,
    push_loosely,
    read_loose_growth,
)
from rrjax.dynamics.precision import check_precision, exact_products, in_type, state_precision
from rrjax.dynamics.spectrum import qr_for, spectrum
from rrjax.dynamics.tangent import (
    QR,
    Carry,
    by_update,
    initial_frame,
    push_forward,
    push_frame,
    push_frame_coarsely,
    raw_growth,
    read_growth,
)
from rrjax.frames import Frame, orthonormalize


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Certificate:
    """How a precision and a QR's cadence change exponents. A pytree; all in nats per update.

    Chaos parts two trajectories that round differently, so that exponents of single puzzles cannot
    tell an error of the tangents from one of the states. The first two fields therefore share the
    states to the bit. The last two do not: compare their distributions over many puzzles.

    Attributes:
      exponents: (k,) in the precision, as `rrjax.spectrum` would give them.
      reference: (k,) computed in float64 with a QR after every update, of the same initial frame
        along the same states.
      leading_exact: () λ₁ of the trajectory whose states run in `exact`.
      leading: () λ₁ of the trajectory whose states run in the state's precision, `exact` or
        `split`, both with exact tangents.
    """

    exponents: Array
    reference: Array
    leading_exact: Array
    leading: Array

    @property
    def error(self) -> Array:
        """(k,) |Δλ| that the tangents' rounding makes; NaN where an exponent is not resolved."""
        return jnp.abs(self.exponents - self.reference)


def certify(
    dynamics: Dynamics,
    num_exponents: int = 8,
    num_segments: int = 16,
    *,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    precision: str = "exact",
    segments_per_qr: int | None = None,
) -> Certificate:
    r"""Returns the error of a spectrum's tangents, and λ₁ with and without the rounding of states.

    The spectrum runs once in its precision, and the state z_t before every update is kept. Then the
    same initial frame is pushed along the kept states in float64,

        J(z_t) Q_{t−1} = Q_t R_t,    J in float64 at the float32 states z_t,

    so that both runs have the same Jacobians up to rounding. `segments_per_qr` applies to the first
    run alone: the error is that of the cadence too. Use `jax.vmap` for many puzzles, but
    not `jax.jit` around it: half of the work runs in float64, whatever the caller's setting is.

    Memory: all states of the run, (updates, n) float32 numbers for a state of n components: 133 MB
    for each puzzle of the official TRM-MLP over 16 segments. Time on a CPU: that of some four
    spectra.

    Args:
      dynamics, num_exponents, num_segments, key, frame, initial, precision, segments_per_qr: As in
        `rrjax.spectrum`.

    Raises:
      ValueError: As `rrjax.spectrum`, for states that are not float32, and for a `segments_per_qr`
        that does not divide the segments.
    """
    check_count("num_segments", num_segments, least=1)
    check_count("segments_per_qr", segments_per_qr, least=1)
    if num_segments % (segments_per_qr or 1):
        raise ValueError(
            f"segments_per_qr must divide the {num_segments} segments of a certificate; "
            f"got {segments_per_qr}"
        )
    start = dynamics.start(initial)
    for leaf in jax.tree.leaves(start):
        if leaf.dtype != jnp.float32:
            raise ValueError(f"a certificate is for states of float32, got {leaf.dtype}")
    first = initial_frame(start, key, frame, num_exponents)
    check_precision(precision, start)
    run = dynamics, start, first, num_segments, precision
    if segments_per_qr is None:
        exponents, states = _run(*run)
    else:
        exponents, states = _run_coarsely(*run, segments_per_qr)
    with jax.enable_x64(True):
        reference = _run_along(dynamics, states, first, num_segments)
    leading = partial(_leading, dynamics, start, first, num_segments)
    of_state = state_precision(precision)
    exact = leading("exact")
    return Certificate(
        exponents, reference, exact, exact if of_state == "exact" else leading(of_state)
    )


@partial(jax.jit, static_argnums=(3, 4))
def _run(
    dynamics: Dynamics, start: State, frame: Frame, num_segments: int, precision: str
) -> tuple[Array, State]:
    """Returns the exponents, and the states before all updates along a leading axis."""

    def push(context: Context, drive: Drive, update: Update, carry: Carry) -> tuple[Carry, State]:
        return push_forward(context, drive, update, carry, precision)[0], carry[0]

    return _exponents(dynamics, (start, frame), num_segments, push, qr_for(precision))


@partial(jax.jit, static_argnums=(3, 4, 5))
def _run_coarsely(
    dynamics: Dynamics,
    start: State,
    frame: Frame,
    num_segments: int,
    precision: str,
    segments_per_qr: int,
) -> tuple[Array, State]:
    """Returns the same with a QR after every group of segments."""

    def push(context: Context, drive: Drive, update: Update, carry: Carry) -> tuple[Carry, Any]:
        moved, products = push_loosely(context, drive, update, carry, precision)
        return moved, (products, carry[0])

    def record(R: Array, sound: Array, extra: tuple[Array, State]) -> tuple[Any, State]:
        return loose_growth(R, sound, extra[0]), by_update(extra[1])

    with exact_products():
        _, (records, states) = push_frame_coarsely(
            dynamics,
            (start, loosen(frame)),
            dynamics.drives(num_segments),
            num_segments,
            segments_per_qr,
            record=record,
            push=push,
            qr=orthonormalize_loose,
        )
        growth = read_loose_growth(dynamics, num_segments, segments_per_qr, records)
    return growth["exponents"], by_update(states)


@partial(jax.jit, static_argnums=3)
def _run_along(dynamics: Dynamics, states: State, frame: Frame, num_segments: int) -> Array:
    """Returns the float64 exponents of the frame along given states."""
    dynamics, frame = in_type((dynamics, frame), jnp.float64)

    def push(
        context: Context, drive: Drive, update: Update, carry: tuple[Array, Frame]
    ) -> tuple[tuple[Array, Frame], None]:
        index, V = carry
        z = in_type(jax.tree.map(lambda leaf: leaf[index], states), jnp.float64)
        (_, V), _ = push_forward(context, drive, update, (z, V))
        return (index + 1, V), None

    carry = jnp.zeros((), jnp.int32), frame
    exponents, _ = _exponents(dynamics, carry, num_segments, push, orthonormalize)
    return exponents.astype(jnp.float32)  # the caller may not have float64


def _exponents(
    dynamics: Dynamics, carry: Carry, num_segments: int, push: Any, qr: QR
) -> tuple[Array, State]:
    run = dynamics, carry, dynamics.drives(num_segments), num_segments
    with exact_products():
        _, records = push_frame(*run, record=raw_growth, push=push, qr=qr)
    growth, extra = read_growth(records)
    return growth["exponents"], extra


def _leading(
    dynamics: Dynamics, start: State, frame: Frame, num_segments: int, precision: str
) -> Array:
    """Returns λ₁ with the state and its tangent in this precision, which is exact or split."""
    one = jax.tree.map(lambda leaf: leaf[:1], frame)
    return spectrum(
        dynamics, num_segments=num_segments, frame=one, initial=start, precision=precision
    ).exponents[0]
