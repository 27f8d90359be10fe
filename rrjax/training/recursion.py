"""What each segment of an evaluation does: to loss and accuracy, and to the latent states."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from rrjax.cells import Config, bind, unflatten
from rrjax.contract import State, run_segment
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL, Batch, padded_batches
from rrjax.training.logs import Row
from rrjax.training.losses import score


class Recursion(NamedTuple):
    """A row for each segment.

    Attributes:
      metrics: `segment` (from 1), `loss` (cross-entropy of a puzzle), `accuracy` (of its labelled
        tokens) and `exact_accuracy`.
      latents: `segment`, and of each field of the state its `l2_norm` ‖z‖₂, `cosine_prev` (of z
        and z one segment before, the start before segment 1) and `batch_variance` (of an element
        over the puzzles evaluated together, mean over elements).
    """

    metrics: list[Row]
    latents: list[Row]


def probe(
    flat: dict[str, Any],
    config: Config,
    puzzles: PuzzleSet,
    batch_size: int,
    number: int,
    place: Callable[[Any], Any] = lambda tree: tree,
) -> Recursion:
    """Means over the first `number` puzzles, after each of `halt_max_steps` segments.

    Args: as for `evaluate`.
    """
    parts = [
        jax.device_get(_run(config, flat, place(batch)))
        for batch, _ in padded_batches(puzzles, batch_size, number)
    ]
    metrics, latents = (
        jax.tree.map(lambda *leaves: np.sum(leaves, 0), *p) for p in zip(*parts, strict=True)
    )
    count = np.maximum(metrics.pop("count"), 1)
    named = {
        f"{field}_{name}": part[name] for field, part in latents.items() for name in _STATISTICS
    }
    return Recursion(_rows({name: metrics[name] for name in _METRICS}, count), _rows(named, count))


# the order of columns; compiled functions give dictionaries in order of their names
_METRICS = ("loss", "accuracy", "exact_accuracy")
_STATISTICS = ("l2_norm", "cosine_prev", "batch_variance")


def _rows(sums: dict[str, np.ndarray], count: np.ndarray) -> list[Row]:
    means = {name: (total / count).tolist() for name, total in sums.items()}
    return [
        {"segment": index + 1, **{name: values[index] for name, values in means.items()}}
        for index in range(len(count))
    ]


@functools.partial(jax.jit, static_argnums=0)
def _run(config: Config, flat: dict[str, Array], batch: Batch) -> tuple[Any, Any]:
    """Sums over the puzzles of a batch, each with a leading axis of segments."""
    params = unflatten(flat)
    counted = (batch.labels != IGNORE_LABEL).any(-1)
    all_halted = jnp.ones(counted.shape, bool)

    def start(tokens: Array, puzzle_id: Array) -> State:
        return bind(params, config, tokens, puzzle_id).initial

    def move(tokens: Array, puzzle_id: Array, state: State) -> tuple[State, Any]:
        dynamics = bind(params, config, tokens, puzzle_id)
        state = run_segment(dynamics, state)
        return state, dynamics.readout(dynamics.context, state)

    def segment(state: State, _: None) -> tuple[State, Any]:
        new, readout = jax.vmap(move)(batch.inputs, batch.puzzle_ids, state)
        zeros, kind = jnp.zeros(counted.shape, jnp.int32), config.arch.loss_type
        found = score(readout, batch.labels, all_halted, zeros, None, kind).metrics
        metrics = {name: found[name] for name in ("count", "accuracy", "exact_accuracy")}
        return new, (metrics | {"loss": found["lm_loss"]}, _latents(state, new, counted))

    initial = jax.vmap(start)(batch.inputs, batch.puzzle_ids)
    return jax.lax.scan(segment, initial, length=config.arch.halt_max_steps)[1]


def _latents(before: State, after: State, counted: Bool[Array, " batch"]) -> dict[str, Any]:
    named = jax.tree_util.tree_leaves_with_path(after)
    found = {}
    for (path, new), old in zip(named, jax.tree.leaves(before), strict=True):
        name = jax.tree_util.keystr(path, simple=True, separator="_")
        wide = jnp.promote_types(new.dtype, jnp.float32)
        old, new = (leaf.reshape(len(counted), -1).astype(wide) for leaf in (old, new))
        found[name] = _statistics(old, new, counted)
    return found


def _statistics(
    old: Float[Array, "batch size"], new: Float[Array, "batch size"], counted: Bool[Array, " batch"]
) -> dict[str, Array]:
    """Sums over the counted rows; the variance is times their number, for a weighted mean."""
    norms = jnp.linalg.norm(new, axis=-1)
    product = norms * jnp.linalg.norm(old, axis=-1)
    cosine = jnp.where(product > 0, (new * old).sum(-1) / jnp.where(product > 0, product, 1), 0)
    weights = counted.astype(new.dtype)
    number = jnp.maximum(weights.sum(), 1)
    mean = weights @ new / number
    variance = (weights[:, None] * (new - mean) ** 2).sum() / new.shape[1]
    return {
        "l2_norm": weights @ norms,
        "cosine_prev": weights @ cosine,
        "batch_variance": variance,
    }
