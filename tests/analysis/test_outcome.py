"""Solved against failed: the numbers are those of the parts."""

import dataclasses
import json

import numpy as np
import pytest

from rrjax.analysis.derived import NOT_CROSSED, UNRESOLVED
from rrjax.analysis.errorbars import block_standard_error
from rrjax.analysis.intervals import fraction_interval
from rrjax.analysis.outcome import solved_by_quartile, summarize, usable_runs
from rrjax.analysis.separation import auc, auc_interval
from rrjax.analysis.settling import late_drift
from tests.tools.reported import spectra


def test_the_summary_holds_the_numbers_of_its_parts():
    exponents, solved, drift, finite = spectra(30, 20)
    summary = summarize(exponents, solved, drift, finite)
    ordered = -np.sort(-exponents, axis=1)
    assert (ordered != exponents).any()
    estimate = auc_interval(-ordered, solved)
    assert [e.value for e in summary.exponent_auc] == estimate.value.tolist()
    assert [e.low for e in summary.exponent_auc] == estimate.low.tolist()
    assert [e.high for e in summary.exponent_auc] == estimate.high.tolist()
    np.testing.assert_allclose(
        [e.value for e in summary.solved_exponents], np.median(ordered[:30], axis=0)
    )
    np.testing.assert_allclose(
        [e.value for e in summary.failed_exponents], np.median(ordered[30:], axis=0)
    )
    late = late_drift(drift, 4)
    assert summary.drift_auc.value == auc(-late, solved)
    assert summary.solved_drift.value == pytest.approx(np.median(late[:30]))
    assert summary.failed_drift.value == pytest.approx(np.median(late[30:]))
    assert summary.solved_fraction.value == 30 / 50
    assert (summary.num_solved, summary.num_failed, summary.num_excluded) == (30, 20, 0)


def test_failed_puzzles_that_are_more_chaotic_give_a_high_auc():
    _, solved, drift, finite = spectra(30, 20)
    exponents = np.where(solved, -0.01, 0.1)[:, None]
    assert summarize(exponents, solved, drift, finite).exponent_auc[0].value == 1


def test_runs_that_are_not_finite_are_left_out_and_counted():
    exponents, solved, drift, finite = spectra(12, 12)
    clean = summarize(exponents[2:-1], solved[2:-1], drift[2:-1], finite[2:-1])
    exponents[0, 0], drift[1, 0], finite[-1] = np.nan, np.nan, False
    summary = summarize(exponents, solved, drift, finite)
    assert (summary.num_puzzles, summary.num_excluded) == (24, 3)
    assert (summary.num_solved, summary.num_failed) == (10, 11)
    assert summary.solved_fraction.value == 12 / 24
    assert summary.exponent_auc == clean.exponent_auc


def test_exponents_in_another_order_and_unresolved_ones_are_the_same_spectrum():
    exponents, solved, drift, finite = spectra(12, 12)
    exponents[:5, 2] = np.nan
    clean = summarize(-np.sort(-exponents, axis=1), solved, drift, finite)
    planted = exponents.copy()
    planted[3:9, :2] = exponents[3:9, 1::-1]
    summary = summarize(planted, solved, drift, finite)
    for name in ("exponent_auc", "solved_exponents", "failed_exponents", "rivals"):
        assert getattr(summary, name) == getattr(clean, name)
    assert summary.num_unresolved == [0, 0, 5]


def test_a_collapsed_direction_is_ranked_not_left_out():
    exponents, solved, drift, finite = spectra(12, 12)
    exponents[0, 2] = -np.inf
    assert usable_runs(exponents, drift, finite).all()
    assert summarize(exponents, solved, drift, finite).num_excluded == 0


def derived_of(summary):
    return {derived.name: derived for derived in summary.derived}


def test_derived_quantities_are_the_medians_of_their_groups():
    exponents, solved, drift, finite = spectra(30, 20)
    exponents[:, 2] = -1.5
    log_growth = np.random.default_rng(5).normal(size=(50, 6 * 7, 3))
    summary = summarize(exponents, solved, drift, finite, log_growth=log_growth, dimension=3)
    first, second, third = np.maximum(exponents, -9).T
    leading = np.sort(exponents[:, :2], axis=1)[:, ::-1]
    dimension = np.where(
        leading[:, 0] < 0,
        0,
        np.where(
            leading.sum(axis=1) < 0, 1 - leading[:, 0] / leading[:, 1], 2 + (first + second) / 1.5
        ),
    )
    expected = {
        "num_positive": (exponents > 0).sum(axis=1),
        "entropy_rate": np.maximum(exponents, 0).sum(axis=1),
        "sum": first + second + third,
        "kaplan_yorke": dimension,
        "standard_error": block_standard_error(log_growth, 6, period=7)[:, 0],
    }
    found = derived_of(summary)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].solved.value == pytest.approx(np.median(values[:30])), name
        assert found[name].failed.value == pytest.approx(np.median(values[30:])), name
        assert found[name].auc.value == pytest.approx(auc(-values, solved)), name
        assert found[name].solved.low <= found[name].solved.value <= found[name].solved.high
        assert (found[name].num_bounds, found[name].undefined) == (0, {})
    assert summary.num_blocks == 6


