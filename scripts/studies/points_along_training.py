"""Follows fixed points along a training, to the step at which each loses its stability, and how.

At one checkpoint a trajectory of each puzzle runs, and Newton's method begins at its end. From it
the point is followed to later checkpoints and to earlier ones: a search begins where the two points
before it point to, and the point is lost where none lies near. A row says for one puzzle and
checkpoint whether there is a point, its residual in float64, its leading eigenvalue, its unstable
directions, whether it gives the right answer, how far it is from the predicted one and whether a
trajectory of this checkpoint comes to it. Writes `points_along_training.csv`,
`points_along_training.png` and a file for each checkpoint; a killed study goes on.

A point that is lost while its leading eigenvalue comes to +1 meets another point there (a fold),
and both vanish. Newton's method then begins at the mirror image of the point, as the square-root
law of a fold puts it, and a row tells of the partner that it reaches.

Checkpoints have to lie close. A training keeps one for each step with `--log-every 1 --eval-every
1`. Without MODELS the study trains the small model of `recipes/cpu_sudoku4.yaml` so.

Usage: python -m scripts.studies.points_along_training [MODELS] [--num-puzzles 8]
MODELS is a training run, or any folder whose subfolders step_N are models.
"""

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
from rrjax.models import Model, load_model
from rrjax.outcomes import is_solved
from rrjax.plots.canvas import new_panels, save_figure
from rrjax.puzzles import PuzzleSet, read
from rrjax.store import digest_arrays, read_arrays, write_arrays, write_csv
from scripts.studies.along_training import checkpoints
from scripts.studies.runs import call

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_VALUES, KRYLOV = 4, 32

STRAY = 0.05
"""A point farther from where it was expected, relative to its norm, is another one."""

STEPS = 340
"""Length of the training that the study does itself."""


@dataclass(frozen=True)
class Options:
    """Settings of the study.

    Attributes:
      models: A training run, or a folder whose subfolders step_N are models; without it a small
        model is trained in the output folder.
      puzzles: The puzzles, as `rrjax spectrum --puzzles` takes them; without it the run's own.
      num_puzzles: The number of puzzles, from the first.
      start: The step from which points are followed to both sides; without it the last.
      num_segments: Segments of the trajectories.
      max_iterations: Largest number of Newton's steps.
      out: The folder for the files, the table and the figure.
    """

    models: Annotated[Path | None, tyro.conf.Positional] = None
    puzzles: Path | None = None
    num_puzzles: int = 8
    start: int | None = None
    num_segments: int = 32
    max_iterations: int = 16
    out: Path = Path("runs/points_along_training")


class Row(NamedTuple):
    """One puzzle at one checkpoint.

    Attributes:
      step: Training step.
      puzzle: Place of the puzzle in the set.
      residual: ‖F(z) − z‖ in float64.
      exists: Whether it is at most 10⁻⁹ near the expected point; the rest is 0 or NaN where not.
      real, imag: The leading eigenvalue μ per segment; of a pair the one above the real axis.
      num_unstable: Number of the four leading eigenvalues outside of the unit circle.
      right: Whether the point gives the right answer.
      moved: Distance from the start of the search, relative to the norm.
      apart: Distance of a trajectory's end from the point, relative to its norm.
      solved: Whether that trajectory ends with the right answer.
      is_partner: Whether this is the other point of a fold.
    """

    step: int
    puzzle: int
    residual: float
    exists: bool
    real: float
    imag: float
    num_unstable: int
    right: bool
    moved: float
    apart: float
    solved: bool
    is_partner: bool = False

    @property
    def modulus(self) -> float:
        """|μ|."""
        return float(np.hypot(self.real, self.imag))


class Crossing(NamedTuple):
    """Where the leading eigenvalue of a point crosses the unit circle.

    Attributes:
      stable, unstable: The checkpoints on both sides.
      step: Where |μ| = 1 on the straight line between them.
      kind: How.
    """

    stable: Row
    unstable: Row
    step: float
    kind: str


