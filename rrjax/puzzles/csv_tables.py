"""Reads CSV files of puzzles by the names in their header."""

import csv
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rrjax.checks import brief
from rrjax.store.reading import check_file

# the names that Sudoku-Extreme and the data sets of Kaggle give to the columns that are read
_QUESTION = ("question", "quizzes", "quiz", "puzzle", "puzzles")
_ANSWER = ("answer", "solutions", "solution")
_RATING = ("rating", "difficulty")
_SEPARATORS = ",;\t"
_LONGEST_NAME, _LONGEST_LINE = 40, 2**20
# as long as the smallest board, and of the characters of boards
BOARD = re.compile(r"[.\dA-Ga-g]{16,}")


class Row(NamedTuple):
    """A row of a CSV; None stands for a column that the file does not have."""

    line: int
    question: str
    answer: str | None
    rating: str | None


def is_header(line: str) -> bool:
    """Says whether a line names columns rather than holding a puzzle."""
    fields = re.split(f"[{_SEPARATORS}]", line)
    are_names = all(len(f) <= _LONGEST_NAME and not BOARD.fullmatch(f.strip()) for f in fields)
    return are_names and any(re.search(r"[A-Za-z]{3}", field) for field in fields)


def first_line(path: Path) -> tuple[int, str]:
    """Returns number and text of the first line that is neither blank nor a comment.

    The number is 0 where there is none.
    """
    with closing(numbered_lines(path)) as lines:
        filled = ((number, line.strip()) for number, line in lines)
        return next(((n, line) for n, line in filled if line and not line.startswith("#")), (0, ""))


def csv_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a CSV; blank lines are skipped.

    Columns are found by their names in the header, in any order; others are not read.

    Raises:
        ValueError: No such file, no text, a header without a column of puzzles, or a row with
            another number of fields.
    """
    start, header_line = first_line(path)
    separator = next((mark for mark in _SEPARATORS if mark in header_line), ",")
    with closing(numbered_lines(path)) as lines:
        texts = (text for number, text in lines if number >= start)
        reader = csv.reader(texts, delimiter=separator)
        try:
            header = next(reader, [])
            question, *others = _find_columns(path, start, header)
            for row in reader:
                if not any(field.strip() for field in row):
                    continue
                line = start - 1 + reader.line_num
                if len(row) != len(header):
                    names = brief(",".join(header)).strip("'")
                    raise ValueError(f"{path}, line {line}: expected {names}, found {brief(row)}")
                answer, rating = (None if place is None else row[place] for place in others)
                yield Row(line, row[question], answer, rating)
        except csv.Error as error:
            raise ValueError(f"{path}: expected comma-separated rows, found {error}") from None


def numbered_lines(path: Path) -> Generator[tuple[int, str], None, None]:
    """Yields the number and the text of each line, without its end.

    Raises:
        ValueError: No such file, or no text.
    """
    if not path.exists():
        raise ValueError(f"{path}: expected a file or a data-set folder, found nothing there")
    check_file(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), start=1):
                if len(line) == _LONGEST_LINE:
                    raise ValueError(
                        f"{path}, line {number}: expected at most {_LONGEST_LINE:,} characters"
                    )
                yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected a text file (UTF-8), found {error}") from None
        except OSError as error:  # one of reading does not name the file
            raise OSError(error.errno, error.strerror, str(path)) from None


def _find_columns(path: Path, line: int, header: list[str]) -> tuple[int, int | None, int | None]:
    """Returns the places of question, answer and rating in a header; None for what it lacks."""
    names = [name.strip().lower() for name in header]
    questions, answers, ratings = (
        [place for place, name in enumerate(names) if name in known]
        for known in (_QUESTION, _ANSWER, _RATING)
    )
    if len(questions) != 1 or len(answers) > 1:
        raise ValueError(
            f"{path}, line {max(line, 1)}: unknown header {brief(','.join(header))}; expected one "
            f"of the names {', '.join(_QUESTION)} for the puzzles, and at most one of "
            f"{', '.join(_ANSWER)} for the solutions"
        )
    return questions[0], next(iter(answers), None), next(iter(ratings), None)
