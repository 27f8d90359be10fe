"""A plane of initial states: when each start settles, and on which answer."""

from typing import Any

import numpy as np

from rrjax.analysis.basins import MOVING
from rrjax.page.boards import describe_board, encode, mark, vocabulary
from rrjax.page.charts import dataset, import_altair, specification
from rrjax.page.shown import MOST_CELLS, Shown, thinned, written

MOST_PLACES = 64
"""Starts along an axis up to which every one is shown."""

MOST_ANSWERS = 6
"""Answers that have a colour of their own."""

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
_SIZE = 340


def plane(shown: Shown) -> dict[str, Any]:
    """Returns the starts of a slice, and the distinct answers as boards."""
    results = shown.results
    places = thinned(np.arange(len(results["a"])), MOST_PLACES)
    board, answers = _boards(shown)
    grid = np.ix_(places, places)
    a, b = written(results["a"][places]), written(results["b"][places])
    index, settling = results["answer_index"][grid].tolist(), results["answer_at"][grid].tolist()
    solved = results["solved"][grid].tolist() if "solved" in results else None
    points = [
        {
            "a": a[row],
            "b": b[column],
            "answer": answer,
            "words": "still moving" if answer == MOVING else f"answer {answer + 1}",
            "kind": _kind(answer),
            "settling": None if answer == MOVING else settling[row][column],
            "outcome": "unknown" if solved is None else _OUTCOMES[solved[row][column]],
        }
        for row, answers_of_row in enumerate(index)
        for column, answer in enumerate(answers_of_row)
    ]
    return {"points": points, "board": board, "answers": answers, "num_places": len(places)}


_OUTCOMES = {True: "solved", False: "failed"}


def _kind(answer: int) -> str:
    """Returns the group that an answer is coloured with."""
    if answer == MOVING:
        return "still moving"
    return f"answer {answer + 1}" if answer < MOST_ANSWERS else "another answer"


def _boards(shown: Shown) -> tuple[dict[str, Any], list[str]]:
    answers = shown.results["distinct_answers"]
    num_cells = answers.shape[1]
    answers = answers[: max(1, MOST_CELLS // max(1, num_cells)), None]
    inputs, labels = (shown.results.get(name) for name in ("inputs", "labels"))
    vocab_size = vocabulary(shown, answers)
    boards = encode(answers, mark(answers, inputs, labels, vocab_size))
    return describe_board(num_cells, vocab_size), [one for (one,) in boards]


def slice_chart(data: dict[str, Any]) -> dict[str, Any]:
    """Returns the two maps of a slice: when each start settles, and on which answer."""
    alt = import_altair()
    a, b = ([point[name] for point in data["points"]] for name in ("a", "b"))
    step = _SIZE / data["num_places"]
    base = (
        alt.Chart(dataset("plane"), width=_SIZE, height=_SIZE)
        .mark_point(
            filled=True,
            shape="square",
            size=(step + 0.5) ** 2,
            opacity=1,
            cursor="pointer",
            invalid=None,
        )
        .encode(
            x=alt.X(
                "a:Q", title="a, in std(H_init) · √dim", scale=_scale(alt, a, data["num_places"])
            ),
            y=alt.Y(
                "b:Q", title="b, in std(H_init) · √dim", scale=_scale(alt, b, data["num_places"])
            ),
            tooltip=[
                alt.Tooltip("a:Q"),
                alt.Tooltip("b:Q"),
                alt.Tooltip("settling:Q", title="settled at segment"),
                alt.Tooltip("words:N", title="answer"),
                alt.Tooltip("outcome:N", title="outcome"),
            ],
        )
    )
    domain = ["still moving", *(f"answer {i + 1}" for i in range(MOST_ANSWERS)), "another answer"]
    colours = ["#303030", *_COLOURS, "#BBBBBB"]
    maps = (
        base.properties(title="segment from which on the answer stays").encode(
            color=alt.condition(
                "isValid(datum.settling)",
                alt.Color(
                    "settling:Q", title="segment", scale=alt.Scale(scheme="viridis", reverse=True)
                ),
                alt.value("#303030"),
            )
        ),
        base.properties(title="the last answer").encode(
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=domain, range=colours),
                legend=alt.Legend(columns=4),
            )
        ),
    )
    both = alt.hconcat(*maps).resolve_scale(color="independent")
    return specification(both, plane=data["points"])


def _scale(alt: Any, values: list[float], number: int) -> Any:
    low, high = min(values), max(values)
    half = (high - low) / max(number - 1, 1) / 2
    return alt.Scale(domain=[low - half, high + half], nice=False)
