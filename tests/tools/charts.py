"""The rows that a chart of the HTML report holds."""

from typing import Any

from rrjax.page.charts import specification
from rrjax.page.panels import Panel


def data_of(panel: Panel) -> list[dict[str, Any]]:
    """Returns all rows of a panel's chart."""
    return [row for rows in specification(panel.chart)["datasets"].values() for row in rows]
