"""Every table: it says what the numbers are, names odd groups, and fits 80 columns."""

import dataclasses

import numpy as np
import pytest
from rich.cells import cell_len

from rrjax.analysis import format as words
from rrjax.analysis.attribution import attribute, classify
from rrjax.analysis.controls import auc_given, auc_near
from rrjax.analysis.intervals import Interval
from rrjax.analysis.noisy import summarize_ptrm
from rrjax.analysis.outcome import summarize
from rrjax.analysis.restarts import summarize_basin
from rrjax.analysis.rollouts import summarize_rollout
from rrjax.analysis.slices import summarize_slice
from rrjax.analysis.spectra import analyse, usable
from rrjax.analysis.table import Table
from rrjax.reports import noisy as noisy_report
from rrjax.reports import outcome, slices
from rrjax.reports import restarts as restarts_report
from rrjax.reports import rollouts as rollouts_report
from rrjax.reports import spectra as spectra_report
from rrjax.reports.attribution import attribution_notes
from rrjax.reports.terminal import print_table, table_text
from rrjax.reports.trainings import training_table
from rrjax.training.history import Group, OverRuns
from tests.tools.reported import READOUT, SEGMENTS, noisy, restarts, rollouts, spectra

SOLVED = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]]


def text_of(tables):
    """Returns all words of some tables."""
    lines = [
        part
        for table in tables
        for part in (table.headline, *table.headers, *sum(table.rows, ()), *table.notes)
    ]
    return " | ".join(lines)


def width(table):
    """Returns the columns that a table takes where no cell is wrapped."""
    lines = [line for cell in zip(table.headers, *table.rows, strict=True) for line in [cell]]
    widest = [
        max(cell_len(part) for cell in column for part in cell.split("\n")) for column in lines
    ]
    return sum(widest) + 3 * len(widest) + 1


def outcome_tables(*arguments, **keywords):
    return outcome.tables(summarize(*arguments, **keywords))


def rollout_tables(solved, readout=2, halts=None, **arrays):
    return rollouts_report.tables(
        summarize_rollout(rollouts(solved, **arrays), 6, readout, halts or {}, 1e-6)
    )


def slice_tables(**changes):
    rng = np.random.default_rng(0)
    index = np.repeat(np.repeat(rng.integers(-1, 3, (8, 8)), 4, axis=0), 4, axis=1)
    arrays = {
        "answer_index": index,
        "answer_at": rng.integers(1, 1000, index.shape),
        "residual_at": rng.integers(1, 1000, index.shape),
        "finite": rng.random(index.shape) < 0.9,
        "solved": index == 0,
        "answer_solved": np.array([True, False, False]),
    } | changes
    arrays = {name: array for name, array in arrays.items() if array is not None}
    summary = summarize_slice(arrays, 1000, 4, 1e-2, box_size=4)
    return slices.tables(summary)


def analysis_of(number=200, segments=12):
    rng = np.random.default_rng(0)
    solved = np.arange(1, segments + 1) >= rng.integers(1, segments + 4, number)[:, None]
    growth = rng.normal(0, 0.3, (number, 3 * segments, 1)) - 0.1 * solved[:, -1:, None]
    arrays = {
        "exponents": growth.mean(axis=1),
        "log_growth": growth,
        "solved": solved[:, -1],
        "finite": np.arange(number) > 0,
        "drift": np.exp(rng.normal(size=(number, segments))),
        "solved_by_segment": solved,
    }
    return analyse(usable(arrays, "drift", {"clues": rng.integers(17, 80, number)}))


def wide_sweep():
    """Returns restarts of puzzles from many starts, whose fractions have all their digits."""
    rng = np.random.default_rng(0)
    sigma = np.repeat([0, 0.001, 0.1, 0.3, 1.0, 10.0], [1, 16, 16, 16, 16, 16])
    shape = (60, len(sigma))
    return {
        "sigma": sigma,
        "solved": rng.random((*shape, 3)) < 0.3,
        "answers": rng.integers(0, 3, (*shape, 1)),
        "q_halt": rng.random(shape),
        "residual": rng.random(shape),
        "late_drift": rng.random(shape),
        "exponents": rng.normal(size=(*shape, 1)),
    }


