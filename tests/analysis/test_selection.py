"""Selection among runs: hand-made cases, brute force over subsets, and what must not matter."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrjax.analysis.intervals import fraction_interval
from rrjax.analysis.selection import (
    agreement,
    chosen,
    fraction_of_puzzles,
    highest,
    majority,
    pass_at_k,
    powers_of_two,
    select,
)

A, B, C = [1, 2], [1, 3], [4, 2]


def runs(number: int, K: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "solved": rng.random((number, K)) < rng.random((number, 1)),
        "answers": rng.integers(0, 2, (number, K, 2)),
        "q_halt": rng.normal(size=(number, K)),
        "residual": rng.random((number, K)),
        "lambda1": rng.normal(size=(number, K)),
    }


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(row, data):
    k = data.draw(st.integers(1, len(row)))
    expected = np.mean([any(subset) for subset in combinations(row, k)])
    assert pass_at_k([row], k)[0] == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_at_its_ends_and_for_many_runs():
    solved = runs(20, 9)["solved"]
    np.testing.assert_allclose(pass_at_k(solved, 1), solved.mean(axis=1))
    np.testing.assert_array_equal(pass_at_k(solved, 9), solved.any(axis=1))
    # binomials of this size overflow; one right run among 3,000 is drawn with probability k/3000
    many = np.zeros((1, 3000), bool)
    many[0, 17] = True
    assert pass_at_k(many, 1500)[0] == pytest.approx(0.5)
    assert pass_at_k(np.zeros((0, 3), bool), 2).shape == (0,)


@pytest.mark.parametrize("k", [0, 4, -1])
def test_pass_at_k_needs_as_many_runs(k):
    with pytest.raises(ValueError, match=r"k must lie in 1\.\.3"):
        pass_at_k(np.ones((2, 3), bool), k)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([A, B, B], 1),
        ([A, B, C], 0),  # a tie of all: the earliest
        ([C, B, A, B, A], 1),  # a tie of two with the later ones ahead of C
        ([A], 0),
        ([A, A, A], 0),
    ],
)
def test_the_majority_is_the_mode_and_the_earliest_of_ties(answers, expected):
    assert majority([answers])[0] == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([A, A, A], 1), ([A, B, C], 0), ([A, A, B], 1 / 3), ([A, B, A, B], 1 / 3)],
)
def test_agreement_counts_pairs(answers, expected):
    assert agreement([answers])[0] == pytest.approx(expected)


def test_one_run_has_nothing_to_agree_with():
    assert np.isnan(agreement([[A]])).all()


def test_the_highest_score_wins_and_nan_never_does():
    nan, inf = np.nan, np.inf
    rows = [[1, 3, 2], [3, nan, 3], [nan, nan, -5], [nan, -inf, nan], [nan, nan, nan], [1, inf, 2]]
    np.testing.assert_array_equal(highest(rows), [1, 0, 2, 1, 0, 1])


def test_rules_read_the_run_that_they_choose():
    found = chosen(
        {
            "solved": np.array([[True, False, False]]),
            "answers": np.array([[A, B, B]]),
            "q_halt": np.array([[2.0, 1.0, 0.0]]),
            "residual": np.array([[0.1, 0.2, 0.3]]),
            "lambda1": np.array([[0.1, -np.inf, np.nan]]),
        }
    )
    assert {name: bool(right[0]) for name, right in found.items()} == {
        "majority": False,
        "best_q": True,
        "smallest_residual": True,
        "smallest_lambda1": False,
    }


def test_without_exponents_there_is_no_rule_for_them():
    data = runs(5, 4)
    del data["lambda1"]
    found = select(data)
    assert found.rules.keys() == {"majority", "best_q", "smallest_residual"}


def test_a_selection_is_made_of_its_parts():
    data = runs(40, 6)
    found, solved = select(data), data["solved"]
    assert list(found.pass_at) == ["1", "2", "4", "6"]
    assert found.pass_at["1"].value == pytest.approx(solved.mean())
    assert found.pass_at["6"] == fraction_of_puzzles(solved.any(axis=1))
    passed = [estimate.value for estimate in found.pass_at.values()]
    assert passed == sorted(passed)
    assert found.rules["best_q"] == fraction_of_puzzles(chosen(data)["best_q"])
    assert found.agreement.value == pytest.approx(agreement(data["answers"]).mean())


def test_neither_order_of_puzzles_nor_names_of_tokens_matter():
    data = runs(30, 5)
    order = np.random.default_rng(3).permutation(30)
    other = {name: array[order] for name, array in data.items()}
    other["answers"] = 9 - other["answers"]
    one, two = select(data), select(other)
    assert one.rules == two.rules
    assert one.pass_at["5"] == two.pass_at["5"]
    for k in ("1", "2", "4"):
        assert one.pass_at[k].value == pytest.approx(two.pass_at[k].value)


def test_the_interval_of_runs_is_that_of_puzzles_and_not_of_runs():
    solved = np.repeat(np.arange(40) % 2 == 0, 50).reshape(40, 50)  # all runs of a puzzle alike
    found = select(runs(40, 50) | {"solved": solved}).pass_at["1"]
    by_puzzle, by_run = fraction_interval(20, 40), fraction_interval(1000, 2000)
    assert found.high - found.low == pytest.approx(by_puzzle.high - by_puzzle.low, rel=0.15)
    assert found.high - found.low > 4 * (by_run.high - by_run.low)


def test_nothing_is_undefined_and_not_zero():
    found = fraction_of_puzzles([])
    assert np.isnan([found.value, found.low, found.high]).all()
    none = {name: array[:0] for name, array in runs(3, 4).items()}
    assert np.isnan(select(none).rules["majority"].value)


@pytest.mark.parametrize(
    ("last", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_powers_of_two_end_with_the_number_itself(last, expected):
    assert powers_of_two(last) == expected


@pytest.mark.parametrize("solved", [np.ones((2, 0), bool), np.ones((2, 3)), np.ones(3, bool)])
def test_runs_of_other_kinds_are_refused(solved):
    with pytest.raises(ValueError, match="solved must be booleans of shape"):
        pass_at_k(solved, 1)


def test_answers_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"answers must be integers .* got float64 of \(2, 3\)"):
        majority(np.zeros((2, 3)))
