"""The precision of matrix products: a ladder from float32 to bfloat16, for states and tangents.

| precision | a product's operands | states that are measured | their tangents |
|---|---|---|---|
| `exact` | float32, or float64 | exact | exact |
| `split` | float32, as sums of two numbers of 11 bits: about 22 bits | split | split |
| `tf32` | rounded to TF32: 11 bits | split | tf32 |
| `f16` | rounded to float16: 11 bits, a small range | split | f16, and stored so |
| `bf16` | rounded to bfloat16: 8 bits | split | bf16, and stored so |

Sums are taken in float32. Chaos amplifies the rounding of a state, so the state of a measured
trajectory never runs below `split`. The rounding of a tangent is not amplified, and it averages out
over many components. Where nothing is measured along it (rollouts, slices) a state runs in whatever
precision is asked for.

In `f16` and `bf16` the tangents that enter and leave a product are kept in these 16 bits, which
halves what moves through memory: on a card that takes longer than the arithmetic. Tangents are
linear, so those in float16 are scaled to the middle of its range.

`split` takes three TF32 products on an NVIDIA card. A CPU forms the same three products in float32:
this is slower than `exact` and serves to certify the card's numbers. A TPU composes a product at
its highest precision of six bfloat16 products, so that `split` and `exact` are the same there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, get_args

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.lax import DotAlgorithmPreset, Precision

from rrjax import choices
from rrjax.contract import Context, Drive, Dynamics, Repeat, Schedule, State, Update

PRECISIONS = get_args(choices.Precision)
"""The ladder, the most accurate first; on an NVIDIA card each step is faster than the last one, but
for `f16` and `bf16`, which take the same time."""

exact_products = partial(jax.default_matmul_precision, "highest")
"""The context in which every trajectory is computed. A GPU's or TPU's own choice (TF32, bfloat16)
would change exponents, and would let a rollout and a spectrum see different trajectories."""

TENSOR_CORES = 8.0
"""The compute capability from which on NVIDIA cards multiply in TF32 and bfloat16 (Ampere)."""

_DEFAULTS = {"gpu": "f16", "tpu": "tf32"}

Output = TypeVar("Output")

Linear = Callable[[State], State]


@dataclass(frozen=True)
class _Products:
    """How matrix products of float32 arrays are computed.

    Attributes:
      multiply: `multiply(a, b, dimension_numbers)` returns `jax.lax.dot_general` in float32.
      store: What becomes of an operand; all that reads the operand later reads its result.
    """

    multiply: Callable[[jax.Array, jax.Array, Any], jax.Array]
    store: Callable[[jax.Array], jax.Array] = lambda x: x


def default_precision() -> str:
    """Returns the precision in which this process measures spectra unless another is asked for.

    It is `exact` on a CPU. An accelerator takes the fastest step of the ladder whose tangents'
    exponents are off by at most .0006 nats per update on settled and on chaotic trajectories, a
    tenth of what another initial frame changes: `f16` on a GPU, `tf32` on a TPU, which does not
    multiply in float16. `rrjax.dynamics.certificate` measures that error.
    """
    device = jax.devices()[0]
    return "exact" if lacks_tensor_cores(device) else _DEFAULTS.get(device.platform, "exact")


def state_precision(precision: str) -> str:
    """Returns the precision in which the state of a measured trajectory runs: exact or split."""
    return "exact" if precision == "exact" else "split"


def check_precision(precision: str, start: State) -> None:
    """Refuses an unknown precision, and one that the states or the device cannot have.

    Raises:
      ValueError: For one that is not of `PRECISIONS`, for any but exact with states that are not
        float32, and for any but exact on an NVIDIA card without TF32 and bfloat16.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision}")
    if precision == "exact":
        return
    for leaf in jax.tree.leaves(start):
        if (dtype := jnp.result_type(leaf)) != jnp.float32:
            raise ValueError(
                f"precision {precision} shortens float32 products, but the states are {dtype}; "
                "use precision='exact', or load the model with dtype='float32'"
            )
    if lacks_tensor_cores(device := jax.devices()[0]):
        raise ValueError(
            f"precision {precision} needs a card of compute capability {TENSOR_CORES} or more, "
            f"and {device.device_kind} has {device.compute_capability}; use precision='exact'"
        )


