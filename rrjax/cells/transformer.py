"""The transformer and MLP-mixer baselines: one deep level, applied once a segment.

With `halt_max_steps` 1 a puzzle is one pass through it, without recursion.
Source: TinyRecursiveModels, `transformers_baseline.py`.
"""

import functools
from typing import NamedTuple

from jaxtyping import Array, Float

from rrjax.cells.config import Config
from rrjax.cells.layers import Params, reason
from rrjax.contract import Drive, Schedule, Update


class AnswerState(NamedTuple):
    """A state that is the answer alone."""

    z_H: Float[Array, "tokens width"]


def answer(config: Config, context: Params, z: AnswerState, drive: Drive) -> AnswerState:
    """z_H ← f_H(z_H + x)."""
    return AnswerState(reason(context["H_level"], z.z_H + context["x"], config))


@functools.cache
def schedule(config: Config) -> Schedule:
    """Returns the schedule of a single update, the same object for equal configs."""
    return (Update("answer", functools.partial(answer, config)),)
