"""One puzzle: its board at each segment, where it is unstable, and its curves over time."""

import base64
import json
from typing import Any, NamedTuple

import numpy as np

from rrjax.analysis.spectra import leading_growth
from rrjax.page.boards import FIRST, MOST_TOKENS, describe_board, encode, mark, vocabulary
from rrjax.page.charts import COLOURS, CURVES, DASHES, INK, dataset, import_altair, specification
from rrjax.page.shown import MOST_CELLS, Shown, thinned, written
from rrjax.puzzles.batch import IGNORE_LABEL

MOST_ATTRIBUTED = 32
"""Puzzles whose attribution is in a page."""

MOST_GROWTH_ROWS = 512
"""Updates of a run up to which the growth of each is in a page; of more, means over some each."""

_PREFIX = "participation_"
_SIZE = 400
"""Pixels of the longer side of a board."""

CLASH = "#CC79A7"
_SHADE = "#E69F00"
_WORDS = (
    "'row ' + (datum.row + 1) + ', column ' + (datum.column + 1) + ': ' + datum.text"
    " + (floor(datum.code / 2) % 2 ? ', wrong' : '')"
    " + (floor(datum.code / 8) % 2 ? ', breaks a rule' : '')"
)
_DEPTHS = {"domain": [0, 255], "range": [0, 0.8]}


class Curve(NamedTuple):
    """A line over the segments.

    Attributes:
      key: Its name within the page.
      title: What it is, with its unit.
    """

    key: str
    title: str


PANELS = (
    ((Curve("lambda", "λ₁ so far"),), "nats per update", False),
    (
        (
            Curve("drift", "drift over a segment (norm)"),
            Curve("residual", "residual (relative)"),
            Curve("distance", "distance to the end state (RMS)"),
        ),
        "size (log scale)",
        True,
    ),
    ((Curve("q", "q_halt"),), "logit", False),
    ((Curve("accuracy", "right tokens"),), "share", False),
)
"""The small charts of curves: their lines, the title of the axis, and whether it is logarithmic."""


def puzzle(shown: Shown, most_cells: int = MOST_CELLS) -> dict[str, Any]:
    """Returns the boards and curves of the shown puzzles.

    Args:
      shown: The result.
      most_cells: Cells of all boards; where they do not suffice, some puzzles have no board.

    Returns:
      The shown `segments`; `series`, by puzzle the values at these of each curve that there is, and
      the `growth` of the leading vector at each row; how many `rows_per_segment` there are, or
      None; the `board` and the `overlay` of it, or None.
    """
    segments, curves, board = shown.segments.tolist(), _curves(shown), _boards(shown, most_cells)
    growth = _growth(shown)
    written_curves = {name: written(values) for name, values in curves.items()}
    series = [
        {"segment": segments} | {name: values[place] for name, values in written_curves.items()}
        for place in range(len(shown.puzzles))
    ]
    if growth is not None:
        for one, rows in zip(series, written(growth, 3), strict=True):
            one["growth"] = rows
    return {
        "segments": segments,
        "series": series,
        "names": [*curves],
        "rows_per_segment": None if growth is None else growth.shape[1] / shown.num_segments,
        "board": board,
        "overlay": _overlay(shown, board, most_cells),
    }


def _curves(shown: Shown) -> dict[str, np.ndarray]:
    """Returns the curves (n, s) that the result has, by name."""
    labels, answers = shown.by_puzzle("labels"), _answers(shown)
    curves = {
        "drift": shown.by_segment(shown.results.answer_drift),
        "residual": _first(shown.by_segment("residual_by_segment"), shown.by_segment("residual")),
        "distance": shown.by_segment("distance_to_end"),
        "q": _first(shown.by_segment("q_halt_by_segment"), shown.by_segment("q_halt")),
        "accuracy": shown.by_segment("token_accuracy"),
    }
    leading = _leading_growth(shown)
    if leading is not None:
        rows, per_segment = leading
        counted = shown.segments * per_segment
        curves["lambda"] = np.cumsum(rows, axis=1)[:, counted - 1] / counted
    if curves["accuracy"] is None and labels is not None and answers is not None:
        accuracy = _token_accuracy(labels, answers)
        curves["accuracy"] = accuracy if answers.shape[1] == len(shown.segments) else None
    return {name: values for name, values in curves.items() if values is not None}


