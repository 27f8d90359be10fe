"""What the charts of a page share: Altair, the looks of the outcomes, and the theme."""

from collections.abc import Sequence
from typing import Any

OUTCOMES = ("solved", "failed", "unknown")
COLOURS = ("#0072B2", "#D55E00", "#808080")
"""Of the outcomes, in their order; the first two are Okabe and Ito's, safe for the colour-blind."""

SHAPES = ("circle", "triangle-up", "diamond")
DASHES = ([1, 0], [6, 3], [2, 2])
CURVES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, of which lines are coloured that are no outcomes."""

INK = "currentColor"
"""The colour of the page's text, which follows dark mode and print."""

_MISSING = "the HTML report needs {}: pip install altair vl-convert-python"


def import_altair() -> Any:
    """Returns the module altair.

    Raises:
      ModuleNotFoundError: It is not installed; the message says how to install it.
    """
    try:
        import altair
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING.format(error.name), name=error.name) from error
    return altair


def libraries() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script, of some 900 kB.

    Raises:
      ModuleNotFoundError: vl-convert is not installed; the message says how to install it.
    """
    try:
        from vl_convert import javascript_bundle
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING.format(error.name), name=error.name) from error
    return javascript_bundle("window.vegaEmbed = vegaEmbed;")


def dataset(name: str) -> Any:
    """Returns data that the page gives to the chart under a name."""
    return import_altair().NamedData(name)


def by_outcome(channel: str, named: Sequence[str] = ()) -> Any:
    """Returns the encoding of the outcome as `color`, `shape` or `strokeDash`.

    Args:
      channel: Which of them.
      named: The outcomes that the legend names; no legend without any.
    """
    alt = import_altair()
    values, kind = {
        "color": (COLOURS, alt.Color),
        "shape": (SHAPES, alt.Shape),
        "strokeDash": (DASHES, alt.StrokeDash),
    }[channel]
    scale = alt.Scale(domain=[*OUTCOMES], range=[*values])
    legend = alt.Legend(title="outcome", values=[*named]) if named else None
    return kind("outcome:N", scale=scale, legend=legend)


def specification(chart: Any, **datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns a chart as Vega-Lite, in the theme of the page, whose colours CSS decides.

    Args:
      chart: The chart.
      datasets: By name the rows that the chart starts with; the page may give it others.
    """
    lines = {"gridColor": INK, "gridOpacity": 0.15, "domainColor": INK, "tickColor": INK}
    words = {"labelColor": INK, "titleColor": INK, "titleFontWeight": "normal"}
    header = {"labelColor": INK, "titleColor": INK}
    themed = chart.configure(
        background="transparent",
        font="system-ui, sans-serif",
        axis={**lines, **words, "titleFontSize": 12, "labelFontSize": 11},
        legend={**words, "orient": "top", "titleOrient": "left", "labelLimit": 300},
        title={"color": INK, "anchor": "start", "fontSize": 13, "fontWeight": "normal"},
        header=header,
        view={"stroke": INK, "strokeOpacity": 0.3},
        text={"color": INK},
        rule={"color": INK},
    )
    made = themed.to_dict(validate=True)
    return {**made, "datasets": {**made.get("datasets", {}), **datasets}}
