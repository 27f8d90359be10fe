"""Answers judged by the label and by the rules, in every experiment, on mazes and on Sudokus."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import experiments
from rrjax.contract import Update
from rrjax.experiments.judging import choose_judge, judge_on_host, with_outcome
from rrjax.puzzles import PuzzleSet, build_mazes, build_sudokus, parse_board, to_tokens
from rrjax.puzzles.batch import take_batch
from rrjax.puzzles.maze import Mazes, parse_maze
from rrjax.puzzles.sudoku import Puzzles
from rrjax.results.results import Results

QUESTION = "S    " + "     " * 3 + "    G"
LABEL = "Soooo" + "    o" * 3 + "    G"
ANSWERS = {
    "the label": LABEL,
    "another shortest path": "S    " + "o    " * 3 + "ooooG",
    "a detour": "So   " + " o   " + "oo   " + "o    " + "ooooG",
    "a jump": "Soo o" + "    o" * 3 + "    G",
    "a wall that is new": "Soooo" + "#   o" + "    o" * 2 + "    G",
}
EXACT = [True, False, False, False, False]
VALID = [True, True, True, False, False]
SHORTEST = [True, True, False, False, False]

SOLUTION = "1234341221434321"
BOARD = "12.. .... .... ....".replace(" ", "")
BOARDS = [SOLUTION, "1243341221343421", "1234341221434312", "2134341212434321"]
OBEYS = [True, False, False, False]
RUN = {"num_segments": 3, "progress": False}


def hold(context: Any, state: dict[str, jax.Array], drive: Any) -> dict[str, jax.Array]:
    """A contraction, so that all goes to rest."""
    return {"z": 0.5 * state["z"] + context["bias"]}


def read(context: Any, state: dict[str, jax.Array]) -> jax.Array:
    """The answer of the table, whatever the state is."""
    return jax.nn.one_hot(context["answer"], 8, dtype=jnp.float32)


@dataclass
class Scripted:
    """A model that gives the answer in the row of a table that the puzzle's identifier names."""

    params: dict[str, Any]

    def bind(self, tokens: Any, puzzle_id: Any = 0) -> rrjax.Dynamics:
        """Returns the dynamics on one puzzle."""
        start = jnp.linspace(-1, 1, 2 * tokens.shape[0], dtype=jnp.float32).reshape(-1, 2)
        context = {"answer": self.params["answers"][puzzle_id], "bias": jnp.float32(0.1)}
        return rrjax.Dynamics({"z": start}, (Update("hold", hold),), read, context, answer="z")


def scripted(answers: np.ndarray) -> Scripted:
    return Scripted({"answers": np.asarray(answers, np.int32)})


def numbered(puzzles: PuzzleSet) -> PuzzleSet:
    """Puzzles whose identifiers are their numbers."""
    meta = replace(puzzles.metadata, num_puzzle_identifiers=len(puzzles))
    ids = np.arange(len(puzzles), dtype=np.int32)
    return replace(puzzles, puzzle_ids=ids, metadata=meta)


def mazes(label: np.ndarray) -> PuzzleSet:
    tile = len(ANSWERS), 1
    return numbered(build_mazes(Mazes(np.tile(parse_maze(QUESTION), tile), np.tile(label, tile))))


MAZES, UNLABELLED = mazes(parse_maze(LABEL)), mazes(np.zeros(25, np.int32))
WALKER = scripted(np.stack([parse_maze(text) for text in ANSWERS.values()]))
BLANKS = np.tile(parse_board(BOARD), (len(BOARDS), 1))
SUDOKUS = numbered(build_sudokus(Puzzles(BLANKS, 0 * BLANKS)))
PLAYER = scripted(np.stack([to_tokens(parse_board(text)) for text in BOARDS]))


@pytest.fixture(scope="module")
def walks() -> Results:
    return experiments.spectrum(WALKER, MAZES, num_exponents=1, **RUN)


def test_a_spectrum_of_mazes_holds_three_outcomes_and_counts_the_shortest_paths(walks):
    for name, right in (("exact_match", EXACT), ("valid_path", VALID), ("shortest_path", SHORTEST)):
        assert walks[name].tolist() == [[each] * 3 for each in right]
        assert walks.axes[name] == ("puzzle", "segment")
    assert walks.solved.tolist() == SHORTEST
    np.testing.assert_array_equal(walks.solved_by_segment, walks.shortest_path)
    assert walks.record["outcome"] == "shortest_path"
    said = " ".join(repr(walks.summary()).split())
    assert "Solved means any shortest path from S to G (2 of 5 last answers)" in said
    assert "1 are the labelled answer; 3 are any path" in said


def test_another_outcome_of_the_same_folder_runs_nothing_again(tmp_path, monkeypatch):
    monkeypatch.setattr(Scripted, "digest", "the same", raising=False)
    experiments.rollout(WALKER, MAZES, folder=tmp_path, **RUN)
    silent = Scripted({"answers": 0 * WALKER.params["answers"]})
    kept = experiments.rollout(silent, MAZES, folder=tmp_path, outcome="exact_match", **RUN)
    assert kept.solved[:, -1].tolist() == EXACT
    assert kept.valid_path[:, -1].tolist() == VALID


