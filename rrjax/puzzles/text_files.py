"""Reads puzzles from text: plain lists of Sudokus, and the CSV files of Sudokus and mazes."""

import csv
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rrjax.puzzles.maze import Mazes, check_mazes, parse_maze
from rrjax.puzzles.sudoku import Puzzles, compact_board, is_solved, parse_board, respects_givens
from rrjax.puzzles.sudoku_solver import solve_sudoku

HEADER = ["source", "question", "answer", "rating"]
_BOARDS_AT_ONCE = 2**16


class Listing(NamedTuple):
    """The puzzles of a text file.

    Attributes:
        path: The file, for messages.
        lines: (N,) int32 number of the line each puzzle stands in.
        questions: (N, n * n) uint8 boards or tokens of mazes: Sudoku-Extreme has millions.
        answers: (N, n * n) uint8, all 0 where the file gives none.
    """

    path: Path
    lines: np.ndarray
    questions: np.ndarray
    answers: np.ndarray

    def take(self, chosen: np.ndarray | slice) -> "Listing":
        """Returns some of the puzzles."""
        return Listing(self.path, *(array[chosen] for array in self[1:]))


_Entry = tuple[int, str, str]  # number of the line, question, answer


def read_list(path: str | Path, max_puzzles: int | None = None) -> Listing:
    """Reads one Sudoku per line, optionally followed by a separator and its solution.

    Blank lines and lines that start with `#` are skipped; a separator is a comma, a semicolon or
    white space; characters as in `parse_board`.

    Raises:
        ValueError: A line that holds no board of the size of the first, or a wrong solution.
    """
    path = Path(path)
    listing = _listing(path, islice(_list_entries(path), max_puzzles), parse_board)
    _check_solutions(listing)
    return listing


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
    listing = _listing(path, islice(_csv_entries(path, min_rating), max_puzzles), parse_board)
    _check_solutions(listing)
    return listing


def read_maze_csv(path: str | Path, max_puzzles: int | None = None) -> Listing:
    """Reads the official CSV: `source,question,answer,rating`, n * n characters of "# SGo" each.

    An answer must keep walls, S and G. It need not be a shortest path (`is_shortest_path`): the
    official labels are taken as they are.

    Raises:
        ValueError: Another header, a row without four fields, another size than the first, or a
            wrong maze or answer.
    """
    path = Path(path)
    entries = ((line, row[1], row[2]) for line, row in csv_rows(path))
    listing = _listing(path, islice(entries, max_puzzles), parse_maze)
    check_mazes(Mazes(listing.questions, listing.answers), str(path))
    return listing


def choose_from_folder(
    folder: Path,
    read: Callable[[Path], Listing],
    num_train: int | None,
    num_test: int | None,
    seed: int,
) -> tuple[Listing, Listing]:
    """Returns seeded random choices, in their order, from `train.csv` and `test.csv` of a folder.

    A number of None takes all puzzles of the file, which `read` reads and checks whole.

    Raises:
        ValueError: Fewer puzzles than are wanted, two sizes, or as `read`.
    """

    def choose(split: str, number: int | None, place: int) -> Listing:
        listing = read(folder / f"{split}.csv")
        total = len(listing.lines)
        if number is None or number == total:
            return listing
        if not 1 <= number <= total:
            raise ValueError(
                f"num_{split}: expected 1 to the {total} puzzles of the CSV, found {number}"
            )
        rng = np.random.default_rng((seed, place))
        return listing.take(np.sort(rng.choice(total, number, replace=False)))

    # the test set comes first: it is the smaller one
    test, train = choose("test", num_test, 1), choose("train", num_train, 0)
    sizes = train.questions.shape[1], test.questions.shape[1]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{folder}: expected puzzles of one size, found {sizes[0]} cells in train.csv and "
            f"{sizes[1]} in test.csv"
        )
    return train, test


def fill_solutions(listing: Listing) -> Puzzles:
    """Returns the Sudokus of a listing, of which it solves those that came without a solution.

    Raises:
        ValueError: Such a puzzle has no solution, or several.
    """
    solutions = listing.answers.copy()
    for index in np.flatnonzero(~solutions.any(axis=1)).tolist():
        count, solution, _ = solve_sudoku(listing.questions[index])
        if solution is None or count > 1:
            raise ValueError(
                f"{listing.path}, line {listing.lines[index]}: expected a puzzle with one "
                f"solution, found {'several' if count else 'none'} for "
                f"{compact_board(listing.questions[index])}"
            )
        solutions[index] = solution
    return Puzzles(listing.questions.astype(np.int32), solutions.astype(np.int32))


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of the line and the four fields of every row of a CSV.

    Raises:
        ValueError: No such file, no text, another header, or another number of fields.
    """
    with closing(numbered_lines(path)) as lines:
        reader = csv.reader(line for _, line in lines)
        try:
            header = next(reader, [])
            if header != HEADER:
                wanted = ",".join(HEADER)
                raise ValueError(f"{path}, line 1: expected the header {wanted}, found {header}")
            for row in reader:
                if len(row) != len(HEADER):
                    raise ValueError(
                        f"{path}, line {reader.line_num}: expected {','.join(HEADER)}, found {row}"
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise ValueError(f"{path}: expected comma-separated rows, found {error}") from None


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
        yield number, board, rest[0] if rest else ""


def _csv_entries(path: Path, min_rating: int | None) -> Iterator[_Entry]:
    for line, (_, question, answer, rating) in csv_rows(path):
        if not re.fullmatch(r"-?\d+", rating):
            raise ValueError(f"{path}, line {line}: expected an integer rating, found {rating!r}")
        if min_rating is None or int(rating) >= min_rating:
            yield line, question, answer


def _listing(path: Path, entries: Iterable[_Entry], parse: Callable[[str], np.ndarray]) -> Listing:
    """Returns parsed entries of one size."""
    lines, questions, answers = [], bytearray(), bytearray()  # millions of boards fit in memory
    num_cells = 0
    for line, question_text, answer_text in entries:
        try:
            question = parse(question_text)
            answer = parse(answer_text) if answer_text else np.zeros_like(question)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        num_cells = num_cells or question.size
        if (question.size, answer.size) != (num_cells, num_cells):
            raise ValueError(
                f"{path}, line {line}: expected {num_cells} cells as in line {[*lines, line][0]}, "
                f"found {question.size} and in the answer {answer.size}"
            )
        lines.append(line)
        questions += question.astype(np.uint8).tobytes()
        answers += answer.astype(np.uint8).tobytes()
    if not lines:
        raise ValueError(f"{path}: expected at least one puzzle, found none")
    sides = (np.frombuffer(side, np.uint8).reshape(-1, num_cells) for side in (questions, answers))
    return Listing(path, np.array(lines, np.int32), *sides)


def _check_solutions(listing: Listing) -> None:
    for start in range(0, len(listing.lines), _BOARDS_AT_ONCE):
        _, lines, boards, solutions = listing.take(np.s_[start : start + _BOARDS_AT_ONCE])
        right = is_solved(solutions) & respects_givens(boards, solutions)
        wrong = solutions.any(axis=1) & ~right
        if wrong.any():
            raise ValueError(
                f"{listing.path}, line {lines[wrong.argmax()]}: expected a solution of the puzzle, "
                "found a board that breaks a rule or changes a clue"
            )