def _first(*arrays: np.ndarray | None) -> np.ndarray | None:
    return next((array for array in arrays if array is not None), None)


def _leading_growth(shown: Shown) -> tuple[np.ndarray, int] | None:
    """Returns growth (n, rows) in nats per update, and the rows of a segment."""
    growth, exponents = shown.by_puzzle("log_growth"), shown.by_puzzle("exponents")
    record = shown.results.record
    if growth is None or exponents is None:
        return None
    per_row = record["updates_per_segment"] if record.get("clock") == "segment" else 1
    per_segment = growth.shape[1] // shown.num_segments
    return leading_growth(growth, exponents) / per_row, per_segment


def _growth(shown: Shown) -> np.ndarray | None:
    """Returns growth (n, rows) in nats per update, of each update or of neighbours together."""
    leading = _leading_growth(shown)
    if leading is None:
        return None
    rows = leading[0]
    bounds = thinned(np.arange(rows.shape[1] + 1), MOST_GROWTH_ROWS + 1)
    return np.add.reduceat(rows, bounds[:-1], axis=1) / np.diff(bounds)


def _token_accuracy(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    known = (labels != IGNORE_LABEL)[:, None]
    number = known.sum(axis=2)
    right = ((answers == labels[:, None]) & known).sum(axis=2)
    return np.where(number, right / np.maximum(number, 1), np.nan)


def _answers(shown: Shown) -> np.ndarray | None:
    """Returns the answers (n, s, cells), or (n, 1, cells) where the last ones alone were kept."""
    answers, last = shown.by_segment("answers_by_segment"), shown.by_puzzle("answers")
    return answers if answers is not None or last is None else last[:, None]


def _boards(shown: Shown, most_cells: int) -> dict[str, Any] | None:
    answers, inputs = _answers(shown), shown.by_puzzle("inputs")
    if answers is None:
        return None
    labels, vocab_size = shown.by_puzzle("labels"), vocabulary(shown, answers)
    if vocab_size > MOST_TOKENS:
        return None
    kept = thinned(np.arange(len(answers)), max(1, most_cells // answers[0].size))
    answers = answers[kept]
    inputs, labels = (None if array is None else array[kept] for array in (inputs, labels))
    return describe_board(answers.shape[-1], vocab_size) | {
        "kept": kept.tolist(),
        "answers": encode(answers, mark(answers, inputs, labels, vocab_size)),
        "inputs": None if inputs is None else encode(inputs),
        "labels": None if labels is None else encode(labels),
        "top_share": 0.0,
    }


def _overlay(shown: Shown, board: dict[str, Any] | None, most_cells: int) -> dict[str, Any] | None:
    """Returns where the tangent vectors lie, in 8 bits a cell: √(share / largest share) · 255."""
    names = [name for name in shown.results if name.startswith(_PREFIX)]
    if not names or board is None:
        return None
    num_cells, num_exponents = len(board["answers"][0][0]), shown.results[names[0]].shape[2]
    size = len(shown.segments) * len(names) * num_exponents * num_cells
    kept = thinned(np.array(board["kept"]), min(MOST_ATTRIBUTED, max(1, most_cells // size)))
    some = Shown(shown.results, shown.puzzles[kept])
    by_state = [share for share in map(some.by_segment, names) if share is not None]
    # (puzzles, segments, states, exponents, cells); tokens of a puzzle embedding come first
    shares = np.nan_to_num(np.stack(by_state, axis=2)[..., -num_cells:])
    top = float(shares.max()) or 1.0
    narrow = np.rint(255 * np.sqrt(shares / top)).astype(np.uint8)
    states = [name.removeprefix(_PREFIX) for name in names]
    board["top_share"] = written(top)
    return {
        "kept": kept.tolist(),
        "directions": [
            f"direction {place + 1} in {state}"
            for state in states
            for place in range(num_exponents)
        ],
        "bytes": [base64.b64encode(one.tobytes()).decode() for one in narrow],
    }


def board_chart(board: dict[str, Any]) -> dict[str, Any]:
    """Returns the chart of a board; the page gives it the cells, as `encode` writes them.

    A cell shows its token; bold where it is given, framed where it is wrong, with a dot where it
    changed over the last segment and a cross where it breaks a rule.
    """
    alt = import_altair()
    width, height = board["width"], board["height"]
    size = _SIZE / max(width, height)
    tokens = [*range(len(board["symbols"]))]
    symbols = alt.param(name="symbols", value=board["symbols"])
    cells = (
        alt.Chart(dataset("cells"), width=size * width, height=size * height)
        .transform_calculate(
            row=f"floor(datum.cell / {width})",
            column=f"datum.cell % {width}",
            token=f"floor((datum.code - {FIRST}) / 16)",
            share=f"pow(datum.depth / 255, 2) * {board['top_share']}",
        )
        .transform_calculate(text="symbols[datum.token]")
        .transform_calculate(words=_WORDS)
        .encode(
            x=alt.X("column:Q", axis=None, scale=alt.Scale(domain=[-0.5, width - 0.5], nice=False)),
            y=alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[height - 0.5, -0.5], nice=False)),
            description="words:N",
            tooltip=["words:N", alt.Tooltip("share:Q", title="share of norm²", format=".3g")],
        )
    )
    fills = alt.Scale(domain=tokens, range=board["fills"])
    inks = alt.Scale(domain=tokens, range=board["inks"])
    square = {"shape": "square", "size": size**2, "filled": True, "strokeWidth": 0.5}
    layers = [
        cells.mark_point(stroke=INK, strokeOpacity=0.35, opacity=1, **square).encode(
            fill=alt.Fill("token:O", scale=fills, legend=None)
        ),
        cells.transform_filter("datum.depth > 0")
        .mark_point(fill=_SHADE, **square)
        .encode(opacity=alt.Opacity("depth:Q", scale=_DEPTHS, legend=None)),
        *_marks(alt, cells, size, alt.Color("token:O", scale=inks, legend=None)),
        *(board_line(alt, "x", size * place, size * height) for place in board["columns"]),
        *(board_line(alt, "y", size * place, size * width) for place in board["rows"]),
    ]
    words = f"The board of the chosen puzzle, a {board['kind']}"
    return specification(
        alt.layer(*layers).add_params(symbols).properties(description=words), cells=[]
    )


def _marks(alt: Any, cells: Any, size: float, ink: Any) -> list[Any]:
    """Returns the layers of tokens and marks, for cells of so many pixels."""
    given, wrong, changed, clash = (f"floor(datum.code / {2**bit}) % 2" for bit in range(4))
    corner, small = 0.34 * size, max(12.0, 0.03 * size**2)
    texts = cells.encode(text="text:N", color=ink)
    return [
        cells.transform_filter(f"{wrong} == 1").mark_point(
            shape="square", size=(0.78 * size) ** 2, stroke=COLOURS[1], strokeWidth=2, opacity=1
        ),
        texts.transform_filter(f"{given} == 1").mark_text(fontSize=0.55 * size, fontWeight="bold"),
        texts.transform_filter(f"{given} == 0").mark_text(fontSize=0.5 * size),
        cells.transform_filter(f"{changed} == 1").mark_point(
            shape="circle",
            filled=True,
            fill=COLOURS[0],
            size=small,
            opacity=1,
            xOffset=-corner,
            yOffset=-corner,
        ),
        cells.transform_filter(f"{clash} == 1").mark_point(
            shape="cross",
            filled=True,
            fill=CLASH,
            size=2 * small,
            opacity=1,
            stroke=INK,
            strokeWidth=0.5,
            xOffset=corner,
            yOffset=-corner,
        ),
    ]


def board_line(alt: Any, axis: str, place: float, length: float) -> Any:
    """Returns a line of the board, which parts boxes; `place` in pixels."""
    ends = {"x": place, "y": 0, "y2": length} if axis == "x" else {"y": place, "x": 0, "x2": length}
    one = alt.Chart(alt.InlineData(values=[{}])).mark_rule(strokeWidth=2)
    return one.encode(**{name: alt.value(value) for name, value in ends.items()})


def curves_chart(data: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the small charts of the curves that a result has, with a mark at the segment."""
    alt = import_altair()
    charts = []
    if data["rows_per_segment"]:
        charts.append(_growth_chart(alt, data["rows_per_segment"]))
    for curves, title, is_log in PANELS:
        present = [curve for curve in curves if curve.key in data["names"]]
        if present:
            charts.append(_panel(alt, present, title, is_log))
    if not charts:
        return None
    at = alt.param(name="at", value=1)
    marked = [chart + _mark(alt) for chart in charts]
    grid = alt.concat(*marked, columns=2).resolve_scale(
        color="independent", strokeDash="independent"
    )
    return specification(grid.add_params(at), series=[])


def _panel(alt: Any, curves: list[Curve], title: str, is_log: bool) -> Any:
    names = [curve.title for curve in curves]
    several = len(curves) > 1
    legend = alt.Legend(title=None, orient="bottom", columns=1) if several else None
    scale = alt.Scale(type="log") if is_log else alt.Scale(zero=False)
    words = "".join(f"datum.key == '{key}' ? {json.dumps(name)} : " for key, name in curves)
    look = {"domain": names}
    return (
        alt.Chart(dataset("series"), width=240, height=110, title="" if several else names[0])
        .transform_flatten(["segment", *(curve.key for curve in curves)])
        .transform_fold([curve.key for curve in curves], ["key", "value"])
        .transform_filter("isValid(datum.value)" + (" && datum.value > 0" if is_log else ""))
        .transform_calculate(curve=f"{words}''")
        .mark_line(point=not several)
        .encode(
            x=_segment(alt),
            y=alt.Y("value:Q", title=title, scale=scale),
            color=alt.Color(
                "curve:N", scale=alt.Scale(**look, range=CURVES[: len(names)]), legend=legend
            ),
            strokeDash=alt.StrokeDash(
                "curve:N", scale=alt.Scale(**look, range=DASHES[: len(names)]), legend=legend
            ),
            tooltip=["segment:Q", "curve:N", alt.Tooltip("value:Q", format=".4g")],
        )
    )


def _growth_chart(alt: Any, rows_per_segment: float) -> Any:
    return (
        alt.Chart(dataset("series"), width=240, height=110, title="growth of the leading vector")
        .transform_flatten(["growth"])
        .transform_window(row="row_number()")
        .transform_calculate(segment=f"datum.row / {rows_per_segment}")
        .mark_line(strokeWidth=1, color=CURVES[0])
        .encode(x=_segment(alt), y=alt.Y("growth:Q", title="nats per update"))
    )


def _segment(alt: Any) -> Any:
    return alt.X("segment:Q", title="segment", scale=alt.Scale(nice=False, zero=False))


def _mark(alt: Any) -> Any:
    """Returns the line at the segment that is shown."""
    return (
        alt.Chart(alt.InlineData(values=[{}]))
        .transform_calculate(segment="at")
        .mark_rule(strokeWidth=2, opacity=0.6)
        .encode(x="segment:Q")
    )