def test_an_analysis_may_count_another_outcome(walks):
    other = with_outcome(walks, "valid_path")
    assert other.solved.tolist() == VALID
    np.testing.assert_array_equal(other.solved_by_segment, walks.valid_path)
    assert other.record["outcome"] == "valid_path"
    assert with_outcome(walks, "auto") is walks
    with pytest.raises(ValueError, match="exact_match, valid_path, shortest_path; got obeys_rules"):
        with_outcome(walks, "obeys_rules")


@pytest.mark.parametrize(
    ("model", "puzzles", "outcome", "right"),
    [
        (WALKER, MAZES, "auto", SHORTEST),
        (WALKER, UNLABELLED, "valid_path", VALID),
        (PLAYER, SUDOKUS, "auto", OBEYS),
    ],
    ids=["mazes", "unlabelled mazes", "Sudokus"],
)
def test_rollouts_are_judged(model, puzzles, outcome, right):
    results = experiments.rollout(model, puzzles, outcome=outcome, **RUN)
    assert results.solved.tolist() == [[each] * 3 for each in right]
    assert ("exact_match" in results) == (puzzles is MAZES)
    assert "Solved means any" in repr(results.summary())


@pytest.mark.parametrize("num_exponents", [0, 1])
def test_every_restart_is_judged(num_exponents):
    options = {"sigmas": (0.1,), "num_restarts": 2, "num_exponents": num_exponents}
    results = experiments.basin(WALKER, MAZES, **options, **RUN)
    for name, right in (("solved", SHORTEST), ("exact_match", EXACT), ("valid_path", VALID)):
        assert results[name].tolist() == [[[each] * 3] * 3 for each in right]


def test_noisy_runs_are_judged():
    noisy = experiments.ptrm(
        WALKER, MAZES, num_runs=1, num_exponents=0, outcome="exact_match", states=(), **RUN
    )
    assert noisy.solved[:, :, -1].tolist() == [[each] * 2 for each in EXACT]


def test_a_spectrum_of_sudokus_without_labels_is_judged_by_the_rules():
    found = experiments.spectrum(PLAYER, SUDOKUS, num_exponents=1, attribution=True, **RUN)
    assert found.solved.tolist() == OBEYS
    assert found.record["outcome"] == "obeys_rules"
    found.summary()
    found.plot()


@pytest.mark.parametrize(
    ("model", "puzzles", "right"), [(WALKER, MAZES, SHORTEST), (PLAYER, SUDOKUS, OBEYS)]
)
def test_every_point_of_a_slice_is_judged(model, puzzles, right):
    for index in (1, 2):
        plane = experiments.slice(model, puzzles[index], grid=2, num_segments=5, progress=False)
        assert plane.solved.tolist() == [[right[index]] * 2] * 2
        assert plane.answer_solved.tolist() == [right[index]]


def test_sudokus_with_labels_are_judged_by_them_unless_asked():
    labels = np.tile(parse_board(BOARDS[0]), (len(BOARDS), 1))
    labelled = numbered(build_sudokus(Puzzles(BLANKS, labels)))
    results = experiments.rollout(PLAYER, labelled, **RUN)
    assert "exact_match" not in results
    assert results.record["outcome"] == "exact_match"
    by_rules = experiments.rollout(PLAYER, labelled, outcome="obeys_rules", **RUN)
    assert by_rules.obeys_rules[:, -1].tolist() == OBEYS
    other = parse_board("1243432121343412")  # another solution of the board
    assert judged(labelled, to_tokens(other)) == {"exact_match": False, "obeys_rules": True}


def judged(puzzles: PuzzleSet, answer: np.ndarray) -> dict[str, bool]:
    judge = choose_judge(PLAYER, puzzles, "obeys_rules")
    puzzle = jax.tree.map(lambda leaf: leaf[0], take_batch(puzzles, np.arange(1)))
    found = judge_on_host(judge, puzzle, answer[None])
    return {name: right.item() for name, right in found.items()}


@pytest.mark.parametrize(
    ("puzzles", "outcome", "known"),
    [
        (SUDOKUS, "valid_path", "auto, obeys_rules"),
        (SUDOKUS, "exact_match", "auto, obeys_rules"),
        (UNLABELLED, "exact_match", "auto, valid_path, shortest_path"),
        (MAZES, "obeys_rules", "auto, exact_match, valid_path, shortest_path"),
    ],
)
def test_an_outcome_that_the_puzzles_do_not_have_is_refused(puzzles, outcome, known):
    with pytest.raises(ValueError, match=f"outcome must be one of {known} for .*; got {outcome}"):
        choose_judge(PLAYER, puzzles, outcome)
