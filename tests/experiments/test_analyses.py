"""The analysis of spectra that are made up by hand: numbers, words, and runs it must refuse."""

from dataclasses import replace

import numpy as np
import pytest

from rrjax.experiments import analyse
from rrjax.experiments.analyses import AnalysedSpectrum
from rrjax.experiments.spectra import ARRAYS, BY_SEGMENT, SPECTRUM, numbers
from rrjax.puzzles.sudoku_solver import solve_sudoku
from tests.tools.made_up import (
    BOARDS,
    NUMBER,
    PER_SEGMENT,
    SEGMENTS,
    spectrum_arrays,
    spectrum_results,
)


def words(run: AnalysedSpectrum) -> str:
    """The tables, their white space evened out."""
    return " ".join(repr(run.summary()).split())


@pytest.fixture(scope="module")
def run() -> AnalysedSpectrum:
    return analyse(spectrum_results())


def test_the_numbers_are_those_of_the_arrays(run):
    arrays, analysis = spectrum_arrays(), run.analysis
    solved, lambda1 = arrays["solved"], arrays["log_growth"].mean(1, dtype=np.float64).max(1)
    assert 0 < np.mean(arrays["exponents"][:, 0] < arrays["exponents"][:, 1]) < 1
    assert (analysis.num_solved, analysis.num_failed) == (solved.sum(), (~solved).sum())
    pairs = lambda1[solved][:, None] < lambda1[~solved]
    assert analysis.lambda1_auc.value == pytest.approx(pairs.mean())
    assert analysis.solved_lambda1.value == pytest.approx(np.median(lambda1[solved]))
    settled = arrays["drift_z_H"].mean(1) < 0.1  # the two groups lie at 1e-4 and 3
    counts = analysis.settling.otsu
    assert counts.settled_solved == np.sum(settled & solved) > 0
    assert counts.unsettled_failed == np.sum(~settled & ~solved) > 0
    median = np.median(lambda1[solved])
    assert analysis.horizon.solved.value[-1] == pytest.approx(median, abs=1e-6)
    assert [window.segment for window in analysis.early] == [1, 2, 3]
    assert run.notes == []


def test_a_qr_after_each_segment_changes_what_is_known_and_not_what_is_said(run):
    arrays = spectrum_arrays()
    growth = arrays["log_growth"].astype(np.float64)
    by_segment = arrays | {"log_growth": growth.reshape(NUMBER, SEGMENTS, PER_SEGMENT, 2).sum(2)}
    kind = replace(SPECTRUM, arrays=ARRAYS | BY_SEGMENT)
    coarse = spectrum_results(by_segment, kind, clock="segment", updates_per_segment=PER_SEGMENT)
    other = analyse(coarse)
    assert words(other) == words(run)
    assert other.analysis.horizon.updates.tolist() == [3, 6, 9, 12]
    for name in ("value", "low", "high"):
        ends = getattr(run.analysis.horizon.failed, name)[PER_SEGMENT - 1 :: PER_SEGMENT]
        values = getattr(other.analysis.horizon.failed, name)
        np.testing.assert_allclose(values, ends, atol=1e-6)
    errors = [numbers(results).derived[-1] for results in (spectrum_results(), coarse)]
    assert errors[0].name == errors[1].name == "standard_error"
    assert errors[1].failed.value == pytest.approx(errors[0].failed.value, rel=1e-5)
    drawn = other.draws()["lambda1_by_horizon"]().axes[0]
    np.testing.assert_array_equal(drawn.lines[1].get_xdata(), [3, 6, 9, 12])


def test_difficulty_is_that_of_the_boards(run):
    difficulty = run.runs.difficulty
    assert difficulty["clues"].tolist() == [int((board > 0).sum()) for board in BOARDS]
    assert difficulty["solver guesses"].tolist() == [
        solve_sudoku(board).guesses for board in BOARDS
    ]


def test_the_tables_and_the_figures(run):
    text = words(run)
    for part in (
        "Settled: log10 late drift up to",
        "alike in late drift, unsettled runs",
        "alike in clues",
        "Do segments 1..s tell",
    ):
        assert part in text
    assert "nan" not in text
    names = {"late_drift", "auc_within_bins", "early_window", "lambda1_by_horizon"}
    assert run.plot().keys() == names


