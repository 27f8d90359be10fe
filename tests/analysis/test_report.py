"""The main table: its numbers are those of the parts, and every odd group has its sentence."""

import dataclasses
import json

import numpy as np
import pytest

from rrjax.analysis.drift import late_drift
from rrjax.analysis.report import format_summary, summarize, usable_runs
from rrjax.analysis.separation import auc, bootstrap_auc


def runs(num_solved, num_failed, num_exponents=3, num_segments=6):
    rng = np.random.default_rng(num_solved)
    n = num_solved + num_failed
    solved = np.arange(n) < num_solved
    exponents = rng.normal(0.1, 0.05, (n, num_exponents)) - 0.08 * solved[:, None]
    drift = np.exp(rng.normal(size=(n, num_segments))) * np.where(solved, 0.1, 1.0)[:, None]
    return exponents, solved, drift, np.ones(n, dtype=bool)


def test_the_summary_holds_the_numbers_of_its_parts():
    exponents, solved, drift, finite = runs(30, 20)
    summary = summarize(exponents, solved, drift, finite, seed=7)
    estimate = bootstrap_auc(-exponents, solved, seed=7)
    assert [e.value for e in summary.exponent_auc] == estimate.value.tolist()
    assert [e.low for e in summary.exponent_auc] == estimate.low.tolist()
    assert [e.high for e in summary.exponent_auc] == estimate.high.tolist()
    np.testing.assert_allclose(
        [e.value for e in summary.solved_exponents], np.median(exponents[:30], axis=0)
    )
    np.testing.assert_allclose(
        [e.value for e in summary.failed_exponents], np.median(exponents[30:], axis=0)
    )
    late = late_drift(drift, 4)
    assert summary.drift_auc.value == auc(-late, solved)
    assert summary.solved_drift.value == pytest.approx(np.median(late[:30]))
    assert summary.failed_drift.value == pytest.approx(np.median(late[30:]))
    assert summary.solved_fraction.value == 30 / 50
    assert (summary.num_solved, summary.num_failed, summary.num_excluded) == (30, 20, 0)


def test_failed_puzzles_that_are_more_chaotic_give_a_high_auc():
    _, solved, drift, finite = runs(30, 20)
    exponents = np.where(solved, -0.01, 0.1)[:, None]
    assert summarize(exponents, solved, drift, finite).exponent_auc[0].value == 1


def test_runs_that_are_not_finite_are_left_out_and_counted():
    exponents, solved, drift, finite = runs(12, 12)
    clean = summarize(exponents[2:-1], solved[2:-1], drift[2:-1], finite[2:-1])
    exponents[0, 1], drift[1, 0], finite[-1] = np.nan, np.nan, False
    summary = summarize(exponents, solved, drift, finite)
    assert (summary.num_puzzles, summary.num_excluded) == (24, 3)
    assert (summary.num_solved, summary.num_failed) == (10, 11)
    assert summary.solved_fraction.value == 12 / 24
    assert summary.exponent_auc == clean.exponent_auc
    assert any("3 of 24 runs were not finite" in note for note in format_summary(summary).notes)


def test_a_collapsed_direction_is_ranked_not_left_out():
    exponents, solved, drift, finite = runs(12, 12)
    exponents[0, 2] = -np.inf
    assert usable_runs(exponents, drift, finite).all()
    assert summarize(exponents, solved, drift, finite).num_excluded == 0


@pytest.mark.parametrize(
    ("num_solved", "num_failed", "sentence"),
    [
        (64, 0, "all 64 puzzles were solved: AUC is undefined"),
        (0, 5, "none of the 5 puzzles was solved: AUC is undefined"),
        (0, 0, "no run could be measured"),
        (12, 2, "only 2 failed"),
        (3, 12, "only 3 solved"),
    ],
)
def test_odd_groups_are_named(num_solved, num_failed, sentence):
    summary = summarize(*runs(num_solved, num_failed))
    table = format_summary(summary)
    assert len(table.notes) == 1
    assert sentence in table.notes[0]
    empty = min(num_solved, num_failed) == 0
    assert all((row[-1] == "undefined") == empty for row in table.rows)
    assert (summary.num_solved, summary.num_failed) == (num_solved, num_failed)


def test_the_table_reads_as_intended():
    summary = summarize(*runs(30, 20, num_exponents=2), unit="nats per segment")
    table = format_summary(summary)
    assert table.headline == "Solved 60.0 % of 50 puzzles (95 % interval 46.2 % to 72.4 %)"
    assert table.headers[0] == "λ in nats per segment"
    assert [header[:12] for header in table.headers[1:3]] == ["median of 30", "median of 20"]
    assert [row[0] for row in table.rows] == [
        "λ1",
        "λ2",
        "late drift ‖Δz_H‖, last 4 segments",
    ]
    first = summary.solved_exponents[0]
    assert table.rows[0][1] == f"{first.value:.4f} [{first.low:.4f}, {first.high:.4f}]"
    assert all(len(row) == len(table.headers) for row in table.rows)
    assert table.notes == []


def test_short_runs_average_the_segments_they_have():
    exponents, solved, drift, finite = runs(12, 12, num_segments=2)
    summary = summarize(exponents, solved, drift, finite)
    assert summary.drift_window == 2
    assert summary.solved_drift.value == pytest.approx(np.median(drift[:12].mean(axis=1)))
    single = summarize(exponents, solved, drift[:, :1], finite)
    assert format_summary(single).rows[-1][0] == "last drift ‖Δz_H‖"


def test_the_summary_is_plain_enough_for_json():
    record = dataclasses.asdict(summarize(*runs(12, 12)))
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (0, np.zeros(24), "exponents must have a row for each of 24"),
        (0, np.zeros((24, 0)), "exponents must have a row for each of 24"),
        (1, np.zeros(24), "solved must be booleans"),
        (2, np.zeros((23, 4)), "drift must have a row for each of 24"),
        (3, np.ones(3, dtype=bool), "finite must be booleans"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(index, value, message):
    arguments = list(runs(12, 12))
    arguments[index] = value
    with pytest.raises(ValueError, match=message):
        summarize(*arguments)
