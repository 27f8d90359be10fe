r"""The stable recursion model: a cell that contracts by construction, at a rate known beforehand.

    h' = (1 − α) h + α (a_HH ψ_h + a_HL U_HL ψ_ℓ) + b_H(x)
    ℓ' = (1 − α) ℓ + α (a_LH U_LH ψ_h + a_LL ψ_ℓ) + b_L(x),    ψ_h = f(h), ψ_ℓ = f(ℓ + x)

with h = z_H, ℓ = z_L, one tied operator f, orthogonal U and diagonal injections b. f is a chain of
sandwich layers along the tokens and along the width, each 1-Lipschitz in the Euclidean norm, so ψ
is 1-Lipschitz in ‖z‖² = ‖h‖² + η‖ℓ‖² for every x, and one update contracts that norm by

    c = 1 − α + α κ,    κ = ‖M‖₂,    M = [[|a_HH|, |a_HL|/√η], [√η |a_LH|, |a_LL|]],

whatever the weights, the puzzle and the states. Every Lyapunov exponent is at most ln c nats per
update. A finite-time exponent over T updates is measured in the plain norm and may exceed that by
|ln η| / (2T), the logarithm of the ratio between the norms.

The bound holds in exact arithmetic. Rounding relaxes it by about ε times the condition number of
I + X − Xᵀ + Y Yᵀ in the wider dtype of `operators`, and by some ε of the forward dtype.
Source: sandwich layers: Wang & Manchester 2023, "Direct parameterization of Lipschitz-bounded deep
networks". The norm of M is exact, where row sums are no bound: [[κ, 0], [κ, 0]] has gain √2 κ.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rrjax.cells.config import Arch, Config
from rrjax.cells.layers import Params, linear
from rrjax.cells.trm import TwoStates
from rrjax.contract import Drive, Repeat, Schedule, Update


class Certificate(NamedTuple):
    """The bounds that hold for every trajectory, known before any is run.

    Attributes:
      gain: κ, the spectral norm of the 2×2 gain matrix.
      factor: c, by which one update at least contracts the distance of any two states in the
        weighted norm.
      exponent: Ln c, which no Lyapunov exponent exceeds, nats per update.
      excess: |ln η| / 2 nats: exponents over T updates in the Euclidean norm are at most
        `exponent + excess / T`.
    """

    gain: Float[Array, ""]
    factor: Float[Array, ""]
    exponent: Float[Array, ""]
    excess: float


def certificate(params: Params, config: Config) -> Certificate:
    """Returns the contraction factor of one update and the bound on every exponent.

    Args:
      params: Nested parameters.
      config: An `srm`.

    Returns:
      A `Certificate`; with a fixed κ it depends on the config alone.

    Raises:
      ValueError: For another cell, of which nothing can be certified.
    """
    if config.arch.name != "srm":
        raise ValueError(f"certificate needs the cell srm, got {config.arch.name}")
    kappa = gain(_gains(params["L_level"]["coupling"], config.arch), config.arch.eta)
    factor = 1 - config.arch.alpha + config.arch.alpha * kappa
    return Certificate(kappa, factor, jnp.log(factor), abs(math.log(config.arch.eta)) / 2)


def gain(gains: Float[Array, "2 2"], eta: float) -> Float[Array, ""]:
    """Returns the spectral norm of M = [[|a_HH|, |a_HL|/√η], [√η |a_LH|, |a_LL|]], in closed form.

    For [[a, b], [c, d]] it is (√((a + d)² + (b − c)²) + √((a − d)² + (b + c)²)) / 2. It bounds
    the weighted norm of A for any orthogonal U, and is attained for U = I and gains of one sign.
    """
    weighted = jnp.abs(gains) * jnp.array([[1, eta**-0.5], [eta**0.5, 1]], gains.dtype)
    largest = jnp.max(weighted)
    # squares of the entries alone would underflow, and a gain be taken for none
    (a, b), (c, d) = weighted / jnp.where(largest > 0, largest, 1)
    return largest * (_length(a + d, b - c) + _length(a - d, b + c)) / 2


def _length(x: Array, y: Array) -> Array:
    """Returns √(x² + y²), with gradient 0 at the origin."""
    square = x * x + y * y
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def weighted_norm(z: TwoStates, eta: float) -> Float[Array, ""]:
    """Returns √(‖z_H‖² + η ‖z_L‖²), the norm in which the certificate holds step by step."""
    return jnp.sqrt(jnp.sum(jnp.square(z.z_H)) + eta * jnp.sum(jnp.square(z.z_L)))


def operators(level: Params, arch: Arch) -> dict[str, Any]:
    """Returns the matrices of the updates, made from the free parameters when a puzzle is bound.

    Cayley transforms turn any X, Y into orthogonal U and into sandwich pairs A, B. They are
    computed in float32 or wider with exact products: the certificate is as exact as they are.

    Returns:
      `layers` with √2 A, √2 B and biases, the scaled gains α a, `U_HL`, `U_LH`, and `inject`.
    """
    with jax.default_matmul_precision("highest"):
        coupling = level["coupling"]
        return {
            "layers": {
                index: {name: _sandwich_pair(part) for name, part in layer.items()}
                for index, layer in level["layers"].items()
            },
            "gains": arch.alpha * _gains(coupling, arch),
            "U_HL": _orthogonal(coupling["U_HL"]["X"]),
            "U_LH": _orthogonal(coupling["U_LH"]["X"]),
            "inject": level["inject"],
        }


def _gains(coupling: Params, arch: Arch) -> Float[Array, "2 2"]:
    """Returns the gains a, scaled so that the norm of M is κ (zero where all are zero)."""
    a = _wide(coupling["gains"])
    norm = gain(a, arch.eta)
    nonzero = norm >= jnp.finfo(a.dtype).tiny
    return a * jnp.where(nonzero, _kappa(coupling, arch) / jnp.where(nonzero, norm, 1), 0)


def _kappa(coupling: Params, arch: Arch) -> Array | float:
    """Returns the fixed κ, or κ_max · sigmoid(start + trained), which starts at κ."""
    if not arch.kappa_max:
        return arch.kappa
    start = math.log(arch.kappa / (arch.kappa_max - arch.kappa))
    return arch.kappa_max * jax.nn.sigmoid(start + _wide(coupling["kappa"][0]))


def _orthogonal(x: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Returns the Cayley transform of the skew part, 2 (I + X − Xᵀ)⁻¹ − I."""
    x = _wide(x)
    identity = jnp.eye(len(x), dtype=x.dtype)
    return 2 * jnp.linalg.inv(identity + x - x.T) - identity


