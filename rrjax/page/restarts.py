"""Several runs of each puzzle: what each solves, and which of them agree."""

from typing import Any

import numpy as np

from rrjax.analysis.basins import answer_classes
from rrjax.page.boards import encode, mark, vocabulary
from rrjax.page.charts import INK, OUTCOMES, by_outcome, dataset, import_altair, specification
from rrjax.page.shown import Shown, thinned, written
from rrjax.results.results import Results

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def restarts(shown: Shown, most_cells: int, most_runs: int) -> dict[str, Any] | None:
    """Returns the runs of the shown puzzles; None where each puzzle has one run.

    Args:
      shown: The result.
      most_cells: Cells of all answers; where they do not suffice, the last puzzles have none.
      most_runs: Runs of all puzzles; where they do not suffice, some puzzles have none.

    Returns:
      `runs`, by puzzle a row for each run, with the letter of its last answer (the same letter for
      the same answer, A for the most frequent one); `answers`, by puzzle the distinct ones as
      boards, or None; `num_kept`, the number of puzzles with their runs.
    """
    results = shown.results
    if results.axes["solved"][:2] != ("puzzle", "run"):
        return None
    answers = results["answers"][shown.puzzles]
    inputs, labels = shown.by_puzzle("inputs"), shown.by_puzzle("labels")
    vocab_size = vocabulary(shown, answers)
    kept = thinned(np.arange(len(answers)), max(1, most_runs // answers.shape[1])).tolist()
    runs: list[list[dict[str, Any]]] = [[] for _ in answers]
    boards: list[list[str] | None] = [None for _ in answers]
    size = 0
    for place in kept:
        own = answers[place]
        index, distinct = answer_classes(own, np.ones(len(own), bool))
        runs[place] = _rows(results, int(shown.puzzles[place]), index)
        size += distinct.size
        if size <= most_cells:
            question, label = (None if a is None else a[place][None] for a in (inputs, labels))
            marks = mark(distinct[:, None], question, label, vocab_size)
            boards[place] = [one for (one,) in encode(distinct[:, None], marks)]
    return {"runs": runs, "answers": boards, "num_kept": len(kept)}


def _rows(results: Results, puzzle: int, index: np.ndarray) -> list[dict[str, Any]]:
    solved, q = results["solved"][puzzle, :, -1].tolist(), written(results["q_halt"][puzzle], 3)
    return [
        {
            "sigma": sigma,
            "repeat": repeat,
            "class": place,
            "answer": LETTERS[place] if place < len(LETTERS) else "…",
            "outcome": "solved" if solved[run] else "failed",
            "q": q[run],
        }
        for run, (sigma, repeat, place) in enumerate(
            zip(written(results["sigma"]), results["repeat"].tolist(), index.tolist(), strict=True)
        )
    ]


def restarts_chart() -> dict[str, Any]:
    """Returns the chart of the runs of one puzzle, a row for each σ, and their numbers by σ."""
    alt = import_altair()
    rows = alt.Chart(dataset("runs")).encode(y=alt.Y("sigma:N", title="σ of the noise", sort=None))
    run = rows.properties(width=alt.Step(26), height=alt.Step(26)).encode(
        x=alt.X("repeat:O", title="run", axis=alt.Axis(labelAngle=0)),
        tooltip=[
            "sigma:N",
            "repeat:O",
            "outcome:N",
            "answer:N",
            alt.Tooltip("q:Q", title="q_halt"),
        ],
    )
    marks = run.mark_point(filled=True, size=420, opacity=0.35, cursor="pointer").encode(
        color=by_outcome("color", OUTCOMES[:2]), shape=by_outcome("shape", OUTCOMES[:2])
    )
    letters = run.mark_text(fontWeight="bold", cursor="pointer").encode(text="answer:N")
    numbers = (
        rows.properties(width=220, height=alt.Step(26))
        .mark_bar(stroke=INK, strokeWidth=0.5)
        .encode(
            x=alt.X("count():Q", title="runs", axis=alt.Axis(tickMinStep=1)),
            color=by_outcome("color", OUTCOMES[:2]),
            order=alt.Order("outcome:N", sort="descending"),
            tooltip=["sigma:N", "outcome:N", alt.Tooltip("count():Q", title="runs")],
        )
    )
    return specification(alt.hconcat(marks + letters, numbers), runs=[])
