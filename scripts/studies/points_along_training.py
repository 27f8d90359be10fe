"""Follows fixed points along a training: until which step they exist, and when they lose stability.

At the first checkpoint a trajectory of each puzzle runs, and Newton's method begins at its end. At
each later one it begins at the point of the checkpoint before it. A row says for one puzzle and
checkpoint whether there is a point within reach, its residual in float64, the modulus of its
leading eigenvalue, its unstable directions, whether it gives the right answer, how far it has moved
and whether a trajectory of this checkpoint comes to it. Writes `points_along_training.csv`,
`points_along_training.png` and a file for each checkpoint; a killed study goes on.

Usage: python -m scripts.studies.points_along_training MODELS [--puzzles FILE] [--num-puzzles 8]
MODELS is a training run, or any folder whose subfolders step_N are models.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.flatten_util import ravel_pytree

from rrjax.cells import bind
from rrjax.contract import run_segment
from rrjax.dynamics.fixed_points import fixed_point
from rrjax.dynamics.krylov import arnoldi, ritz_values
from rrjax.dynamics.precision import exact_products, in_type
from rrjax.inside.points import states_of
from rrjax.jobs.progress import progress
from rrjax.models import load_model
from rrjax.outcomes import is_solved
from rrjax.plots.canvas import new_panels, save_figure
from rrjax.puzzles import PuzzleSet, read
from rrjax.store import digest_arrays, read_arrays, write_arrays
from rrjax.store.files import write_bytes_atomically
from scripts.studies.along_training import checkpoints

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_VALUES, KRYLOV = 4, 32


@dataclass(frozen=True)
class Options:
    """Settings of the study.

    Attributes:
      models: A training run, or a folder whose subfolders step_N are models.
      puzzles: The puzzles, as `rrjax spectrum --puzzles` takes them.
      num_puzzles: The number of puzzles, from the first.
      num_segments: Segments of the trajectories.
      max_iterations: Largest number of Newton's steps.
      out: The folder for the files, the table and the figure.
    """

    models: Annotated[Path, tyro.conf.Positional]
    puzzles: Path = Path("hard-sudoku9")
    num_puzzles: int = 8
    num_segments: int = 32
    max_iterations: int = 16
    out: Path = Path("runs/points_along_training")


class Row(NamedTuple):
    """One puzzle at one checkpoint.

    Attributes:
      step: Training step.
      puzzle: Place of the puzzle in the set.
      residual: ‖F(z) − z‖ in float64.
      exists: Whether it is at most 10⁻⁹; the rest is 0 or NaN where it is not.
      modulus: |μ| of the leading eigenvalue per segment.
      num_unstable: Number of the four leading eigenvalues outside of the unit circle.
      right: Whether the point gives the right answer.
      moved: Distance from the point of the checkpoint before, relative to its norm.
      apart: Distance of a trajectory's end from the point, relative to its norm.
      solved: Whether that trajectory ends with the right answer.
    """

    step: int
    puzzle: int
    residual: float
    exists: bool
    modulus: float
    num_unstable: int
    right: bool
    moved: float
    apart: float
    solved: bool


@partial(jax.jit, static_argnums=(0, 5, 6))
def measure(
    config: Any,
    params: Any,
    tokens: Any,
    labels: Any,
    start: Any,
    num_segments: int,
    max_iterations: int,
) -> dict[str, jax.Array]:
    """Returns the point that Newton's method reaches from a start, or from a trajectory's end.

    A start that is NaN stands for the end of the trajectory.
    """
    dynamics = bind(params, config, tokens)
    wide = in_type(dynamics, jnp.float64)
    end = jax.tree.map(lambda leaf: leaf[-1], states_of(dynamics, num_segments))
    end_row, unravel = ravel_pytree(in_type(end, jnp.float64))
    begin = jnp.where(jnp.isfinite(start).all(), start, end_row)
    options = {"max_iterations": max_iterations, "krylov": KRYLOV, "linear": dynamics}
    point = fixed_point(wide, initial=unravel(begin), **options)
    row = ravel_pytree(point.state)[0]

    def say(z: Any) -> jax.Array:
        return is_solved(wide.readout(wide.context, z).logits.argmax(-1), labels)

    def segment(vector: jax.Array) -> jax.Array:
        return ravel_pytree(run_segment(wide, unravel(vector)))[0]

    with exact_products():
        product = jax.linearize(segment, row)[1]
        noise = jax.random.normal(jax.random.key(0, impl="threefry2x32"), row.shape, row.dtype)
        small = arnoldi(product, noise, min(KRYLOV, row.size))
    norm = jnp.linalg.norm(row)
    return {
        "point": row,
        "residual": point.residual,
        "exists": point.converged,
        "hessenberg": small,
        "right": say(point.state),
        "moved": point.distance / norm,
        "apart": jnp.linalg.norm(row - end_row) / norm,
        "solved": say(unravel(end_row)),
    }


def follow(options: Options, puzzles: PuzzleSet) -> list[Row]:
    """Returns the rows of all checkpoints, of which those on the disk are not measured again."""
    models = checkpoints(options.models)
    rows: list[Row] = []
    start: np.ndarray | None = None
    with progress("checkpoints", len(models)) as bar, jax.enable_x64(True):
        for done, (step, folder) in enumerate(models.items(), 1):
            measured = _at_checkpoint(options, puzzles, step, folder, start)
            rows += rows_of(step, measured)
            start = np.where(measured["exists"][:, None], measured["point"], np.nan)
            bar.report(done)
    return rows


def _at_checkpoint(
    options: Options, puzzles: PuzzleSet, step: int, folder: Path, start: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Returns the arrays of one checkpoint, from its file if that began at the same points."""
    model = load_model(folder)
    sizes = np.array([options.num_segments, options.max_iterations])
    begin = np.zeros(0) if start is None else start
    origin = digest_arrays(puzzles.inputs, sizes, begin) + model.digest
    file = options.out / f"step_{step:06d}.npz"
    if file.exists():
        arrays = dict(read_arrays(file))
        if str(arrays.pop("origin")) != origin:
            raise SystemExit(f"{file} is of another study; choose another --out")
        return arrays
    measured = []
    for index in range(len(puzzles)):
        tokens, labels = puzzles.inputs[index], puzzles.labels[index]
        size = sum(leaf.size for leaf in jax.tree.leaves(model.bind(tokens).initial))
        first = np.full(size, np.nan) if start is None else start[index]
        facts = model.config, model.params, jnp.asarray(tokens, jnp.int32), jnp.asarray(labels)
        measured.append(jax.device_get(measure(*facts, first, *map(int, sizes))))
    arrays = {name: np.stack([each[name] for each in measured]) for name in measured[0]}
    options.out.mkdir(parents=True, exist_ok=True)
    write_arrays(file, {**arrays, "origin": np.array(origin)})
    return arrays