def _sandwich_pair(layer: Params) -> dict[str, Array]:
    """√2 A and √2 B with A Aᵀ + B Bᵀ = I: with K = (I + X − Xᵀ + Y Yᵀ)⁻¹, A = 2K − I, B = 2KY."""
    x, y = _wide(layer["X"]), _wide(layer["Y"])
    identity = jnp.eye(len(x), dtype=x.dtype)
    inverse = jnp.linalg.inv(identity + x - x.T + y @ y.T)
    root = math.sqrt(2)
    return {
        "A": root * (2 * inverse - identity),
        "B": 2 * root * (inverse @ y),
        "bias": layer["bias"],
    }


def _wide(x: Any) -> Array:
    return jnp.asarray(x).astype(jnp.promote_types(x.dtype, jnp.float32))


def sandwich(pair: Params, x: Float[Array, "*rows size"]) -> Float[Array, "*rows size"]:
    """√2 Aᵀ relu(√2 B x + bias) along the last axis: 1-Lipschitz, an isometry at best.

    Its Jacobian 2 Aᵀ D B, with 0 ≤ D ≤ 1 diagonal, has norm at most 1 since A Aᵀ + B Bᵀ = I. The
    paper's Ψ, which scales the units, is absorbed by the bias of a positively homogeneous relu.
    """
    hidden = jax.nn.relu(linear({"weight": pair["B"], "bias": pair["bias"]}, x))
    return hidden @ pair["A"]


def tied(level: Params, inner: Float[Array, "2 tokens width"]) -> Float[Array, "2 tokens width"]:
    """Applies f to both fields: each block has a layer along the tokens and one along the width."""
    for index in range(len(level["layers"])):
        layer = level["layers"][str(index)]
        mixed = sandwich(layer["mlp_t"], jnp.swapaxes(inner, 1, 2))
        inner = sandwich(layer["mlp"], jnp.swapaxes(mixed, 1, 2))
    return inner


def recur(config: Config, context: Params, z: TwoStates, drive: Drive) -> TwoStates:
    """z ← (1 − α) z + α A ψ(z, x) + b(x)."""
    level, x, stay = context["L_level"], context["x"], 1 - config.arch.alpha
    psi_H, psi_L = tied(level, jnp.stack([z.z_H, z.z_L + x]))
    (a_HH, a_HL), (a_LH, a_LL) = level["gains"]
    from_L = linear({"weight": level["U_HL"]}, psi_L)
    from_H = linear({"weight": level["U_LH"]}, psi_H)
    return TwoStates(
        z_H=stay * z.z_H + a_HH * psi_H + a_HL * from_L + level["inject"]["H"] * x,
        z_L=stay * z.z_L + a_LH * from_H + a_LL * psi_L + level["inject"]["L"] * x,
    )


@functools.cache
def schedule(config: Config) -> Schedule:
    """Returns H_cycles × L_cycles of the one update, which changes both fields."""
    update = Update("recur", functools.partial(recur, config))
    return (Repeat(config.arch.H_cycles, (Repeat(config.arch.L_cycles, (update,)),)),)
