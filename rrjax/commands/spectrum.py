"""`rrjax spectrum`, the main job: are the puzzles that a model fails on the chaotic ones?"""

import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from rrjax.analysis.outcome import summarize, usable_runs
from rrjax.cells import Config, bind
from rrjax.checks import check_positive
from rrjax.commands import attribution, job
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.spectrum import spectrum
from rrjax.frames import Frame, dimension
from rrjax.jobs.devices import ChunkProgram
from rrjax.models import Model
from rrjax.outcomes import is_solved
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch, take_batch
from rrjax.reports.attribution import attribution_notes
from rrjax.reports.outcome import tables
from rrjax.reports.terminal import draw_results, print_table
from rrjax.results.axes import ArraySpec, answer_drift, describe_arrays
from rrjax.store import Arrays, write_result

_MEANINGS = {
    "exponents": ArraySpec(("puzzle", "exponent"), "nats per update"),
    "log_growth": ArraySpec(("puzzle", "update", "exponent"), "nats"),
    "drift_": ArraySpec(("puzzle", "segment"), "norm of the change of a state over a segment"),
    "answers": ArraySpec(("puzzle", "cell"), "token"),
    "q_halt": ArraySpec(("puzzle",), "logit of 'the answer is right'"),
    "finite": ArraySpec(("puzzle",), "whether no number of the run was NaN or infinite"),
    "failed_at": ArraySpec(
        ("puzzle",), "update, from 0, at which the run was not finite; -1: none"
    ),
    "solved": ArraySpec(("puzzle",), "whether the last answer is right"),
    "solved_by_segment": ArraySpec(("puzzle", "segment"), "whether the answer after it is right"),
    "inputs": ArraySpec(("puzzle", "cell"), "token"),
    "participation_": ArraySpec(
        ("puzzle", "segment", "exponent", "token"), "share of a vector's squared norm"
    ),
    "answers_by_segment": ArraySpec(("puzzle", "segment", "cell"), "token"),
}


@dataclass(frozen=True)
class Options(job.Options):
    """Lyapunov spectra of a model on many puzzles, and what tells solved from failed.

    A killed run continues when the same command is given again.

    Attributes:
      num_exponents: k, the leading exponents of each puzzle.
      attribution: save and draw where the leading vectors lie, by state, token and segment.
      board: draw this puzzle's board, counted from 0, instead of the first failed and solved one's.
    """

    num_exponents: int = 8
    attribution: bool = False
    board: int | None = None


def main(arguments: list[str]) -> None:
    """Parse, measure, print the table, write results and figures."""
    options = tyro.cli(Options, args=arguments, prog="rrjax spectrum")
    model = job.start(options)
    puzzles = job.choose_puzzles(options, model)
    _check(options, puzzles)
    folder = job.output_folder("spectrum", options, model)
    results = measure(options, model, puzzles)
    summary = summarize(
        results["exponents"],
        results["solved"],
        results[answer_drift(results)],
        results["finite"],
        log_growth=results["log_growth"],
        dimension=dimension(model.bind(puzzles.inputs[0]).initial),
        seed=options.seed,
    )
    facts = {
        "command": "spectrum",
        "clock": "update",
        "unit": "nats per update",
        "puzzles": {"sha256": puzzles.digest(), "vocab_size": puzzles.metadata.vocab_size},
        **describe_arrays(results, _MEANINGS),
        "summary": asdict(summary),
    }
    record, notes = job.record(options, model, **facts), []
    if options.attribution:
        found = attribution.summarize_attribution(results, puzzles, options.seed)
        record["attribution"] = attribution.describe(found, model.config.puzzle_tokens)
        notes = attribution_notes(found, options.num_segments)
    write_result(folder / "results.npz", results, record)
    for table in tables(summary):
        print_table(table, notes)
    if options.attribution:
        _draw_board(folder, results, puzzles, options.board)
    _draw(folder, results)