def rows_of(step: int, arrays: dict[str, np.ndarray]) -> list[Row]:
    """Returns the rows of one checkpoint."""
    rows = []
    for puzzle, exists in enumerate(arrays["exists"].tolist()):
        values = np.abs(ritz_values(arrays["hessenberg"][puzzle], NUM_VALUES)[0])
        rows.append(
            Row(
                step=step,
                puzzle=puzzle,
                residual=float(arrays["residual"][puzzle]),
                exists=exists,
                modulus=float(values[0]) if exists else np.nan,
                num_unstable=int(np.sum(values > 1)) if exists else 0,
                right=exists and bool(arrays["right"][puzzle]),
                moved=float(arrays["moved"][puzzle]) if exists else np.nan,
                apart=float(arrays["apart"][puzzle]) if exists else np.nan,
                solved=bool(arrays["solved"][puzzle]),
            )
        )
    return rows


def loses_stability(rows: Sequence[Row], puzzle: int) -> tuple[int, int] | None:
    """Returns the steps between which the point of a puzzle loses stability first, or None."""
    own = [row for row in rows if row.puzzle == puzzle]
    for before, after in pairwise(own):
        if before.exists and after.exists and before.num_unstable == 0 < after.num_unstable:
            return before.step, after.step
    return None


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Writes a line for each row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows([f"{v:.6g}" if isinstance(v, float) else int(v) for v in row] for row in rows)
    write_bytes_atomically(path, text.getvalue().encode())


def figure(rows: Sequence[Row]) -> "Figure":
    """Draws the modulus of the leading eigenvalue along training, a line for each puzzle."""
    ax = new_panels(6.4, 4.6, 1, 1)[0, 0]
    for puzzle in sorted({row.puzzle for row in rows}):
        own = [row for row in rows if row.puzzle == puzzle]
        steps = [row.step for row in own]
        (line,) = ax.plot(steps, [row.modulus for row in own], "-", linewidth=1)
        right = [(row.step, row.modulus) for row in own if row.right]
        if right:
            ax.plot(*zip(*right, strict=True), "o", color=line.get_color())
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set_xlabel("training step")
    ax.set_ylabel("|μ| of the leading eigenvalue, per segment")
    ax.set_title(
        "A line for each puzzle's point; dots where it gives the right answer",
        loc="left",
        fontsize="medium",
    )
    return ax.figure


def main(options: Options) -> None:
    """Follows the points, then writes the table and the figure, and says when stability is lost."""
    puzzles = read(options.puzzles)[: options.num_puzzles]
    rows = follow(options, puzzles)
    write_table(rows, options.out / "points_along_training.csv")
    save_figure(figure(rows), options.out / "points_along_training.png")
    for puzzle in range(len(puzzles)):
        steps = loses_stability(rows, puzzle)
        said = f"between steps {steps[0]} and {steps[1]}" if steps else "never, where it exists"
        print(f"puzzle {puzzle}: the point loses stability {said}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
