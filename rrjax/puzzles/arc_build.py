"""Data-set folders of ARC tasks with augmented copies, in the official format.

A task with its copies is a group, each of them a puzzle with an identifier of its own. The pairs of
training tasks all go to the train split. Of evaluation tasks the demonstrations go to the train
split, under the identifiers that their test pairs have in the test split: the official protocol
trains on the demonstrations of the test tasks, never on their test pairs.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rrjax.checks import MOST_RUNS, check_count, check_seed
from rrjax.puzzles.arc import SIDE, VOCAB_SIZE, Pair, Task, encode
from rrjax.puzzles.arc_copies import Copies, copy_names, draw_copies, pair_class
from rrjax.puzzles.arc_read import TEST_PUZZLES, as_json, read_tasks, read_unsolved_tasks
from rrjax.puzzles.dataset import Metadata
from rrjax.puzzles.dihedral import SWAPS, transform
from rrjax.puzzles.folders import BLANK, IDENTIFIERS, Stream, write_streams


@dataclass(frozen=True)
class ArcRequest:
    """The tasks and numbers from which a folder is made.

    Attributes:
        training: Tasks of which every pair is trained on.
        evaluation: Tasks whose test pairs are the test split.
        num_aug: Augmented copies of each task.
        seed: Copies and translations of a task depend on it, the task and `num_aug` alone.
    """

    training: Sequence[Task]
    evaluation: Sequence[Task]
    num_aug: int = 1000
    seed: int = 0


def read_request(
    source: str | Path, subsets: Sequence[str], test_set: str, num_aug: int = 1000, seed: int = 0
) -> ArcRequest:
    """Returns the request for the tasks of some subsets of a source of `read_tasks`.

    The test pairs of the subset `test_set`, one of `subsets`, become the test split.
    """
    if test_set not in subsets:
        raise ValueError(f"test_set: expected one of the subsets {subsets}, found {test_set!r}")
    training = [
        task for subset in subsets if subset != test_set for task in read_tasks(source, subset)
    ]
    return ArcRequest(training, read_unsolved_tasks(source, test_set), num_aug, seed)


def write_arc(
    folder: str | Path, request: ArcRequest, report: Callable[[int], None] = lambda done: None
) -> list[Copies]:
    """Writes a data-set folder of ARC tasks.

    With 1000 copies ARC-AGI-1 with ConceptARC has 4.4 million examples, 8 GB on the disk, and
    ARC-AGI-2 5.8 million, 10 GB. They are made and written a task at a time, so that memory holds
    the copies of one task (1.8 kB for each pair of each copy, mostly below 20 MB), all tasks and
    all names (under 200 MB).

    Args:
        folder: New or empty; it appears whole or not at all.
        request: Tasks, number of copies and seed.
        report: Called with the number of tasks done, of which each is visited once to draw its
            copies, and once for each split it is in (`num_visits` in all).

    Returns:
        The copies made of each task; fewer than asked for where a task has no more that differ.

    Raises:
        ValueError: No evaluation task, two tasks of one name, a negative number; or the folder
            holds something.
    """
    _check(request)
    done = 0

    def visited() -> None:
        nonlocal done
        done += 1
        report(done)

    copies = []
    for task in (*request.training, *request.evaluation):
        copies.append(draw_copies(task, request.num_aug, request.seed))
        visited()
    names = [BLANK, *(name for each in copies for name in copy_names(each))]
    streams = _streams(request, copies, visited)
    tests = {task.name: as_json(task) for task in request.evaluation}
    write_streams(folder, streams, {IDENTIFIERS: names, TEST_PUZZLES: tests})
    return copies


def num_visits(request: ArcRequest) -> int:
    """Returns the last number that `write_arc` reports."""
    return 2 * len(request.training) + 3 * len(request.evaluation)


def repeated_pairs(request: ArcRequest) -> list[tuple[str, str]]:
    """Returns the evaluation tasks with a test pair that is trained on, and the task that has it.

    Pairs count as the same up to augmentation. The official ARC-AGI-1 has nine, of which one is
    the same without augmentation.
    """
    trained = [(task.name, pair) for task in request.training for pair in (*task.train, *task.test)]
    trained += [(task.name, pair) for task in request.evaluation for pair in task.train]
    owners = {pair_class(pair): name for name, pair in reversed(trained)}
    tests = [(task.name, pair_class(pair)) for task in request.evaluation for pair in task.test]
    return [(name, owners[key]) for name, key in tests if key in owners]


def _check(request: ArcRequest) -> None:
    check_count("num_aug", request.num_aug, most=MOST_RUNS)
    check_seed("seed", request.seed)
    if not request.evaluation:
        raise ValueError("evaluation: expected at least one task, found none")
    counts = Counter(task.name for task in (*request.training, *request.evaluation))
    name, count = counts.most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"tasks: expected each once, found {name} again; a task that is trained on must not be "
            "evaluated (ARC-AGI-2's training tasks hold many of ARC-AGI-1)"
        )


def _streams(
    request: ArcRequest, copies: list[Copies], visited: Callable[[], None]
) -> dict[str, Stream]:
    first = len(request.training)
    train = [
        (each, [*each.task.train, *(each.task.test if i < first else ())])
        for i, each in enumerate(copies)
    ]
    test = [(each, each.task.test) for each in copies[first:]]
    starts = 1 + np.cumsum([0, *(len(each.symmetries) for each in copies)])
    total = int(starts[-1])

    def no_corners(copies: Copies, pairs: list[Pair]) -> np.ndarray:
        return np.zeros((2, len(copies.symmetries), len(pairs)), np.int64)

    return {
        "train": _stream(train, 1, total, partial(_draw_corners, request.seed), visited),
        "test": _stream(test, int(starts[first]), total, no_corners, visited),
    }


def _stream(
    groups: list[tuple[Copies, list[Pair]]],
    first_id: int,
    num_identifiers: int,
    corners: Callable[[Copies, list[Pair]], np.ndarray],
    visited: Callable[[], None],
) -> Stream:
    """Returns puzzles of consecutive identifiers, whose tokens are made when they are read."""
    sizes = [len(copies.symmetries) for copies, _ in groups]
    num_pairs = np.repeat([len(pairs) for _, pairs in groups], sizes)
    indices = np.concatenate([[0], np.cumsum(num_pairs)]).astype(np.int32)

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for copies, pairs in groups:
            yield _tokens(copies, pairs, corners(copies, pairs))
            visited()

    num_puzzles = len(num_pairs)
    return Stream(
        pieces=pieces(),
        puzzle_ids=np.arange(first_id, first_id + num_puzzles, dtype=np.int32),
        puzzle_indices=indices,
        group_indices=np.cumsum([0, *sizes]).astype(np.int32),
        metadata=Metadata(
            vocab_size=VOCAB_SIZE,
            seq_len=SIDE * SIDE,
            num_puzzle_identifiers=num_identifiers,
            total_groups=len(groups),
            mean_puzzle_examples=float(indices[-1] / num_puzzles),
            total_puzzles=num_puzzles,
        ),
    )


def _draw_corners(seed: int, copies: Copies, pairs: list[Pair]) -> np.ndarray:
    """Draws top left corners (2, C, pairs) where both grids fit; one pair of each copy stays."""
    rng = np.random.default_rng((seed, 1, *copies.task.name.encode()))
    sides = np.array([np.maximum(pair.input.shape, pair.output.shape) for pair in pairs])
    is_sideways = np.array(SWAPS)[copies.symmetries][:, None]
    moved_sides = (np.where(is_sideways, sides[:, 1 - axis], sides[:, axis]) for axis in (0, 1))
    corners = np.stack([rng.integers(0, SIDE - side, endpoint=True) for side in moved_sides])
    stays = rng.integers(0, len(pairs), len(copies.symmetries))
    corners[:, np.arange(len(stays)), stays] = 0
    return corners


def _tokens(
    copies: Copies, pairs: list[Pair], corners: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels (C * pairs, 900), copy after copy."""
    both = np.empty((2, len(copies.symmetries), len(pairs), SIDE * SIDE), np.uint8)
    for symmetry in np.unique(copies.symmetries).tolist():
        chosen = np.flatnonzero(copies.symmetries == symmetry)
        colours = copies.colours[chosen]
        for place, pair in enumerate(pairs):
            for side, grid in enumerate(pair):
                moved = transform(colours[:, grid], symmetry)
                both[side, chosen, place] = encode(moved, *corners[:, chosen, place])
    inputs, labels = both.reshape(2, -1, SIDE * SIDE)
    return inputs, labels
