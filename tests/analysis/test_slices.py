"""The numbers of a slice's tables by hand."""

import numpy as np

from rrjax.analysis.basins import MOVING
from rrjax.analysis.slices import summarize_slice

SEGMENTS, REST = 4, 2


def summary_of(**changes):
    grid = (16, 16)
    arrays = {
        "answer_index": np.zeros(grid, int),
        "answer_at": np.ones(grid, int),
        "residual_at": np.full(grid, SEGMENTS + 1),
        "finite": np.ones(grid, bool),
    }
    return summarize_slice(arrays | changes, SEGMENTS, REST, 1e-3, box_size=4)


def test_a_run_is_at_rest_whose_last_residuals_are_small():
    """Of four segments the last two have small residuals from segment 3 on: it has them both."""
    residual_at = np.full((16, 16), SEGMENTS + 1)
    residual_at[0, :5] = 3
    residual_at[1, :7] = 4  # of segment 4 alone
    assert summary_of(residual_at=residual_at).num_at_rest == 5


def test_half_have_settled_at_the_median_unless_they_still_move():
    index, answer_at = np.zeros((16, 16), int), np.full((16, 16), 2)
    index[:4] = MOVING
    assert summary_of(answer_index=index, answer_at=answer_at).median_settling == 2
    index[:10] = MOVING
    assert np.isnan(summary_of(answer_index=index, answer_at=answer_at).median_settling)
