"""Arrays of another shape or kind are refused by name, and words for numbers are plain."""

import numpy as np
import pytest

from rrjax.analysis import format as words
from rrjax.analysis.arrays import as_array
from rrjax.analysis.intervals import UNDEFINED, Interval


@pytest.mark.parametrize(
    ("values", "shape", "kind", "message"),
    [
        ([1.0], ("N",), bool, r"x must be booleans of shape \(N,\); got float64 of \(1,\)"),
        ([1.0], (2,), float, r"x must be numbers of shape \(2,\); got float64 of \(1,\)"),
        ([[1.0]], ("N",), float, r"of shape \(N,\); got float64 of \(1, 1\)"),
        (np.array(1.0), ("N", ...), float, r"of shape \(N, \.\.\.\); got float64 of \(\)"),
        ([[1.5]], ("N", "k"), int, r"integers or booleans of shape \(N, k\)"),
        ([[], []], ("N", "k"), float, r"\(N, k\) with no empty axis; got float64 of \(2, 0\)"),
        (["a"], ("N",), float, "must be numbers"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(values, shape, kind, message):
    with pytest.raises(ValueError, match=message):
        as_array("x", values, shape, kind)


def test_what_fits_becomes_an_array():
    assert as_array("x", [1, 2], ("N",)).dtype == np.float64
    assert as_array("x", [True], (1,), bool).dtype == bool
    assert as_array("x", np.zeros((0, 3)), ("N", "k")).shape == (0, 3)
    assert as_array("x", np.zeros((2, 3, 4)), (2, ...)).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="no empty axis"):
        as_array("x", [], ("N",), least=1)


def test_numbers_are_written_plainly():
    fraction = Interval(0.85, 0.75, 0.93)
    assert words.interval(fraction, ".2f") == "0.85 (0.75 to 0.93)"
    assert words.interval_in_words(fraction, ".2f") == "0.85 (95 % interval 0.75 to 0.93)"
    assert words.percent_interval(fraction) == "85.0 % (75.0 to 93.0)"
    assert words.percent(0.125, 0) == "12 %"
    assert words.value_range(1.0, 1.0) == "1"
    assert words.value_range(1.0, 2.5) == "1 to 2.5"
    assert {words.interval(UNDEFINED), words.percent(np.nan), words.number(np.nan)} == {"undefined"}
    assert words.interval(Interval(0.0, np.nan, np.nan), ".1f") == "0.0 (no interval)"
