"""Kicks failures along chosen directions: is any of them better than a random direction?

After some segments the state of each failure is moved once, by a share of its own norm, along the
leading tangent vector, against the gradient of the loss (the labels are used: no policy could do
it), or along a random direction of equal length, and runs on. Prints what is solved at the end, and
the difference from the random direction with intervals paired by puzzle.

Usage: python -m scripts.studies.kicks MODEL [--num-puzzles 128] [--sizes 0.1 0.3 1]
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import rrjax
from rrjax.analysis import format as words
from rrjax.analysis.intervals import fraction_interval
from rrjax.analysis.paired import paired_difference
from rrjax.analysis.table import Table
from rrjax.contract import Dynamics, State
from rrjax.dynamics.rollout import observe_segments, whole_norm
from rrjax.frames import norms, random_frame
from rrjax.reports.terminal import print_table

DIRECTIONS = ("leading vector", "loss gradient", "random")


@dataclass(frozen=True)
class Options:
    """Settings of the study.

    Attributes:
      model: A bundled name or a model folder.
      puzzles: The puzzles, as `rrjax spectrum --puzzles` takes them; without it the model's own.
      num_puzzles: Number of puzzles, of which the failures are kicked.
      segment: Segments before the kick.
      num_segments: Segments of the runs that tell failures, and of those that go on after a kick.
      sizes: Lengths of the kicks, as shares of the norm of the state.
      seed: Seed of the tangent vectors and of the random directions.
    """

    model: Annotated[str, tyro.conf.Positional]
    puzzles: Path | None = None
    num_puzzles: int = 128
    segment: int = 8
    num_segments: int = 16
    sizes: tuple[float, ...] = (0.1, 0.3, 1.0)
    seed: int = 0


def loss(dynamics: Dynamics, labels: jax.Array, state: State) -> jax.Array:
    """Returns the mean cross-entropy of the answer."""
    logits = dynamics.readout(dynamics.context, state).logits
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def last_answer(dynamics: Dynamics, num_segments: int) -> jax.Array:
    """Returns the tokens after the last segment."""
    state = observe_segments(dynamics, _nothing, num_segments)[0]
    return dynamics.readout(dynamics.context, state).logits.argmax(-1)


def _nothing(*_: Any) -> None:
    return None


def kicked(
    options: Options, model: rrjax.Model, tokens: jax.Array, labels: jax.Array, key: jax.Array
) -> jax.Array:
    """Returns (1 + directions · sizes,) whether the answers are right, first without a kick."""
    dynamics = model.bind(tokens)
    spectrum = rrjax.spectrum(dynamics, 1, options.segment, key=key)
    state = spectrum.state
    gradient = jax.grad(partial(loss, dynamics, labels))(state)
    random = random_frame(jax.random.fold_in(key, 1), state, 1)
    first = jax.tree.map(lambda leaf: leaf[0], spectrum.frame)
    lines = [first, jax.tree.map(jnp.negative, gradient), jax.tree.map(lambda x: x[0], random)]
    sizes = jnp.array([0.0, *options.sizes]) * whole_norm(norms(state))

    def ends(direction: State) -> jax.Array:
        def one(size: jax.Array) -> jax.Array:
            moved = rrjax.inside.kick(dynamics, direction, size, options.segment)
            return (last_answer(moved, options.segment + options.num_segments) == labels).all()

        return jax.vmap(one)(sizes)

    solved = jnp.stack([ends(line) for line in lines])
    return jnp.concatenate([solved[0, :1], solved[:, 1:].ravel()])


def measure(options: Options) -> np.ndarray:
    """Returns (failures, 1 + directions · sizes) booleans; failures are those without a kick."""
    model = rrjax.load_model(options.model)
    puzzles = rrjax.puzzles.read(options.puzzles) if options.puzzles else model.test_puzzles()
    puzzles = puzzles[: options.num_puzzles]
    inputs, labels = jnp.asarray(puzzles.inputs), jnp.asarray(puzzles.labels)

    @jax.jit
    @jax.vmap
    def fails(tokens: jax.Array, labels: jax.Array) -> jax.Array:
        return (last_answer(model.bind(tokens), options.num_segments) != labels).any()

    failed = np.flatnonzero(fails(inputs, labels))
    one = jax.jit(partial(kicked, options, model))
    keys = [jax.random.fold_in(jax.random.key(options.seed), place) for place in failed]
    rows = [np.asarray(one(inputs[i], labels[i], k)) for i, k in zip(failed, keys, strict=True)]
    return np.array(rows, bool).reshape(len(failed), -1)


def table(options: Options, solved: np.ndarray) -> Table:
    """Returns what each kick frees, against a random direction of equal length."""
    number = len(solved)
    kicks = solved[:, 1:].reshape(number, len(DIRECTIONS), len(options.sizes))
    rows = [("none", "", words.percent_interval(_fraction(solved[:, 0])), "")]
    for place, name in enumerate(DIRECTIONS):
        for at, size in enumerate(options.sizes):
            difference = paired_difference(kicks[:, -1, at], kicks[:, place, at])
            text = words.interval(difference.map(lambda end: 100 * end), "+.0f")
            share = words.percent_interval(_fraction(kicks[:, place, at]))
            rows.append((name, f"{size:g}", share, "" if name == "random" else text))
    headline = f"{words.count(number, 'failure')} kicked after {options.segment} segments"
    headers = ("along", "size /\nnorm", "solved (95 %)", "less random, %")
    notes = [f"Solved after {options.num_segments} more segments. Intervals are paired by puzzle."]
    return Table(headline, headers, rows, notes)


def _fraction(solved: np.ndarray) -> Any:
    return fraction_interval(int(solved.sum()), len(solved))


def main(options: Options) -> None:
    """Runs the study and prints its table."""
    print_table(table(options, measure(options)))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