def lacks_tensor_cores(device: Any) -> bool:
    """Returns whether a device is an NVIDIA card that multiplies in neither TF32 nor bfloat16."""
    capability = getattr(device, "compute_capability", None)  # of NVIDIA cards alone
    try:
        return device.platform == "gpu" and float(str(capability)) < TENSOR_CORES
    except ValueError:  # another maker's name of an architecture
        return False


def in_type(tree: Any, dtype: Any) -> Any:
    """Returns a pytree, such as dynamics or a state, with its floating-point arrays in a type."""

    def cast(leaf: Any) -> Any:
        is_real = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, dtype) if is_real else leaf

    return jax.tree.map(cast, tree)


def in_precision(dynamics: Dynamics, precision: str) -> Dynamics:
    """Returns the dynamics whose updates run in this precision; the readout stays as it is.

    They are for running, not for differentiation: see `linearize`.
    """
    if precision == "exact":
        return dynamics
    return replace(dynamics, schedule=_in_precision(dynamics.schedule, precision))


def _in_precision(schedule: Schedule, precision: str) -> Schedule:
    return tuple(
        Update(item.name, _Shortened(item, precision))
        if isinstance(item, Update)
        else Repeat(item.times, _in_precision(item.body, precision))
        for item in schedule
    )


@dataclass(frozen=True)
class _Shortened:
    """An update in a precision. It equals another one with the same parts: both compile once."""

    update: Update
    precision: str

    def __call__(self, context: Context, state: State, drive: Drive) -> State:
        return _with_products(_PRODUCTS[self.precision], self.update, context, state, drive)


def linearize(function: Callable[[State], State], z: State, precision: str) -> tuple[State, Linear]:
    """Returns f(z) and its derivative at z, a linear map, as `jax.linearize` does.

    The value's products run in `state_precision(precision)` and the derivative's in `precision`.
    """
    if precision == "exact":
        return jax.linearize(function, z)
    of_state = _PRODUCTS[state_precision(precision)]
    value, derivative = _with_products(of_state, partial(jax.linearize, function), z)
    derivative = partial(_with_products, _TANGENT_PRODUCTS[precision], derivative)
    return value, _Scaled(derivative) if precision == "f16" else derivative


def transpose(linear: Linear, like: State) -> Linear:
    """Returns the transpose of a derivative from `linearize`; `like` is what it is applied to."""
    if isinstance(linear, _Scaled):
        return _Scaled(transpose(linear.linear, like))
    transposed = jax.linear_transpose(linear, like)
    return lambda vector: transposed(vector)[0]


@dataclass(frozen=True)
class _Scaled:
    """A linear map of unit vectors, computed of vectors with components of about 1/32.

    float16 has 11 bits from 6e-5 to 65504. A unit vector of many components would lie below that.
    """

    linear: Linear

    def __call__(self, vector: State) -> State:
        size = sum(leaf.size for leaf in jax.tree.leaves(vector))
        scale = 2.0 ** (round(math.log2(size) / 2) - 5)
        image = self.linear(jax.tree.map(lambda leaf: leaf * scale, vector))
        return jax.tree.map(lambda leaf: leaf / scale, image)