def all_tables():
    exponents, solved, drift, finite = spectra(60, 40)
    drift *= 3e-4
    growth = np.random.default_rng(7).normal(size=(100, 6, 3))
    summary = summarize(exponents - 10, solved, drift, finite, log_growth=growth)
    yield from outcome.tables(dataclasses.replace(summary, num_solved=1200, num_failed=8000))
    yield from spectra_report.tables(analysis_of())
    yield spectra_report.comparison({"spectrum-trm-sudoku9": analysis_of(50), "b": analysis_of(60)})
    many = np.random.default_rng(1).random((1000, 256)) < 0.5
    rules = {"q_halt > 0.25": many, "residual < 1e-05": many}
    integers = np.full(many.shape, 127, np.int16)
    yield from rollout_tables(many, 16, rules, violations=integers)
    yield from rollout_tables(many, 16, valid_path=many)
    yield from restarts_report.tables(summarize_basin(wide_sweep(), 2))
    yield from restarts_report.tables(summarize_basin(restarts(), READOUT))
    few = {name: array[:, :17] for name, array in wide_sweep().items() if name != "sigma"}
    few["sigma"] = wide_sweep()["sigma"][:17]
    yield from noisy_report.tables(summarize_ptrm(few))
    yield from slice_tables()


def test_every_table_fits_80_columns():
    tables = list(all_tables())
    assert len(tables) > 18
    too_wide = {table.headline: width(table) for table in tables if width(table) > 80}
    assert too_wide == {}
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.headers)}


def test_a_table_that_is_too_wide_is_shown_in_parts_of_its_columns():
    intervals = tuple(f"0.{digit} (0.100 to 0.900)" for digit in range(6))
    headers = ("kind", "n", *(f"period {place}" for place in range(6)))
    table = Table("Many columns", headers, [("all", "31", *intervals)], ["A note."])
    lines = table_text(table).splitlines()
    assert max(map(cell_len, lines)) <= 80
    shown = "\n".join(lines)
    assert [shown.count(text) for text in intervals] == [1] * 6
    assert shown.count("│ all  │ 31 │") == shown.count("Many columns") == 3 == shown.count("kind")
    assert shown.count("(continued)") == 2
    assert shown.count("A note.") == 1


def test_the_table_of_a_spectrum_says_its_numbers():
    exponents, solved, drift, finite = spectra(30, 20, num_exponents=2)
    exponents[:, 1] = -1
    summary = summarize(exponents, solved, drift, finite, unit="nats per segment")
    table, *_ = outcome.tables(summary)
    assert table.headline == "Solved: 60.0 % (95 % interval 45.2 to 73.6) of 50 puzzles"
    assert table.headers[:3] == ("nats per segment", "median of\n30 solved", "median of\n20 failed")
    assert [row[0] for row in table.rows] == [
        *("λ₁", "sum of positive λ", "Kaplan–Yorke", "late drift"),
    ]
    auc = summary.exponent_auc[0]
    assert table.rows[0][1] == f"{summary.solved_exponents[0].value:.4f}"
    assert table.rows[0][3] == f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"
    assert table.notes == [
        "The unit is that of λ₁ and of the sum. Late drift is the mean ‖Δz_H‖ of the last 4 "
        "segments. The results hold all exponents."
    ]


