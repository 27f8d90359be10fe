"""States after every segment, of a model and of the same cell with fresh weights.

Analyses of what the states hold read them from here, one segment at a time. In a folder each field
of the state is one `.npy` file (puzzles, segments, tokens, channels), which is mapped into memory.
"""

import os
import secrets
import shutil
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from rrjax.analysis.arrays import first_right
from rrjax.analysis.states import StatesSummary, summarize_states
from rrjax.choices import AskedChunkSize, Outcome
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.rollout import observe_segments
from rrjax.experiments import paths
from rrjax.experiments.answers import open_cells
from rrjax.experiments.controlled import TRAINED, UNTRAINED
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.judging import WORDS
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, take
from rrjax.inside.fresh import untrained as draw_untrained
from rrjax.inside.interventions import num_cells
from rrjax.jobs.memory import size_in_words
from rrjax.models import Model
from rrjax.plots.canvas import Draw
from rrjax.plots.states import paths_by_outcome
from rrjax.puzzles.batch import Batch
from rrjax.reports import states as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import FILE, Results
from rrjax.store import Arrays
from rrjax.store.claims import check_holds
from rrjax.store.records import read_json

_STATE = "state_"
_SOLVED = ArraySpec(("puzzle", "segment"), "whether the answer after the segment is right", "b")
_ANSWERS = ArraySpec(("puzzle", "snapshot", "cell"), "token", "i")
ARRAYS = paths.path_arrays("puzzle") | {
    "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
    "first_solved": ArraySpec(
        ("puzzle",), "segment, from 1, after which the answer is first right; 0: never", "i"
    ),
    "solved_by_segment": _SOLVED,
    f"{UNTRAINED}_solved_by_segment": _SOLVED,
    f"{UNTRAINED}_answers_by_segment": _ANSWERS,
    _STATE: ArraySpec(("puzzle", "segment", "token", "channel"), "state after the segment"),
    f"{UNTRAINED}_{_STATE}": ArraySpec(
        ("puzzle", "segment", "token", "channel"), "state of the control after the segment"
    ),
    "checksum_": ArraySpec(("puzzle",), "CRC-32 of the states in the file of a field", "i"),
    f"{UNTRAINED}_checksum_": ArraySpec(("puzzle",), "the same of the control's file", "i"),
}


class Recording(NamedTuple):
    """The states of one model on puzzles.

    Attributes:
      fields: By the name of each field of the state its cells (N, segments, cells, channels), which
        may lie on a disk: take one segment at a time, as in `numpy.asarray(fields["z_H"][:, 3])`.
      prefix: The same of the tokens before the cells (puzzle embedding, registers), if any.
      answers: (N, segments, cells) tokens.
      solved: (N, segments) whether the answer after the segment is right.
      inputs: (N, cells) tokens.
      labels: (N, cells) tokens; −100 where a token is not known.
      blank: (N, cells) the cells to be found: the label is known and is no clue.
    """

    fields: dict[str, np.ndarray]
    prefix: dict[str, np.ndarray]
    answers: np.ndarray
    solved: np.ndarray
    inputs: np.ndarray
    labels: np.ndarray
    blank: np.ndarray


