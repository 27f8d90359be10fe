"""`rrjax spectrum`, the main job: are the puzzles that a model fails on the chaotic ones?"""

import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from rrjax.analysis.attribution import attribution_notes
from rrjax.analysis.report import Summary, format_summary, summarize, usable_runs
from rrjax.cells import Config, bind
from rrjax.commands import attribution
from rrjax.devices import OnDevices, parse_share, use_cpu_devices
from rrjax.dynamics.lyapunov import spectrum
from rrjax.linalg import dimension
from rrjax.models import Model, check_tokens, load_model
from rrjax.progress import progress
from rrjax.puzzles import PuzzleSet, read_puzzles
from rrjax.store import describe_run, version, write_result
from rrjax.sweep import Arrays, Sweep, Unfinished, run

DEFAULT_PUZZLES = 64


@dataclass(frozen=True)
class Options:
    """Lyapunov spectra of a model on many puzzles, and what tells solved from failed.

    A killed run continues when the same command is given again.

    Attributes:
      model: a bundled name, a model folder, or hf://user/repo/sub/folder.
      puzzles: a data-set folder, Sudoku-Extreme's CSV or a list of puzzles; without it the
        held-out puzzles that come with a bundled model.
      num_puzzles: how many, from the first; without it 64, or all if there are fewer.
      num_exponents: k, the leading exponents of each puzzle.
      num_segments: segments each puzzle runs.
      out: folder for results and figures; without it runs/spectrum-MODEL.
      seed: of the initial tangent vectors and the bootstrap.
      dtype: of states and tangents.
      chunk_size: puzzles that run together; without it chosen by the size of state and frame.
      attribution: save and draw where the leading vectors lie, by state, token and segment.
      board: draw this puzzle's board, counted from 0, instead of the first failed and solved one's.
      shard: i/n, the i-th (from 0) of n jobs that share the folder; in a Slurm array its task.
      cpu_devices: chunks that run at once on processors.
    """

    model: Annotated[str, tyro.conf.Positional] = "trm-sudoku9"
    puzzles: Path | None = None
    num_puzzles: int | None = None
    num_exponents: int = 8
    num_segments: int = 16
    out: Path | None = None
    seed: int = 0
    dtype: Literal["float32", "float64"] = "float32"
    chunk_size: int | None = None
    attribution: bool = False
    board: int | None = None
    shard: str | None = None
    cpu_devices: int = 1


def main(arguments: list[str]) -> None:
    """Parse, measure, print the table, write results and figures."""
    options = tyro.cli(Options, args=arguments, prog="rrjax spectrum")
    _check_numbers(options)
    use_cpu_devices(options.cpu_devices)
    if options.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    model = load_model(options.model, options.dtype)
    puzzles = _choose(options, model)
    folder = options.out or Path("runs") / f"spectrum-{model.name}"
    try:
        results = measure(options, model, puzzles, folder)
    except Unfinished as rest:
        print(rest)
        return
    summary = summarize(
        results["exponents"],
        results["solved"],
        results[_answer_drift(results)],
        results["finite"],
        log_growth=results["log_growth"],
        dimension=dimension(model.bind(puzzles.inputs[0]).initial),
        seed=options.seed,
    )
    record, notes = _record(options, model, summary), []
    if options.attribution:
        found = attribution.summarize_attribution(results, puzzles, options.seed)
        record["attribution"] = attribution.describe(found, model.config.puzzle_tokens)
        notes = attribution_notes(found, options.num_segments)
    write_result(folder / "results.npz", results, record)
    _print(summary, notes)
    if options.attribution:
        _draw_board(folder, results, puzzles, options.board)
    _draw(folder, results)


def measure(options: Options, model: Model, puzzles: PuzzleSet, folder: Path) -> Arrays:
    """Spectra, answers and drift of every puzzle, computed chunk by chunk in `folder`.

    Returns:
      `exponents` (N, k) and `log_growth` (N, updates, k) in nats per update and nats; `drift_z_H`
      and so on (N, segments); `answers` (N, seq) tokens; `solved`, `finite` (N,); `q_halt` (N,).
      With attribution also `participation_z_H` and so on (N, segments, k, tokens) and
      `answers_by_segment` (N, segments, seq).

    Raises:
      ValueError: for puzzles or sizes that do not fit the model, or a folder of another run.
      Unfinished: if only this job's shard is done.
    """
    work = _work(options, model, puzzles)
    chunk = options.chunk_size or default_chunk(model, options.num_exponents)
    sweep = Sweep(folder, len(puzzles), chunk, _identity(options, model, puzzles))
    share = parse_share(options.shard)
    work.check()
    with progress(f"spectra of {model.name}", sweep.num_items_of(share)) as bar:
        results = run(sweep, work, bar.report, share, work.parallel)
    if not results:
        raise Unfinished(sweep)
    known = puzzles.labels != puzzles.metadata.ignore_label_id
    right = (results["answers"] == puzzles.labels) | ~known
    return results | {"solved": right.all(axis=1) & known.any(axis=1)}


