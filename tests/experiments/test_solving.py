"""A model on one's own puzzle: the numbers are those of single runs, and votes are counted."""

from dataclasses import replace

import numpy as np
import pytest

import rrjax
from rrjax import experiments
from rrjax.experiments.solving import REST, SolvedPuzzle
from rrjax.puzzles.maze import parse_maze
from rrjax.puzzles.sudoku import compact_board
from tests.experiments.conftest import PUZZLES

SEGMENTS = 4
BOARD = compact_board(PUZZLES.inputs[0] - 1)


def test_one_run_is_the_plain_one(model, plain):
    solved = rrjax.solve(model, BOARD, num_segments=SEGMENTS, progress=False)
    np.testing.assert_array_equal(solved.tokens, PUZZLES.inputs[0])
    np.testing.assert_array_equal(solved.answer, plain[0].logits[SEGMENTS - 1].argmax(-1))
    assert solved.q_halt == pytest.approx(float(plain[0].q_halt[SEGMENTS - 1]), abs=1e-4)
    assert solved.probability == pytest.approx(1 / (1 + np.exp(-solved.q_halt)))
    spectrum = experiments.spectrum(
        model, PUZZLES[0], num_exponents=1, num_segments=SEGMENTS, progress=False
    )
    assert solved.lambda1 == pytest.approx(spectrum.exponents.item(), abs=1e-4)
    assert (solved.num_runs, solved.num_votes, solved.is_shortest) == (1, 1, None)
    assert solved.at_rest == (solved.residual < REST)
    assert not solved.obeys_rules
    text = repr(solved)
    assert text.startswith(solved.board)
    assert "The answer is wrong." in text
    assert f"λ₁ is {solved.lambda1:.4f} nats per update" in text
    assert "runs give this answer" not in text


def test_restarts_and_copies_are_runs_that_vote(model):
    solved = rrjax.solve(
        model, BOARD, num_segments=SEGMENTS, restarts=2, symmetries=3, sigma=1.0, seed=5
    )
    assert solved.num_runs == 9
    assert 1 <= solved.num_votes <= 9
    assert f"{solved.num_votes} of 9 runs give this answer; 0 obey the rules." in repr(solved)


@pytest.mark.slow
def test_a_bundled_model_solves_a_board_and_its_copies_agree():
    model = rrjax.load_model("trm-sudoku6")
    puzzle = model.test_puzzles()[0]
    solved = rrjax.solve(model, compact_board(puzzle.inputs[0] - 1), symmetries=4)
    assert solved.obeys_rules
    np.testing.assert_array_equal(solved.answer, puzzle.labels[0])
    assert 1 < solved.num_votes <= solved.num_right <= solved.num_runs == 4
    assert "The answer obeys the rules." in repr(solved)


@pytest.mark.parametrize(
    ("puzzle", "options", "message"),
    [
        (BOARD[:-1], {}, "expected the 16 characters"),
        (np.ones(15, np.int32), {}, r"puzzle must be text or \(16,\) tokens; got int32 \(15,\)"),
        (np.full(16, 9), {}, "inputs"),
        (BOARD, {"restarts": -1}, "restarts must be at least 0"),
        (BOARD, {"sigma": 0.0}, "sigma must be finite and above 0"),
        (BOARD, {"symmetries": 0}, "symmetries must be at least 1"),
        (BOARD, {"num_segments": 0}, "num_segments must be at least 1"),
        (BOARD, {"seed": -1}, "seed must "),
    ],
)
def test_bad_requests_are_refused(model, puzzle, options, message):
    with pytest.raises(ValueError, match=message):
        rrjax.solve(model, puzzle, **options)


ANSWER = SolvedPuzzle(
    tokens=PUZZLES.inputs[0],
    answer=PUZZLES.labels[0],
    obeys_rules=True,
    is_shortest=None,
    num_votes=3,
    num_runs=4,
    num_right=3,
    q_halt=0.0,
    lambda1=-0.01,
    residual=0.001,
    vocab_size=6,
)


def test_an_answer_is_said_in_words():
    text = repr(ANSWER)
    for word in ("obeys the rules", "probability 0.5", "came to rest", "3 of 4 runs"):
        assert word in text
    for clue in set(BOARD) - {"."}:
        assert f"[{clue}]" in text
    moving = replace(ANSWER, residual=0.1, num_runs=1)
    assert "did not come to rest" in repr(moving)
    assert "runs give" not in repr(moving)


def test_a_maze_has_a_shortest_path_a_longer_one_or_none():
    tokens = parse_maze("S    " + " " * 15 + "    G")
    answer = parse_maze("Soooo" + "    o" * 3 + "    G")
    maze = replace(ANSWER, tokens=tokens, answer=answer, is_shortest=True)
    assert repr(maze).startswith("Soooo\n")
    assert "The answer is a shortest path." in repr(maze)
    assert "The answer is a longer path." in repr(replace(maze, is_shortest=False))
    wrong = replace(maze, obeys_rules=False, is_shortest=False)
    assert "The answer is no path." in repr(wrong)
