"""ARC's vote: against a count by hand, under every augmentation, in any order and any batches."""

import json

import numpy as np
import pytest

from rrjax.puzzles.arc import Pair, Task, encode
from rrjax.puzzles.arc_build import ArcRequest, write_arc
from rrjax.puzzles.arc_evaluate import Ballot, score, submission, write_submission
from rrjax.puzzles.folders import read_folder, read_identifiers


def grid(*rows):
    return np.array(rows, np.uint8)


TASK = Task(
    "task",
    [Pair(grid([1]), grid([1]))],
    [Pair(grid([1, 2]), grid([2, 1])), Pair(grid([3], [4]), grid([4], [3]))],
)
OTHER = Task("other", [Pair(grid([1]), grid([1]))], [Pair(grid([5, 0]), grid([0]))])
RIGHT, WRONG, WORSE = TASK.test[0].output, grid([2, 2]), grid([9])


def tokens(*grids):
    corner = np.zeros(1, int)
    return np.concatenate([encode(each[None], corner, corner) for each in grids])


def voted(*votes, question=TASK.test[0].input, task="task"):
    """A ballot of (grid, q_halt) for one test input."""
    ballot = Ballot()
    grids, q_halt = zip(*votes, strict=True)
    ballot.add(
        [task] * len(votes), tokens(*[question] * len(votes)), tokens(*grids), np.array(q_halt)
    )
    return ballot


def test_most_votes_win_then_the_highest_mean_q():
    ballot = voted((WRONG, 9.0), (RIGHT, -1.0), (RIGHT, 0.0), (WORSE, 8.0))
    votes = ballot.ranked("task", TASK.test[0].input)
    assert [vote.grid.tolist() for vote in votes] == [[[2, 1]], [[2, 2]], [[9]]]
    assert [vote.count for vote in votes] == [2, 1, 1]
    expected = [(1 / (1 + np.e) + 0.5) / 2, 1 / (1 + np.exp(-9)), 1 / (1 + np.exp(-8))]
    np.testing.assert_allclose([vote.mean_q for vote in votes], expected, rtol=1e-12)


def test_ties_do_not_depend_on_the_order_of_the_answers():
    one, other = voted((WORSE, 1.0), (WRONG, 1.0)), voted((WRONG, 1.0), (WORSE, 1.0))
    ranked = [ballot.ranked("task", TASK.test[0].input) for ballot in (one, other)]
    for vote, same in zip(*ranked, strict=True):
        np.testing.assert_array_equal(vote.grid, same.grid)


def test_logits_far_from_zero_stay_apart():
    ballot = voted((WRONG, -700.0), (WORSE, -710.0))
    first, second = ballot.ranked("task", TASK.test[0].input)
    assert first.grid.tolist() == [[2, 2]]
    assert first.mean_q > second.mean_q > 0


def test_pass_at_k_is_a_mean_over_inputs_then_over_tasks():
    ballot = voted((WRONG, 1.0), (WRONG, 1.0), (RIGHT, 1.0))
    found = score([TASK, OTHER], ballot, ks=(1, 2))
    # one of the two inputs of one of the two tasks, in second place
    assert found.pass_at == {1: 0.0, 2: 0.25}
    assert found.unanswered == [("task", 1), ("other", 0)]


def test_a_submission_has_two_attempts_for_every_input():
    ballot = voted((WRONG, 1.0), (WRONG, 1.0), (RIGHT, 1.0), (WORSE, 0.0))
    ballot.merge(voted((OTHER.test[0].output, 0.0), question=OTHER.test[0].input, task="other"))
    assert submission([TASK, OTHER], ballot) == {
        "task": [
            {"attempt_1": [[2, 2]], "attempt_2": [[2, 1]]},
            {"attempt_1": [[0]], "attempt_2": [[0]]},
        ],
        "other": [{"attempt_1": [[0]], "attempt_2": [[0]]}],
    }
    three = submission([TASK, OTHER], ballot, num_attempts=3)
    assert three["task"][0]["attempt_3"] == [[9]]


def test_a_submission_is_written_as_json(tmp_path):
    ballot = voted((RIGHT, 1.0))
    write_submission(tmp_path / "submission.json", [TASK], ballot)
    assert json.loads((tmp_path / "submission.json").read_text()) == submission([TASK], ballot)


