"""Accuracy against compute and early halting, counted by hand and by a plain loop."""

import numpy as np
import pytest

from rrjax.analysis.compute import accuracy_curve, early_halting
from rrjax.analysis.intervals import fraction_interval

SOLVED = np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]], dtype=bool)


def random_flags(seed, shape=(30, 12)):
    return np.random.default_rng(seed).random(shape) < 0.3


def test_the_two_accuracies_are_kept_apart():
    curve = accuracy_curve(SOLVED)
    assert curve.at_segment.value.tolist() == [0.25, 0.75, 0.25, 0.5]
    assert curve.so_far.value.tolist() == [0.25, 0.75, 0.75, 0.75]


def test_each_segment_has_its_fraction_interval():
    solved = random_flags(0)
    curve = accuracy_curve(solved)
    for segment, count in enumerate(solved.sum(axis=0)):
        at_segment = curve.at_segment.at(segment).ends
        np.testing.assert_allclose(at_segment, fraction_interval(int(count), 30).ends)


def test_halting_reads_out_where_the_rule_first_holds():
    halts = np.array([[0, 1, 1, 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    halting = early_halting("rule", SOLVED, halts)  # at segments 2, 3, 1 and, never halted, 4
    assert (halting.name, halting.num_halted) == ("rule", 3)
    assert halting.accuracy == fraction_interval(2, 4)
    assert halting.mean_segments == 2.5
    assert halting.saved == pytest.approx(1 - 10 / 16)


@pytest.mark.parametrize("seed", range(3))
def test_halting_agrees_with_a_plain_loop(seed):
    solved, halts = random_flags(seed), random_flags(seed + 100)
    right = ran = 0
    for row, rule in zip(solved, halts, strict=True):
        for segment in range(12):
            if rule[segment] or segment == 11:
                right, ran = right + row[segment], ran + segment + 1
                break
    halting = early_halting("rule", solved, halts)
    assert halting.accuracy.value == right / 30
    assert halting.mean_segments == pytest.approx(ran / 30)


def test_rules_that_always_and_never_hold():
    solved = random_flags(5)
    always = early_halting("always", solved, np.ones_like(solved))
    assert always.accuracy.value == solved[:, 0].mean()
    assert always.saved == pytest.approx(11 / 12)
    never = early_halting("never", solved, np.zeros_like(solved))
    assert never.accuracy.value == solved[:, -1].mean()
    assert (never.num_halted, never.saved) == (0, 0)


def test_the_oracle_rule_solves_what_is_ever_solved():
    solved = random_flags(6, (50, 4))
    oracle = early_halting("oracle", solved, solved)
    assert oracle.accuracy.value == accuracy_curve(solved).so_far.value[-1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy_curve(np.zeros((2, 3))), "solved must be booleans"),
        (lambda: accuracy_curve(np.zeros((2, 0), bool)), "no empty axis"),
        (lambda: accuracy_curve(np.zeros((0, 2), bool)), "no empty axis"),
        (lambda: accuracy_curve(np.zeros(3, bool)), "solved must be booleans"),
        (lambda: early_halting("rule", SOLVED, SOLVED[:, :2]), "halts must be booleans of shape"),
        (lambda: early_halting("rule", SOLVED, np.ones((4, 4))), "halts must be booleans of shape"),
    ],
)
def test_bad_requests_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
