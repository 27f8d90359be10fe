"""The numbers of restarts, on hand-made sweeps."""

import numpy as np
import pytest

from rrjax.analysis.restarts import summarize_basin
from tests.tools.reported import ALWAYS, BY_CHANCE, LATER, LOST, NEVER, READOUT, SEGMENTS, restarts


@pytest.fixture(scope="module")
def summary():
    return summarize_basin(restarts(), READOUT)


def test_puzzles_are_named_by_what_starts_do(summary):
    assert summary.failures == [LATER, NEVER, LOST, BY_CHANCE]
    assert summary.always_solved == [ALWAYS, LATER]
    assert summary.never_solved == [NEVER]
    assert summary.start_determined == [LOST, BY_CHANCE]


def test_fractions_of_all_runs(summary):
    z0, weak, strong = (row.outcomes for row in summary.by_sigma)
    assert [row.num_runs for row in summary.by_sigma] == [1, 2, 2]
    for found, expected in (
        (z0.at_readout, 1 / 5),
        (z0.at_some, 3 / 5),
        (weak.at_readout, 3 / 10),
        (weak.at_end, 5 / 10),
        (weak.at_some, 5 / 10),
        (strong.at_readout, 3 / 10),
        (strong.at_end, 4 / 10),
        (strong.at_some, 5 / 10),
        (strong.some_run, 3 / 5),
        (strong.settled, 4 / 10),  # what is not finite is not settled
    ):
        assert found.value == pytest.approx(expected)
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_fractions_of_the_failures(summary):
    z0, weak, strong = (row.failures for row in summary.by_sigma)
    assert z0.num_puzzles == 4
    assert z0.at_readout.value == 0
    for found, expected in (
        (z0.at_some, 2 / 4),
        (weak.at_some, 3 / 8),
        (weak.some_run, 2 / 4),
        (strong.at_some, 3 / 8),
        (strong.at_end, 2 / 8),
    ):
        assert found.value == pytest.approx(expected)


def test_selection_is_by_the_last_answers_of_each_sigma(summary):
    weak = summary.by_sigma[1]
    assert weak.selection.pass_at["1"].value == pytest.approx(5 / 10)
    assert weak.selection.pass_at["2"].value == pytest.approx(3 / 5)
    assert weak.selection.rules["best_q"].value == pytest.approx(3 / 5)
    assert weak.selection_of_failures.rules["best_q"].value == pytest.approx(2 / 4)
    assert weak.selection.agreement.value == pytest.approx(4 / 5)
    assert "smallest_lambda1" not in weak.selection.rules


def test_the_threshold_parts_the_two_groups(summary):
    assert 1e-4 <= summary.settled_below < 3
    assert summary.num_not_finite == 1


def test_lambda1_selects_where_it_is_measured():
    arrays = restarts()
    arrays["exponents"] = np.stack([arrays["late_drift"], np.zeros((5, 5))], axis=2)
    found = summarize_basin(arrays, READOUT).by_sigma[1].selection
    assert found.rules["smallest_lambda1"].value == pytest.approx(3 / 5)


def test_orders_do_not_matter_but_for_votes_that_are_even(summary):
    turned = {
        name: array[::-1] if name == "sigma" else array[::-1, ::-1]
        for name, array in restarts().items()
    }
    found = summarize_basin(turned, READOUT)
    assert found.failures == sorted(4 - puzzle for puzzle in summary.failures)
    assert found.never_solved == [4 - NEVER]
    assert found.settled_below == summary.settled_below
    for row, expected in zip(found.by_sigma, summary.by_sigma, strict=True):
        assert row.failures.at_some.value == expected.failures.at_some.value
        k = str(row.num_runs)
        assert row.selection.pass_at[k] == expected.selection.pass_at[k]
        assert row.selection.rules["best_q"] == expected.selection.rules["best_q"]


def test_without_failures_their_numbers_are_undefined():
    arrays = restarts() | {"solved": np.ones((5, 5, SEGMENTS), bool)}
    found = summarize_basin(arrays, READOUT)
    assert found.failures == []
    assert np.isnan(found.by_sigma[1].failures.at_some.value)


def test_runs_that_all_blew_up_have_no_threshold():
    arrays = restarts() | {"late_drift": np.full((5, 5), np.nan)}
    found = summarize_basin(arrays, READOUT)
    assert np.isnan(found.settled_below)
    assert found.by_sigma[0].outcomes.settled.value == 0


@pytest.mark.parametrize("drift", [0.3, 0.7, 1e-3])
def test_runs_that_move_alike_are_all_settled(drift):
    found = summarize_basin(restarts() | {"late_drift": np.full((5, 5), drift)}, READOUT)
    assert found.by_sigma[0].outcomes.settled.value == 1


@pytest.mark.parametrize("readout", [0, 6])
def test_a_readout_that_is_no_segment_is_refused(readout):
    with pytest.raises(ValueError, match=r"readout_segment must lie in 1\.\.5"):
        summarize_basin(restarts(), readout)


@pytest.mark.parametrize("sigma", [[0, 0, 1, 1, 1], [1, 1, 1, 2, 2]])
def test_exactly_one_run_starts_at_z0(sigma):
    with pytest.raises(ValueError, match="sigma must be 0 for exactly one run"):
        summarize_basin(restarts() | {"sigma": np.array(sigma)}, READOUT)
