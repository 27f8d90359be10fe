"""Panels of the report that an experiment brings itself: charts that stand on their own.

An experiment adds panels to the HTML report by the argument `panels` of its `Experiment`: a
function `panels(results, numbers)` that returns a list of `Panel`s. Nothing else of the page has to
know of it. By custom the function of experiment X lies in `rrjax/page/`, in a file named as those
in `rrjax/reports/` and `rrjax/plots/`; `rrjax/page/growths.py` is an example.

The functions below make the usual charts out of plain rows: `interval_chart`, `curve_chart`,
`plane_chart` and `board_chart`. Any other Altair chart that holds its data will do as well. Groups
differ in shape and dash besides colour, so that charts survive a black-and-white print.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rrjax.analysis.intervals import Interval
from rrjax.page.boards import describe_board
from rrjax.page.charts import COLOURS, CURVES, INK, OUTCOMES, SHAPES, import_altair
from rrjax.page.puzzle import board_line
from rrjax.page.shown import written

_SHAPES = ("circle", "square", "diamond", "cross", "triangle-down", "triangle-right", "stroke")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 1], [1, 3], [10, 3])
_WIDTH = 330
_WIDEST = 570
_CELL = 20.0
"""Pixels of a cell of a board."""


class Panel(NamedTuple):
    """A chart of the HTML report.

    Attributes:
      title: What it shows, in a few words.
      words: Whole sentences below the title: sizes of groups, kind of interval, how to read it.
      chart: An Altair chart with its data; the page gives it its theme.
    """

    title: str
    words: str
    chart: Any


def interval_row(name: str, group: str, interval: Interval, **facts: Any) -> dict[str, Any]:
    """Returns a row of `interval_chart` or `curve_chart`.

    Args:
      name: What the number is of; in `curve_chart` a place on the horizontal axis, as a keyword `x`
        of `facts`, counts instead.
      group: The group that it is of, which has a look of its own.
      interval: The number and its interval; NaN is left out of the chart.
      facts: More entries, such as `facet` and what a tooltip may show.
    """
    value, low, high = written([*interval.ends])
    return {"name": name, "group": group, "value": value, "low": low, "high": high, **facts}


def interval_chart(rows: Sequence[Mapping[str, Any]], value: str, rule: float | None = 0.0) -> Any:
    """Returns numbers with their intervals, a line for each name and a mark for each group.

    Args:
      rows: Of `interval_row`. Those with different `facet` come into charts below each other.
      value: The title of the horizontal axis, with its unit.
      rule: Where a vertical line stands; None for no line.
    """
    alt = import_altair()
    groups = _distinct(rows, "group")
    base = alt.Chart().encode(
        y=alt.Y("name:N", title=None, sort=_distinct(rows, "name"), axis=alt.Axis(labelLimit=220)),
        yOffset=alt.YOffset("group:N", sort=groups),
        tooltip=_tooltip(rows),
    )
    reach = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", title=value, scale=_scale(alt, rows, rule)),
        x2="high:Q",
        color=_look("color", groups),
    )
    marks = base.mark_point(filled=True, size=45, opacity=1).encode(
        x="value:Q", color=_look("color", groups), shape=_look("shape", groups)
    )
    layers = [reach, marks]
    if rule is not None:
        layers = [_rule(alt, x=rule), *layers]
    size = {"width": _WIDTH, "height": alt.Step(9 * len(groups) + 7, **{"for": "position"})}
    return _facets(alt, layers, rows, size)


def curve_chart(
    rows: Sequence[Mapping[str, Any]], x: str, value: str, rule: float | None = None
) -> Any:
    """Returns numbers with their intervals along an axis, a line for each group.

    Args:
      rows: Of `interval_row`, each with its place `x`. Those with different `facet` come into
        charts below each other.
      x: The title of the horizontal axis, with its unit.
      value: The title of the vertical axis, with its unit.
      rule: Where a horizontal line stands; None for no line.
    """
    alt = import_altair()
    groups = _distinct(rows, "group")
    base = alt.Chart().encode(
        x=alt.X("x:Q", title=x, scale=alt.Scale(zero=False, nice=False, padding=12)),
        color=_look("color", groups),
        tooltip=_tooltip(rows),
    )
    reach = base.mark_rule(opacity=0.6).encode(
        y=alt.Y("low:Q", title=value, scale=_scale(alt, rows, rule)), y2="high:Q"
    )
    line = base.mark_line().encode(y="value:Q", strokeDash=_look("strokeDash", groups))
    marks = base.mark_point(filled=True, size=45, opacity=1).encode(
        y="value:Q", shape=_look("shape", groups)
    )
    layers = [reach, line, marks]
    if rule is not None:
        layers = [_rule(alt, y=rule), *layers]
    return _facets(alt, layers, rows, {"width": _WIDTH, "height": 220})


def plane_chart(
    rows: Sequence[Mapping[str, Any]], x: str, y: str, is_circle_drawn: bool = False
) -> Any:
    """Returns points of a plane by their groups.

    Args:
      rows: Each with `x`, `y`, `group` and what a tooltip shows.
      x: The title of the horizontal axis, with its unit.
      y: The title of the vertical axis, with its unit.
      is_circle_drawn: Whether the unit circle is drawn, and both axes have one scale.
    """
    alt = import_altair()
    groups = _distinct(rows, "group")
    known = [row for row in rows if row["x"] is not None and row["y"] is not None]
    scale = alt.Scale(zero=False)
    if is_circle_drawn:
        reach = 1.05 * max([1.0, *(max(abs(row["x"]), abs(row["y"])) for row in known)])
        scale = alt.Scale(domain=[-reach, reach], nice=False)
    marks = (
        alt.Chart(alt.InlineData(values=[dict(row) for row in known]))
        .mark_point(filled=True, size=40, opacity=0.6)
        .encode(
            x=alt.X("x:Q", title=x, scale=scale),
            y=alt.Y("y:Q", title=y, scale=scale),
            color=_look("color", groups),
            shape=_look("shape", groups),
            tooltip=_tooltip(rows),
        )
    )
    if not is_circle_drawn:
        return marks.properties(width=_WIDTH, height=_WIDTH)
    angle = np.linspace(0, 2 * np.pi, 121)
    circle = [
        {"x": cosine, "y": sine, "at": place}
        for place, (cosine, sine) in enumerate(
            zip(np.cos(angle).tolist(), np.sin(angle).tolist(), strict=True)
        )
    ]
    line = (
        alt.Chart(alt.InlineData(values=circle))
        .mark_line(color=INK, strokeWidth=1)
        .encode(x="x:Q", y="y:Q", order="at:Q")
    )
    return (line + marks).properties(width=_WIDTH, height=_WIDTH)


def board_chart(maps: Mapping[str, Any], value: str, vocab_size: int) -> Any:
    """Returns boards on which the size of a square is that of a number; hollow ones are negative.

    Args:
      maps: By title the (cells,) numbers of a board.
      value: What the numbers are, with their unit.
      vocab_size: Number of token values, which tells how a board is parted.
    """
    alt = import_altair()
    cells = {title: np.asarray(numbers) for title, numbers in maps.items()}
    top = max(float(np.nanmax(np.abs(numbers), initial=0)) for numbers in cells.values()) or 1.0
    boards = [_board(alt, *named, value, vocab_size, top) for named in cells.items()]
    return alt.concat(*boards, columns=max(1, int(_WIDEST // (boards[0].width + 20))))


def _board(alt: Any, title: str, cells: np.ndarray, value: str, vocab_size: int, top: float) -> Any:
    board = describe_board(len(cells), vocab_size)
    width = board["width"]
    rows = [
        {"row": place // width, "column": place % width, "value": number, "cell": place}
        for place, number in enumerate(written(cells))
    ]
    sides = {
        axis: alt.Scale(domain=[-0.5, board[size] - 0.5], nice=False, reverse=axis == "y")
        for axis, size in (("x", "width"), ("y", "height"))
    }
    x = alt.X("column:Q", scale=sides["x"], axis=None)
    y = alt.Y("row:Q", scale=sides["y"], axis=None)
    sign = alt.condition("datum.value > 0", alt.value(COLOURS[1]), alt.value("transparent"))
    squares = (
        alt.Chart(alt.InlineData(values=rows))
        .transform_calculate(size="abs(datum.value)")
        .mark_point(shape="square", opacity=1, strokeWidth=1)
        .encode(
            x=x,
            y=y,
            size=alt.Size(
                "size:Q",
                title=f"|{value}|",
                scale=alt.Scale(domain=[0, top], range=[0, (0.85 * _CELL) ** 2]),
            ),
            fill=sign,
            stroke=alt.value(INK),
            tooltip=["cell:Q", alt.Tooltip("value:Q", title=value)],
        )
    )
    size = {"width": _CELL * width, "height": _CELL * board["height"]}
    lines = [
        *(board_line(alt, "x", _CELL * at, size["height"]) for at in board["columns"]),
        *(board_line(alt, "y", _CELL * at, size["width"]) for at in board["rows"]),
    ]
    return alt.layer(*lines, squares).properties(title=title, **size)


def _distinct(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return list(dict.fromkeys(row[name] for row in rows))


def _scale(alt: Any, rows: Sequence[Mapping[str, Any]], rule: float | None) -> Any:
    """Returns a scale that all facets share."""
    ends = [rule, *(row[name] for row in rows for name in ("low", "value", "high"))]
    known = [end for end in ends if end is not None]
    return alt.Scale(domain=[min(known, default=0), max(known, default=1)], zero=False)


def _tooltip(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Returns the entries of the rows as what is shown where the pointer rests."""
    alt = import_altair()
    values = {name: value for row in rows for name, value in row.items()}
    return [
        alt.Tooltip(f"{name}:N") if isinstance(value, str) else alt.Tooltip(f"{name}:Q")
        for name, value in values.items()
        if value is not None and name != "facet"
    ]