def train(folder: Path) -> Path:
    """Returns the run in a folder with checkpoints that lie close; a killed one goes on."""
    recipe = Path(__file__).parents[2] / "recipes" / "cpu_sudoku4.yaml"
    data, run = folder / "sudoku4", folder / "run"
    if not data.exists():
        call("sudoku", data, "--size", 4, "--num-train", 500, "--num-test", 256, "--seed", 0)
    often = ("--log-every", 1, "--eval-every", 1, "--checkpoint-every", 100, "--eval-puzzles", 8)
    where = ("--data", data, "--out", run, "--augment", "--steps", STEPS)
    call("train", "--config", recipe, *where, *often)
    return run


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
    """Returns the point that Newton's method reaches from a start, and what it is.

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


def follow(options: Options, models: dict[int, Path], puzzles: PuzzleSet) -> list[Row]:
    """Returns the rows of all checkpoints, of which those on the disk are not measured again."""
    steps = list(models)
    at = steps.index(options.start) if options.start is not None else len(steps) - 1
    with progress("checkpoints", len(steps)) as bar, jax.enable_x64(True):
        first = _at_checkpoint(options, puzzles, steps[at], models[steps[at]], None)
        rows = rows_of(steps[at], first)
        for side in (steps[at + 1 :], steps[:at][::-1]):
            history = [(steps[at], first)]
            for step in side:
                start = _predict([(s, _points(facts)) for s, facts in history[-2:]], step)
                is_followed = np.all(np.isfinite(start), axis=1)
                if not is_followed.any():
                    break
                facts = _at_checkpoint(options, puzzles, step, models[step], start)
                facts["exists"] &= is_followed & (facts["moved"] <= STRAY)
                rows += [row for row in rows_of(step, facts) if is_followed[row.puzzle]]
                history.append((step, facts))
                bar.report(len({row.step for row in rows}))
            for puzzle in range(len(puzzles)):
                rows += _partner(options, models, puzzles, puzzle, history)
    return sorted(rows)


def _points(facts: dict[str, np.ndarray]) -> np.ndarray:
    return np.where(facts["exists"][:, None], facts["point"], np.nan)


def _partner(
    options: Options,
    models: dict[int, Path],
    puzzles: PuzzleSet,
    puzzle: int,
    history: list[tuple[int, dict[str, np.ndarray]]],
) -> list[Row]:
    """Returns the row of the point that a lost point has met, at its last checkpoint, if any.

    Near a fold 1 − μ and the distance from where the points meet both go with the square root of
    the distance in steps.
    """
    own = [(step, facts) for step, facts in history if facts["exists"][puzzle]][-2:]
    if len(own) < 2 or own[-1][0] == history[-1][0]:
        return []
    (_, before), (step, last) = own
    gaps = [1 - _row(0, puzzle, facts).real for facts in (before, last)]
    if not 0 < gaps[1] < gaps[0] or _row(0, puzzle, last).imag != 0:
        return []
    z = last["point"][puzzle]
    mirrored = z + 2 * (z - before["point"][puzzle]) * gaps[1] / (gaps[0] - gaps[1])
    facts = _measured(options, load_model(models[step]), puzzles, puzzle, mirrored)
    row = _row(step, 0, {name: np.asarray(value)[None] for name, value in facts.items()})
    return [row._replace(puzzle=puzzle, is_partner=True)] if row.real > 1 else []


def _predict(before: list[tuple[int, np.ndarray]], step: int) -> np.ndarray:
    """Returns where points (puzzle, n) are expected: on the line through the last two of each."""
    (last_step, last), (first_step, first) = before[-1], before[0]
    if first_step == last_step:
        return last
    return last + (last - first) * (step - last_step) / (last_step - first_step)


def _at_checkpoint(
    options: Options, puzzles: PuzzleSet, step: int, folder: Path, start: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Returns the arrays of one checkpoint, from its file if that began at the same points.

    A start of a puzzle that is NaN is not searched.
    """
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
    starts = [None] * len(puzzles) if start is None else start
    measured = {
        puzzle: _measured(options, model, puzzles, puzzle, begin)
        for puzzle, begin in enumerate(starts)
        if begin is None or np.isfinite(begin).all()
    }
    known = next(iter(measured.values()))
    lost = {name: np.full_like(value, np.nan) for name, value in known.items()}
    lost |= {name: np.zeros((), bool) for name in ("exists", "right", "solved")}
    each = [measured.get(puzzle, lost) for puzzle in range(len(puzzles))]
    arrays = {name: np.stack([facts[name] for facts in each]) for name in known}
    options.out.mkdir(parents=True, exist_ok=True)
    write_arrays(file, {**arrays, "origin": np.array(origin)})
    return arrays


def _measured(
    options: Options, model: Model, puzzles: PuzzleSet, puzzle: int, start: np.ndarray | None
) -> dict[str, Any]:
    """Returns what `measure` says of a puzzle; without a start it begins at a trajectory's end."""
    tokens, labels = puzzles.inputs[puzzle], puzzles.labels[puzzle]
    size = sum(leaf.size for leaf in jax.tree.leaves(model.bind(tokens).initial))
    begin = np.full(size, np.nan) if start is None else start
    facts = model.config, model.params, jnp.asarray(tokens, jnp.int32), jnp.asarray(labels)
    return jax.device_get(measure(*facts, begin, options.num_segments, options.max_iterations))


def rows_of(step: int, arrays: dict[str, np.ndarray]) -> list[Row]:
    """Returns the rows of one checkpoint."""
    return [_row(step, puzzle, arrays) for puzzle in range(len(arrays["exists"]))]