def test_puzzles_that_are_no_sudokus_have_no_difficulty():
    run = analyse(spectrum_results(puzzles={"sha256": "", "vocab_size": 9}))
    assert "no bins of difficulty, which is known of Sudokus and mazes only" in words(run)


def test_runs_without_a_number_are_left_out_and_counted():
    arrays = spectrum_arrays()
    arrays["exponents"][0, 0] = np.nan
    arrays["log_growth"][0] = np.nan
    arrays["finite"][1] = False
    arrays["drift_z_H"][2, 1] = np.inf
    run = analyse(spectrum_results(arrays))
    assert f"3 of {NUMBER} runs were not finite" in words(run)
    assert run.analysis.num_excluded == 3
    assert run.analysis.num_solved + run.analysis.num_failed == NUMBER - 3


def all_of(value: bool) -> dict[str, np.ndarray]:
    arrays = spectrum_arrays()
    arrays["solved"][:] = value
    arrays["solved_by_segment"][:] = value
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (all_of(True), f"{NUMBER} of {NUMBER} runs solved: solved and failed ones are needed"),
        (all_of(False), f"0 of {NUMBER} runs solved"),
        ({name: array[:1] for name, array in all_of(True).items()}, "1 of 1 run solved"),
        (
            spectrum_arrays() | {"exponents": np.full((NUMBER, 2), np.nan, np.float32)},
            f"none of the {NUMBER} runs has a finite λ₁",
        ),
    ],
)
def test_runs_with_nothing_to_compare_are_refused(arrays, message):
    with pytest.raises(ValueError, match=f"these results: {message}"):
        analyse(spectrum_results(arrays))


@pytest.mark.parametrize("kept", [0, 1])
def test_one_run_of_an_outcome_is_enough_for_words(kept):
    arrays = all_of(bool(kept))
    arrays["solved"][0] = arrays["solved_by_segment"][0, -1] = not kept
    text = words(analyse(spectrum_results(arrays)))
    assert "only 1 " in text
    assert "nan" not in text


def test_runs_that_all_stand_still_and_one_segment():
    still = analyse(
        spectrum_results(
            spectrum_arrays() | {"drift_z_H": np.zeros((NUMBER, SEGMENTS), np.float32)}
        )
    )
    assert "unsettled runs" not in words(still)
    short = spectrum_arrays()
    short["log_growth"] = short["log_growth"][:, :PER_SEGMENT]
    short |= {name: short[name][:, -1:] for name in ("drift_z_H", "solved_by_segment")}
    assert analyse(spectrum_results(short)).analysis.num_segments == 1


def test_what_cannot_be_analysed_is_refused():
    rollouts = spectrum_results(experiment="rollout")
    with pytest.raises(ValueError, match="results of rrjax rollout; an analysis needs those of"):
        analyse(rollouts)


def test_the_horizon_has_the_largest_exponent_of_every_window():
    arrays = spectrum_arrays()
    arrays["exponents"][0, 1] = np.nan  # below the round-off floor: its growth is noise
    arrays["log_growth"][0, :, 1] = 99
    arrays["log_growth"][1, 5:] = arrays["exponents"][1] = -np.inf
    runs = analyse(spectrum_results(arrays)).runs
    for t in (1, 7, SEGMENTS * PER_SEGMENT):
        sums = arrays["log_growth"][:, :t].sum(1, dtype=np.float64).max(1)
        sums[0] = arrays["log_growth"][0, :t, 0].sum(dtype=np.float64)
        np.testing.assert_allclose(runs.growth[:, :t].sum(1), sums)


def test_unsettled_runs_of_one_outcome_have_no_bins():
    arrays = spectrum_arrays()
    arrays["drift_z_H"][:] = np.where(arrays["solved"], 1e-4, 3)[:, None]
    run = analyse(spectrum_results(arrays))
    assert run.analysis.settling.otsu.unsettled_failed > 0
    assert run.analysis.within_drift is None
