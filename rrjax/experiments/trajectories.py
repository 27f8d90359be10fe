"""What a policy sees of a run after every segment: its answer, q, residual and change of logits."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from rrjax.contract import Dynamics, State, count_updates
from rrjax.dynamics.particles import run_particles
from rrjax.dynamics.rollout import observe_segments, residual
from rrjax.dynamics.spectrum import spectrum
from rrjax.experiments import reasoner
from rrjax.experiments.judging import Judge
from rrjax.experiments.reasoner import read_answer
from rrjax.experiments.restarts import Chunk, Disturb
from rrjax.frames import Frame
from rrjax.puzzles.batch import Batch


class Length(NamedTuple):
    """How long runs are, and of which segments the probabilities of all tokens are kept.

    Attributes:
      num_segments: of each run.
      kept: segments from 0.
      precision: how matrix products are computed.
      num_exponents: 1 for λ₁ along each run, 0 for none.
    """

    num_segments: int
    kept: tuple[int, ...]
    precision: str
    num_exponents: int = 0


def measure_runs(
    judge: Judge, length: Length, disturb: Disturb, params: Any, chunk: Chunk
) -> dict[str, Array]:
    """Returns what is seen of the runs of a chunk, arrays (runs, segments, ...).

    These are `answers` and `probabilities` (of the segments that are kept), `q_halt`, `residual`,
    `logit_change`, the outcomes of the judge, and `lambda1` if it is measured.
    """

    def one(run: Chunk) -> dict[str, Array]:
        dynamics = reasoner.bind(judge.model, params, run.puzzle)
        dynamics = disturb(dynamics, key=run.key_noise, sigma=run.sigma)
        observe = _observer(judge, run.puzzle)
        if not length.num_exponents:
            observed = observe_segments(
                dynamics, observe, length.num_segments, precision=length.precision
            )[1]
            return _kept(observed, length)
        result = spectrum(
            dynamics,
            1,
            length.num_segments,
            key=run.key_frame,
            precision=length.precision,
            observe=observe,
        )
        updates = count_updates(dynamics.schedule)
        growth = jnp.cumsum(result.log_growth[:, 0])[updates - 1 :: updates]
        number = updates * jnp.arange(1, length.num_segments + 1)
        return _kept(result.observed, length) | {"lambda1": (growth / number).astype(jnp.float32)}

    return jax.vmap(one)(chunk)


def measure_particles(
    judge: Judge,
    length: Length,
    number: int,
    sigma: float,
    beta: float,
    params: Any,
    chunk: tuple[Batch, Any],
) -> dict[str, Array]:
    """Returns the same of particles (puzzles, particles, segments, ...), weighted by exp(q/β)."""

    def one(puzzle: Batch, key: Array) -> dict[str, Array]:
        observed = run_particles(
            reasoner.bind(judge.model, params, puzzle),
            number,
            length.num_segments,
            key=key,
            sigma=sigma,
            weigh=Partial(_log_weight, beta),
            observe=_observer(judge, puzzle),
            precision=length.precision,
        )
        by_particle = {name: jnp.swapaxes(array, 0, 1) for name, array in observed.items()}
        return jax.vmap(partial(_kept, length=length))(by_particle)

    return jax.vmap(one)(*chunk)


def _log_weight(beta: float, observed: dict[str, Array]) -> Array:
    return observed["q_halt"] / beta


def _observer(judge: Judge, puzzle: Batch) -> Callable:
    return Partial(partial(_observe, judge), puzzle, judge.path_length(puzzle))


def _observe(
    judge: Judge,
    puzzle: Batch,
    path_length: Array | None,
    dynamics: Dynamics,
    before: State,
    after: State,
    frame: Frame | None,
) -> dict[str, Array]:
    answer, previous = read_answer(dynamics, after), read_answer(dynamics, before)
    tokens = answer.logits.argmax(-1)
    change = jnp.linalg.norm(answer.logits - previous.logits, axis=-1).mean()
    numbers = {
        "q_halt": answer.q_halt,
        "residual": residual(before, after),
        "logit_change": change,
    }
    narrow = {name: number.astype(jnp.float32) for name, number in numbers.items()}
    return {
        "answers": tokens.astype(reasoner.token_type(answer)),
        "probabilities": jax.nn.softmax(answer.logits.astype(jnp.float32)).astype(jnp.float16),
        **narrow,
        **judge(puzzle, path_length, tokens),
    }


def _kept(observed: dict[str, Array], length: Length) -> dict[str, Array]:
    return observed | {"probabilities": observed["probabilities"][np.array(length.kept)]}