def measure(options: Options, model: Model, puzzles: PuzzleSet) -> Arrays:
    """Spectra, answers and drift of every puzzle, computed chunk by chunk in the output folder.

    Returns:
      `exponents` (N, k) and `log_growth` (N, updates, k) in nats per update and nats; `drift_z_H`
      and so on (N, segments); `inputs` and `answers` (N, seq) tokens; `solved_by_segment`
      (N, segments); `solved`, `finite`, `failed_at`, `q_halt` (N,). With attribution also
      `participation_z_H` and so on (N, segments, k, tokens) and `answers_by_segment`
      (N, segments, seq).

    Raises:
      ValueError: for puzzles or sizes that do not fit the model, or a folder of another run.
      Unfinished: if only this job's shard is done.
    """
    identity = {
        "puzzles": puzzles.digest(),
        "num_exponents": options.num_exponents,
        "attribution": options.attribution,
    }
    work = _work(options, model, puzzles)
    chunk = job.default_chunk(model, options.num_exponents)
    results = job.sweep("spectrum", options, model, work, len(puzzles), chunk, identity)
    # which difficulty is read from; as narrow as the tokens allow
    inputs = puzzles.inputs.astype(np.min_scalar_type(puzzles.metadata.vocab_size))
    return results | {"solved": results["solved_by_segment"][:, -1], "inputs": inputs}


def _work(options: Options, model: Model, puzzles: PuzzleSet) -> ChunkProgram:
    key = jax.random.key(options.seed)

    def prepare(items: np.ndarray) -> tuple[Batch, jax.Array]:
        # a puzzle's frame depends on its place in the list alone, not on how chunks are cut
        keys = jax.vmap(lambda item: jax.random.fold_in(key, item))(jnp.asarray(items))
        return take_batch(puzzles, items), keys

    fixed = (model.config, options.num_exponents, options.num_segments, options.attribution)
    return ChunkProgram(partial(_measure, *fixed), model.params, prepare)


def _measure(
    config: Config,
    num_exponents: int,
    num_segments: int,
    attributed: bool,
    params: Any,
    chunk: tuple[Batch, jax.Array],
) -> dict[str, jax.Array]:
    """One chunk of puzzles and their keys."""

    def one(puzzle: Batch, key: jax.Array) -> dict[str, jax.Array]:
        dynamics = bind(params, config, puzzle.inputs, puzzle.puzzle_ids)
        observe = attribution.observe if attributed else _answer
        result = spectrum(dynamics, num_exponents, num_segments, key=key, observe=observe)
        readout = dynamics.readout(dynamics.context, result.state)
        named = {f"drift_{name}": norm for name, norm in named_fields(result.drift).items()}
        return (
            named
            | (result.observed if attributed else {})
            | {
                "solved_by_segment": is_solved(
                    result.observed["answers_by_segment"], puzzle.labels
                ),
                "exponents": result.exponents,
                "log_growth": result.log_growth,
                "answers": readout.logits.argmax(-1),
                "q_halt": readout.q_halt,
                "finite": result.finite,
                "failed_at": result.failed_at,
            }
        )

    return jax.vmap(one)(*chunk)


def _answer(dynamics: Dynamics, before: State, after: State, frame: Frame) -> dict[str, jax.Array]:
    readout = dynamics.readout(dynamics.context, after)
    return {"answers_by_segment": readout.logits.argmax(-1)}


def _check(options: Options, puzzles: PuzzleSet) -> None:
    check_positive(options, ("num_exponents",))
    if options.board is None:
        return
    if not options.attribution:
        raise ValueError("board is drawn with attribution only: add --attribution")
    if not 0 <= options.board < len(puzzles):
        raise ValueError(f"board must lie in 0..{len(puzzles) - 1}, got {options.board}")


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

    drift = results[answer_drift(results)]
    keep = usable_runs(results["exponents"], drift, results["finite"])
    groups = results["exponents"][keep], results["solved"][keep]
    draw_results(
        folder,
        {
            "lambda1_by_outcome": partial(plots.lambda1_histogram, *groups),
            "spectrum_by_outcome": partial(plots.spectrum_by_outcome, *groups),
        },
    )
