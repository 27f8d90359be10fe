"""The tables of a long rollout: that the words say what the numbers are."""

import numpy as np
import pytest

from rrjax.analysis.rollouts import summarize_rollout
from rrjax.reports.rollouts import tables


def arrays(solved, **more):
    solved = np.asarray(solved, dtype=bool)
    same = {"token_accuracy": 0.5 + solved / 2, "residual": np.full(solved.shape, 0.1)}
    return {"solved": solved, **same, **more}


def runs(number, segments, rate, seed=0):
    first = np.random.default_rng(seed).geometric(rate, number)
    return np.arange(1, segments + 1) >= first[:, None]


def words_of(summary):
    lines = [
        text
        for t in tables(summary)
        for text in (t.headline, *t.headers, *sum(t.rows, ()), *t.notes)
    ]
    return " | ".join(lines)


SOLVED = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_the_numbers_by_hand():
    violations = np.array([[3, 0, 0, 5], [0, 0, 0, 0], [0, 2, 0, 4], [9, 8, 7, 6]], np.int16)
    summary = summarize_rollout(arrays(SOLVED, violations=violations), 6, 2, {})
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
    assert (escape.early_rate.value, escape.late_rate.value) == (0.5, 0)
    words = words_of(summary)
    assert "1 solved at segment 2 are not at segment 4" in words
    assert "1 of 1 escaped lost the answer again" in words
    assert "1 of the failures had been solved before segment 2" in words
    assert "only 2 failures" in words


@pytest.mark.parametrize("watched", [1, 3, 4])
def test_a_constant_hazard_has_one_rate_in_both_halves(watched):
    """Escapes come at whole segments: halves of an odd number would each see others of them."""
    solved = np.hstack([np.zeros((4000, 1), bool), runs(4000, watched, 0.2)])
    escape = summarize_rollout(arrays(solved), 6, 1, {}).escape
    if watched == 1:
        assert np.isnan(escape.early_rate.value)
    else:
        assert escape.early_rate.value == pytest.approx(escape.late_rate.value, rel=0.15)


def test_valid_paths_have_a_row_where_there_are_any():
    valid = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
    summary = summarize_rollout(arrays(SOLVED, valid_path=valid), 6, 2, {})
    found = [readout.valid_path for readout in (summary.at_readout, summary.at_end)]
    assert [estimate.value for estimate in found if estimate] == [0.75, 0.75]
    assert "| valid paths | 75.0 % [30.1, 95.4] | 75.0 % [30.1, 95.4] |" in words_of(summary)
    without = summarize_rollout(arrays(SOLVED), 6, 2, {})
    assert without.at_end.valid_path is None
    assert "valid paths" not in words_of(without)


def test_a_rule_becomes_a_row():
    halts = np.array(SOLVED, bool)
    summary = summarize_rollout(arrays(SOLVED), 6, 2, {"an oracle": halts})
    (rule,) = summary.halting
    assert (rule.name, rule.num_halted, rule.accuracy.value) == ("an oracle", 3, 0.75)
    *_, table = tables(summary)
    assert table.rows[0][0] == "an oracle"
    assert table.rows[0][3:] == ("2.0", "50.0 %")
    assert "violations" not in words_of(summary)


def test_a_constant_rate_is_not_called_changing_and_a_falling_one_is():
    constant = summarize_rollout(arrays(runs(300, 60, 0.02)), 6, 1, {})
    assert "with time" not in words_of(constant)
    falling = runs(300, 60, 0.1)
    falling[:150] = False  # never escape, so that the rate falls as the others leave
    assert "the rate falls with time" in words_of(summarize_rollout(arrays(falling), 6, 1, {}))
    rising = np.arange(60) >= np.random.default_rng(0).integers(40, 60, (300, 1))
    assert "the rate rises with time" in words_of(summarize_rollout(arrays(rising), 6, 1, {}))


def test_nothing_after_the_readout_is_said():
    summary = summarize_rollout(arrays(SOLVED), 6, 4, {})
    assert np.isnan(summary.escape.rate_per_segment.value)
    assert "no segment after 4: nothing is known of escapes" in words_of(summary)


def test_all_and_none_solved():
    all_solved = summarize_rollout(arrays(np.ones((20, 5))), 6, 2, {})
    assert np.isnan(all_solved.escape.still_failing.value)
    assert "undefined" in words_of(all_solved)
    none = summarize_rollout(arrays(np.zeros((20, 5))), 6, 2, {})
    assert none.escape.rate_per_segment.value == 0
    assert none.escape.still_failing.value == 1
    assert none.escape.rate_per_segment.high > 0


def test_unknown_answers_and_runs_that_blew_up():
    blown = np.full((4, 4), 0.1)
    blown[3, 2:] = np.nan
    unknown = np.full((4, 4), np.nan)
    found = arrays(SOLVED, residual=blown, token_accuracy=unknown)
    summary = summarize_rollout(found, 6, 2, {})
    assert summary.num_not_finite == 1
    words = words_of(summary)
    assert "1 of 4 runs were not finite" in words
    assert "unknown" in words


@pytest.mark.parametrize(("updates", "readout"), [(0, 2), (6, 0), (6, 5)])
def test_bad_requests_are_refused(updates, readout):
    with pytest.raises(ValueError, match=r"must (be at least 1|lie in 1\.\.4)"):
        summarize_rollout(arrays(SOLVED), updates, readout, {})