def _look(channel: str, groups: Sequence[str]) -> Any:
    """Returns the encoding of the group as `color`, `shape` or `strokeDash`.

    Solved and failed look as everywhere on the page.
    """
    alt = import_altair()
    own, others, kind = {
        "color": (COLOURS, [c for c in CURVES if c not in COLOURS], alt.Color),
        "shape": (SHAPES, _SHAPES, alt.Shape),
        "strokeDash": (_DASHES, _DASHES, alt.StrokeDash),
    }[channel]
    known = dict(zip(OUTCOMES, own, strict=False))
    rest = [group for group in groups if group not in known]
    known |= {group: others[place % len(others)] for place, group in enumerate(rest)}
    scale = alt.Scale(domain=[*groups], range=[known[group] for group in groups])
    return kind("group:N", title=None, scale=scale, legend=alt.Legend(columns=3))


def _rule(alt: Any, **place: float) -> Any:
    ((axis, at),) = place.items()
    encoding = {axis: alt.datum(at)}
    return alt.Chart().mark_rule(color=INK, opacity=0.5).encode(**encoding)


def _facets(
    alt: Any, layers: Sequence[Any], rows: Sequence[Mapping[str, Any]], size: Mapping[str, Any]
) -> Any:
    """Returns the layers of all rows, or below each other those of each `facet`."""
    titles = dict.fromkeys(row.get("facet") for row in rows)
    charts = [
        alt.layer(
            *layers,
            data=alt.InlineData(values=[dict(row) for row in rows if row.get("facet") == title]),
        ).properties(**size, **({"title": title} if title else {}))
        for title in titles
    ]
    return charts[0] if len(charts) == 1 else alt.vconcat(*charts)
