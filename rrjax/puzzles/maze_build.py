"""Sets of mazes: the official CSV, repeats, symmetric copies, tokens."""

from math import isqrt
from pathlib import Path

import numpy as np

from rrjax.puzzles.dataset import Metadata, PuzzleSet
from rrjax.puzzles.dihedral import NUM_SYMMETRIES, transform
from rrjax.puzzles.maze import FREE, PATH, VOCAB_SIZE, Mazes, check_questions, parse_maze
from rrjax.puzzles.readers import HEADER, csv_rows


def read_maze_csv(path: str | Path) -> Mazes:
    """Reads the official CSV: `source,question,answer,rating`, n * n characters of "# SGo" each.

    An answer must keep walls, S and G. It need not be a shortest path (`is_shortest_path`): the
    official labels are taken as they are.

    Returns:
        Mazes (number, n * n).

    Raises:
        ValueError: Another header, a row without four fields, another size than the first, or a
            wrong maze or answer, with the line.
    """
    path = Path(path)
    questions, answers = [], []
    for line, row in csv_rows(path):
        try:
            question, answer = _parse_row(row, len(questions[0]) if questions else None)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        questions.append(question)
        answers.append(answer)
    if not questions:
        raise ValueError(f"{path}: expected at least one maze, found none")
    return Mazes(np.stack(questions), np.stack(answers))


def build_mazes(mazes: Mazes, num_copies: int = 1, source: str = "mazes") -> PuzzleSet:
    """Makes a set of mazes, each as a group of its images under the first symmetries.

    Args:
        mazes: Questions and answers (number, n * n).
        num_copies: 1 for the mazes alone, 8 for all symmetries of the square.
        source: Where the mazes come from, for messages.

    Returns:
        Set of number * num_copies examples; symmetry 0, the maze itself, comes first in its group.

    Raises:
        ValueError: No maze, wrong mazes, an answer that changes a wall, S or G, or another number
            of copies than 1..8.
    """
    if not 1 <= num_copies <= NUM_SYMMETRIES:
        raise ValueError(f"num_copies: expected 1..{NUM_SYMMETRIES}, found {num_copies}")
    try:
        questions, answers = _check_mazes(mazes)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    inputs, labels = _images(questions, num_copies), _images(answers, num_copies)
    return PuzzleSet(
        inputs=inputs,
        labels=labels,
        puzzle_ids=np.zeros(len(inputs), np.int32),
        puzzle_indices=np.arange(len(inputs) + 1, dtype=np.int32),
        group_indices=np.arange(0, len(inputs) + 1, num_copies, dtype=np.int32),
        metadata=_metadata(questions.shape[1], len(questions)),
        source=source,
    )


def symmetry_class(question: np.ndarray) -> bytes:
    """Returns a key that a question (n * n,) shares with its images, and with no other question."""
    size = isqrt(question.size)
    grid = question.astype(np.uint8).reshape(size, size)
    return min(transform(grid, symmetry).tobytes() for symmetry in range(NUM_SYMMETRIES))


def _parse_row(row: list[str], num_cells: int | None) -> tuple[np.ndarray, np.ndarray]:
    if len(row) != len(HEADER):
        raise ValueError(f"expected {','.join(HEADER)}, found {len(row)} fields")
    question, answer = parse_maze(row[1]), parse_maze(row[2])
    if question.size != (num_cells or question.size):
        raise ValueError(f"expected {num_cells} cells as in the first maze, found {question.size}")
    _check_mazes(Mazes(question[None], answer[None]))
    return question, answer


def _check_mazes(mazes: Mazes) -> Mazes:
    questions, answers = check_questions(mazes.questions), np.asarray(mazes.answers)
    if questions.ndim != 2 or answers.shape != questions.shape or not len(questions):
        raise ValueError(
            "expected questions and answers (number >= 1, n * n), "
            f"found {questions.shape} and {answers.shape}"
        )
    kept = (answers == questions) | ((questions == FREE) & (answers == PATH))
    if not kept.all():
        maze, cell = np.argwhere(~kept)[0].tolist()
        raise ValueError(
            f"maze {maze}: expected an answer that keeps walls, S and G, found another token in "
            f"cell {cell}"
        )
    return Mazes(questions.astype(np.int32), answers.astype(np.int32))


def _images(tokens: np.ndarray, num_copies: int) -> np.ndarray:
    number, num_cells = tokens.shape
    grids = tokens.reshape(number, isqrt(num_cells), -1)
    images = [transform(grids, symmetry) for symmetry in range(num_copies)]
    return np.stack(images, axis=1).reshape(-1, num_cells)


def _metadata(num_cells: int, num_groups: int) -> Metadata:
    return Metadata(
        pad_id=0,
        ignore_label_id=0,
        blank_identifier_id=0,
        vocab_size=VOCAB_SIZE,
        seq_len=num_cells,
        num_puzzle_identifiers=1,
        total_groups=num_groups,
        mean_puzzle_examples=1.0,
        total_puzzles=num_groups,
        sets=["all"],
    )
