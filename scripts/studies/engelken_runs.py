"""One training run with flossing, in blocks: killed, it ends in the same bits all the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from rrjax.flossing.differentiable import EVERYTHING, exponents
from rrjax.flossing.losses import two_sided
from rrjax.flossing.schedule import FlossingSchedule
from rrjax.flossing.steps import (
    check_steps,
    flossing_step,
    masked,
    matching,
    num_skipped,
    skip_nonfinite,
)
from rrjax.frames import Frame, random_frame
from rrjax.store import read_arrays, write_arrays
from scripts.studies import memory_task as task

SKIPPED_LIMIT = 20
"""Flossing steps skipped in a row that end a run."""

BLOCK = 100
"""Training steps between two checkpoints; interflossing comes at these times too."""

FLOSSED = ("J", "w", "b")


@dataclass(frozen=True)
class Setting:
    """Sizes of the experiment, those of the reference by default.

    Attributes:
      epochs: training steps, each on a new batch.
      size: N, neurons.
      num_exponents: k.
      batch: sequences of a training step; a flossing step has one.
      length: T, steps of a sequence.
      delay: d, in steps.
      uncounted: steps of the flossing horizon before exponents count.
      horizon: steps of flossing, the uncounted ones included.
      flossing_steps: of preflossing, and of each episode of interflossing.
      learning_rate: of both optimizers.
      clip: of the task's gradient, array by array.
    """

    epochs: int = 3001
    size: int = 80
    num_exponents: int = 75
    batch: int = 16
    length: int = 300
    delay: int = 10
    uncounted: int = 16
    horizon: int = 55
    flossing_steps: int = 500
    learning_rate: float = 1e-3
    clip: float = 0.03

    def __post_init__(self):
        if not 0 < 2 * self.delay < self.length:
            raise ValueError(
                f"delay must lie in 1..{(self.length - 1) // 2}: the loss begins at step 2·delay "
                f"of {self.length}; got {self.delay}"
            )
        if not 0 <= self.uncounted < self.horizon <= self.length:
            raise ValueError(
                f"horizon must lie in {self.uncounted + 1}..{self.length}, between the uncounted "
                f"steps and a sequence; got {self.horizon}"
            )
        if not 1 <= self.num_exponents <= self.size:
            raise ValueError(
                f"num_exponents must lie in 1..{self.size}, the size; got {self.num_exponents}"
            )
        for name in ("epochs", "batch", "flossing_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")


class Run(NamedTuple):
    """One training run: its task, when it flosses, and its random numbers."""

    task: str
    condition: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.task}-{self.condition}-{self.seed}"


def schedule(condition: str, steps: int) -> FlossingSchedule:
    """When a condition flosses: before training, every `BLOCK` steps at most twice, both."""
    return {
        "none": FlossingSchedule(),
        "pre": FlossingSchedule(pre=steps),
        "inter": FlossingSchedule(every=BLOCK, episode=steps, at_most=2),
        "both": FlossingSchedule(pre=steps, every=BLOCK, episode=steps, at_most=2),
    }[condition]


CONDITIONS = ("none", "pre", "inter", "both")


class State(NamedTuple):
    """What the next training step depends on."""

    params: task.Params
    training: optax.OptState
    flossing: optax.OptState


def optimizers(
    setting: Setting, params: task.Params
) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """Of the task, and of flossing, which moves J, w and b alone."""
    adam = optax.adamw(setting.learning_rate, weight_decay=0.0)
    training = optax.chain(task.clip_each(setting.clip), adam)
    return training, skip_nonfinite(masked(adam, matching(params, FLOSSED)))


def start(setting: Setting, run: Run) -> State:
    """The state before the first step; the same for every condition."""
    key = jax.random.fold_in(jax.random.key(run.seed), 0)
    params = task.init_params(key, setting.size, setting.batch)
    training, flossing = optimizers(setting, params)
    return State(params, training.init(params), flossing.init(params))


@partial(jax.jit, static_argnums=(0, 1, 5))
def train(
    setting: Setting, name: str, state: State, key: Array, first: Array, number: int
) -> tuple[State, dict[str, Array]]:
    """Some training steps on fresh batches; loss, accuracy and gradient norm of every one."""
    optimizer = optimizers(setting, state.params)[0]
    loss = partial(task.task_loss, task=name, delay=setting.delay)

    def step(state: State, epoch: Array) -> tuple[State, dict[str, Array]]:
        bits = task.draw_batch(jax.random.fold_in(key, epoch), setting.batch, setting.length)
        (value, accuracy), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, bits)
        updates, training = optimizer.update(gradient, state.training, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        seen = {
            "loss": value,
            "accuracy": accuracy,
            "gradient_norm": jnp.linalg.norm(gradient["J"]),
        }
        return State(params, training, state.flossing), seen

    return jax.lax.scan(step, state, first + jnp.arange(number))


def flossing_loss(params: task.Params, bits: Array, frame: Frame, setting: Setting) -> Array:
    """Mean of λᵢ² along one sequence, from the first initial state of the batch."""
    dynamics = task.bind(params, params["initial"][0], bits)
    return two_sided(
        exponents(
            dynamics,
            num_segments=setting.horizon - setting.uncounted,
            frame=frame,
            frame_transient=setting.uncounted,
            policy=EVERYTHING,
        )
    )


@partial(jax.jit, static_argnums=(0, 5))
def floss(
    setting: Setting, state: State, frame: Frame, key: Array, first: Array, number: int
) -> tuple[State, Array]:
    """Some flossing steps on fresh sequences, always from the same frame; the loss of each."""
    optimizer = optimizers(setting, state.params)[1]
    loss = partial(flossing_loss, setting=setting)

    def step(state: State, index: Array) -> tuple[State, Array]:
        bits = task.draw_bits(jax.random.fold_in(key, index), setting.horizon)
        params, flossing, value = flossing_step(
            loss, optimizer, state.params, state.flossing, bits, frame
        )
        return State(params, state.training, flossing), value

    return jax.lax.scan(step, state, first + jnp.arange(number))


def long_term_jacobian(setting: Setting, params: task.Params) -> dict[str, np.ndarray]:
    """Of the product of Jacobians over 2·delay steps, the span that the tasks must bridge.

    Returns:
      exponents: (N,) ln Rᵢᵢ of the product per step, QR after every step, in float64, decreasing.
      log_condition: of the k leading directions, ln of the ratio of the largest and the smallest
        growth, Σ ln R: what the ratio of singular values tends to, which float64 could not hold.
      participation: (Σσ²)²/Σσ⁴ of the product's singular values: how many directions pass it.
    """
    bits = task.draw_bits(jax.random.key(0), task.RELAXATION + 2 * setting.delay)
    jacobians = np.asarray(_jacobians(params, bits), np.float64)[task.RELAXATION :]
    Q, growth, product = np.eye(setting.size), np.zeros(setting.size), np.eye(setting.size)
    for J in jacobians:
        product = J @ product
        Q, R = np.linalg.qr(J @ Q)
        growth += np.log(np.abs(np.diag(R)))
    squares = np.linalg.svd(product / np.abs(product).max(), compute_uv=False) ** 2
    growth = np.sort(growth)[::-1]
    return {
        "exponents": growth / len(jacobians),
        "log_condition": growth[0] - growth[setting.num_exponents - 1],
        "participation": squares.sum() ** 2 / (squares**2).sum(),
    }


@jax.jit
def _jacobians(params: task.Params, bits: Array) -> Array:
    dynamics = task.bind(params, params["initial"][0], bits)
    visited = task.states(dynamics, len(bits))
    before = jnp.concatenate([dynamics.initial[None], visited[:-1]])
    return jax.vmap(jax.jacobian(task.step, argnums=1), (None, 0, 0))(
        dynamics.context, before, bits
    )


def advance(setting: Setting, run: Run, folder: Path) -> Iterator[int]:
    """Continue a run from its file, block by block; yields the epochs done.

    Raises:
      FloatingPointError: if `SKIPPED_LIMIT` flossing steps in a row were not finite.
    """
    path = folder / f"{run.name}.npz"
    state, seen, done = _restore(setting, run, path)
    plan = schedule(run.condition, setting.flossing_steps)
    key, key_flossing, key_frame = jax.random.split(jax.random.key(run.seed + 1_000_000), 3)
    frame = random_frame(key_frame, state.params["initial"][0], setting.num_exponents)
    while done < setting.epochs:
        number = plan.steps_before(done)
        if number:
            first = jnp.asarray(len(seen.get("flossing_loss", ())))
            state, losses = floss(setting, state, frame, key_flossing, first, number)
            check_steps(state.flossing, SKIPPED_LIMIT)
            seen = _append(seen, {"flossing_loss": losses})
        if done == 0:
            seen = _append(seen, _diagnose(setting, state))
        number = min(BLOCK, setting.epochs - done)
        state, steps = train(setting, run.task, state, key, jnp.asarray(done), number)
        done += number
        seen = _append(seen, steps | _diagnose(setting, state))
        write_arrays(path, _leaves(state) | seen | {"done": np.asarray(done)})
        yield done


def _diagnose(setting: Setting, state: State) -> dict[str, np.ndarray]:
    found = long_term_jacobian(setting, state.params)
    found |= {"skipped": np.asarray(num_skipped(state.flossing)[1])}
    return {name: np.asarray(value)[None] for name, value in found.items()}


def _append(seen: dict[str, np.ndarray], new: dict[str, Any]) -> dict[str, np.ndarray]:
    joined = {
        name: np.concatenate([seen[name], leaf]) if name in seen else np.asarray(leaf)
        for name, leaf in new.items()
    }
    return seen | joined


def _leaves(state: State) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves(state)
    return {f"state_{index:03}": np.asarray(leaf) for index, leaf in enumerate(leaves)}


def _restore(setting: Setting, run: Run, path: Path) -> tuple[State, dict[str, np.ndarray], int]:
    state = start(setting, run)
    if not path.exists():
        return state, {}, 0
    arrays = read_arrays(path)
    names = list(_leaves(state))
    state = jax.tree.unflatten(
        jax.tree.structure(state), [jnp.asarray(arrays[name]) for name in names]
    )
    seen = {n: leaf for n, leaf in arrays.items() if n not in names and n != "done"}
    return state, seen, int(arrays["done"])
