"""Matrix products of a linear map in fewer bits, with float32 sums.

The rounding of a tangent is not amplified by chaos, as the state's would be, and averages out over
its many components: only the operands of the tangent's products are shortened, never the state's.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from rrjax.contract import State

PRODUCTS = ("exact", "tf32", "bf16")

_INLINED = {"jit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}


def with_products(
    linear: Callable[[State], State], like: State, products: str
) -> Callable[[State], State]:
    """The same linear map, its matrix products with operands of 10 (tf32) or 7 (bf16) bits.

    Products inside loops and branches of the map stay exact.

    Args:
      linear: as returned by `jax.linearize`.
      like: an argument, for its structure, shapes and dtypes.
      products: one of `PRODUCTS`; `exact` returns `linear` itself.

    Raises:
      ValueError: for float64 with shortened products: they would undo what it is for.
    """
    if products == "exact":
        return linear
    if any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(like)):
        raise ValueError(f"products {products} are for float32; use products='exact'")
    closed, shape = jax.make_jaxpr(linear, return_shape=True)(like)
    treedef = jax.tree.structure(shape)
    product = {"tf32": _tf32, "bf16": _bf16}[products]

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