@pytest.mark.parametrize(
    ("sizes", "shift", "message"),
    [
        ((30, 20), 0.0, "λ₁ does not tell failed puzzles from solved ones: the AUC of −λ₁ for so"),
        ((30, 20), 9.0, "The failed puzzles are the less stable ones: the AUC of −λ₁ for solved "),
        ((30, 20), -9.0, "The failed puzzles are the more stable ones: the AUC of −λ₁ for solved"),
        ((30, 2), 9.0, "Too few puzzles were solved, or too few failed, to tell whether λ₁ diff"),
    ],
)
def test_a_spectrum_ends_with_what_was_seen(sizes, shift, message):
    _, solved, drift, finite = spectra(*sizes)
    exponents = np.arange(sum(sizes))[:, None] % 7.0 + shift * ~solved[:, None]
    auc = summarize(exponents, solved, drift, finite).exponent_auc[0]
    assert outcome.conclusion(auc).startswith(message)


def test_exponents_out_of_order_are_explained():
    exponents, solved, drift, finite = spectra(30, 20, num_exponents=2)
    exponents[:] = [-0.1, -0.2]
    (*_, last) = outcome_tables(exponents, solved, drift, finite)[0].notes
    assert "larger" not in last
    exponents[:7] = [-0.2, -0.1]
    notes = outcome_tables(exponents, solved, drift, finite)[0].notes
    assert any(note.startswith("In 7 of 50 puzzles a later exponent") for note in notes)


def test_numbers_have_no_stray_dots():
    assert words.number(27.3, "#.2g") == "27"
    assert words.number(2.0, "#.2g") == "2.0"
    assert words.interval(Interval(27.3, 26.1, 27.4), "#.2g") == "27 (26 to 27)"


LONG = {
    "recipe.augmentation.objective": "multi_perturbed_ce",
    "config.arch.forward_dtype": "float32",
}


def test_keys_of_trainings_keep_their_end(capsys, monkeypatch):
    over_runs = OverRuns(Interval(0.512, 0.321, 0.700), 0.5, (0.5, 0.5))
    group = Group(LONG, 2, 1, ("recipe.lr",), best=over_runs, final=over_runs)
    table = training_table([group], list(LONG), "exact_accuracy")
    for columns in ("80", "40", "0"):
        monkeypatch.setenv("COLUMNS", columns)
        print_table(table)
        lines = capsys.readouterr().out.splitlines()
        assert sum("0.512 (0.321 to 0.700)" in line for line in lines) == 2
        assert any("objective" in line for line in lines)
        assert max(map(cell_len, lines)) <= 80


def test_rivals_of_lambda1_stand_beside_it():
    exponents, solved, drift, finite = spectra(30, 20)
    clues, drift = np.arange(50) % 5, np.random.default_rng(0).random(drift.shape)
    summary = summarize(exponents, solved, drift, finite, scores={"clues": clues})
    _, table = outcome.tables(summary)
    assert [row[0] for row in table.rows] == ["clues", "−late drift"]
    lambda1 = exponents.max(axis=1)
    given = auc_given(-lambda1, solved, clues)
    assert table.rows[0][2] == f"{given.value:.3f} ({given.low:.3f} to {given.high:.3f})"
    near = auc_near(-lambda1, solved, -drift[:, -4:].mean(axis=1))
    assert summary.rivals[1].lambda1_given.ends == pytest.approx(near.ends)
    assert summary.rivals[1].auc == summary.drift_auc
    assert len(table.notes) == 1


def test_what_the_initial_frame_and_the_solver_do_to_the_rivals_is_noted():
    exponents, solved, drift, finite = spectra(30, 20)
    growth = np.random.default_rng(7).normal(size=(50, 6, 3))
    summary = summarize(
        exponents, solved, drift, finite, log_growth=growth, score_notes=["Some were cut."]
    )
    notes = outcome.tables(summary)[1].notes
    assert notes[1] == "Some were cut."
    assert "a standard deviation of at most 0.19 nats per update. Each puzzle has" in notes[2]


