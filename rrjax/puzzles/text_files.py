"""Reads puzzles from text: plain lists of Sudokus, and the CSV files of Sudokus and mazes."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rrjax.puzzles import sudoku_batch as batch
from rrjax.puzzles.csv_tables import BOARD, csv_rows, first_line, is_header, numbered_lines
from rrjax.puzzles.maze import Mazes, check_mazes, parse_maze
from rrjax.puzzles.sudoku import Puzzles, compact_board, is_solved, parse_board, respects_givens
from rrjax.puzzles.sudoku_solver import solve_sudoku

_BOARDS_AT_ONCE = 2**16
_SOLVED_AT_ONCE = 1024
_PATIENCE = 2000  # guesses after which a board is solved alone, by a search that also proves


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
    """Reads one Sudoku per line, optionally followed by its solution and by further columns.

    Blank lines and lines that start with `#` are skipped. A comma, a semicolon or white space
    separates columns; characters are those of `parse_board`. A second column of other characters
    is no solution, and is not read either.

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
    """Reads the Sudokus of a CSV by the names in its header.

    Such are Sudoku-Extreme's `source,question,answer,rating` and the headers of Kaggle's data sets,
    `quizzes,solutions` and `id,puzzle,solution,clues,difficulty`; other columns are not read.

    Args:
        path: The file.
        min_rating: Least rating to keep (in Sudoku-Extreme guesses of the tdoku solver); None for
            all.
        max_puzzles: Number of kept puzzles after which to stop.

    Raises:
        ValueError: An unknown header, a row with another number of fields, a rating that is no
            number, or a wrong board or solution.
    """
    path = Path(path)
    listing = _listing(path, islice(_csv_entries(path, min_rating), max_puzzles), parse_board)
    _check_solutions(listing)
    return listing


def read_sudokus(path: str | Path, max_puzzles: int | None = None) -> Listing:
    """Reads the Sudokus of a CSV, which begins with names of columns, or else of a plain list.

    Raises:
        ValueError: As `read_csv` or `read_list`.
    """
    _, line = first_line(Path(path))
    if is_header(line):
        return read_csv(path, max_puzzles=max_puzzles)
    return read_list(path, max_puzzles)


def read_maze_csv(path: str | Path, max_puzzles: int | None = None) -> Listing:
    """Reads mazes and their answers as `read_mazes` does, and needs an answer of every maze.

    Raises:
        ValueError: As `read_mazes`, or a maze comes without an answer.
    """
    listing = read_mazes(path, max_puzzles)
    for index in np.flatnonzero(~listing.answers.any(axis=1)).tolist():
        raise ValueError(
            f"{path}, line {listing.lines[index]}: expected a maze with its answer, found none"
        )
    return listing


def read_mazes(path: str | Path, max_puzzles: int | None = None) -> Listing:
    """Reads mazes, and answers where there are any, from a CSV: n * n characters of "# SGo" each.

    The official header is `source,question,answer,rating`. An answer must keep walls, S and G. It
    need not be a shortest path (`is_shortest_path`): the official labels are taken as they are.

    Raises:
        ValueError: An unknown header, a row with another number of fields, another size than the
            first, or a wrong maze or answer.
    """
    path = Path(path)
    listing = _listing(path, islice(_maze_entries(path), max_puzzles), parse_maze)
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
    puzzles = fill_unique_solutions(listing)
    for index in np.flatnonzero(~puzzles.solutions.any(axis=1)).tolist():
        raise _refusal(listing, index, "several")
    return puzzles


def fill_unique_solutions(listing: Listing) -> Puzzles:
    """Returns the Sudokus of a listing, with a solution wherever there is just one.

    The solution of a puzzle that has several, and came without one, is all 0.

    Raises:
        ValueError: A puzzle has no solution.
    """
    solutions = listing.answers.astype(np.int32)
    unknown = np.flatnonzero(~solutions.any(axis=1))
    for start in range(0, len(unknown), _SOLVED_AT_ONCE):
        chosen = unknown[start : start + _SOLVED_AT_ONCE]
        outcome = batch.search(batch.as_cells(listing.questions[chosen]), 2, _PATIENCE)
        solutions[chosen[outcome.counts == 1]] = outcome.solutions[outcome.counts == 1, 0]
        for index in chosen[(outcome.counts == 0) | ~outcome.complete].tolist():
            count, solution, _ = solve_sudoku(listing.questions[index])
            if solution is None:
                raise _refusal(listing, index, "none")
            solutions[index] = solution if count == 1 else 0
    return Puzzles(listing.questions.astype(np.int32), solutions)


def _refusal(listing: Listing, index: int, number: str) -> ValueError:
    return ValueError(
        f"{listing.path}, line {listing.lines[index]}: expected a puzzle with one solution, found "
        f"{number} for {compact_board(listing.questions[index])}"
    )


def _list_entries(path: Path) -> Iterator[_Entry]:
    for number, line in numbered_lines(path):
        line = line.strip()
        if line and not line.startswith("#"):
            board, *rest = re.split(r"\s*[,;\s]\s*", line)
            is_solution = rest and BOARD.fullmatch(rest[0])
            yield number, board, rest[0] if is_solution else ""


def _csv_entries(path: Path, min_rating: int | None) -> Iterator[_Entry]:
    for line, question, answer, rating in csv_rows(path):
        if min_rating is not None and rating is None:
            raise ValueError(
                f"min_rating: expected a CSV with a column rating or difficulty, found none in "
                f"{path}"
            )
        is_rated = rating is not None and (rating.strip() or min_rating is not None)
        value = _rating(path, line, rating or "") if is_rated else 0
        if min_rating is None or value >= min_rating:
            yield line, question.strip(), (answer or "").strip()


def _rating(path: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"{path}, line {line}: expected a number as the rating, found {text!r}"
        ) from None


def _maze_entries(path: Path) -> Iterator[_Entry]:
    for line, question, answer, _ in csv_rows(path):
        yield line, question, answer or ""


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
