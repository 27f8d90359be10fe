"""The optimizers of training: optax transformations, and one sparse update."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from rrjax.cells.params import is_block_matrix
from rrjax.flossing.steps import masked, matching, skip_nonfinite
from rrjax.training.settings import Floss, Recipe


class AdamAtan2State(NamedTuple):
    """The number of updates, and both moments."""

    count: Int[Array, ""]
    mu: optax.Updates
    nu: optax.Updates


def scale_by_adam_atan2(b1: float, b2: float) -> optax.GradientTransformation:
    """Returns Adam with atan2(m, √v̂) in place of m/(√v̂ + ε), which is bounded and needs no ε.

      u = atan2(m, √(v / (1 − b2ᵗ))) / (1 − b1ᵗ)

    The first bias correction stands outside the arctangent and nothing is multiplied by 1.27, as
    in imoneoi's kernel.
    """

    def init(params: optax.Params) -> AdamAtan2State:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamAtan2State(jnp.zeros([], jnp.int32), zeros, zeros)

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        del params
        count = jnp.asarray(optax.safe_increment(state.count))
        mu = optax.update_moment(updates, state.mu, b1, 1)
        nu = optax.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        t = count.astype(jnp.result_type(float))  # float64 where it is enabled
        c1, c2 = 1 - b1**t, 1 - b2**t
        scaled = jax.tree.map(
            lambda m, v: (jnp.arctan2(m, jnp.sqrt(v) / jnp.sqrt(c2)) / c1).astype(m.dtype), mu, nu
        )
        return scaled, AdamAtan2State(count, mu, nu)

    return optax.GradientTransformation(init, update)


def adam_atan2(
    learning_rate: optax.Schedule, b1: float, b2: float, weight_decay: float
) -> optax.GradientTransformation:
    """Returns p ← p(1 − lr·wd) − lr·u with u of `scale_by_adam_atan2`; every weight decays."""
    return optax.chain(
        scale_by_adam_atan2(b1, b2),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def warmup_cosine(
    peak: float, warmup_steps: int, total_steps: int, min_ratio: float
) -> optax.Schedule:
    """Returns a linear warm-up, then half a cosine from `peak` to `peak·min_ratio`.

    Upstream counts a step before it asks for its rate, and optax after it: hence the + 1. Optax's
    own schedule computes in float32 even where float64 is enabled, which would disturb comparisons
    in float64.
    """

    def rate(count: Any) -> Any:
        t = jnp.asarray(count + 1, jnp.result_type(float))
        progress = (t - warmup_steps) / max(1, total_steps - warmup_steps)
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * progress))
        decayed = min_ratio + jnp.maximum(0.0, (1 - min_ratio) * cosine)
        return peak * jnp.where(t < warmup_steps, t / max(1, warmup_steps), decayed)

    return rate


def sign_sgd_rows(
    table: Float[Array, "rows ndim"],
    ids: Int[Array, " batch"],
    grads: Float[Array, "batch ndim"],
    learning_rate: Float[Array, ""] | float,
    weight_decay: float,
) -> Float[Array, "rows ndim"]:
    """Returns the table after SignSGD with decoupled decay on the rows named by `ids`.

    Gradients of equal ids are summed before the sign is taken. Every other row keeps its bits.
    """
    learning_rate = jnp.asarray(learning_rate, table.dtype)
    # sums by a product: scattered additions take no fixed order on a GPU, and wait for each other
    equal = ids[:, None] == ids[None]  # (batch, batch)
    summed = jnp.dot(equal.astype(grads.dtype), grads, precision=jax.lax.Precision.HIGHEST)
    new = table[ids] * (1 - learning_rate * weight_decay) - learning_rate * jnp.sign(summed)
    is_first = equal.argmax(1) == jnp.arange(len(ids))  # only the first of equal ids writes
    return table.at[jnp.where(is_first, ids, len(table))].set(new, mode="drop")


def main_optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Returns the optimizer of all weights but the puzzle embeddings."""
    rate = recipe_schedule(recipe, recipe.lr)
    if recipe.optimizer == "muon":
        adamw = optax.adamw(rate, recipe.beta1, recipe.beta2, weight_decay=recipe.weight_decay)
        muon = muon_of_matrices(recipe_schedule(recipe, recipe.muon_lr), recipe.muon_weight_decay)
        optimizer = optax.partition({True: muon, False: adamw}, matrices)
    else:
        optimizer = adam_atan2(rate, recipe.beta1, recipe.beta2, recipe.weight_decay)
    if recipe.gradient_clip:
        return optax.chain(optax.clip_by_global_norm(recipe.gradient_clip), optimizer)
    return optimizer


def matrices(trained: dict[str, Array]) -> dict[str, bool]:
    """Returns which flat weights Muon trains: the matrices of the blocks."""
    return {name: is_block_matrix(name) for name in trained}


def muon_of_matrices(
    learning_rate: optax.Schedule, weight_decay: float
) -> optax.GradientTransformation:
    """Returns Muon for matrices (out, in).

    Nesterov momentum of decay .95 is made orthogonal by five Newton-Schulz steps and scaled by
    √max(1, out/in); p ← p(1 − lr·wd) − lr·u.
    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    # PyTorch's layout: a matrix maps its last axis to its first
    layout = optax.contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=0)
    return optax.contrib.muon(
        learning_rate,
        weight_decay=weight_decay,
        muon_weight_dimension_numbers=lambda params: jax.tree.map(lambda _: layout, params),
    )


def floss_optimizer(floss: Floss, trained: dict[str, Array]) -> optax.GradientTransformation:
    """Returns the optimizer of flossing steps, which skips a step that is not finite."""
    return skip_nonfinite(masked(optax.adam(floss.lr), matching(trained, floss.params)))


def recipe_schedule(recipe: Recipe, peak: float) -> optax.Schedule:
    """Returns the recipe's learning rate with this peak, as a function of the steps done."""
    return warmup_cosine(peak, recipe.lr_warmup_steps, recipe.steps, recipe.lr_min_ratio)
