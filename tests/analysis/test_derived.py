"""Derived quantities: published values, exact small cases, and what must hold of any spectrum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rrjax.analysis.derived import (
    NONE_KNOWN,
    NOT_CROSSED,
    NOT_CROSSED_ABOVE_FLOOR,
    entropy_rate,
    exponent_sum,
    kaplan_yorke,
    num_positive,
)

INF, NAN = np.inf, np.nan
# Multiples of 1/8, so that sums are exact; zeros and ties are common.
EXPONENT = st.integers(-40, 24).map(lambda eighths: eighths / 8)
SPECTRA = hnp.arrays(np.float64, st.integers(1, 7), elements=EXPONENT)


def dimension_by_definition(exponents):
    """The Kaplan–Yorke dimension of a whole spectrum, as in the textbook."""
    ordered = sorted(exponents, reverse=True)
    total = 0.0
    for j, exponent in enumerate(ordered):
        if total + exponent < 0:
            return j + total / abs(exponent)
        total += exponent
    return len(ordered)


@pytest.mark.parametrize(
    ("name", "exponents", "expected"),
    [
        ("Lorenz", (0.9056, 0.0, -14.5723), 2.0621),
        ("Rössler", (0.0714, 0.0, -5.3943), 2.0132),
        ("Hénon", (0.41922, -1.62319), 1.2583),
        ("cat map", (0.9624237, -0.9624237), 2.0),
        ("fixed point", (-0.1, -0.2), 0.0),
        ("limit cycle", (0.0, -1.0), 1.0),
        ("torus", (0.0, 0.0, -3.0), 2.0),
        ("rotation", (0.0, 0.0), 2.0),
        ("expanding", (0.7, 0.2), 2.0),
        ("sum reached after 2 of 3", (1.0, -1.0, -2.0), 2.0),
        ("sum reached after 3 of 4", (1.5, 0.5, -2.0, -7.0), 3.0),
        ("one dimension", (np.log(2),), 1.0),
    ],
)
def test_kaplan_yorke_of_known_spectra(name, exponents, expected):
    found = kaplan_yorke([*exponents], dimension=len(exponents))
    assert found.value == pytest.approx(expected, abs=5e-5), name
    assert found.reason == ""


@given(SPECTRA)
def test_kaplan_yorke_follows_the_definition(exponents):
    found = kaplan_yorke(exponents, dimension=len(exponents))
    assert found.value == pytest.approx(dimension_by_definition(exponents), rel=1e-14)
    assert 0 <= found.value <= len(exponents)
    assert (found.value == 0) == (exponents.max() < 0)


@given(SPECTRA, st.data())
def test_kaplan_yorke_never_falls_when_an_exponent_rises(exponents, data):
    raised = exponents.copy()
    index = data.draw(st.integers(0, len(exponents) - 1))
    raised[index] += data.draw(st.integers(0, 30)) / 8
    n = len(exponents)
    assert kaplan_yorke(raised, n).value >= kaplan_yorke(exponents, n).value


@given(SPECTRA, st.integers(-20, 20), st.randoms())
def test_units_of_time_and_order_do_not_matter(exponents, power, random):
    n, found = len(exponents), kaplan_yorke(exponents, len(exponents))
    assert kaplan_yorke(np.ldexp(exponents, power), n) == found
    shuffled = exponents.tolist()
    random.shuffle(shuffled)
    assert kaplan_yorke(shuffled, n) == found


@given(SPECTRA, st.data())
def test_part_of_a_spectrum_gives_the_whole_answer_or_none(exponents, data):
    ordered, n = np.sort(exponents)[::-1], len(exponents)
    k = data.draw(st.integers(1, n))
    whole = kaplan_yorke(ordered, n)
    hidden = np.where(np.arange(n) < k, ordered, NAN)
    for part, size, reason in (
        (ordered[:k], n, NOT_CROSSED),
        (ordered[:k], None, NOT_CROSSED),
        (hidden, n, NOT_CROSSED_ABOVE_FLOOR),
    ):
        found = kaplan_yorke(part, size)
        if found.reason:
            assert found.reason == reason
            assert np.isnan(found.value)
            assert np.cumsum(ordered[:k])[-1] >= 0
            assert whole.value >= k
        else:
            assert found.value == whole.value


@pytest.mark.parametrize(
    ("exponents", "dimension", "reason"),
    [
        ([0.3, 0.1], 3, NOT_CROSSED),
        ([0.3, 0.1], None, NOT_CROSSED),
        ([0.3, -0.1], 3, NOT_CROSSED),
        ([0.0, 0.0], 3, NOT_CROSSED),
        ([0.3, 0.1, NAN], 3, NOT_CROSSED_ABOVE_FLOOR),
        # What follows an unresolved direction is not trusted either.
        ([0.3, NAN, -9.0], 3, NOT_CROSSED_ABOVE_FLOOR),
        ([NAN, NAN], 2, NONE_KNOWN),
        ([NAN, -1.0], 2, NONE_KNOWN),
    ],
)
def test_kaplan_yorke_is_refused_with_its_reason(exponents, dimension, reason):
    found = kaplan_yorke(exponents, dimension)
    assert np.isnan(found.value)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("exponents", "dimension", "expected"),
    [
        ([0.5, -1.0, NAN, NAN], 9, 1.5),
        ([-0.5, NAN], 9, 0.0),
        # a sum of exactly 0 that a negative exponent reached is the crossing
        ([1.0, -1.0], 3, 2.0),
        ([1.0, -1.0, NAN], 3, 2.0),
        ([0.5, -INF], 2, 1.0),
        ([0.5, 0.25, -INF, -INF], 4, 2.0),
        ([0.5, -INF, NAN], 9, 1.0),
        ([-INF], 5, 0.0),
        ([-INF, 0.5], 2, 1.0),
    ],
)
def test_what_lies_after_the_crossing_does_not_matter(exponents, dimension, expected):
    assert kaplan_yorke(exponents, dimension) == (expected, "")


def test_an_annihilated_direction_is_the_limit_of_strong_contraction():
    strong = [kaplan_yorke([0.5, 0.2, -(10.0**power)], 3).value for power in (2, 6, 300)]
    limit = kaplan_yorke([0.5, 0.2, -INF], 3).value
    np.testing.assert_allclose(np.subtract(strong, limit), [7e-3, 7e-7, 0], rtol=1e-6, atol=1e-12)


def test_many_puzzles_are_many_single_ones():
    rng = np.random.default_rng(0)
    exponents = np.sort(rng.normal(size=(2, 40, 5)), axis=-1)[..., ::-1].copy()
    exponents[0, :9, 3:] = NAN
    exponents[1, :4, 4] = -INF
    cases = np.ndindex(2, 40)
    functions = (kaplan_yorke, entropy_rate, num_positive, exponent_sum)
    together = [function(exponents, dimension=5) for function in functions]
    for case in cases:
        single = [function(exponents[case], dimension=5) for function in functions]
        for all_of_them, one in zip(together, single, strict=True):
            np.testing.assert_array_equal(all_of_them[0][case], one[0])
            assert all_of_them[1][case] == one[1]
    assert len(set(together[0].reason.ravel())) > 1


def test_entropy_rate_is_the_sum_of_the_positive_exponents():
    assert entropy_rate([0.9056, 0.0, -14.5723], 3) == (0.9056, True)
    assert entropy_rate([np.log(2)], 1) == (np.log(2), True)
    assert entropy_rate([-0.1, -0.2], 9) == (0.0, True)
    assert entropy_rate([0.5, 0.25, -INF], 9) == (0.75, True)


@pytest.mark.parametrize(
    ("exponents", "dimension", "complete"),
    [
        ([0.5, 0.25], 2, True),
        ([0.5, 0.25], 3, False),
        ([0.5, 0.25], None, False),
        ([0.5, 0.25, 0.0], None, True),
        ([0.5, 0.25, NAN], 3, False),
        ([0.5, 0.25, -1.0, NAN], 9, True),
    ],
)
def test_a_truncated_entropy_rate_is_called_a_lower_bound(exponents, dimension, complete):
    assert entropy_rate(exponents, dimension) == (0.75, complete)
    assert num_positive(exponents, dimension=dimension) == (2, complete)


def test_the_sum_says_whether_it_is_the_divergence():
    assert exponent_sum([0.5, 0.25, -1.0], 3) == (-0.25, True)
    assert exponent_sum([0.5, 0.25, -1.0], 4) == (-0.25, False)
    assert exponent_sum([0.5, 0.25, -1.0]) == (-0.25, False)
    assert exponent_sum([0.5, -INF], 2) == (-INF, True)
    value, complete = exponent_sum([0.5, NAN], 2)
    assert np.isnan(value)
    assert not complete


def test_a_failed_run_has_no_numbers():
    for function in (entropy_rate, num_positive, exponent_sum):
        value, complete = function([NAN, NAN])
        assert np.isnan(value)
        assert not complete


def test_no_puzzles_give_empty_arrays():
    none = np.zeros((0, 4))
    for function in (kaplan_yorke, entropy_rate, num_positive, exponent_sum):
        assert [field.shape for field in function(none)] == [(0,), (0,)]


@pytest.mark.parametrize("function", [kaplan_yorke, entropy_rate, num_positive, exponent_sum])
@pytest.mark.parametrize(
    ("exponents", "dimension", "message"),
    [
        (np.array(0.5), None, r"shape \(\.\.\., k\); got float64 of \(\)"),
        (np.zeros((3, 0)), None, r"no empty axis; got float64 of \(3, 0\)"),
        ([0.5, 0.1], 1, "dimension, of the state, must be at least the 2 exponents; got 1"),
        ([INF, 0.1], None, "below \\+inf, which only a run that blew up has"),
    ],
)
def test_bad_spectra_are_refused(function, exponents, dimension, message):
    with pytest.raises(ValueError, match=message):
        function(exponents, dimension=dimension)
