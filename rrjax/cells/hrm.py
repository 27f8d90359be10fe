"""The Hierarchical Reasoning Model: TRM's cycle with a level of its own for the answer.

Training differentiates the last latent and the last answer update only.
Source: HRM (Wang et al. 2025), `hrm_act_v1.py`; with token mixing: TinyRecursiveModels, `hrm.py`.
"""

import functools

from rrjax.cells.config import Config
from rrjax.cells.layers import Params, damp, reason
from rrjax.cells.trm import TwoStates, latent
from rrjax.contract import Drive, Repeat, Schedule, Update


def answer(config: Config, context: Params, z: TwoStates, drive: Drive) -> TwoStates:
    """z_H ← f_H(z_H + z_L)."""
    new = reason(context["H_level"], z.z_H + z.z_L, config)
    return z._replace(z_H=damp(z.z_H, new, config))


@functools.cache
def schedule(config: Config) -> Schedule:
    """Returns H_cycles × (L_cycles × latent, answer)."""
    think = Update("latent", functools.partial(latent, config))
    reply = Update("answer", functools.partial(answer, config))
    return (Repeat(config.arch.H_cycles, (Repeat(config.arch.L_cycles, (think,)), reply)),)