def test_truncated_spectra_give_lower_bounds_and_no_dimension():
    exponents, solved, drift, finite = spectra(12, 12)
    exponents[:] = np.where(solved[:, None], [0.1, 0.05, -0.4], [0.3, 0.2, 0.1])
    summary = summarize(exponents, solved, drift, finite, dimension=1000)
    found = derived_of(summary)
    assert (found["num_positive"].num_bounds, found["entropy_rate"].num_bounds) == (12, 12)
    assert found["entropy_rate"].failed.value == pytest.approx(0.6)
    dimension = found["kaplan_yorke"]
    assert dimension.solved.value == pytest.approx(2 + 0.15 / 0.4)
    assert np.isnan([dimension.failed.value, dimension.auc.value]).all()
    assert dimension.undefined == {NOT_CROSSED: [0, 12]}


def test_unresolved_directions_are_flagged_and_ranked_lowest():
    exponents, solved, drift, finite = spectra(12, 12)
    exponents[:, 2] = np.where(solved, -2.0, -1.0)
    collapsed = exponents.copy()
    exponents[:4, 2], collapsed[:4, 2] = np.nan, -np.inf
    assert usable_runs(exponents, drift, finite).all()
    summary = summarize(exponents, solved, drift, finite)
    assert summary.num_excluded == 0
    assert summary.num_unresolved == [0, 0, 4]
    as_collapsed = summarize(collapsed, solved, drift, finite)
    assert as_collapsed.num_unresolved == [0, 0, 0]
    assert summary.exponent_auc == as_collapsed.exponent_auc
    assert summary.solved_exponents == as_collapsed.solved_exponents
    assert summary.solved_exponents[2].value == -2
    found = derived_of(summary)
    assert found["sum"].undefined == {UNRESOLVED: [4, 0]}
    assert found["sum"].solved.value == pytest.approx(np.median(exponents[4:12].sum(axis=1)))


def test_a_collapsed_leading_direction_has_no_error_along_time():
    exponents, solved, drift, finite = spectra(12, 12)
    log_growth = np.random.default_rng(6).normal(size=(24, 12, 3))
    exponents[0], log_growth[0, 5] = -np.inf, -np.inf
    summary = summarize(exponents, solved, drift, finite, log_growth=log_growth)
    assert derived_of(summary)["standard_error"].undefined == {"λ₁ is −inf": [1, 0]}
    assert not np.isnan(derived_of(summary)["standard_error"].solved.value)


def test_one_segment_has_no_error_along_time():
    exponents, solved, drift, finite = spectra(12, 12, num_segments=1)
    summary = summarize(exponents, solved, drift, finite, log_growth=np.ones((24, 21, 3)))
    assert "standard_error" not in derived_of(summary)


def test_short_runs_average_the_segments_they_have():
    exponents, solved, drift, finite = spectra(12, 12, num_segments=2)
    summary = summarize(exponents, solved, drift, finite)
    assert summary.drift_window == 2
    assert summary.solved_drift.value == pytest.approx(np.median(drift[:12].mean(axis=1)))
    assert summarize(exponents, solved, drift[:, :1], finite).drift_window == 1


def test_the_summary_is_plain_enough_for_json():
    exponents, *others = spectra(12, 12)
    exponents[:, 2] = -5
    others[1] = np.random.default_rng(3).random((24, 6))  # so that near runs differ in outcome
    log_growth = np.random.default_rng(8).normal(size=(24, 12, 3)).astype(np.float32)
    record = dataclasses.asdict(summarize(exponents, *others, log_growth=log_growth))
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (0, np.zeros(24), r"exponents must be numbers of shape \(24, k\)"),
        (0, np.zeros((24, 0)), r"exponents must be numbers of shape \(24, k\)"),
        (1, np.zeros(24), "solved must be booleans"),
        (2, np.zeros((23, 4)), r"drift must be numbers of shape \(24, segments\)"),
        (3, np.ones(3, dtype=bool), "finite must be booleans"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(index, value, message):
    arguments = list(spectra(12, 12))
    arguments[index] = value
    with pytest.raises(ValueError, match=message):
        summarize(*arguments)


@pytest.mark.parametrize("shape", [(24, 12), (24, 12, 2), (23, 12, 3), (24, 13, 3), (24, 0, 3)])
def test_growth_that_does_not_fit_is_refused(shape):
    message = r"log_growth must (be numbers of shape \(24, updates, 3\)|have whole segments of 6)"
    with pytest.raises(ValueError, match=message):
        summarize(*spectra(12, 12), log_growth=np.zeros(shape))


def test_a_dimension_below_the_number_of_exponents_is_refused():
    with pytest.raises(ValueError, match="dimension, of the state, must be at least the 3"):
        summarize(*spectra(12, 12), dimension=2)


def test_what_is_solved_is_told_by_quartiles_of_difficulty():
    guesses = np.array([0, 0, 5, 6, 10, 11, 30, 90])
    solved = guesses < 11
    quartiles = solved_by_quartile(solved, guesses)
    assert [(q.low, q.high, q.num_puzzles) for q in quartiles] == [
        (0, 0, 2),
        (5, 6, 2),
        (10, 11, 2),
        (30, 90, 2),
    ]
    assert [q.solved.value for q in quartiles] == [1, 1, 0.5, 0]
    assert quartiles[2].solved == fraction_interval(1, 2)
    (alike,) = solved_by_quartile(solved, np.zeros(8, int))
    assert (alike.num_puzzles, alike.solved.value) == (8, 5 / 8)
