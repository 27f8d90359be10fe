"""Reads puzzles from text: plain lists of Sudokus, and the CSV files of Sudokus and mazes."""

import csv
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.maze import Mazes, check_mazes, parse_maze
from rrjax.puzzles.sudoku import Puzzles, compact_board, is_solved, parse_board, respects_givens
from rrjax.puzzles.sudoku_solver import solve_sudoku

HEADER = ["source", "question", "answer", "rating"]
_ROWS_AT_ONCE = 2**16


class Listing(NamedTuple):
    """The puzzles of a text file.

    Attributes:
        path: The file, for messages.
        lines: (N,) int32 number of the line each puzzle stands in.
        boards: (N, n * n) uint8: Sudoku-Extreme has millions.
        solutions: (N, n * n) uint8, all 0 where the file gives none.
    """

    path: Path
    lines: np.ndarray
    boards: np.ndarray
    solutions: np.ndarray


class _Entry(NamedTuple):
    line: int
    board: str
    solution: str


def read_list(path: str | Path, max_puzzles: int | None = None) -> Listing:
    """Reads one puzzle per line, optionally followed by a separator and its solution.

    Blank lines and lines that start with `#` are skipped; a separator is a comma, a semicolon or
    white space; characters as in `parse_board`.

    Raises:
        ValueError: A line that holds no board of the size of the first, or a wrong solution.
    """
    path = Path(path)
    return _listing(path, islice(_list_entries(path), max_puzzles))


def read_csv(
    path: str | Path, min_rating: int | None = None, max_puzzles: int | None = None
) -> Listing:
    """Reads Sudoku-Extreme's CSV: `source,question,answer,rating` with one header line.

    Args:
        path: The file.
        min_rating: Least rating (guesses of the tdoku solver) to keep; None for all.
        max_puzzles: Number of kept puzzles after which to stop.

    Raises:
        ValueError: Another header, a row without four fields, or a wrong board or solution.
    """
    path = Path(path)
    return _listing(path, islice(_csv_entries(path, min_rating), max_puzzles))


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
            question, answer = _parse_maze_row(row, len(questions[0]) if questions else None)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        questions.append(question)
        answers.append(answer)
    if not questions:
        raise ValueError(f"{path}: expected at least one maze, found none")
    return Mazes(np.stack(questions), np.stack(answers))


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of the line and the fields of every row of a CSV with the usual header.

    Raises:
        ValueError: No such file, no text, or another header.
    """
    with closing(numbered_lines(path)) as lines:
        rows = csv.reader(line for _, line in lines)
        header = next(_readable(path, rows), [])
        if header != HEADER:
            wanted = ",".join(HEADER)
            raise ValueError(f"{path}, line 1: expected the header {wanted}, found {header}")
        for row in _readable(path, rows):
            yield rows.line_num, row


def fill_solutions(listing: Listing) -> Puzzles:
    """Solves the puzzles that came without a solution.

    Raises:
        ValueError: Such a puzzle has no solution, or several.
    """
    solutions = listing.solutions.copy()
    for index in np.flatnonzero(~solutions.any(axis=1)).tolist():
        count, solution, _ = solve_sudoku(listing.boards[index])
        if solution is None or count > 1:
            raise ValueError(
                f"{listing.path}, line {listing.lines[index]}: expected a puzzle with one "
                f"solution, found {'several' if count else 'none'} for "
                f"{compact_board(listing.boards[index])}"
            )
        solutions[index] = solution
    return Puzzles(listing.boards.astype(np.int32), solutions.astype(np.int32))


def take(listing: Listing, rows: np.ndarray | slice) -> Listing:
    """Returns the puzzles of some rows of a listing."""
    return Listing(listing.path, *(array[rows] for array in listing[1:]))


def random_rows(there: int, number: int | None, seed: tuple[int, int], name: str) -> np.ndarray:
    """Chooses some of the puzzles of a file.

    Args:
        there: Puzzles there are.
        number: Puzzles wanted; None for all.
        seed: Of the choice.
        name: What asks for the number, for messages.

    Returns:
        (number,) rows in their order.

    Raises:
        ValueError: Fewer than one are wanted, or more than there are.
    """
    if number is None or number == there:
        return np.arange(there)
    if not 1 <= number <= there:
        raise ValueError(f"{name}: expected 1 to the {there} puzzles of the CSV, found {number}")
    return np.sort(np.random.default_rng(seed).choice(there, number, replace=False))


def numbered_lines(path: Path) -> Generator[tuple[int, str], None, None]:
    """Yields the number and the stripped text of each line.

    Raises:
        ValueError: No such file, or no text.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected a file or a data-set folder, found nothing there")
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            for number, line in enumerate(file, start=1):
                yield number, line.strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected a text file (UTF-8), found {error}") from None


