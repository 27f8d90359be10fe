"""ARC's score: the answers to all augmented copies of a test input vote for a grid.

Every answer is cropped, its augmentation undone, and counted for its test input, which is told by
the grid that is left when the same is done to the input. Grids rank by votes, then by the mean of
sigmoid(q_halt) of their votes, as in the official evaluator; where both are equal, by their size
and colours (there: by which came first), so that the order of the answers does not matter.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rrjax.puzzles.arc import Task, crop_sizes, decode, parse_name, restore
from rrjax.puzzles.folders import BLANK
from rrjax.store import write_json

PASS_KS = (1, 2, 5, 10, 100, 1000)

_Key = tuple[int, int, bytes]


class Vote(NamedTuple):
    """A grid that was answered, by how many copies, and the mean of their sigmoid(q_halt)."""

    grid: np.ndarray
    count: int
    mean_q: float


class Score(NamedTuple):
    """The result of a vote.

    Attributes:
        pass_at: For each K the mean over tasks of the fraction of test inputs whose output is
            among the first K grids.
        unanswered: (task, test input) without any vote; they count as wrong.
    """

    pass_at: dict[int, float]
    unanswered: list[tuple[str, int]]


class Ballot:
    """Votes for test inputs, gathered batch by batch."""

    def __init__(self) -> None:
        self._votes: dict[str, dict[_Key, dict[_Key, list[float]]]] = {}

    def add(
        self, names: Sequence[str], inputs: np.ndarray, answers: np.ndarray, q_halt: np.ndarray
    ) -> None:
        """Counts the answers of a batch.

        Args:
            names: (N,) identifiers; rows that pad a batch, "<blank>", are left out.
            inputs: (N, 900) tokens that were not translated.
            answers: (N, 900) tokens.
            q_halt: (N,) logits.

        Raises:
            ValueError: Shapes that differ, or a name that is none.
        """
        inputs, answers, q_halt = np.asarray(inputs), np.asarray(answers), np.asarray(q_halt)
        if inputs.shape != answers.shape or not len(names) == len(inputs) == q_halt.size:
            raise ValueError(
                "ballot: expected as many names, inputs, answers and q_halt, found "
                f"{len(names)}, {inputs.shape}, {answers.shape} and {q_halt.shape}"
            )
        sizes = crop_sizes(inputs), crop_sizes(answers)
        confidence = np.exp(-np.logaddexp(0.0, -q_halt.astype(np.float64))).ravel()
        for row, name in enumerate(names):
            if name == BLANK:
                continue
            task, augmentation = parse_name(name)
            question = decode(inputs[row], sizes[0][row])
            answer = decode(answers[row], sizes[1][row])
            if augmentation is not None:
                question, answer = restore(question, augmentation), restore(answer, augmentation)
            votes = self._votes.setdefault(task, {}).setdefault(_key(question), {})
            votes.setdefault(_key(answer), []).append(float(confidence[row]))

    def merge(self, other: "Ballot") -> None:
        """Adds the votes another process has gathered."""
        for task, questions in other._votes.items():
            for question, answers in questions.items():
                votes = self._votes.setdefault(task, {}).setdefault(question, {})
                for answer, confidences in answers.items():
                    votes.setdefault(answer, []).extend(confidences)

    def ranked(self, task: str, question: np.ndarray) -> list[Vote]:
        """Returns the grids that were answered to a test input, best first."""
        votes = self._votes.get(task, {}).get(_key(question), {})
        counted = [(-len(qs), -math.fsum(qs) / len(qs), key) for key, qs in votes.items()]
        return [Vote(_grid(key), -count, -mean) for count, mean, key in sorted(counted)]

    def tasks(self) -> set[str]:
        """Returns the names of the tasks that have votes."""
        return set(self._votes)

    def check(self, tasks: Iterable[Task]) -> None:
        """Refuses votes for a task or a test input that is none of `tasks`."""
        known = {task.name: {_key(pair.input) for pair in task.test} for task in tasks}
        for name, questions in self._votes.items():
            if name not in known:
                raise ValueError(f"ballot: expected answers to the test tasks, found {name!r}")
            if not set(questions) <= known[name]:
                raise ValueError(
                    f"ballot: expected answers to the test inputs of {name}, found another input"
                )


def score(tasks: Sequence[Task], ballot: Ballot, ks: Sequence[int] = PASS_KS) -> Score:
    """Scores a vote against the outputs of the test tasks.

    Args:
        tasks: Test tasks, as of `read_test_puzzles`.
        ballot: Their votes.
        ks: Numbers of grids that may be handed in.

    Raises:
        ValueError: No task, a K below 1, or votes for something else.
    """
    if not tasks or min(ks, default=0) < 1:
        raise ValueError(f"score: expected tasks and K >= 1, found {len(tasks)} tasks, K {ks}")
    ballot.check(tasks)
    unanswered, ranks = [], []
    for task in tasks:
        places = []
        for index, pair in enumerate(task.test):
            votes = ballot.ranked(task.name, pair.input)
            hits = (i for i, vote in enumerate(votes) if np.array_equal(vote.grid, pair.output))
            places.append(next(hits, math.inf))  # the rank from 0
            if not votes:
                unanswered.append((task.name, index))
        ranks.append(np.array(places))
    pass_at = {k: float(np.mean([np.mean(places < k) for places in ranks])) for k in ks}
    return Score(pass_at, unanswered)


def submission(
    tasks: Sequence[Task], ballot: Ballot, num_attempts: int = 2
) -> dict[str, list[dict[str, list[list[int]]]]]:
    """Returns the content of Kaggle's `submission.json`.

    Of each test input the best grids, the first again where there are fewer; [[0]] where there is
    no vote, since Kaggle wants an entry for every input.

    Raises:
        ValueError: Votes for something else.
    """
    ballot.check(tasks)
    return {
        task.name: [
            _attempts(ballot.ranked(task.name, pair.input), num_attempts) for pair in task.test
        ]
        for task in tasks
    }


def write_submission(path: str | Path, tasks: Sequence[Task], ballot: Ballot) -> None:
    """Writes `submission.json` with two attempts for each test input."""
    write_json(path, submission(tasks, ballot))


def _attempts(votes: list[Vote], number: int) -> dict[str, list[list[int]]]:
    grids: list[Any] = [vote.grid.tolist() for vote in votes[:number]] or [[[0]]]
    grids += [grids[0]] * (number - len(grids))
    return {f"attempt_{i}": grid for i, grid in enumerate(grids, start=1)}


def _key(grid: np.ndarray) -> _Key:
    return *grid.shape, grid.tobytes()  # pyright: ignore[reportReturnType]


def _grid(key: _Key) -> np.ndarray:
    return np.frombuffer(key[2], np.uint8).reshape(key[:2])