def test_rows_that_pad_a_batch_do_not_vote():
    ballot = voted((WRONG, 1.0), (RIGHT, 0.0))
    ballot.add(["<blank>"] * 3, np.zeros((3, 900), int), tokens(WORSE, WORSE, WORSE), np.ones(3))
    assert len(ballot.ranked("task", TASK.test[0].input)) == 2
    assert score([TASK], ballot, ks=(2,)).pass_at == {2: 0.5}


def test_an_answer_that_is_no_grid_is_a_vote_too():
    ballot = Ballot()
    ballot.add(["task"], tokens(TASK.test[0].input), np.zeros((1, 900), int), np.zeros(1))
    (vote,) = ballot.ranked("task", TASK.test[0].input)
    assert vote.grid.shape == (0, 0)


@pytest.fixture(scope="module")
def augmented(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arc") / "data"
    write_arc(folder, ArcRequest([], [TASK, OTHER], num_aug=40, seed=1))
    puzzles, names = read_folder(folder), read_identifiers(folder)
    return [names[row] for row in puzzles.puzzle_ids], puzzles.inputs, puzzles.labels


def test_the_answers_to_all_copies_meet_in_one_grid(augmented):
    names, inputs, labels = augmented
    ballot = Ballot()
    ballot.add(names, inputs, labels, np.zeros(len(names)))
    for task in (TASK, OTHER):
        for pair in task.test:
            (vote,) = ballot.ranked(task.name, pair.input)
            np.testing.assert_array_equal(vote.grid, pair.output)
            assert vote.count == sum(name.split("|||")[0] == task.name for name in names) // len(
                task.test
            )
    found = score([TASK, OTHER], ballot, ks=(1, 2))
    assert found.pass_at == {1: 1.0, 2: 1.0}
    assert found.unanswered == []


@pytest.mark.parametrize("seed", range(4))
def test_batches_processes_and_order_do_not_matter(augmented, seed):
    names, inputs, labels = augmented
    rng, cut = np.random.default_rng(seed), 10 + seed
    answers = np.where(rng.random((len(names), 1)) < 0.5, labels, inputs)
    answers[rng.random(len(names)) < 0.2, 0] = 5
    q_halt = rng.normal(size=len(names)).round(1)
    whole = Ballot()
    whole.add(names, inputs, answers, q_halt)
    order = rng.permutation(len(names))
    parts = [Ballot(), Ballot()]
    for part, rows in zip(parts, (order[:cut], order[cut:]), strict=True):
        part.add([names[row] for row in rows], inputs[rows], answers[rows], q_halt[rows])
    parts[0].merge(parts[1])
    assert submission([TASK, OTHER], parts[0]) == submission([TASK, OTHER], whole)
    assert score([TASK, OTHER], parts[0]) == score([TASK, OTHER], whole)


@pytest.mark.parametrize(
    ("ballot", "tasks", "ks", "message"),
    [
        (voted((RIGHT, 0.0)), [OTHER], (1,), "expected answers to the test tasks, found 'task'"),
        (voted((RIGHT, 0.0), question=WORSE), [TASK], (1,), "test inputs of task, found another"),
        (Ballot(), [], (1,), "score: expected tasks and K >= 1, found 0 tasks"),
        (Ballot(), [TASK], (0,), r"K \(0,\)"),
        (Ballot(), [TASK], (), r"K \(\)"),
    ],
)
def test_votes_for_something_else_are_refused(ballot, tasks, ks, message):
    with pytest.raises(ValueError, match=message):
        score(tasks, ballot, ks)


@pytest.mark.parametrize(
    ("names", "inputs", "answers", "q_halt", "message"),
    [
        (["task"], tokens(RIGHT), tokens(RIGHT, RIGHT), np.zeros(1), "expected as many names"),
        (["task"] * 2, tokens(RIGHT), tokens(RIGHT), np.zeros(1), "expected as many names"),
        (["task"], tokens(RIGHT), tokens(RIGHT), np.zeros(2), "expected as many names"),
        (["task"], np.ones((1, 81), int), np.ones((1, 81), int), np.zeros(1), "tokens: expected"),
        (["a|||t9"], tokens(RIGHT), tokens(RIGHT), np.zeros(1), "identifier: expected"),
    ],
)
def test_answers_that_do_not_fit_are_refused(names, inputs, answers, q_halt, message):
    with pytest.raises(ValueError, match=message):
        Ballot().add(names, inputs, answers, q_halt)
