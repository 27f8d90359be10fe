"""Finite-time Lyapunov spectra: exact tangent dynamics with a QR after every update or segment."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
from jax.tree_util import Partial
from jaxtyping import Array

from rrjax.checks import check_count
from rrjax.contract import Drive, Dynamics, State
from rrjax.dynamics.coarse import (
    loose_growth,
    loosen,
    orthonormalize_loose,
    push_loosely,
    read_loose_growth,
)
from rrjax.dynamics.precision import (
    check_precision,
    exact_products,
    in_precision,
    state_precision,
)
from rrjax.dynamics.rollout import Observe, as_partial, drift, run_segments
from rrjax.dynamics.tangent import (
    QR,
    Carry,
    GrowthAlongRun,
    initial_frame,
    push_forward,
    push_frame,
    push_frame_coarsely,
    raw_growth,
    read_growth,
    split_drives,
)
from rrjax.frames import Frame, orthonormalize, orthonormalize_once


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Spectrum(GrowthAlongRun):
    """The finite-time Lyapunov spectrum of one trajectory. A pytree.

    Attributes:
      exponents: (k,) finite-time Lyapunov exponents λᵢ, nats per update, in the order of the frame
        (decreasing up to the fluctuations of a finite time; they are not sorted). NaN where not
        `resolved`, but −inf for a direction that is annihilated to an exact zero.
      log_growth: (updates, k) ln Rᵢᵢ of every update's QR, in nats. The exponents of any window are
        its means (`rrjax.dynamics.horizons`). The numbers are raw: below the round-off floor they
        are noise. With `segments_per_qr` it has a row for each QR: (QRs, k).
      drift: For each field of the state, (segments,) norms of its change over each segment; with
        `segments_per_qr` (QRs,), over the segments of each group.
      state: The end state.
      frame: The end frame, orthonormal: a state with a leading axis k.
      failed_at: () the update, counted from 0, after which the state or R was first not finite; −1
        if none was. From there on the numbers mean nothing. With `segments_per_qr` it is the last
        update before the QR that was first not finite.
      resolved: (k,) whether Rᵢᵢ stood above the round-off of its update at every update. For a
        strongly contracting direction it does not, and its ln Rᵢᵢ measures the arithmetic. With
        `segments_per_qr` it says whether the vector kept apart from those before it at every update
        (`rrjax.dynamics.coarse.apart`).
      observed: What `observe` returned, stacked over the segments, or over the groups of
        `segments_per_qr`; None without it.
      least_sine: () the least sine, after any update, of the angle between a vector and the span of
        those before it. The rounding of tangents is magnified by one over it. None where every
        update has its QR, so that no angle closes.
      segments_per_qr: The argument.
    """

    exponents: Array
    log_growth: Array
    drift: State
    state: State
    frame: Frame
    failed_at: Array
    resolved: Array
    observed: Any
    least_sine: Any = None
    segments_per_qr: int | None = field(default=None, metadata={"static": True})

    @property
    def clock(self) -> str:
        """What one step of `log_growth` is: `update`, `segment`, or a number of segments."""
        if self.segments_per_qr is None:
            return "update"
        return "segment" if self.segments_per_qr == 1 else f"{self.segments_per_qr} segments"


def spectrum(
    dynamics: Dynamics,
    num_exponents: int = 8,
    num_segments: int = 16,
    *,
    key: jax.Array | None = None,
    frame: Frame | None = None,
    initial: State | None = None,
    state_transient: int = 0,
    frame_transient: int = 0,
    precision: str = "exact",
    segments_per_qr: int | None = None,
    observe: Observe | None = None,
) -> Spectrum:
    r"""Returns the k leading finite-time Lyapunov exponents, by the method of Benettin.

    With J_t the Jacobian of update t at the state it meets, Q_0 an orthonormal frame and
    J_t Q_{t−1} = Q_t R_t with diag(R_t) > 0,

        λᵢ = (1/T) Σ_t ln (R_t)ᵢᵢ.

    J_t is never formed. Each update is linearised once and its k directional derivatives are taken
    together, at the cost of about 1 + k updates.

    How often a QR is done does not change the exponents, up to round-off, as long as the vectors
    stay apart in between. `segments_per_qr` saves the QR's passes through memory. `least_sine` says
    how close the vectors came, and `resolved` whether that was too close.

    Args:
      dynamics: Of one puzzle; `vmap` over it for many.
      num_exponents: The number k. Where `frame` is given, its size counts instead.
      num_segments: How many segments to measure. A driven system has at most the segments of its
        drive, less the transients.
      key: Draws the initial frame. Exactly one of `key` and `frame` is given.
      frame: The initial frame, orthonormal: a state with a leading axis k.
      initial: The initial state in place of `dynamics.initial`.
      state_transient: Segments that the state runs before the frame starts.
      frame_transient: Segments that the frame then turns before anything is counted.
      precision: How matrix products are computed: `exact`, `split`, `tf32`, `f16` or `bf16`; see
        `rrjax.dynamics.precision`. With the last three the tangents' products are shortened, and
        the state runs in `split`.
      segments_per_qr: Do a QR after so many segments, of which the last group may have fewer; None:
        after every update.
      observe: a function `(dynamics, before, after, frame) -> pytree`, called after every measured
        segment, or group of segments, with the states before and after it and the frame there; see
        `rrjax.dynamics.rollout.observe_segments`.

    Returns:
      A `Spectrum` of the measured segments.

    Raises:
      ValueError: For a k beyond the state's dimension, no segments or segments per QR, negative
        transients, both or neither of `key` and `frame`, states that are not float32 or float64, a
        frame that is not orthonormal (checked where its values are known), or a precision that is
        unknown, not `exact` with states that are not float32, or beyond the device.

    References:
      Benettin et al. 1980; for recurrent networks Engelken, Wolf & Abbott 2023.

    Example:
      >>> henon = rrjax.systems.SYSTEMS["henon"].dynamics()
      >>> run = rrjax.spectrum(henon, 2, 100, key=jax.random.key(0))
      >>> run.log_growth.shape
      (10000, 2)
      >>> bool(abs(run.exponents[0] - 0.419) < 0.01)
      True
    """
    check_count("num_segments", num_segments, least=1)
    check_count("state_transient", state_transient)
    check_count("frame_transient", frame_transient)
    check_count("segments_per_qr", segments_per_qr, least=1)
    lengths = state_transient, frame_transient, num_segments
    start = dynamics.start(initial)
    first = initial_frame(start, key, frame, num_exponents)
    check_precision(precision, start)
    observe = observe and as_partial(observe)
    if segments_per_qr is None:
        return _spectrum(dynamics, start, first, observe, lengths, precision)
    return _coarse_spectrum(dynamics, start, first, observe, lengths, precision, segments_per_qr)


def qr_for(precision: str) -> QR:
    """Returns the QR of a spectrum: a single pass is accurate enough for shortened tangents."""
    return orthonormalize if precision == "exact" else orthonormalize_once


@partial(jax.jit, static_argnums=(4, 5))
def _spectrum(
    dynamics: Dynamics,
    start: State,
    frame: Frame,
    observe: Partial | None,
    lengths: tuple[int, int, int],
    precision: str,
) -> Spectrum:
    before, turning, measured = split_drives(dynamics.drives(sum(lengths)), *lengths)
    push = partial(push_forward, precision=precision)
    qr = qr_for(precision)

    def keep(before: Carry, after: Carry, records: Any) -> Any:
        observed = observe(dynamics, before[0], *after) if observe else None
        return records, drift(before[0], after[0]), observed

    with exact_products():
        carry = _settle(dynamics, start, before, lengths[0], precision), frame
        if lengths[1]:
            carry, _ = push_frame(
                dynamics, carry, turning, lengths[1], record=lambda *_: None, push=push, qr=qr
            )
        (state, frame), (records, moved, observed) = push_frame(
            dynamics, carry, measured, lengths[2], record=raw_growth, push=push, qr=qr, keep=keep
        )
    growth, _ = read_growth(records)
    return Spectrum(**growth, drift=moved, state=state, frame=frame, observed=observed)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _coarse_spectrum(
    dynamics: Dynamics,
    start: State,
    frame: Frame,
    observe: Partial | None,
    lengths: tuple[int, int, int],
    precision: str,
    segments_per_qr: int,
) -> Spectrum:
    before, turning, measured = split_drives(dynamics.drives(sum(lengths)), *lengths)
    advance = partial(
        push_frame_coarsely,
        dynamics,
        segments_per_qr=segments_per_qr,
        push=partial(push_loosely, precision=precision),
        qr=orthonormalize_loose,
    )

    def keep(before: Carry, after: Carry, record: Any) -> Any:
        (old, _), (new, (frame, _)) = before, after
        observed = observe(dynamics, old, new, frame) if observe else None
        return record, drift(old, new), observed

    with exact_products():
        carry = _settle(dynamics, start, before, lengths[0], precision), loosen(frame)
        if lengths[1]:
            carry, _ = advance(carry, turning, lengths[1], record=lambda *_: None)
        (state, (frame, _)), (records, moved, observed) = advance(
            carry, measured, lengths[2], record=loose_growth, keep=keep
        )
    growth = read_loose_growth(dynamics, lengths[2], segments_per_qr, records)
    result = Spectrum(**growth, drift=moved, state=state, frame=frame, observed=observed)
    return replace(result, segments_per_qr=segments_per_qr)


def _settle(
    dynamics: Dynamics, start: State, drives: Drive, num_segments: int, precision: str
) -> State:
    """Returns the state after its transient."""
    if not num_segments:
        return start
    quick = in_precision(dynamics, state_precision(precision))
    return run_segments(quick, start, drives, num_segments)