@pytest.mark.parametrize(
    ("num_solved", "num_failed", "sentence"),
    [
        (64, 0, "All 64 puzzles were solved: the AUC is undefined."),
        (0, 5, "None of 5 puzzles was solved: the AUC is undefined."),
        (0, 0, "No run could be measured"),
        (12, 2, "There are only 2 failed runs"),
        (1, 12, "There is only 1 solved run:"),
        (1, 0, "The only puzzle was solved"),
    ],
)
def test_odd_groups_are_named(num_solved, num_failed, sentence):
    table, *_ = outcome_tables(*spectra(num_solved, num_failed))
    assert sum(sentence in note for note in table.notes) == 1
    empty = min(num_solved, num_failed) == 0
    rows = {row[0]: row for row in table.rows}
    assert (rows["λ₁"][-1] == "undefined") == (rows["late drift"][-1] == "undefined") == empty


def test_what_a_spectrum_lacks_is_noted():
    exponents, solved, drift, finite = spectra(12, 12)
    exponents[:] = np.where(solved[:, None], [0.1, 0.05, -0.4], [0.3, 0.2, 0.1])
    table, *_ = outcome_tables(exponents, solved, drift, finite, dimension=1000)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["sum of positive λ ≥"][1] == "0.6000"
    assert rows["Kaplan–Yorke"] == ("2.38", "undefined", "undefined")
    assert "all k exponents are positive in 12 puzzles" in table.notes[0]
    assert table.notes[1].startswith("Kaplan–Yorke is undefined in 0 of 12 solved and 12 of 12")
    exponents[:4, 2], finite[-1] = np.nan, False
    table, *_ = outcome_tables(exponents, solved, drift, finite)
    assert "1 of 24 runs was not finite and is in neither group." in table.notes
    assert "Exponents below the round-off floor, of 23 puzzles: λ3 in 4." in table.notes


def test_a_dimension_that_no_puzzle_has_gets_a_note_and_no_row():
    _, solved, drift, finite = spectra(12, 12)
    table, *_ = outcome_tables(np.full((24, 2), 0.1), solved, drift, finite)
    assert "Kaplan–Yorke" not in {row[0] for row in table.rows}
    assert any("undefined in 12 of 12 solved and 12 of 12 failed" in note for note in table.notes)
    whole, *_ = outcome_tables(np.full((24, 2), 0.1), solved, drift, finite, dimension=2)
    assert ("Kaplan–Yorke", "2.00", "2.00") in [row[:3] for row in whole.rows]


def test_an_analysis_has_its_settled_runs_its_bins_and_its_windows():
    analysis = analysis_of()
    tables = spectra_report.tables(analysis)
    settled, drift, clues, early = tables
    counts = analysis.settling.otsu
    assert settled.rows[0][:3] == (
        "settled",
        str(counts.settled_solved),
        str(counts.settled_failed),
    )
    assert settled.notes[0] == "1 of 200 runs was not finite and is left out."
    assert drift.headers[0] == "late drift"
    assert clues.rows[-1][:3] == ("not held fixed", *map(str, sizes_of(analysis)))
    assert [row[0] for row in early.rows] == [str(s) for s in range(1, 12)]
    assert early.notes == ["One interval in twenty misses 0.5 by chance."]
    assert "AUC needs 5 that get solved" in spectra_report.tables(analysis_of(12))[-1].notes[0]
    without = dataclasses.replace(analysis, early=None, within_drift=None)
    assert spectra_report.tables(without) == [settled, clues]
    table = spectra_report.comparison({"a": analysis, "b": analysis})
    assert [row[:3] for row in table.rows] == [
        (name, *map(str, sizes_of(analysis))) for name in "ab"
    ]


def sizes_of(analysis):
    return analysis.num_solved, analysis.num_failed


