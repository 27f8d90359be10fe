"""What blank cells tell of the answer, and of the givens around them, segment by segment."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from rrjax.analysis.foretelling import some_segments
from rrjax.analysis.information import held_out_information
from rrjax.analysis.informations import InformationSummary, summarize_information
from rrjax.experiments.controlled import TRAINED
from rrjax.experiments.experiment import Experiment
from rrjax.experiments.recording import Recording, make_analysis, recordings
from rrjax.page.informations import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.informations import information_plane
from rrjax.puzzles.sudoku import geometry, size_of
from rrjax.reports import informations as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

GROUPS = ("all", "solved", "failed")
ARRAYS = {
    "after": ArraySpec(("read",), "segment, from 1, after which states are read", "i"),
    "answer_": ArraySpec(
        ("group", "read", "interval"), "nats per blank cell on its digit, with the ends"
    ),
    "input_": ArraySpec(
        ("group", "read", "interval"), "nats per blank cell and digit, on the givens of its units"
    ),
    "ceiling_": ArraySpec(("group", "interval"), "nats, the entropy: no bound exceeds it"),
    "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
}


def information(states: Results, *, folder: str | Path | None = None) -> Results:
    """Bounds from below what blank cells tell of their answer and of the givens around them.

    The bound is that of linear probes on held-out puzzles (`held_out_information`): of the digit of
    a cell, and, of Sudokus, of whether each digit is given in the cell's row, column or box, for
    each digit alone. A token counts as a category, not as a number.

    Args:
      states: What `rrjax.experiments.states` recorded, of at least 8 puzzles.
      folder: Where the result goes, if anywhere.

    Returns:
      For each model m (`trained`, `untrained`) and field f: `answer_m_f` and, of Sudokus,
      `input_m_f` (groups, reads, 3), with the ends of their intervals over puzzles, after the
      segments `after`; `ceiling_answer` and `ceiling_input` (groups, 3). The groups are all
      puzzles, those solved at the end, and those that fail. `solved` (N,).

    Raises:
      ValueError: There are too few puzzles or cells, or a state is not finite.

    Example:
      >>> model = rrjax.load_model("trm-sudoku6")
      >>> states = rrjax.experiments.states(
      ...     model, model.test_puzzles()[:12], num_segments=2, untrained=False, progress=False
      ... )
      >>> rrjax.experiments.information(states)["answer_trained_z_H"].shape
      (3, 2, 3)
    """
    number, segments = states["solved_by_segment"].shape
    solved = states["solved"]
    members = [np.ones(number, bool), solved, ~solved]
    recorded = recordings(states)
    targets = _targets(recorded[TRAINED], states)
    after = some_segments(segments)
    puzzle = np.nonzero(recorded[TRAINED].blank)[0]
    arrays: Arrays = {"after": np.array(after), "solved": solved}
    for name, recording in recorded.items():
        for field, cells in recording.fields.items():
            reads: dict[str, list[np.ndarray]] = {target: [] for target in targets}
            for segment in after:
                z = _finite(np.asarray(cells[:, segment - 1])[recording.blank], puzzle)
                for target, classes in targets.items():
                    nats = held_out_information(z, puzzle, classes, number)
                    reads[target].append(np.array([nats.per_cell(m).ends for m in members]))
                    arrays[f"ceiling_{target}"] = np.array([nats.ceiling(m).ends for m in members])
            for target, rows in reads.items():
                arrays[f"{target}_{name}_{field}"] = np.stack(rows, axis=1)
    return make_analysis(INFORMATION, states, arrays, {}, folder, groups=list(GROUPS))


def _targets(recording: Recording, states: Results) -> dict[str, np.ndarray]:
    """Returns by name (blank cells, questions) the categories that cells may tell of."""
    blank = recording.blank
    answers = np.unique(recording.labels[blank], return_inverse=True)[1]
    targets = {"answer": answers.reshape(-1, 1)}
    vocab = states.record["puzzles"].get("vocab_size", 0)
    size = size_of(blank.shape[1], vocab)
    if size is not None:
        targets["input"] = _given_around(recording.inputs, size)[blank].astype(np.int64)
    return targets


def _given_around(inputs: np.ndarray, size: int) -> np.ndarray:
    """Returns (N, cells, digits) whether a digit is given in a unit of the cell."""
    around = inputs[:, geometry(size).peers]  # (N, cells, peers)
    return (around[..., None] == np.arange(2, size + 2)).any(axis=2)


def _finite(z: np.ndarray, puzzle: np.ndarray) -> np.ndarray:
    finite = np.isfinite(z).all(axis=1)
    if not finite.all():
        first = puzzle[~finite][0]
        raise ValueError(f"the state of puzzle {first} is not finite: leave the puzzle out")
    return z


def numbers(results: Results) -> InformationSummary:
    """Returns the bounds by model, field, target, group and segment."""
    return summarize_information(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the information plane, or the information on the answer where there is no plane."""
    return {"information_plane": partial(information_plane, numbers(results))}


INFORMATION = Experiment(
    "information", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
