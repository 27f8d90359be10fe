"""Late drift is the mean of the last segments, and of no other."""

import numpy as np
import pytest

from rrjax.analysis.settling import late_drift


def test_late_drift_is_the_mean_over_the_window():
    drift = np.array([[99.0, 1.0, 2.0, 3.0, 6.0], [99.0, 0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(late_drift(drift), [3.0, 0.0])
    np.testing.assert_array_equal(late_drift(drift, window=1), [6.0, 0.0])
    np.testing.assert_array_equal(late_drift(drift, window=5), [111 / 5, 99 / 5])


def test_earlier_segments_do_not_count_even_if_they_are_not_finite():
    assert late_drift([np.nan, np.inf, 1.0, 3.0], window=2) == 2.0
    assert np.isnan(late_drift([1.0, np.nan], window=2))


@pytest.mark.parametrize("window", [0, -1, 4])
def test_a_window_outside_the_run_is_refused(window):
    with pytest.raises(ValueError, match=r"window must lie in 1\.\.3"):
        late_drift([1.0, 2.0, 3.0], window)
