"""The precision of matrix products: the highest for states, and shorter ones for tangents.

Chaos amplifies the rounding of a state. The rounding of a tangent is not amplified, and it averages
out over many components, so the operands of the tangents' products may be shortened.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from rrjax.contract import State

PRECISIONS = ("exact", "tf32", "bf16")

exact_products = partial(jax.default_matmul_precision, "highest")
"""The context in which every trajectory is computed. A GPU's or TPU's own choice (TF32, bfloat16)
would change exponents, and would let a rollout and a spectrum see different trajectories."""

_INLINED = {"jit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}


def with_precision(
    linear: Callable[[State], State], like: State, precision: str
) -> Callable[[State], State]:
    """Returns the same linear map with operands of 10 (tf32) or 7 (bf16) bits in its products.

    Products inside loops and branches of the map stay exact. Sums are taken in float32.

    Args:
      linear: a map that `jax.linearize` returned.
      like: an argument of the map, for its structure, shapes and dtypes.
      precision: one of `PRECISIONS`; `exact` returns `linear` itself.
    """
    if precision == "exact":
        return linear
    # shortened products would undo what float64 is for
    if any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(like)):
        raise ValueError(f"precision {precision} is for float32; use precision='exact'")
    closed, shape = jax.make_jaxpr(linear, return_shape=True)(like)
    treedef = jax.tree.structure(shape)
    product = {"tf32": _tf32, "bf16": _bf16}[precision]

    def shortened(tangent: State) -> State:
        leaves = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(tangent), product)
        return jax.tree.unflatten(treedef, leaves)

    return shortened


def _evaluate(jaxpr: Any, consts: list, arguments: list, product: Callable) -> list:
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for eqn in jaxpr.eqns:
        inputs = [read(atom) for atom in eqn.invars]
        values.update(zip(eqn.outvars, _apply(eqn, inputs, product), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(eqn: Any, inputs: list, product: Callable) -> list:
    name = eqn.primitive.name
    if name == "dot_general":
        return [product(*inputs, eqn.params["dimension_numbers"])]
    if name in _INLINED:
        inner = eqn.params[_INLINED[name]]
        return _evaluate(inner.jaxpr, inner.consts, inputs, product)
    outputs = eqn.primitive.bind(*inputs, **eqn.params)
    return outputs if eqn.primitive.multiple_results else [outputs]


def _bf16(a: jax.Array, b: jax.Array, dimension_numbers: Any) -> jax.Array:
    a, b = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
    return jax.lax.dot_general(a, b, dimension_numbers, preferred_element_type=jnp.float32)


def _tf32(a: jax.Array, b: jax.Array, dimension_numbers: Any) -> jax.Array:
    # rounded here: processors without TF32 then compute the same products, only not faster
    a, b = (jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=10) for x in (a, b))
    return jax.lax.dot_general(a, b, dimension_numbers, precision=jax.lax.Precision.HIGH)
