"""Delayed copy and delayed XOR of random bits by a vanilla recurrent network, as `Dynamics`.

Setting: Engelken 2023, "Gradient flossing", NeurIPS, and its public example.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from rrjax.contract import Dynamics, Update, run_segment

TASKS = ("copy", "xor")
RELAXATION = 100
"""Steps without input before the initial states are taken."""

Params = dict[str, Array]


def step(context: Params, x: Array, bits: Array) -> Array:
    """x ↦ J tanh(x) + b + w s."""
    return context["J"] @ jnp.tanh(x) + context["b"] + context["w"] @ bits


def read(context: Params, x: Array) -> Array:
    """The logit of "the target bit is 1"."""
    return context["readout"] @ x + context["offset"]


SCHEDULE = (Update("step", step),)


def init_params(key: Array, size: int, batch: int) -> Params:
    """Gaussian J of gain 1, readout and input weights of variance 1, b uniform in 0..0.1.

    The initial states of the batch are trained too, as in the reference.
    """
    keys = jax.random.split(key, 5)
    params = {
        "J": jax.random.normal(keys[0], (size, size)) / size**0.5,
        "w": jax.random.normal(keys[1], (size, 1)),
        "b": 0.1 * jax.random.uniform(keys[2], (size,)),
        "readout": jax.random.normal(keys[3], (size,)),
        "offset": jnp.asarray(0.001),
    }
    starts = jax.random.normal(keys[4], (batch, size))
    silent = jnp.zeros((RELAXATION, 1))
    relaxed = jax.vmap(lambda x: states(bind(params, x, silent), RELAXATION)[-1])(starts)
    return params | {"initial": relaxed}


def bind(params: Params, initial: Array, drive: Array) -> Dynamics:
    """One sequence; a segment is one step."""
    context = {name: leaf for name, leaf in params.items() if name != "initial"}
    return Dynamics(initial, SCHEDULE, read, context, drive)


def states(dynamics: Dynamics, length: int) -> Float[Array, "time n"]:
    """The state after every step."""

    def segment(x: Array, drive: Array) -> tuple[Array, Array]:
        x = run_segment(dynamics, x, drive)
        return x, x

    return jax.lax.scan(segment, dynamics.initial, dynamics.drives(length))[1]


def draw_bits(key: Array, length: int) -> Float[Array, "time 1"]:
    """Random bits, one a step."""
    return jax.random.bernoulli(key, shape=(length, 1)).astype(jnp.float32)


def target(task: str, bits: Float[Array, "time 1"], delay: int) -> Float[Array, " time"]:
    """s(t − d), or s(t − d) xor s(t − 2d); it means nothing before t = 2d."""
    one = jnp.roll(bits[:, 0], delay)
    return one if task == "copy" else jnp.abs(one - jnp.roll(bits[:, 0], 2 * delay))


def task_loss(
    params: Params, bits: Float[Array, "batch time 1"], task: str, delay: int
) -> tuple[Array, Array]:
    """Mean cross-entropy from step 2·delay on, and the share of right bits there."""

    def one(initial: Array, bits: Array) -> tuple[Array, Array]:
        dynamics = bind(params, initial, bits)
        visited = states(dynamics, len(bits))[2 * delay :]
        logits = visited @ params["readout"] + params["offset"]
        wanted = target(task, bits, delay)[2 * delay :]
        return optax.sigmoid_binary_cross_entropy(logits, wanted), (logits >= 0) == (wanted > 0.5)

    losses, right = jax.vmap(one)(params["initial"], bits)
    return losses.mean(), right.mean()


def clip_each(limit: float) -> optax.GradientTransformation:
    """Every array's gradient scaled down to the norm `limit`, as the reference clips."""

    def clip(g: Array) -> Array:
        return g * jnp.minimum(1, limit / jnp.maximum(jnp.linalg.norm(g.ravel()), 1e-30))

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates))


def draw_batch(key: Array, batch: int, length: int) -> Float[Array, "batch time 1"]:
    """Bits of a batch of sequences."""
    return jax.vmap(lambda k: draw_bits(k, length))(jax.random.split(key, batch))