def test_a_rollout_says_what_became_of_the_failures():
    violations = np.array([[3, 0, 0, 5], [0, 0, 0, 0], [0, 2, 0, 4], [9, 8, 7, 6]], np.int16)
    tables = rollout_tables(SOLVED, violations=violations)
    accuracy, escape = tables
    assert accuracy.rows[1] == ("at segment 4", "25.0 % (0.6 to 80.6)", "5", "62.5 %")
    assert escape.rows[0][0] == "still failing at segment 4"
    text = text_of(tables)
    assert "1 puzzle solved at segment 2 is not solved at segment 4." in text
    assert "1 of 1 that escaped lost the answer again by the end." in text
    assert "1 of the failures had been solved before segment 2." in text
    assert (
        "At rest at a wrong answer by segment 4: 0 of 2 failures. A run whose residual is" in text
    )
    assert "in which a failed run moves: 3 of 3 segments." in text


def test_a_rollout_of_one_puzzle_has_singular_words():
    accuracy, escape = rollout_tables([[0, 0]], readout=1)
    assert accuracy.headline == "1 puzzle over 2 segments of 6 updates"
    assert escape.headline == "Of 1 failure at segment 1, 0 escaped in 1 more segment"


def test_valid_paths_have_a_column_where_there_are_any():
    valid = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
    table = rollout_tables(SOLVED, valid_path=valid)[0]
    assert table.headers[2] == "valid paths\n(95 % interval)"
    assert [row[2] for row in table.rows] == [*2 * ["75.0 % (19.4 to 99.4)"], ""]
    assert "valid paths" not in text_of(rollout_tables(SOLVED))


def test_a_rule_for_halting_becomes_a_row():
    *_, table = rollout_tables(SOLVED, halts={"an oracle": np.array(SOLVED, bool)})
    assert table.rows[0][:2] == ("an oracle", "3")
    assert table.rows[0][3:] == ("2.0", "50.0 %")


def rates(number, segments, rate):
    first = np.random.default_rng(0).geometric(rate, number)
    return np.arange(1, segments + 1) >= first[:, None]


def test_a_constant_rate_is_not_called_changing_and_a_falling_one_is():
    assert "with time" not in text_of(rollout_tables(rates(300, 60, 0.02), 1))
    falling = rates(300, 60, 0.1)
    falling[:150] = False  # never escape, so that the rate falls as the others leave
    assert "The rate falls with time" in text_of(rollout_tables(falling, 1))
    rising = np.arange(60) >= np.random.default_rng(0).integers(40, 60, (300, 1))
    assert "The rate rises with time" in text_of(rollout_tables(rising, 1))


def test_what_a_rollout_cannot_say_is_named():
    text = text_of(rollout_tables(SOLVED, readout=4))
    assert "There is no segment after 4: nothing is known of escapes." in text
    assert text.count("at segment 4") == 1
    assert "undefined" in text_of(rollout_tables(np.ones((20, 5))))
    blown = np.full((4, 4), 0.1)
    blown[3, 2:] = np.nan
    unknown = np.full((4, 4), np.nan)
    text = text_of(rollout_tables(SOLVED, residual=blown, token_accuracy=unknown))
    assert "1 of 4 runs was not finite and is counted as failed." in text
    assert "at segment 4 | 25.0 % (0.6 to 80.6) | undefined" in text


def test_restarts_say_what_escapes_and_what_the_start_decides():
    tables = restarts_report.tables(summarize_basin(restarts(), READOUT))
    outcomes, selection, groups = tables
    assert outcomes.headline == "5 puzzles from 5 starts each"
    assert "1 of 25 runs was not finite and is counted as failed." in outcomes.notes
    assert [row[0] for row in outcomes.rows] == ["0", "0.1", "1"]
    assert outcomes.rows[1][2].startswith("38 %")
    assert outcomes.rows[1][3].startswith("50 %")
    assert selection.headers == ("σ", "one run", "pass@2", "highest q_halt")
    assert [row[0] for row in selection.rows] == ["0.1", "1"]
    assert [row[1:] for row in groups.rows] == [("2", "1"), ("1", "1"), ("2", "2")]
    solved = restarts() | {"solved": np.ones((5, 5, SEGMENTS), bool)}
    outcomes = restarts_report.tables(summarize_basin(solved, READOUT))[0]
    assert {row[2] for row in outcomes.rows} == {"undefined"}


