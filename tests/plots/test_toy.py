"""The figure and the words of the search-and-capture toy."""

import numpy as np
import pytest

from rrjax.plots.toy import toy_message, toy_panel
from tests.tools.figures import assert_legends_are_clear


@pytest.mark.parametrize(
    ("auc", "failed", "message"),
    [
        ([0.8, 0.9, np.nan], [0.5, 0.2, 0.0], "AUC rises with T, from 0.800 at 4 to 0.900 at 8"),
        ([0.9, 0.8, np.nan], [0.5, 0.2, 0.0], "AUC does not rise with T"),
        ([0.8, 0.9, 0.9], [0.2, 0.2, 0.2], "failures do not become fewer: 20.0 % of runs at 4"),
        ([0.8, 0.9, 0.9], [0.2, 0.2, 0.1], "while the failures become fewer: 20.0 % of runs at 4"),
        ([0.8, 0.9, np.nan], [0.2, 0.2, 0.0], "while the failures vanish: 20.0 % of runs at 4"),
        ([0.8, np.nan, np.nan], [0.2, 0.0, 0.0], "nothing to compare"),
    ],
)
def test_the_words_follow_the_numbers(auc, failed, message):
    assert message in toy_message([4, 8, 16], auc, failed)


def test_the_figure_carries_the_message_and_both_groups():
    solved = np.arange(20) < 12
    times, auc, failed = [4, 8, 16], [0.8, 0.9, np.nan], [0.5, 0.2, 0.0]
    figure = toy_panel(np.linspace(-0.6, 0.6, 20), solved, 8, times, auc, failed)
    assert_legends_are_clear(figure)
    left, right = figure.axes
    assert right.get_title(loc="left") == toy_message(times, auc, failed)
    names = [text.get_text() for text in left.get_legend().get_texts()]
    assert {"solved (n = 12)", "failed (n = 8)"} <= set(names)
    first, second = right.get_lines()
    assert first.get_marker() != second.get_marker()
    assert first.get_linestyle() != second.get_linestyle()
    assert any("no AUC" in text.get_text() for text in right.texts)
    assert "updates" in right.get_xlabel()
    assert "nats per update" in left.get_xlabel()
