"""The rows that the charts of the HTML report hold."""

from typing import Any

from rrjax.page.charts import specification
from rrjax.page.panels import Panel
from rrjax.results.results import Results


def data_of(panel: Panel) -> list[dict[str, Any]]:
    """Returns all rows of a panel's chart."""
    return [row for rows in specification(panel.chart)["datasets"].values() for row in rows]


def rows_of_panels(results: Results) -> list[list[dict[str, Any]]]:
    """Returns for each panel of a result all rows of its chart."""
    assert results.experiment is not None
    return [data_of(panel) for panel in results.experiment.report_panels(results)]