def default_chunk(model: Model, num_exponents: int) -> int:
    """Puzzles that run together: as many as keep state and frame near a core's cache.

    Beyond it speed falls; below, small matrix products do not fill the machine.
    """
    config = model.config
    values = config.num_tokens * config.arch.hidden_size * (1 + num_exponents)
    return max(1, min(16, 400_000 // values))


def _work(options: Options, model: Model, puzzles: PuzzleSet) -> OnDevices:
    key = jax.random.key(options.seed)

    def prepare(items: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
        # a puzzle's frame depends on its place in the list alone, not on how chunks are cut
        keys = jax.vmap(lambda item: jax.random.fold_in(key, item))(jnp.asarray(items))
        return jnp.asarray(puzzles.inputs[items]), jnp.asarray(puzzles.puzzle_ids[items]), keys

    fixed = (model.config, options.num_exponents, options.num_segments, options.attribution)
    return OnDevices(partial(_measure, *fixed), model.params, prepare)


def _measure(
    config: Config,
    num_exponents: int,
    num_segments: int,
    attributed: bool,
    params: Any,
    chunk: tuple[jax.Array, jax.Array, jax.Array],
) -> dict[str, jax.Array]:
    """One chunk of puzzles: tokens, puzzle ids and keys."""

    def one(tokens: jax.Array, puzzle_id: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        dynamics = bind(params, config, tokens, puzzle_id)
        observe = partial(attribution.observe, dynamics.readout) if attributed else None
        result = spectrum(dynamics, num_exponents, num_segments, key=key, observe=observe)
        readout = dynamics.readout(dynamics.context, result.state)
        named = {f"drift_{name}": norm for name, norm in result.drift._asdict().items()}
        return (
            named
            | (result.observed or {})
            | {
                "exponents": result.exponents,
                "log_growth": result.log_growth,
                "answers": readout.logits.argmax(-1),
                "q_halt": readout.q_halt,
                "finite": result.finite,
                "failed_at": result.failed_at,
            }
        )

    return jax.vmap(one)(*chunk)


def _check_numbers(options: Options) -> None:
    for name in ("num_puzzles", "num_exponents", "num_segments", "chunk_size", "cpu_devices"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if options.board is not None and not options.attribution:
        raise ValueError("board is drawn with attribution only: add --attribution")
    # JAX drops higher bits of a seed, NumPy knows no sign
    if not 0 <= options.seed < 2**32:
        raise ValueError(f"seed must lie in 0..{2**32 - 1}, got {options.seed}")


def _choose(options: Options, model: Model) -> PuzzleSet:
    number = options.num_puzzles
    found = read_puzzles(options.puzzles) if options.puzzles else model.test_puzzles()
    if number is not None and number > len(found):
        raise ValueError(f"{found.source} has {len(found)} puzzles, {number} were asked for")
    chosen = found.first(number or min(DEFAULT_PUZZLES, len(found)))
    if options.board is not None and not 0 <= options.board < len(chosen):
        raise ValueError(f"board must lie in 0..{len(chosen) - 1}, got {options.board}")
    check_tokens(model.config, chosen.inputs, chosen.puzzle_ids)
    return chosen


def _identity(options: Options, model: Model, puzzles: PuzzleSet) -> dict[str, Any]:
    return {
        "job": "spectrum",
        "model": model.digest,
        "puzzles": puzzles.digest(),
        "num_exponents": options.num_exponents,
        "num_segments": options.num_segments,
        "seed": options.seed,
        "attribution": options.attribution,
        "dtype": options.dtype,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "rrjax": version(),
    }


def _answer_drift(results: Arrays) -> str:
    return "drift_z_H" if "drift_z_H" in results else "drift_z_L"


def _record(options: Options, model: Model, summary: Summary) -> dict[str, Any]:
    # folders of this machine are no part of how a result came about
    skipped = ("model", "puzzles", "out", "shard")
    return {
        "model": {"name": model.name, "sha256": model.digest, "provenance": model.provenance},
        "options": {k: v for k, v in asdict(options).items() if k not in skipped},
        "clock": "update",
        "unit": "nats per update",
        "summary": asdict(summary),
        "made_by": describe_run(),
    }


def _print(summary: Summary, more_notes: list[str]) -> None:
    words = format_summary(summary)
    table = Table(*words.headers, title=words.headline)
    for row in words.rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    for note in (*words.notes, *more_notes):
        console.print(note, highlight=False, markup=False)


def _draw_board(folder: Path, results: Arrays, puzzles: PuzzleSet, chosen: int | None) -> None:
    from rrjax import plots

    try:
        figure = attribution.draw_board(results, puzzles, chosen)
    except ModuleNotFoundError:
        return  # which `_draw` reports
    except ValueError as error:
        print(f"no figure of the board: {error}; the shares are saved", file=sys.stderr)
        return
    plots.save_figure(figure, folder / "unstable_cells.png")


def _draw(folder: Path, results: Arrays) -> None:
    from rrjax import plots

    drift = results[_answer_drift(results)]
    keep = usable_runs(results["exponents"], drift, results["finite"])
    exponents, solved = results["exponents"][keep], results["solved"][keep]
    try:
        for name, draw in (
            ("lambda1_by_outcome", plots.lambda1_histogram),
            ("spectrum_by_outcome", plots.spectrum_by_outcome),
        ):
            plots.save_figure(draw(exponents, solved), folder / f"{name}.png")
    except ModuleNotFoundError as error:
        print(f"no figures: {error}; results are in {folder}", file=sys.stderr)
        return
    print(f"results and figures are in {folder}")
