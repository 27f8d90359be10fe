"""The numbers of a long rollout, by hand."""

import numpy as np
import pytest

from rrjax.analysis.intervals import fraction_interval
from rrjax.analysis.rollouts import summarize_rollout
from tests.tools.reported import rollouts


def runs(number, segments, rate, seed=0):
    first = np.random.default_rng(seed).geometric(rate, number)
    return np.arange(1, segments + 1) >= first[:, None]


SOLVED = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_the_numbers_by_hand():
    violations = np.array([[3, 0, 0, 5], [0, 0, 0, 0], [0, 2, 0, 4], [9, 8, 7, 6]], np.int16)
    summary = summarize_rollout(rollouts(SOLVED, violations=violations), 6, 2, {}, 1e-6)
    assert (summary.at_readout.evaluations, summary.at_end.evaluations) == (12, 24)
    assert summary.at_readout.solved.value == 0.5
    assert summary.at_end.solved.value == 0.25
    assert summary.solved_at_some.value == 0.75
    assert summary.at_readout.violations == 5  # of 2 and 8
    assert summary.at_end.violations == 5  # of 5, 4 and 6
    assert summary.at_end.token_accuracy == 0.625
    assert summary.num_lost == 1
    escape = summary.escape
    assert (escape.num_failures, escape.num_escaped, escape.num_kept) == (2, 1, 0)
    assert (escape.num_solved_before, escape.segments_watched) == (1, 2)
    assert escape.still_failing.value == 0.5
    assert escape.rate_per_segment.value == pytest.approx(1 / 3)
    assert escape.rate_per_update.high == pytest.approx(escape.rate_per_segment.high / 6)
    assert (escape.last_escape, escape.num_at_rest) == (1, 0)
    assert (escape.segments_failing, escape.segments_moving) == (3, 3)
    assert escape.late_over_early.value == 0


@pytest.mark.parametrize("watched", [1, 3, 4])
def test_a_constant_hazard_has_one_rate_in_both_halves(watched):
    """Escapes come at whole segments: halves of an odd number would each see others of them."""
    solved = np.hstack([np.zeros((4000, 1), bool), runs(4000, watched, 0.2)])
    escape = summarize_rollout(rollouts(solved), 6, 1, {}, 1e-6).escape
    if watched == 1:
        assert np.isnan(escape.late_over_early.value)
    else:
        assert escape.late_over_early.low < 1 < escape.late_over_early.high
        assert escape.late_over_early.value == pytest.approx(1, rel=0.15)


def test_runs_at_rest_cannot_escape_but_go_on_failing():
    """Ten failures: two escape at once, seven rest after segment 4, one moves to the end."""
    solved = np.zeros((10, 20), bool)
    solved[:2, 2:] = True
    residual = np.full((10, 20), 0.1)
    residual[2:9, 4:] = 1e-7
    escape = summarize_rollout(rollouts(solved, residual=residual), 6, 2, {}, 1e-6).escape
    assert (escape.num_failures, escape.num_escaped, escape.num_at_rest) == (10, 2, 7)
    assert (escape.segments_failing, escape.segments_moving) == (2 + 8 * 18, 2 + 7 * 2 + 18)
    assert escape.rate_per_segment.value == pytest.approx(2 / 34)
    assert escape.still_failing.ends == pytest.approx(fraction_interval(8, 10).ends)


def test_valid_paths_have_a_row_where_there_are_any():
    valid = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
    summary = summarize_rollout(rollouts(SOLVED, valid_path=valid), 6, 2, {}, 1e-6)
    found = [readout.valid_path for readout in (summary.at_readout, summary.at_end)]
    assert [estimate.value for estimate in found if estimate] == [0.75, 0.75]
    without = summarize_rollout(rollouts(SOLVED), 6, 2, {}, 1e-6)
    assert without.at_end.valid_path is None


def test_a_rule_becomes_a_row():
    halts = np.array(SOLVED, bool)
    summary = summarize_rollout(rollouts(SOLVED), 6, 2, {"an oracle": halts}, 1e-6)
    (rule,) = summary.halting
    assert (rule.name, rule.num_halted, rule.accuracy.value) == ("an oracle", 3, 0.75)
    assert (rule.mean_segments, rule.saved) == (2.0, 0.5)


def test_nothing_after_the_readout_is_said():
    summary = summarize_rollout(rollouts(SOLVED), 6, 4, {}, 1e-6)
    assert np.isnan(summary.escape.rate_per_segment.value)


def test_all_and_none_solved():
    all_solved = summarize_rollout(rollouts(np.ones((20, 5))), 6, 2, {}, 1e-6)
    assert np.isnan(all_solved.escape.still_failing.value)
    none = summarize_rollout(rollouts(np.zeros((20, 5))), 6, 2, {}, 1e-6)
    assert none.escape.rate_per_segment.value == 0
    assert none.escape.still_failing.value == 1
    assert none.escape.rate_per_segment.high > 0


def test_unknown_answers_and_runs_that_blew_up():
    blown = np.full((4, 4), 0.1)
    blown[3, 2:] = np.nan
    unknown = np.full((4, 4), np.nan)
    found = rollouts(SOLVED, residual=blown, token_accuracy=unknown)
    summary = summarize_rollout(found, 6, 2, {}, 1e-6)
    assert summary.num_not_finite == 1


@pytest.mark.parametrize("readout", [0, 5])
def test_a_segment_that_is_none_is_refused(readout):
    with pytest.raises(ValueError, match=r"must lie in 1\.\.4"):
        summarize_rollout(rollouts(SOLVED), 6, readout, {}, 1e-6)
