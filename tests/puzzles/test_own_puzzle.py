"""Texts of one's own puzzles, and answers as text."""

import numpy as np
import pytest

from rrjax.puzzles.maze import parse_maze
from rrjax.puzzles.own_puzzle import format_answer, parse_puzzle
from rrjax.puzzles.sudoku import parse_board, to_tokens

FOUR = "1234341221434321"
SUDOKU = (16, 6)
MAZE = (25, 6)
ROWS = ["S   #", "### #", "    #", " ####", "    G"]


def test_a_sudoku_may_be_one_line_or_a_drawn_board():
    expected = to_tokens(parse_board("12...4......2..."))
    drawn = "1 2|. .\n. 4|. .\n---+---\n....\n2...\n"
    for text in ("12...4......2...", "1200 0400 0000 2000", drawn):
        np.testing.assert_array_equal(parse_puzzle(text, *SUDOKU), expected)
    sixteen = "G" + "." * 255
    assert parse_puzzle(sixteen, 256, 18)[0] == 17


def test_a_maze_may_have_dots_and_rows_without_their_last_blanks():
    expected = parse_maze("".join(ROWS))
    for text in (
        "".join(ROWS),
        "\n".join(ROWS),
        "\r\n".join(row.replace(" ", ".") for row in ROWS),
    ):
        np.testing.assert_array_equal(parse_puzzle(text + "\n", *MAZE), expected)
    short = "S\n\n\n\n    G"
    np.testing.assert_array_equal(parse_puzzle(short, *MAZE), parse_maze("S" + " " * 23 + "G"))


@pytest.mark.parametrize(
    ("text", "sizes", "message"),
    [
        ("12" + "." * 13, SUDOKU, "expected the 16 characters of a 4x4 Sudoku, found 15"),
        ("." * 81, SUDOKU, "expected the 16 characters of a 4x4 Sudoku, found 81"),
        ("15" + "." * 14, SUDOKU, "found '5' at place 2"),
        ("1x" + "." * 14, SUDOKU, "found 'x' at place 2"),
        ("1.1" + "." * 13, SUDOKU, "contradict each other, found digit 1 2 times in row 1"),
        ("1..." * 2 + "." * 8, SUDOKU, "found digit 1 2 times in column 1"),
        ("1....1" + "." * 10, SUDOKU, "found digit 1 2 times in box 1"),
        ("S...G", MAZE, "expected the 5 rows of 5 characters .* found 1 row and 5 characters"),
        ("S" + "." * 24, MAZE, "a maze with one G, found 0"),
        ("SS" + "." * 22 + "G", MAZE, "a maze with one S, found 2"),
        ("S#..." + "#" * 5 + "." * 14 + "G", MAZE, "a path from S to G, found none"),
        ("Sx" + "." * 22 + "G", MAZE, "found 'x' at place 2"),
        ("So" + "." * 22 + "G", MAZE, "questions: "),
        ("12", (7, 5), "expected a model of Sudokus or mazes, found one of 7 tokens and 5"),
    ],
)
def test_what_is_no_puzzle_is_refused(text, sizes, message):
    with pytest.raises(ValueError, match=message):
        parse_puzzle(text, *sizes)


def test_clues_are_told_apart_from_digits_and_from_changed_clues():
    tokens, answer = to_tokens(parse_board("12...4......2...")), to_tokens(parse_board(FOUR))
    answer[15] = 0
    assert format_answer(tokens, answer, 6).split("\n") == [
        "[1][2]| 3  4",
        " 3 [4]| 1  2",
        "------+------",
        " 2  1 | 4  3",
        "!4! 3 | 2  .",
    ]


def test_cells_that_an_answer_must_not_change_are_marked():
    answer = "Soooo" + "###o#" + " oooo" + "o####" + "ooooG"
    text = format_answer(parse_maze("".join(ROWS)), parse_maze(answer), 6)
    assert text.split("\n") == ["Sooo!", "###o#", " ooo!", "o####", "ooooG"]