def test_noisy_runs_say_what_each_rule_gains():
    (table,) = noisy_report.tables(summarize_ptrm(noisy()))
    assert table.headline == "4 puzzles, 4 runs of 3 segments with noise σ = 0.3"
    assert [row[0] for row in table.rows] == [
        *("without noise", "one run", "pass@4", "majority vote", "highest q_halt"),
        *("smallest residual", "smallest λ₁"),
    ]
    assert {row[0]: row[2:] for row in table.rows}["pass@4"] == ("1", "0")
    assert "within 2 of 2 mixed puzzles: mean Spearman ρ is -1.00 (95 % interval" in table.notes[0]
    arrays = noisy()
    arrays["residual"][1, 2:] = np.nan
    (table,) = noisy_report.tables(summarize_ptrm(arrays))
    assert "3 of 16 runs were not finite and are counted as failed." in table.notes


def test_without_mixed_puzzles_or_exponents_the_table_says_so():
    arrays = noisy()
    arrays["solved"] = np.ones_like(arrays["solved"])
    (table,) = noisy_report.tables(summarize_ptrm(arrays))
    assert table.notes[0].startswith("q against λ₁: none of 0 puzzles")
    del arrays["exponents"]
    (table,) = noisy_report.tables(summarize_ptrm(arrays))
    assert len(table.notes) == 1


def test_a_slice_says_who_settles_and_how_mixed_the_basins_are():
    settling, basins = slice_tables()
    assert settling.headline == "One puzzle, 32 × 32 starts"
    assert [row[0] for row in settling.rows] == ["settled", "still moving", "solved"]
    assert int(settling.rows[0][1]) + int(settling.rows[1][1]) == 32**2
    assert basins.headers == ("", "final answer", "solved or not")
    settling, basins = slice_tables(solved=None, answer_solved=None)
    assert any("answer is not known" in note for note in settling.notes)
    assert basins.headers == ("", "final answer")


def test_where_the_vector_lies_is_said_below_the_table():
    inputs = np.array([[2, 1, 1, 3, 1]])
    labels, answers = np.array([[2, 4, 5, 3, 0]]), np.array([[2, 4, 2, 4, 3]])
    shares = {
        "z_H": np.array([[0.05, 0.05, 0.05, 0.1, 0.05, 0]]),
        "z_L": np.array([[0.1, 0, 0.2, 0.3, 0.05, 0.05]]),
    }
    attribution = attribute(shares, classify(inputs, labels, answers, 0))
    states, cells = attribution_notes(attribution, 16)
    assert states.startswith("λ₁'s vector after segment 16 (one puzzle): 30 % in z_H, ")
    assert "70 % in z_L; spread over " in states
    assert "on cells whose answer had to be found, which are 40 % of the board." in states
    assert cells.startswith("In 1 failed puzzle a wrong cell carries ")
    solved = attribute(shares, classify(inputs, labels, labels, 0))
    assert len(attribution_notes(solved, 1)) == 1
    nothing = {name: np.full_like(share, np.nan) for name, share in shares.items()}
    assert attribution_notes(attribute(nothing, classify(inputs, labels, answers, 0)), 1) == []


def test_a_sentence_is_broken_though_it_has_the_word_of_an_interval(capsys):
    sentence = "the share rises from 0.1 to 0.9 while the failures that are left become fewer"
    rows = [("toy", "it rises", sentence, "holds"), ("trm", "it falls", "it does", "open")]
    print_table(Table("Claims", ("model", "claim", "found here", "verdict"), rows, ()))
    printed = capsys.readouterr().out
    assert "continued" not in printed
    (line,) = (line for line in printed.splitlines() if "trm" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == list(rows[1])