def _with_products(products: _Products, function: Callable[..., Output], *arguments: Any) -> Output:
    """Returns f(arguments) with its matrix products of float32 arrays computed by `products`."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    leaves = _evaluate(closed, jax.tree.leaves(arguments), products)
    return jax.tree.unflatten(jax.tree.structure(shape), leaves)


def _evaluate(closed: Any, arguments: Sequence, products: _Products) -> list:
    jaxpr = getattr(closed, "jaxpr", closed)  # a checkpoint's is open: it has no constants
    consts = getattr(closed, "consts", ())
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for eqn in jaxpr.eqns:
        if _is_product(eqn):
            operands = [atom for atom in eqn.invars if atom not in jaxpr.constvars]
            values.update({atom: products.store(values[atom]) for atom in operands})
        outputs = _apply(eqn, [read(atom) for atom in eqn.invars], products)
        values.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


_INLINED = {
    "jit": "jaxpr",
    "closed_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",  # the same in newer versions of JAX
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}
"""Primitives that only wrap a function. Derivatives have been taken: their rules have done their
work."""

_LOOPS = {"scan": ("jaxpr",), "while": ("cond_jaxpr", "body_jaxpr"), "cond": ("branches",)}


def _is_product(eqn: Any) -> bool:
    wide = all(atom.aval.dtype == jnp.float32 for atom in eqn.invars)
    return eqn.primitive.name == "dot_general" and wide


def _apply(eqn: Any, inputs: list, products: _Products) -> list:
    name, params = eqn.primitive.name, eqn.params
    if _is_product(eqn):
        return [products.multiply(inputs[0], inputs[1], params["dimension_numbers"])]
    if name in _INLINED:
        return _evaluate(params[_INLINED[name]], inputs, products)
    if name in _LOOPS:
        changed = {key: _rewrite(params[key], products) for key in _LOOPS[name]}
        return eqn.primitive.bind(*inputs, **params | changed)
    outputs = eqn.primitive.bind(*inputs, **params)
    return outputs if eqn.primitive.multiple_results else [outputs]


def _rewrite(jaxpr: Any, products: _Products) -> Any:
    """Returns the body of a loop, or a tuple of branches, with its products exchanged."""
    if isinstance(jaxpr, tuple):
        return tuple(_rewrite(branch, products) for branch in jaxpr)
    return jax.make_jaxpr(lambda *inputs: _evaluate(jaxpr, inputs, products))(*jaxpr.in_avals)


def _split(a: jax.Array, b: jax.Array, dimension_numbers: Any) -> jax.Array:
    # chosen when the program is lowered, and so right for a card that is not there
    return jax.lax.platform_dependent(
        a,
        b,
        cpu=partial(_split_by_hand, dimension_numbers),
        cuda=partial(_dot, dimension_numbers, DotAlgorithmPreset.TF32_TF32_F32_X3),
        default=partial(_dot, dimension_numbers, Precision.HIGHEST),
    )


def _split_by_hand(dimension_numbers: Any, a: jax.Array, b: jax.Array) -> jax.Array:
    product = partial(_dot, dimension_numbers, Precision.HIGHEST)
    a_high, b_high = _round_to_tf32(a), _round_to_tf32(b)
    a_low, b_low = _round_to_tf32(a - a_high), _round_to_tf32(b - b_high)
    return product(a_high, b_high) + (product(a_high, b_low) + product(a_low, b_high))


def _tf32(a: jax.Array, b: jax.Array, dimension_numbers: Any) -> jax.Array:
    # rounded here: processors without TF32 then compute the same products, only not faster
    return _dot(dimension_numbers, Precision.HIGH, _round_to_tf32(a), _round_to_tf32(b))


def _narrow(dtype: Any, a: jax.Array, b: jax.Array, dimension_numbers: Any) -> jax.Array:
    a, b = a.astype(dtype), b.astype(dtype)
    return jax.lax.dot_general(a, b, dimension_numbers, preferred_element_type=jnp.float32)


def _narrow_result(dtype: Any, a: jax.Array, b: jax.Array, dimension_numbers: Any) -> jax.Array:
    a, b = a.astype(dtype), b.astype(dtype)
    return jax.lax.dot_general(a, b, dimension_numbers).astype(jnp.float32)


def _store(dtype: Any, x: jax.Array) -> jax.Array:
    # without the barrier the compiler would keep the wide numbers for their other readers
    return jax.lax.optimization_barrier(x.astype(dtype)).astype(jnp.float32)


def _round_to_tf32(x: jax.Array) -> jax.Array:
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=10)


def _dot(dimension_numbers: Any, precision: Any, a: jax.Array, b: jax.Array) -> jax.Array:
    return jax.lax.dot_general(
        a, b, dimension_numbers, precision=precision, preferred_element_type=jnp.float32
    )


_PRODUCTS = {
    "split": _Products(_split),
    "tf32": _Products(_tf32),
    "f16": _Products(partial(_narrow, jnp.float16)),
    "bf16": _Products(partial(_narrow, jnp.bfloat16)),
}
"""Of states."""

_TANGENT_PRODUCTS = _PRODUCTS | {
    "f16": _Products(partial(_narrow_result, jnp.float16), partial(_store, jnp.float16)),
    "bf16": _Products(partial(_narrow_result, jnp.bfloat16), partial(_store, jnp.bfloat16)),
}
