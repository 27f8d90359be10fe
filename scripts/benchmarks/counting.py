"""Counts the operations and the memory traffic of a traced program's matrix products.

XLA's `cost_analysis` counts the body of a loop once, however often it runs; this walk multiplies
by the trips of every scan.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend import core

_ALGORITHMS = {
    jax.lax.DotAlgorithmPreset.TF32_TF32_F32: "tf32",
    jax.lax.DotAlgorithmPreset.TF32_TF32_F32_X3: "tf32 x 3",
    jax.lax.DotAlgorithmPreset.BF16_BF16_F32_X9: "bf16 x 9",
}

Counted = tuple[int, Any]
"""How often a matrix product runs, and its equation."""


def products(jaxpr: Any, platform: str = "cpu") -> Iterator[Counted]:
    """Yields every matrix product of a jaxpr, also inside loops and calls, with its number of runs.

    Of a choice between platforms the branch of this platform counts. Of another choice the branch
    with the most operations counts, as in XLA's own analysis.

    Raises:
      ValueError: For a product inside a `while`, whose number of trips is not known.
    """
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        if eqn.primitive.name == "dot_general":
            yield 1, eqn
        elif eqn.primitive.name == "cond":
            branches = [list(products(b, platform)) for b in _branches(eqn, platform)]
            yield from max(branches, key=_operations)
        else:
            for times, product in _inside(eqn, platform):
                yield _trips(eqn) * times, product


def _branches(eqn: Any, platform: str) -> list[Any]:
    """Returns the branches of a choice that may run on a platform."""
    branches, platforms = eqn.params["branches"], eqn.params.get("branches_platforms")
    if platforms is None:
        return list(branches)
    pairs = zip(branches, platforms, strict=True)
    # the default stands last, and has no names
    return [branch for branch, names in pairs if names is None or platform in names][:1]


def _inside(eqn: Any, platform: str) -> Iterator[Counted]:
    inner = [
        leaf for leaf in eqn.params.values() if isinstance(leaf, core.ClosedJaxpr | core.Jaxpr)
    ]
    found = [counted for jaxpr in inner for counted in products(jaxpr, platform)]
    if found and eqn.primitive.name == "while":
        raise ValueError("a matrix product inside a while loop runs an unknown number of times")
    yield from found


def _trips(eqn: Any) -> int:
    """Returns how often the inside of an equation runs, over all devices."""
    if eqn.primitive.name == "scan":
        return eqn.params["length"]
    return eqn.params["mesh"].size if eqn.primitive.name == "shard_map" else 1


def flops(jaxpr: Any, platform: str = "cpu") -> Counter[str]:
    """Counts the floating-point operations of all matrix products by how they are computed.

    The keys are `bf16`, `tf32`, `float32` and `float64` for the operands' bits, `tf32 x 3` and
    `bf16 x 9` for float32 products that several shorter ones make up, and `default` for float32
    operands that leave the choice to the device.
    """
    total: Counter[str] = Counter()
    for times, eqn in products(jaxpr, platform):
        total[kind(eqn)] += times * operations(eqn)
    return total


def traffic(jaxpr: Any, platform: str = "cpu") -> int:
    """Counts the bytes that move if products read operands from memory and write results there.

    Everything between two products counts as fused into them.
    """
    return sum(
        times * sum(var.aval.size * var.aval.dtype.itemsize for var in (*eqn.invars, *eqn.outvars))
        for times, eqn in products(jaxpr, platform)
    )


def operations(eqn: Any) -> int:
    """Counts a multiplication and an addition for every term of a product's sums."""
    ((contracted, _), _) = eqn.params["dimension_numbers"]
    left, result = eqn.invars[0].aval, eqn.outvars[0].aval
    return 2 * result.size * math.prod(left.shape[axis] for axis in contracted)


def kind(eqn: Any) -> str:
    """Returns what a product's operands are rounded to, as a key of `flops`."""
    dtype, precision = eqn.invars[0].aval.dtype.name, eqn.params["precision"]
    if dtype != "float32":
        return "bf16" if dtype == "bfloat16" else dtype
    if precision in _ALGORITHMS:
        return _ALGORITHMS[precision]
    highest = jax.lax.Precision.HIGHEST
    return "float32" if precision in (highest, (highest, highest)) else "default"


def _operations(counted: list[Counted]) -> int:
    return sum(times * operations(eqn) for times, eqn in counted)
