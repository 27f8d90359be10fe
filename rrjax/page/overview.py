"""The overview: every puzzle a point; histogram, spectrum and AUC of those that are chosen."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from rrjax.analysis.arrays import first_right, largest_first
from rrjax.analysis.format import interval_in_words
from rrjax.analysis.intervals import Interval
from rrjax.analysis.outcome import DRIFT_WINDOW
from rrjax.analysis.separation import auc_interval
from rrjax.analysis.settling import late_drift
from rrjax.page.charts import INK, OUTCOMES, by_outcome, dataset, import_altair, specification
from rrjax.page.shown import Shown, show, written
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.puzzles.difficulty import difficulty
from rrjax.results.results import Results

NATS = "nats per update"


class Quantity(NamedTuple):
    """A number of each puzzle, which an axis can show.

    Attributes:
      key: A short name within the page.
      title: What it is, with its unit.
      values: (N,) of all puzzles of the run; NaN where there is none.
      is_log: Whether its axis is logarithmic.
    """

    key: str
    title: str
    values: np.ndarray
    is_log: bool = False


def overview(shown: Shown) -> dict[str, Any]:
    """Returns the points of a run, the numbers that axes can show, and what is known of each.

    The AUC of a number is of all puzzles of the run that have it, shown or not: the probability
    that a failed puzzle has the larger one.
    """
    whole = show(shown.results, len(outcomes(shown.results)))
    every = list(quantities(whole))
    outcome = outcomes(shown.results)
    points = [
        {"puzzle": int(place), "outcome": str(outcome[place])}
        | {each.key: written(each.values[place]) for each in every}
        for place in shown.puzzles.tolist()
    ]
    described = [
        {"key": each.key, "title": each.title, "log": each.is_log}
        | {"auc": interval_in_words(failure_auc(each.values[known], outcome[known]))}
        | {"number": int(known.sum())}
        for each in every
        for known in [~np.isnan(each.values) & (outcome != "unknown")]
    ]
    return {
        "points": points,
        "quantities": described,
        "num_exponents": num_exponents(shown),
        "num_puzzles": len(outcome),
        "outcomes": [name for name in OUTCOMES if name in outcome],
    }


def outcomes(results: Results) -> np.ndarray:
    """Returns (N,) "solved", "failed" or "unknown" for each puzzle, by its last answer.

    Of several runs of a puzzle the first counts, which starts undisturbed. An outcome is unknown
    where answers are held against labels and the puzzle has none.
    """
    solved = results["solved"]
    axes = results.axes["solved"]
    if "run" in axes:
        solved = solved[:, 0]
    if axes[-1] == "segment":
        solved = solved[:, -1]
    words = np.where(solved, "solved", "failed").astype(object)
    if "labels" in results and results.record.get("outcome", "exact_match") == "exact_match":
        words[(results["labels"] == IGNORE_LABEL).all(axis=1)] = "unknown"
    return words


def num_exponents(shown: Shown) -> int:
    """Returns the number of exponents of each puzzle; 0 where none were measured."""
    return shown.results["exponents"].shape[-1] if "exponents" in shown.results else 0


def failure_auc(values: np.ndarray, outcome: np.ndarray) -> Interval:
    """Returns the probability that a failed puzzle has the larger value, with its interval."""
    return auc_interval(values, outcome == "failed")


def quantities(whole: Shown) -> Iterator[Quantity]:
    """Yields what can be plotted of the puzzles, the axes that are shown first at the start."""
    results = whole.results
    yield from _of_spectra(whole)
    drift = whole.by_puzzle(results.answer_drift)
    if drift is not None:
        late = late_drift(drift, min(DRIFT_WINDOW, drift.shape[1]))
    else:
        late = whole.by_puzzle("late_drift")
    if late is not None:
        title = f"late drift of {results.record['answer']} (norm per segment, last {DRIFT_WINDOW})"
        yield Quantity("late_drift", title, late, True)
    yield from _at_end(whole)
    yield from _of_questions(whole)
    first = _first_right(whole)
    if first is not None:
        yield Quantity("first_right", "segment of the first right answer", first)


def _of_spectra(whole: Shown) -> Iterator[Quantity]:
    exponents = whole.by_puzzle("exponents")
    if exponents is None:
        return
    finite = whole.by_puzzle("finite")
    exponents = largest_first(exponents).astype(np.float64)
    exponents[np.zeros(len(exponents), bool) if finite is None else ~finite] = np.nan
    number = exponents.shape[1]
    yield Quantity("lambda1", f"λ₁ ({NATS})", exponents[:, 0])
    for place in range(1, number):
        yield Quantity(f"lambda{place + 1}", f"λ{_low(place + 1)} ({NATS})", exponents[:, place])
    if number > 1:
        yield Quantity("sum", f"sum of the {number} exponents ({NATS})", exponents.sum(axis=1))
        positive = np.where(np.isnan(exponents[:, 0]), np.nan, np.fmax(exponents, 0).sum(axis=1))
        yield Quantity("positive_sum", f"sum of the positive exponents ({NATS})", positive)


def _low(number: int) -> str:
    return "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(number))


def _at_end(whole: Shown) -> Iterator[Quantity]:
    for key, title, is_log in (
        ("residual", "residual (relative change per segment, at the end)", True),
        ("q_halt", "q_halt after the last segment (logit)", False),
        ("token_accuracy", "share of the right tokens in the last answer", False),
        ("violations", "rules of Sudoku that the last answer breaks", False),
    ):
        values = whole.by_puzzle(key)
        if values is not None:
            last = values[:, -1] if values.ndim > 1 else values
            yield Quantity(key, title, last.astype(np.float64), is_log)


def _of_questions(whole: Shown) -> Iterator[Quantity]:
    inputs = whole.by_puzzle("inputs")
    if inputs is None:
        return
    try:
        numbers = difficulty(inputs, whole.vocab_size).numbers
    except ValueError:  # tokens that are none of a puzzle's
        return
    for name, values in numbers.items():
        yield Quantity(name.replace(" ", "_"), f"{name} of the puzzle", values.astype(np.float64))


def _first_right(whole: Shown) -> np.ndarray | None:
    name = "solved_by_segment" if "solved_by_segment" in whole.results else "solved"
    right = whole.by_puzzle(name)
    if right is None or right.ndim < 2:
        return None
    first = first_right(right)
    return np.where(first > 0, first, np.nan)


def scatter(named: Sequence[str]) -> dict[str, Any]:
    """Returns the chart of the points, with a brush; the page gives the axes their titles.

    A point that is pressed is picked, and does not begin a brush.

    Args:
      named: The outcomes that there are.
    """
    alt = import_altair()
    begins = "pointerdown[!event.item || event.item.mark.marktype != 'symbol']"
    brush = alt.selection_interval(
        name="brush", on=f"[{begins}, window:pointerup] > window:pointermove!"
    )
    chosen = alt.param(name="chosen", value=-1)
    is_chosen = "datum.puzzle == chosen"
    points = (
        alt.Chart(dataset("points"), width=400, height=360)
        .mark_point(filled=True, opacity=0.75, cursor="pointer")
        .encode(
            x=alt.X("x:Q", title="", scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", title="", scale=alt.Scale(zero=False)),
            color=by_outcome("color", named),
            shape=by_outcome("shape", named),
            size=alt.condition(is_chosen, alt.value(260), alt.value(55)),
            stroke=alt.condition(is_chosen, alt.value(INK), alt.value(None)),
            strokeWidth=alt.value(2),
            tooltip=[
                alt.Tooltip("puzzle:Q", title="puzzle"),
                alt.Tooltip("outcome:N", title="outcome"),
                alt.Tooltip("x:Q", title="horizontal", format=".4g"),
                alt.Tooltip("y:Q", title="vertical", format=".4g"),
            ],
        )
        .add_params(brush, chosen)
    )
    return specification(points, points=[])


def histogram() -> dict[str, Any]:
    """Returns the histogram of the horizontal axis by outcome, one above the other."""
    alt = import_altair()
    bars = (
        alt.Chart(dataset("points"), width=310, height=70)
        .mark_bar(stroke=INK, strokeWidth=0.5)
        .encode(
            x=alt.X("h:Q", bin=alt.Bin(maxbins=30), title=""),
            y=alt.Y("count():Q", title="puzzles"),
            color=by_outcome("color"),
            row=alt.Row("outcome:N", title=None, header=alt.Header(labelOrient="top")),
            tooltip=[alt.Tooltip("count():Q", title="puzzles"), alt.Tooltip("outcome:N")],
        )
    )
    return specification(bars, points=[])


def spectrum(number: int) -> dict[str, Any]:
    """Returns the median of each exponent by outcome, with the band from quartile to quartile."""
    alt = import_altair()
    places = list(range(1, number + 1, max(1, number // 8)))
    long = (
        alt.Chart(dataset("points"), width=310, height=190)
        .transform_fold([f"lambda{place + 1}" for place in range(number)], ["name", "value"])
        .transform_calculate(exponent="toNumber(substring(datum.name, 6))")
        .transform_filter("isValid(datum.value)")
        .encode(x=alt.X("exponent:Q", title="exponent i", axis=alt.Axis(values=places, format="d")))
    )
    title = f"λᵢ ({NATS}): median, quartiles"
    band = long.mark_errorband(extent="iqr", opacity=0.2).encode(
        y=alt.Y("value:Q", title=title), color=by_outcome("color")
    )
    line = long.mark_line().encode(
        y=alt.Y("median(value):Q", title=title),
        color=by_outcome("color"),
        strokeDash=by_outcome("strokeDash"),
    )
    marks = long.mark_point(filled=True, size=50).encode(
        y=alt.Y("median(value):Q", title=title),
        color=by_outcome("color"),
        shape=by_outcome("shape"),
    )
    return specification(band + line + marks, points=[])