def _row(step: int, puzzle: int, arrays: dict[str, np.ndarray]) -> Row:
    exists = bool(arrays["exists"][puzzle])
    values = ritz_values(arrays["hessenberg"][puzzle], NUM_VALUES)[0]
    leading = values[0] if exists else np.nan
    return Row(
        step=step,
        puzzle=puzzle,
        residual=float(arrays["residual"][puzzle]),
        exists=exists,
        real=float(np.real(leading)),
        imag=float(np.abs(np.imag(leading))),
        num_unstable=int(np.sum(np.abs(values) > 1)) if exists else 0,
        right=exists and bool(arrays["right"][puzzle]),
        moved=float(arrays["moved"][puzzle]) if exists else np.nan,
        apart=float(arrays["apart"][puzzle]) if exists else np.nan,
        solved=bool(arrays["solved"][puzzle]),
    )


def crossings(rows: Sequence[Row], puzzle: int) -> list[Crossing]:
    """Returns where the point of a puzzle loses or gains stability, in the order of steps."""
    own = [row for row in rows if row.puzzle == puzzle and not row.is_partner]
    partners = [row for row in rows if row.puzzle == puzzle and row.is_partner]
    changes = [
        _crossing(before, after)
        for before, after in pairwise(own)
        if before.exists
        and after.exists
        and (before.num_unstable == 0) != (after.num_unstable == 0)
    ]
    folds = [_fold([row for row in own if row.exists], partner) for partner in partners]
    return sorted([*changes, *folds], key=lambda crossing: crossing.step)


def _crossing(before: Row, after: Row) -> Crossing:
    stable, unstable = sorted((before, after), key=lambda row: row.num_unstable)
    part = (1 - before.modulus) / (after.modulus - before.modulus)
    kind = "a complex pair"
    if unstable.imag == 0:
        kind = "a flip, μ = −1" if unstable.real < 0 else "μ = +1"
    return Crossing(stable, unstable, before.step + part * (after.step - before.step), kind)


def _fold(own: Sequence[Row], partner: Row) -> Crossing:
    """Returns where a point and its partner meet: (1 − μ)² comes to 0 as the steps go on."""
    last, before = sorted(own, key=lambda row: abs(row.step - partner.step))[:2]
    near, far = (1 - last.real) ** 2, (1 - before.real) ** 2
    step = last.step - (before.step - last.step) * near / (far - near)
    return Crossing(last, partner, step, "a fold, μ = +1, with a point beside it")


def sentence(crossing: Crossing) -> str:
    """Returns a crossing in words."""
    pair = sorted((crossing.stable, crossing.unstable))
    values = " and ".join(
        f"{row.real:+.3f} ± {row.imag:.3f}i (|μ| = {row.modulus:.3f}) at step {row.step}"
        for row in pair
    )
    return f"stability changes at step {crossing.step:.1f} by {crossing.kind}: {values}"


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Writes a line for each row."""
    lines = ([f"{v:.6g}" if isinstance(v, float) else int(v) for v in row] for row in rows)
    write_csv(path, [Row._fields, *lines])


def figure(rows: Sequence[Row]) -> "Figure":
    """Draws the modulus of the leading eigenvalue along training, a line for each puzzle."""
    ax = new_panels(6.4, 4.6, 1, 1)[0, 0]
    for puzzle in sorted({row.puzzle for row in rows}):
        own = [row for row in rows if row.puzzle == puzzle and not row.is_partner]
        steps = [row.step for row in own]
        (line,) = ax.plot(steps, [row.modulus for row in own], "-", linewidth=1)
        right = [(row.step, row.modulus) for row in own if row.right]
        if right:
            ax.plot(*zip(*right, strict=True), "o", markersize=2.5, color=line.get_color())
        for crossing in crossings(rows, puzzle):
            ax.plot(crossing.step, 1, "D", color=line.get_color(), markeredgecolor="black")
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set_xlabel("training step")
    ax.set_ylabel("|μ| of the leading eigenvalue, per segment")
    ax.set_title(
        "A line for each puzzle's point: dots where its answer is right,\n"
        "diamonds where it crosses the unit circle",
        loc="left",
        fontsize="medium",
    )
    return ax.figure


def main(options: Options) -> None:
    """Follows the points, writes the table and the figure, and says where stability changes."""
    models = checkpoints(options.models or train(options.out))
    if options.start is not None and options.start not in models:
        raise SystemExit(f"start must be the step of a checkpoint, such as {max(models)}")
    held_out = read(options.puzzles) if options.puzzles else _own_puzzles(models)
    puzzles = held_out[: options.num_puzzles]
    rows = follow(options, models, puzzles)
    write_table(rows, options.out / "points_along_training.csv")
    save_figure(figure(rows), options.out / "points_along_training.png")
    for puzzle in range(len(puzzles)):
        steps = [row.step for row in rows if row.puzzle == puzzle and row.exists]
        extent = f"followed from step {min(steps)} to {max(steps)}" if steps else "no point"
        changes = [sentence(crossing) for crossing in crossings(rows, puzzle)]
        print(f"puzzle {puzzle}: {'; '.join([extent, *changes])}")


def _own_puzzles(models: dict[int, Path]) -> PuzzleSet:
    return load_model(models[max(models)]).test_puzzles()


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
