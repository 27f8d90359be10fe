"""Tiny Recursive Models: one shared level, and its single-state and six-latent variants.

A cycle is L_cycles latent updates, each seeing the puzzle, and one answer update that does not;
a segment is H_cycles cycles, of which training differentiates the last. Where the config has a
damping d, every update keeps that part of the field that it rewrites: z ← d z + (1 − d) f(…).
Source: TinyRecursiveModels (Jolicoeur-Martineau 2025), `trm.py`, `trm_singlez.py`, `trm_hier6.py`.
"""

import functools
from typing import NamedTuple

from jaxtyping import Array, Float

from rrjax.cells.config import Config
from rrjax.cells.layers import Params, damp, reason
from rrjax.contract import Drive, Repeat, Schedule, Update

Latent = Float[Array, "tokens width"]


class TwoStates(NamedTuple):
    """The answer and the latent of TRM and HRM."""

    z_H: Latent
    z_L: Latent


class OneState(NamedTuple):
    """The single latent of `trm_singlez`, which is also the answer."""

    z_L: Latent


class SixLatents(NamedTuple):
    """The answer and the six latents of `trm_hier6`, one for each latent update of a cycle."""

    z_H: Latent
    z_L1: Latent
    z_L2: Latent
    z_L3: Latent
    z_L4: Latent
    z_L5: Latent
    z_L6: Latent


def latent(config: Config, context: Params, z: TwoStates, drive: Drive) -> TwoStates:
    """z_L ← f_L(z_L + (z_H + x))."""
    new = reason(context["L_level"], z.z_L + (z.z_H + context["x"]), config)
    return z._replace(z_L=damp(z.z_L, new, config))


def answer(config: Config, context: Params, z: TwoStates, drive: Drive) -> TwoStates:
    """z_H ← f_L(z_H + z_L), by the same level as the latent update."""
    new = reason(context["L_level"], z.z_H + z.z_L, config)
    return z._replace(z_H=damp(z.z_H, new, config))


def latent_single(config: Config, context: Params, z: OneState, drive: Drive) -> OneState:
    """z ← f_L(z + x)."""
    new = reason(context["L_level"], z.z_L + context["x"], config)
    return OneState(damp(z.z_L, new, config))


def answer_single(config: Config, context: Params, z: OneState, drive: Drive) -> OneState:
    """z ← f_L(z)."""
    return OneState(damp(z.z_L, reason(context["L_level"], z.z_L, config), config))


def latent_of_six(
    index: int, config: Config, context: Params, z: SixLatents, drive: Drive
) -> SixLatents:
    """z_Lᵢ ← f_L(Σ z_L + (z_H + x))."""
    new = reason(context["L_level"], _sum_latents(z) + (z.z_H + context["x"]), config)
    field = f"z_L{index}"
    return z._replace(**{field: damp(getattr(z, field), new, config)})


def answer_of_six(config: Config, context: Params, z: SixLatents, drive: Drive) -> SixLatents:
    """z_H ← f_L(z_H + Σ z_L)."""
    new = reason(context["L_level"], z.z_H + _sum_latents(z), config)
    return z._replace(z_H=damp(z.z_H, new, config))


def _sum_latents(z: SixLatents) -> Latent:
    return z.z_L1 + z.z_L2 + z.z_L3 + z.z_L4 + z.z_L5 + z.z_L6


@functools.cache
def schedule(config: Config) -> Schedule:
    """Returns H_cycles × (L_cycles × latent, answer) for any of the three variants.

    It is cached, since equal configs must give the same functions to share a compiled program.
    """
    arch = config.arch
    if arch.name == "trm_hier6":
        latents: Schedule = tuple(
            Update(f"latent_{i}", functools.partial(latent_of_six, i, config))
            for i in range(1, arch.L_cycles + 1)
        )
        last = Update("answer", functools.partial(answer_of_six, config))
    else:
        is_single = arch.name == "trm_singlez"
        think, reply = (latent_single, answer_single) if is_single else (latent, answer)
        latents = (Repeat(arch.L_cycles, (Update("latent", functools.partial(think, config)),)),)
        last = Update("answer", functools.partial(reply, config))
    return (Repeat(arch.H_cycles, (*latents, last)),)
