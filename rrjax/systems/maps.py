"""Maps whose Lyapunov exponents are known exactly or to many digits."""

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rrjax.systems.system import System, by_index

DIAGONAL = np.array([1.5, 0.8, 0.3, 0.05])
ROTATION = 0.9 * np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
# eigenvalues 2, 1 and −½: one exponent of each sign and one of 0
_AXES = np.linalg.qr(np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 1.0]]))[0]
SYMMETRIC = _AXES @ np.diag([2.0, 1.0, -0.5]) @ _AXES.T
# its norm is 8.4: tangents grow for two updates although every eigenvalue contracts
NON_NORMAL = np.array([[0.9, 5.0, -3.0], [0.0, 0.6, 6.0], [0.0, 0.0, 0.2]])
SKEW = 0.3
"""Where the skew baker's map cuts the square."""


def linear(matrix: np.ndarray):
    """Returns the map z ↦ A z, whose exponents are ln |eigenvalue|."""

    def step(z: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.asarray(matrix, z.dtype) @ z

    return step


def logistic(x: Float[Array, ""]) -> Float[Array, ""]:
    """The logistic map x ↦ 4x(1 − x) on [0, 1]."""
    return 4 * x * (1 - x)


def cat(z: Float[Array, "2"]) -> Float[Array, "2"]:
    """Arnold's cat map (x, y) ↦ (2x + y, x + y) mod 1."""
    x, y = z
    return jnp.stack([2 * x + y, x + y]) % 1


def henon(z: Float[Array, "2"]) -> Float[Array, "2"]:
    """Hénon's map (x, y) ↦ (1 − 1.4x² + y, 0.3x)."""
    x, y = z
    return jnp.stack([1 - 1.4 * x**2 + y, 0.3 * x])


def standard(z: Float[Array, "2"]) -> Float[Array, "2"]:
    """The standard map with k = 1: p' = p + sin θ, θ' = θ + p', both mod 2π; state (θ, p).

    It preserves area and is symplectic, so exponents come in pairs ±λ.
    """
    theta, p = z
    p = p + jnp.sin(theta)
    return jnp.stack([theta + p, p]) % (2 * jnp.pi)


def baker(z: Float[Array, "2"]) -> Float[Array, "2"]:
    """The baker's map (x, y) ↦ (2x mod 1, (y + ⌊2x⌋)/2).

    In binary floating point 2x mod 1 shifts the mantissa left. The orbit is therefore not chaotic:
    it lands on x = 0 after about 53 updates in float64 (24 in float32) and stays there. The
    exponents are right all the same, because every point has the Jacobian diag(2, ½). The tent map
    and 2x mod 1 collapse in the same way; `skew_baker` does not.
    """
    x, y = z
    return jnp.stack([2 * x % 1, (y + jnp.floor(2 * x)) / 2])


def skew_baker(z: Float[Array, "2"]) -> Float[Array, "2"]:
    """The baker's map cut at x = a = 0.3: stretched by 1/a on the left, 1/(1 − a) on the right.

      (x, y) ↦ (x/a, a y)                            for x < a
               ((x − a)/(1 − a), a + (1 − a) y)      otherwise

    It preserves area and has λ₁ = −a ln a − (1 − a) ln(1 − a), the entropy of the cut. Its slopes
    are no powers of 2, so rounding keeps refilling the digits that stretching uses up.
    """
    x, y = z
    left = jnp.stack([x / SKEW, SKEW * y])
    right = jnp.stack([(x - SKEW) / (1 - SKEW), SKEW + (1 - SKEW) * y])
    return jnp.where(x < SKEW, left, right)


_GOLDEN = float(np.log((3 + np.sqrt(5)) / 2))
_ENTROPY = float(-SKEW * np.log(SKEW) - (1 - SKEW) * np.log(1 - SKEW))
_EXACT = {"num_segments": 5, "transient": 5}


def _linear(name: str, matrix: np.ndarray, factors: Iterable[float], reference: str) -> System:
    """Returns a linear map at its fixed point 0, from where no orbit can overflow."""
    logs = [float(np.log(factor)) for factor in factors]
    start, total = np.zeros(len(matrix)), sum(logs)
    return System(
        name, linear(matrix), start, by_index(*logs), 1e-9, reference, total=total, **_EXACT
    )


MAPS = (
    _linear("diagonal", np.diag(DIAGONAL), DIAGONAL, "logarithms of the entries"),
    _linear(
        "rotation", ROTATION, (0.9, 0.9), "a rotation by 0.7 times 0.9: all directions shrink alike"
    ),
    _linear(
        "symmetric", SYMMETRIC, (2.0, 1.0, 0.5), "logarithms of the absolute eigenvalues 2, 1, −½"
    ),
    _linear(
        "non-normal", NON_NORMAL, (0.9, 0.6, 0.2), "logarithms of the eigenvalues 0.9, 0.6, 0.2"
    ),
    System(
        "logistic",
        logistic,
        0.4,
        by_index(np.log(2.0)),
        2e-3,
        "ln 2: conjugate to the tent map (Ulam and von Neumann 1947)",
    ),
    System(
        "cat",
        cat,
        np.array([0.1234, 0.5678]),
        by_index(_GOLDEN, -_GOLDEN),
        1e-9,
        "± ln((3 + √5)/2), eigenvalues of the constant Jacobian (Arnold and Avez 1968)",
        total=0.0,
        **_EXACT,
    ),
    System(
        "henon",
        henon,
        np.array([0.1, 0.1]),
        by_index(0.41922, -1.62319),
        5e-3,
        "Sprott 2003, Chaos and Time-Series Analysis; the sum is ln 0.3",
        total=float(np.log(0.3)),
        dimension=1.25827,
        num_segments=300,
    ),
    System(
        "standard",
        standard,
        np.array([0.0, 6.0]),
        by_index(0.10497, -0.10497),
        0.08,
        "Sprott 2003, Chaos and Time-Series Analysis, k = 1, a very long orbit. Broken tori hold "
        "orbits back: of 200 started here, 60,000 updates gave 0.13 on average, 90 % of them "
        "0.08 to 0.17. What is exact is the pairing, and so the sum",
        total=0.0,
        num_segments=300,
    ),
    System(
        "baker",
        baker,
        np.array([0.1234, 0.5678]),
        by_index(np.log(2.0), -np.log(2.0)),
        1e-9,
        "± ln 2, the logarithms of the constant Jacobian; the orbit collapses, see `baker`",
        total=0.0,
        **_EXACT,
    ),
    System(
        "skew baker",
        skew_baker,
        np.array([0.1234, 0.5678]),
        by_index(_ENTROPY, -_ENTROPY),
        1e-2,
        "± the entropy of the cut (Ott 2002, Chaos in Dynamical Systems); steps are independent, "
        "of standard deviation 0.39",
        total=0.0,
        num_segments=200,
    ),
)
