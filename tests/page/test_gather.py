"""What a page shows of results, held against the arrays, and what is missing is said."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from rrjax.analysis import auc_interval
from rrjax.page.boards import FIRST, describe_board, encode, mark
from rrjax.page.gather import gather
from rrjax.page.restarts import restarts
from rrjax.page.shown import show, thinned, written
from rrjax.page.trajectory import held_share
from rrjax.puzzles import maze
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.results.results import Results
from tests.tools import shown as made


def notes(results: Results) -> str:
    """What is said to be missing, of results that have no summary."""
    view = gather(Results(results.arrays, results.record), "run")
    json.dumps(view, allow_nan=False)
    return " ".join(view["missing"])


def decoded(text: str) -> np.ndarray:
    return np.array([(ord(character) - FIRST) // 16 for character in text])


def flags(text: str) -> np.ndarray:
    """(4, cells) given, wrong, changed, clash."""
    bits = np.array([(ord(character) - FIRST) % 16 for character in text])
    return np.array([bits >> bit & 1 for bit in range(4)], bool)


def test_numbers_are_written_short_and_without_nan():
    assert written(np.array([[1 / 3, np.nan], [-np.inf, 12345.6]])) == [
        [0.3333, None],
        [None, 12350],
    ]
    assert written(np.array([True, False])) == [True, False]
    assert thinned(np.arange(10), 4).tolist() == [0, 3, 6, 9]


def test_points_and_their_auc_are_those_of_the_arrays():
    results = made.spectrum()
    overview = gather(results, "run")["overview"]
    names = [each["key"] for each in overview["quantities"]]
    assert {"lambda1", "lambda4", "sum", "late_drift", "residual", "q_halt", "clues"} <= {*names}
    assert {"solver_guesses", "first_right", "positive_sum"} <= {*names}
    points = overview["points"]
    assert [point["outcome"] == "solved" for point in points] == made.SOLVED.tolist()
    largest = np.sort(results["exponents"], axis=1)[:, -1]
    np.testing.assert_allclose([point["lambda1"] for point in points], largest, rtol=1e-3)
    value, low, high = auc_interval(results["exponents"].max(axis=1), ~made.SOLVED).ends
    words = f"{value:.3f} (95 % interval {low:.3f} to {high:.3f})"
    assert overview["quantities"][0]["auc"] == words
    finite = np.arange(24) != 3
    first = gather(made.spectrum(finite=finite), "run")["overview"]["quantities"][0]
    value = auc_interval(results["exponents"].max(axis=1)[finite], ~made.SOLVED[finite]).value
    assert (first["auc"][:5], first["number"]) == (f"{value:.3f}", 23)


def test_the_page_begins_with_the_findings():
    for results in (made.spectrum(), made.basin()):
        sentences = gather(results, "run")["words"]
        assert sentences == results.summary().findings()
        assert "solved 16 of 24 puzzles" in sentences[0]
    assert gather(made.plane(), "run")["words"] == []


def test_boards_hold_the_answers_and_what_is_marked_in_them():
    board = gather(made.spectrum(), "run")["puzzle"]["board"]
    answers = made.answers()
    for puzzle, segment in ((0, 0), (5, 3), (23, 5)):
        text = board["answers"][puzzle][segment]
        tokens, labels, inputs = answers[puzzle, segment], made.LABELS[puzzle], made.INPUTS[puzzle]
        np.testing.assert_array_equal(decoded(text), tokens)
        given, wrong, changed, clash = flags(text)
        np.testing.assert_array_equal(given, inputs > 1)
        np.testing.assert_array_equal(wrong, tokens != labels)
        before = answers[puzzle, max(segment - 1, 0)]
        np.testing.assert_array_equal(changed, tokens != before)
        grid = tokens.reshape(4, 4)
        for cell in range(16):
            row, column = divmod(cell, 4)
            box = grid[row // 2 * 2 : row // 2 * 2 + 2, column // 2 * 2 : column // 2 * 2 + 2]
            twice = (np.sum(unit == tokens[cell]) > 1 for unit in (grid[row], grid[:, column], box))
            assert clash[cell] == any(twice)
    np.testing.assert_array_equal(decoded(board["labels"][7]), made.LABELS[7])


def test_a_maze_breaks_a_rule_where_it_changes_what_is_given():
    question = maze.parse_maze("S #  " + "  #  " * 3 + "    G")
    answer = question.copy()
    answer[[2, 1]] = maze.PATH  # a wall, and a free cell
    marks = mark(answer[None], question, None, maze.VOCAB_SIZE)
    assert np.flatnonzero(marks.clash).tolist() == [2]
    board = describe_board(25, maze.VOCAB_SIZE)
    assert (board["kind"], board["symbols"][maze.START]) == ("maze", "S")
    assert describe_board(900, 12)["kind"] == "ARC grid"
    assert describe_board(81, 11)["columns"] == [3, 6]
    other = describe_board(10, 200)
    assert (other["width"], other["height"], len(other["fills"])) == (4, 3, 200)


def test_unknown_labels_are_never_wrong():
    labels = made.LABELS[0].astype(np.int32)
    labels[3:] = IGNORE_LABEL
    marks = mark(np.full((1, 16), 5), made.INPUTS[0], labels, 6)
    assert not marks.wrong[0, 3:].any()
    assert decoded(encode(labels)).tolist()[3:] == [0] * 13


def test_curves_follow_the_arrays():
    results = made.spectrum()
    one = gather(results, "run")["puzzle"]
    leading = results["log_growth"][2, :, 0].cumsum()
    series = one["series"][2]
    expected = leading[2::3] / np.arange(3, 19, 3)
    np.testing.assert_allclose(series["lambda"], expected, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(series["growth"], results["log_growth"][2, :, 0], rtol=1e-2)
    right = (made.answers()[2] == made.LABELS[2]).mean(axis=1)
    np.testing.assert_allclose(series["accuracy"], right, rtol=1e-3)
    assert (one["rows_per_segment"], one["segments"]) == (3, [1, 2, 3, 4, 5, 6])


def test_the_growth_of_a_long_run_is_averaged(monkeypatch):
    monkeypatch.setattr("rrjax.page.puzzle.MOST_GROWTH_ROWS", 9)
    one = gather(made.spectrum(), "run")["puzzle"]
    expected = made.spectrum()["log_growth"][2, :, 0].reshape(9, 2).mean(axis=1)
    np.testing.assert_allclose(one["series"][2]["growth"], expected, rtol=1e-2)
    assert one["rows_per_segment"] == 9 / 6


def test_the_overlay_has_the_shares_in_eight_bits():
    results = made.spectrum()
    puzzle = gather(results, "run")["puzzle"]
    raw = np.frombuffer(base64.b64decode(puzzle["overlay"]["bytes"][3]), np.uint8)
    shares = (raw / 255.0).reshape(made.SEGMENTS, 8, 16) ** 2 * puzzle["board"]["top_share"]
    place = puzzle["overlay"]["directions"].index("direction 2 in z_L")
    expected = results["participation_z_L"][3, :, 1]
    np.testing.assert_allclose(shares[:, place], expected, atol=0.005 * shares.max())


def test_the_planes_hold_what_they_say():
    planes = gather(made.spectrum(), "run")["trajectory"]
    first, other = planes.values()
    states = made.spectrum()["projection"]
    assert "holds 60 % of the variance" in first["words"]  # 0.4 + 0.2
    paths = np.array([(path["x"], path["y"]) for (path,) in first["paths"]])
    np.testing.assert_allclose(paths.swapaxes(1, 2), states[..., :2], rtol=1e-2)
    parted = np.array([end["x"] for end in other["ends"]])
    assert max(parted[made.SOLVED]) < min(parted[~made.SOLVED])
    assert "fitted to their last states, so that it parts them by construction" in other["words"]


def test_a_plane_holds_the_variance_along_its_axes():
    shares = np.array([0.5, 0.3, np.nan])
    turned = np.array([[0.6, 0.8, 0], [0, 0, 1]])
    assert held_share(turned, shares) == pytest.approx(0.36 * 0.5 + 0.64 * 0.3)


def test_runs_that_agree_have_one_letter():
    view = gather(made.basin(), "run")
    rows = view["restarts"]["runs"][0]
    by_repeat = {(row["sigma"], row["repeat"]): row for row in rows}
    agreeing = [by_repeat[key]["answer"] for key in ((0, 0), (0.1, 0), (0.1, 2), (1, 0), (1, 2))]
    assert agreeing == ["A"] * 5
    assert by_repeat[0.1, 1]["answer"] != "A"
    answers = view["restarts"]["answers"][0]
    np.testing.assert_array_equal(decoded(answers[0]), made.answers()[0, -1])
    assert [point["outcome"] for point in view["overview"]["points"][:2]] == ["failed", "solved"]
    paths = view["trajectory"]["principal components"]["paths"]
    assert paths[0][3]["x"] == written(made.basin()["projection"][0, 3, :, 0], 3)
    assert paths[0][3]["segment"] == [1, 2, 4, 6]


def test_a_slice_has_its_plane_and_the_answers_on_it():
    view = gather(made.plane(), "run")
    points = {(point["a"], point["b"]): point for point in view["slice"]["points"]}
    assert points[-1, -1]["words"] == "still moving"
    assert points[-1, -1]["settling"] is None
    assert (points[1, -1]["words"], points[1, -1]["outcome"]) == ("answer 1", "solved")
    np.testing.assert_array_equal(decoded(view["slice"]["answers"][0]), made.LABELS[0])
    json.dumps(view, allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"answers_by_segment": made.answers().astype(int) + 4000}, "more token values"),
        ({"labels": None}, "holds no labels, so that no cell is marked as wrong"),
        ({"answers": None, "answers_by_segment": None}, "holds no answers, or more token values"),
        ({"answers_by_segment": None}, "holds the last answers alone"),
        ({"projection": None}, "holds no projected states"),
        ({"projection": np.full((24, 6, 5), np.nan)}, "none that are finite"),
        ({"log_growth": None}, "rrjax spectrum measures it"),
        ({"solved": np.ones(24, bool)}, "There are no failures in this run"),
        ({"solved": np.zeros(24, bool)}, "No puzzle is solved in this run"),
        ({"labels": np.full((24, 16), IGNORE_LABEL)}, "There are no failures in this run"),
        ({"exponents": np.full((24, 4), np.nan)}, ""),
        ({"exponents": np.full((24, 4), -np.inf)}, ""),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], expected: str):
    assert expected in notes(made.spectrum(**changes))


def test_a_single_puzzle_has_its_page():
    whole = made.spectrum()
    arrays = {
        name: array[:1] if whole.axes[name][0] == "puzzle" else array
        for name, array in whole.items()
    }
    view = gather(Results(arrays, whole.record, whole.experiment), "one")
    assert len(view["overview"]["points"]) == len(view["puzzle"]["series"]) == 1
    assert [*view["trajectory"]] == ["principal components"]
    json.dumps(view, allow_nan=False)


def test_larger_runs_are_thinned_and_it_is_said():
    view = gather(made.spectrum(), "run", num_runs=64)  # 8 puzzles each
    assert [point["puzzle"] for point in view["overview"]["points"]] == show(
        made.spectrum(), 8
    ).puzzles.tolist()
    assert "8 of 24 puzzles are shown, evenly spread" in " ".join(view["missing"])
    assert view["overview"]["num_puzzles"] == 24


def test_many_restarts_are_thinned():
    kept = restarts(show(made.basin()), most_cells=60, most_runs=3 * 7)
    assert kept is not None
    assert [place for place, runs in enumerate(kept["runs"]) if runs] == [0, 12, 23]
    assert [place for place, boards in enumerate(kept["answers"]) if boards] == [0]
    assert kept["num_kept"] == 3


def test_an_experiment_without_a_page_is_refused():
    whole = made.spectrum()
    toy = Results(whole.arrays, {**whole.record, "experiment": "toy"})
    with pytest.raises(
        ValueError, match=r"run holds results of rrjax toy, which have no panel in a report"
    ):
        gather(toy, "run")
