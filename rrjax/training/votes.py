"""ARC's votes in an evaluation: the answers to all copies of a test input, scored as pass@K.

Those of one evaluation alone; the official evaluator by default adds those of the ones before, by
earlier weights of the run.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.arc import Task
from rrjax.puzzles.arc_evaluate import Ballot, score, write_submission
from rrjax.puzzles.arc_read import TEST_PUZZLES, read_test_puzzles
from rrjax.puzzles.folders import read_identifiers


class Votes:
    """What was answered to the copies of test inputs, batch by batch."""

    def __init__(self, names: list[str], tasks: Sequence[Task]):
        """Begin without votes.

        Args:
          names: of the puzzle identifiers.
          tasks: the test tasks.
        """
        self._names, self._tasks, self._ballot = names, tasks, Ballot()

    def add(
        self, puzzle_ids: np.ndarray, inputs: np.ndarray, answers: np.ndarray, q_halt: np.ndarray
    ) -> None:
        """Count the answers (N, 900) of a batch; rows that pad it have identifier 0.

        Raises:
          ValueError: as `Ballot.add`.
        """
        names = [self._names[index] for index in puzzle_ids]
        self._ballot.add(names, inputs, answers, q_halt)

    def write_submission(self, path: Path) -> None:
        """Write Kaggle's `submission.json`: two attempts for every test input.

        Raises:
          ValueError, OSError: as `rrjax.puzzles.write_submission`.
        """
        write_submission(path, self._tasks, self._ballot)

    def metrics(self) -> dict[str, float]:
        """`pass@K` by name, over the tasks of which any copy was answered.

        Raises:
          ValueError: for votes for something else than the test tasks.
        """
        answered = self._ballot.tasks()
        self._ballot.check(self._tasks)
        judged = [task for task in self._tasks if task.name in answered]
        return {f"pass@{k}": value for k, value in score(judged, self._ballot).pass_at.items()}


def votes_on(puzzles: PuzzleSet) -> Votes | None:
    """An empty ballot for the test split of an ARC folder; None for other sets.

    Raises:
      ValueError: for a folder without the names of its identifiers, or with others.
    """
    split = puzzles.folder
    if split is None or split.name != "test" or not (split.parent / TEST_PUZZLES).is_file():
        return None
    names = read_identifiers(split.parent)
    if len(names) != puzzles.metadata.num_puzzle_identifiers:
        raise ValueError(
            f"{split.parent}: expected {puzzles.metadata.num_puzzle_identifiers} names in "
            f"identifiers.json, as many as test/dataset.json says, found {len(names)}"
        )
    return Votes(names, read_test_puzzles(split.parent))