def states(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    num_segments: int = 16,
    untrained: bool = True,
    seed: int = 0,
    outcome: Outcome = "auto",
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Records the states after every segment, of a model and of the same cell with fresh weights.

    States are kept in float32: 512 puzzles of 9x9, 16 segments and two fields of width 128 take 0.7
    GB, and as much for the control. In a folder they are files of which analyses read a segment at
    a time; `rrjax.experiments.recordings` opens them.

    Args:
      model: A model, or any `Reasoner` whose state has rows (tokens, width).
      puzzles: The puzzles, N of them.
      num_segments: Number of segments of each run.
      untrained: Whether the same cell with fresh weights is recorded too, as a control.
      seed: Seed of the control's weights. Nothing else is random.

    The other arguments are those of `spectrum`.

    Returns:
      `solved_by_segment` (N, segments), `solved` and `first_solved` (N,); `inputs` and `labels`
      (N, cells), `answers_by_segment` (N, segments, cells); `projection` of the answer's state, as
      in `rollout`. Of the control `untrained_solved_by_segment` and `untrained_answers_by_segment`.
      Without a folder also `state_z_H`, `untrained_state_z_H` and so on (N, segments, tokens,
      channels); `recordings` gives these in any case.

    Raises:
      ValueError: The puzzles or sizes do not fit the model, its state has no rows, the disk or the
        memory is too small, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.states(model, puzzles, num_segments=3, progress=False)
      >>> rrjax.experiments.recordings(run)["trained"].fields["z_H"].shape
      (2, 3, 16, 8)
    """
    place = folder, chunk_size, shard
    job = Job(STATES, model, puzzles, num_segments, seed, "exact", *place, progress, outcome)
    fields, leading = _shapes(job.dynamics)
    arrays = _record(job, fields)
    kept = np.arange(1, num_segments + 1)
    right = arrays["solved_by_segment"]
    arrays = paths.with_projection(arrays, job, kept) | paths.puzzle_arrays(puzzles)
    arrays |= {
        "solved": right[:, -1],
        "first_solved": first_right(right),
    }
    if untrained:
        arrays |= _record_control(job, fields, seed)
    facts = {"fields": list(fields), "leading_tokens": leading}
    return job.results(arrays, {UNTRAINED: untrained}, clock="segment", **facts)


def _shapes(dynamics: Dynamics) -> tuple[dict[str, tuple[int, ...]], int]:
    """Returns the shape of each field, and the number of tokens before the cells."""
    shapes = {name: np.shape(leaf) for name, leaf in named_fields(dynamics.initial).items()}
    cells = num_cells(dynamics)
    tokens = {shape[0] if len(shape) == 2 else 0 for shape in shapes.values()}
    if len(tokens) != 1 or min(tokens) < cells:
        words = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"states: expected fields (tokens, width) with a row for each of {cells} cells, found "
            f"{words}: what states hold can be asked only of models whose cells have rows"
        )
    return shapes, tokens.pop() - cells


def _record_control(job: Job, fields: Mapping[str, tuple[int, ...]], seed: int) -> Arrays:
    if not isinstance(job.model, Model):
        raise ValueError(
            "untrained: only a cell of rrjax has weights that can be drawn anew; record this "
            "model with untrained=False"
        )
    folder = None if job.folder is None else Path(job.folder) / UNTRAINED
    control = replace(job, model=draw_untrained(job.model, seed), folder=folder)
    arrays = _record(control, fields)
    del arrays[paths.SKETCH]
    return {f"{UNTRAINED}_{name}": array for name, array in arrays.items()}


def _record(job: Job, fields: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Returns the arrays of one model; in a folder the states go to files."""
    number = len(job.puzzles.inputs)
    shapes = {name: (number, job.num_segments, *shape) for name, shape in fields.items()}
    keep = None if job.folder is None else _Files(Path(job.folder), shapes, job.progress)
    arrays = job.sweep(
        partial(_measure, job),
        partial(take, job.puzzles),
        number,
        0,
        {"puzzles": job.described_puzzles["sha256"], "kept_by_segment": "states"},
        (getattr(job.model, "params", ()), paths.matrix_of(job.dynamics)),
        keep,
    )
    arrays = job.judge.with_solved(arrays, "solved_by_segment")
    for name in WORDS:
        arrays.pop(name, None)
    return arrays


def _measure(job: Job, shared: tuple[Any, Array], chunk: Batch) -> dict[str, Array]:
    params, matrix = shared

    def one(puzzle: Batch) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        observe = Partial(_observe, matrix)
        observed = observe_segments(dynamics, observe, job.num_segments)[1]
        tokens = observed["answers_by_segment"]
        return observed | job.judge(puzzle, job.judge.path_length(puzzle), tokens)

    return jax.vmap(one)(chunk)


def _observe(
    matrix: Array, dynamics: Dynamics, before: State, after: State, frame: None
) -> dict[str, Array]:
    fields = named_fields(after).items()
    narrow = {f"{_STATE}{name}": leaf.astype(jnp.float32) for name, leaf in fields}
    return paths.take_snapshot(matrix, dynamics, after) | narrow


class _Files:
    """The files of the fields, into which a sweep's chunks go; the sweep keeps checksums."""

    def __init__(self, folder: Path, shapes: Mapping[str, tuple[int, ...]], shown: bool):
        self.folder, self.shapes = folder, shapes
        size = 4 * sum(int(np.prod(shape)) for shape in shapes.values())
        above = next(place for place in folder.absolute().parents if place.exists())
        free = shutil.disk_usage(above).free
        if size > free and not folder.exists():
            raise ValueError(
                f"states: {folder} would need {size_in_words(size)}, and the disk has "
                f"{size_in_words(free)} free; record fewer puzzles or segments"
            )
        if shown:
            print(f"states: {size_in_words(size)} in {folder}")

    def __call__(self, items: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Arrays:
        kept = {name: array for name, array in arrays.items() if not name.startswith(_STATE)}
        for name, shape in self.shapes.items():
            rows, path = arrays[f"{_STATE}{name}"], _file(self.folder, name)
            if not path.exists():
                _make_file(path, shape)
            mapped = np.lib.format.open_memmap(path, "r+")
            mapped[items] = rows
            mapped.flush()
            kept[f"checksum_{name}"] = np.array([[_checksum(r) for r in chunk] for chunk in rows])
        return kept


def _file(folder: Path, field: str) -> Path:
    return folder / f"{_STATE}{field}.npy"


def _make_file(path: Path, shape: tuple[int, ...]) -> None:
    """Makes an empty file of states; of two workers at the same moment one is first."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
    with suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()


def _checksum(row: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(row).tobytes())


def recordings(results: Results) -> dict[str, Recording]:
    """Returns the states that `rrjax.experiments.states` recorded.

    Args:
      results: What `states` or `rrjax.load_results` returned.

    Returns:
      A `Recording` by name: `trained`, and `untrained` where the control was recorded.

    Raises:
      ValueError: The results are those of another experiment, or a file of states is absent,
        damaged or that of another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.states(model, puzzles, num_segments=3, progress=False)
      >>> list(rrjax.experiments.recordings(run))
      ['trained', 'untrained']
    """
    if results.record["experiment"] != STATES.name:
        raise ValueError(
            f"{results.path or 'these results'}: expected the states that rrjax inside states "
            f"records, found results of rrjax {results.record['experiment']}"
        )
    names = {TRAINED: ""} | ({UNTRAINED: f"{UNTRAINED}_"} if _has_control(results) else {})
    return {name: _recording(results, before) for name, before in names.items()}


def _has_control(results: Results) -> bool:
    return bool(results.record["options"][UNTRAINED])


def _recording(results: Results, before: str) -> Recording:
    leading = results.record["leading_tokens"]
    fields = {name: _rows(results, before, name) for name in results.record["fields"]}
    inputs, labels = results["inputs"], results["labels"]
    return Recording(
        fields={name: rows[:, :, leading:] for name, rows in fields.items()},
        prefix={name: rows[:, :, :leading] for name, rows in fields.items() if leading},
        answers=results[f"{before}answers_by_segment"],
        solved=results[f"{before}solved_by_segment"],
        inputs=inputs,
        labels=labels,
        blank=open_cells(Batch(inputs, labels, None)),
    )


def _rows(results: Results, before: str, field: str) -> np.ndarray:
    if f"{before}{_STATE}{field}" in results:
        return results[f"{before}{_STATE}{field}"]
    if results.path is None:
        raise ValueError(f"these results hold no states of {field}")
    folder = results.path.parent / (UNTRAINED if before else "")
    path = _file(folder, field)
    expected = results[f"{before}checksum_{field}"]
    if not path.is_file():
        raise ValueError(
            f"{path} is absent: expected the states of {field}; remove {folder} and record "
            "them again"
        )
    damaged = (
        f"{path} is damaged or of another run: its states do not have the checksums of "
        f"{results.path.name}; remove {results.path.parent} and record them again"
    )
    try:
        rows = np.load(path, mmap_mode="r")
    except (EOFError, ValueError) as error:  # no header, or one that the file is too short for
        raise ValueError(damaged) from error
    if len(rows) != len(expected) or not all(map(np.equal, map(_checksum, rows), expected)):
        raise ValueError(damaged)
    return rows


def make_analysis(
    experiment: Experiment,
    states: Results,
    arrays: Arrays,
    options: Mapping[str, Any],
    folder: str | Path | None,
    **facts: Any,
) -> Results:
    """Returns the result of an analysis of recorded states, and writes it where there is a folder.

    Args:
      experiment: The analysis.
      states: What it read, as `rrjax.experiments.states` recorded it.
      arrays: What it found, by name.
      options: The arguments of the analysis.
      folder: Where the result goes.
      facts: Other entries of the record.
    """
    names = ("model", "answer", "outcome", "puzzles", "updates_per_segment", "fields")
    source = None if states.path is None else str(states.path)
    record = {
        **{name: states.record[name] for name in names},
        "options": {**states.record["options"], **options},
        "states": source,
        **facts,
    }
    results = experiment.results(arrays, record)
    if folder is not None:
        check_free(experiment, folder)
        results.save(folder)
    return results


def check_free(experiment: Experiment, folder: str | Path) -> None:
    """Refuses a folder that holds anything but an earlier result of the same analysis.

    Raises:
      ValueError: It holds something else, which may be the states themselves.
    """
    place = Path(folder)
    if check_holds(place, FILE):
        return
    kind = read_json((place / FILE).with_suffix(".json")).get("experiment")
    if kind != experiment.name:
        raise ValueError(
            f"{folder} holds results of rrjax {kind}: choose another folder (--out) for those of "
            f"rrjax inside {experiment.name}"
        )


def numbers(results: Results) -> StatesSummary:
    """Returns how many puzzles are solved, and the variance that principal directions hold."""
    return summarize_states(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of the paths in the plane of the two leading principal directions."""
    return {"paths_by_outcome": partial(paths_by_outcome, results)}


STATES = Experiment("states", ARRAYS, numbers, report.tables, figures, findings=report.findings)
