"""Two results compared: by hand, against SciPy, and that the interval covers."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

import rrjax.analysis
from rrjax import plots
from rrjax.analysis import compare, fraction_interval, median_interval
from rrjax.analysis.paired import paired_difference


class Recorded(dict[str, np.ndarray]):
    """Arrays and a record, as `Results` has them."""

    def __init__(self, record: dict[str, Any]):
        super().__init__()
        self.record = record


def result(solved, exponents=None, puzzles: str | None = "a", model="m"):
    found = Recorded({"puzzles": {"sha256": puzzles}, "model": {"name": model}})
    found["solved"] = np.asarray(solved, bool)
    if exponents is not None:
        found["exponents"] = np.asarray(exponents, float)[:, None]
    return found


BEFORE, AFTER = [1, 1, 0, 0, 0, 1], [1, 0, 1, 1, 0, 1]


def test_the_puzzles_that_change_are_named():
    found = compare(result(BEFORE), result(AFTER))
    assert (found.gained, found.lost) == ([2, 3], [1])
    assert (found.before, found.after) == (fraction_interval(3, 6), fraction_interval(4, 6))
    assert found.difference.value == pytest.approx(1 / 6)
    assert found.p_value == binomtest(2, 3).pvalue
    assert (found.num_ranked, found.lambda1_change) == (None, None)


def test_a_rollout_counts_by_its_last_segment():
    steps = np.stack([~np.array(AFTER, bool), np.array(AFTER, bool)], axis=1)
    assert compare(result(BEFORE), result(steps)) == compare(result(BEFORE), result(AFTER))


def test_exponents_are_paired_where_both_are_finite():
    before = [0.1, 0.2, np.nan, 0.4, -np.inf, 0.3, 0.0, 0.0]
    after = [0.0, 0.3, 1.0, 0.1, 0.2, 0.2, 0.4, 0.5]
    solved = [*BEFORE, 1, 1]
    found = compare(result(solved, before), result(solved, after))
    expected = median_interval([-0.1, 0.3 - 0.2, 0.1 - 0.4, 0.2 - 0.3, 0.4, 0.5])
    assert found.num_ranked == 6
    assert found.lambda1_change is not None
    assert found.lambda1_change.ends == pytest.approx(expected.ends)


def test_turned_around_a_comparison_changes_its_sign():
    one, two = compare(result(BEFORE), result(AFTER)), compare(result(AFTER), result(BEFORE))
    assert (one.gained, one.p_value) == (two.lost, two.p_value)
    value, low, high = two.difference.ends
    assert one.difference.ends == pytest.approx((-value, -high, -low))


def test_results_of_other_lists_are_paired_by_their_inputs():
    one, two = result(BEFORE, puzzles="a"), result([1, 1, 0], puzzles="b")
    one["inputs"] = np.arange(12).reshape(6, 2)
    two["inputs"] = np.array([[90, 91], [4, 5], [0, 1]])
    found = compare(one, two)
    assert (found.num_puzzles, found.gained, found.lost) == (2, [2], [0])
    two["inputs"] = two["inputs"] + 1
    with pytest.raises(ValueError, match=r"of m have the digest a, .* and no input is in both"):
        compare(one, two)


def test_nothing_changed_is_no_certainty():
    found = compare(result(BEFORE), result(BEFORE))
    assert (found.difference.value, found.p_value) == (0, 1)
    assert found.difference.low < 0 < found.difference.high
    assert np.isnan(compare(result([]), result([])).difference.ends).all()


def test_the_paired_interval_is_newcombes_with_exact_intervals_of_both_fractions():
    """Newcombe's counts: 36 both, 12 only the second, 2 only the first, none neither; φ = −.058."""
    before = np.repeat([True, False, True], [36, 12, 2])
    after = np.repeat([True, True, False], [36, 12, 2])
    first, second = fraction_interval(38, 50), fraction_interval(48, 50)
    phi = -24 / np.sqrt(38 * 12 * 48 * 2)
    below, above = second.value - second.low, first.high - first.value
    low = 0.2 - np.sqrt(below**2 - 2 * phi * below * above + above**2)
    found = paired_difference(before, after)
    assert (found.value, found.low) == pytest.approx((0.2, low))
    assert low < 0.0569  # with Wilson's, as published


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (result(AFTER, puzzles="b", model="hrm"), "of m have the digest a, those of hrm b"),
        (result(AFTER, puzzles=None), "after must say of which puzzles"),
        (result(np.zeros((6, 2, 3))), "after must be a spectrum or a rollout"),
        (result(AFTER[:5]), "same number of puzzles; got 6 and 5"),
    ],
)
def test_other_results_are_refused_by_name(other, message):
    with pytest.raises(ValueError, match=message):
        compare(result(BEFORE), other)


@pytest.mark.parametrize("package", [rrjax.analysis, plots])
def test_every_public_name_is_documented_and_no_module(package):
    for name in package.__all__:
        assert f"`{name}`" in package.__doc__ or name == "Comparison"
        assert callable(getattr(package, name))
        assert callable(getattr(package, name))  # also once its module is loaded
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018