def _list_entries(path: Path) -> Iterator[_Entry]:
    for number, line in numbered_lines(path):
        if not line or line.startswith("#"):
            continue
        board, *rest = re.split(r"\s*[,;\s]\s*", line)
        if len(rest) > 1:
            raise ValueError(
                f"{path}, line {number}: expected a puzzle and at most a solution, "
                f"found {1 + len(rest)} fields"
            )
        yield _Entry(number, board, rest[0] if rest else "")


def _csv_entries(path: Path, min_rating: int | None) -> Iterator[_Entry]:
    for line, row in csv_rows(path):
        if len(row) != len(HEADER) or not re.fullmatch(r"-?\d+", row[3]):
            raise ValueError(
                f"{path}, line {line}: expected source,question,answer and an integer "
                f"rating, found {row}"
            )
        if min_rating is None or int(row[3]) >= min_rating:
            yield _Entry(line, row[1], row[2])


def _readable(path: Path, rows: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise ValueError(f"{path}: expected comma-separated rows, found {error}") from None


def _parse_maze_row(row: list[str], num_cells: int | None) -> tuple[np.ndarray, np.ndarray]:
    if len(row) != len(HEADER):
        raise ValueError(f"expected {','.join(HEADER)}, found {len(row)} fields")
    question, answer = parse_maze(row[1]), parse_maze(row[2])
    if question.size != (num_cells or question.size):
        raise ValueError(f"expected {num_cells} cells as in the first maze, found {question.size}")
    check_mazes(Mazes(question[None], answer[None]))
    return question, answer


def _listing(path: Path, entries: Iterable[_Entry]) -> Listing:
    lines, boards, solutions = [], bytearray(), bytearray()  # millions of boards fit in memory
    num_cells = 0
    for line, *texts in entries:
        try:
            board, solution = _parse_pair(*texts)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        num_cells = num_cells or board.size
        if board.size != num_cells:
            raise ValueError(
                f"{path}, line {line}: expected {num_cells} cells as in line {lines[0]}, "
                f"found {board.size}"
            )
        lines.append(line)
        boards += board.astype(np.uint8).tobytes()
        solutions += solution.astype(np.uint8).tobytes()
    if not lines:
        raise ValueError(f"{path}: expected at least one puzzle, found none")
    unpacked = [
        np.frombuffer(packed, np.uint8).reshape(-1, num_cells) for packed in (boards, solutions)
    ]
    listing = Listing(path, np.array(lines, np.int32), *unpacked)
    _check_solutions(listing)
    return listing


def _parse_pair(board_text: str, solution_text: str) -> tuple[np.ndarray, np.ndarray]:
    board = parse_board(board_text)
    if not solution_text:
        return board, np.zeros_like(board)
    solution = parse_board(solution_text)
    if solution.size != board.size:
        raise ValueError(f"solution: expected {board.size} cells, found {solution.size}")
    return board, solution


def _check_solutions(listing: Listing) -> None:
    for start in range(0, len(listing.lines), _ROWS_AT_ONCE):
        _, lines, boards, solutions = take(listing, np.s_[start : start + _ROWS_AT_ONCE])
        wrong = solutions.any(axis=1) & ~(is_solved(solutions) & respects_givens(boards, solutions))
        if wrong.any():
            raise ValueError(
                f"{listing.path}, line {lines[wrong.argmax()]}: expected a solution of the puzzle, "
                "found a board that breaks a rule or changes a clue"
            )
