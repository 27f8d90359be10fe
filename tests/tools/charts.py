"""The rows that the charts of the HTML report hold."""

from typing import Any

from rrjax.page.charts import specification
from rrjax.results.results import Results


def rows_of_panels(results: Results) -> list[list[dict[str, Any]]]:
    """Returns for each panel of a result all rows of its chart."""
    assert results.experiment is not None
    panels = results.experiment.report_panels(results)
    charts = [specification(panel.chart)["datasets"] for panel in panels]
    return [[row for rows in chart.values() for row in rows] for chart in charts]
