"""Plain lists, Sudoku-Extreme's CSV, and telling them apart."""

import numpy as np
import pytest

from rrjax.puzzles import (
    build_sudokus,
    format_maze,
    from_tokens,
    generate_sudokus,
    read,
    solve_sudoku,
    write_folder,
)
from rrjax.puzzles.maze import VOCAB_SIZE
from rrjax.puzzles.sudoku import compact_board
from rrjax.puzzles.text_files import fill_solutions, read_csv, read_list

PUZZLES = generate_sudokus(4, 3, seed=1)
BOARDS = [compact_board(board) for board in PUZZLES.boards]
SOLUTIONS = [compact_board(board) for board in PUZZLES.solutions]
HEADER = "source,question,answer,rating\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="puzzles.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def csv_text(ratings):
    rows = zip(BOARDS, SOLUTIONS, ratings, strict=True)
    return HEADER + "".join(f"here,{board},{answer},{rating}\n" for board, answer, rating in rows)


@pytest.mark.parametrize("separator", [",", ";", " ", "\t", " , "])
def test_a_list_holds_puzzles_with_or_without_solutions(write, separator):
    text = f"# made here\n\n{BOARDS[0]}\r\n{BOARDS[1]}{separator}{SOLUTIONS[1]}\n{BOARDS[2]}"
    listing = read_list(write(text))
    np.testing.assert_array_equal(listing.lines, [3, 4, 5])
    np.testing.assert_array_equal(listing.questions, PUZZLES.boards)
    np.testing.assert_array_equal(listing.answers[1], PUZZLES.solutions[1])
    assert not listing.answers[[0, 2]].any()
    np.testing.assert_array_equal(fill_solutions(listing).solutions, PUZZLES.solutions)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("quizzes,solutions", "{board},{answer}"),
        ("puzzle,solution", "{board},{answer}"),
        ("id,puzzle,solution,clues,difficulty", "7,{board},{answer},6,2.3"),
        ("id,puzzle,solution,clues,difficulty", "7,{board},{answer},6,"),
        ("source,question,answer,rating", "web,{board},{answer},0"),
        ("question,answer", "{board},{answer}"),
        ("Solution,Puzzle", "{answer},{board}"),
        (",quizzes,solutions", "0,{board},{answer}"),
        ("Unnamed: 0,quizzes,solutions", "0,{board},{answer}"),
        ('"puzzle";"solution"', '"{board}";"{answer}"'),
        ("puzzle\tsolution", "{board}\t{answer}"),
        (" puzzle , solution ", " {board} , {answer} "),
        ("puzzle", "{board}"),
        ("no.,puzzle,solution (4x4)?,answer", "1,{board},abc,{answer}"),
        ("puzzle,difficulty", "{board},1"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_columns_are_known_by_their_names(write, header, row, end):
    pairs = zip(BOARDS, SOLUTIONS, strict=True)
    rows = [row.format(board=board, answer=answer) for board, answer in pairs]
    path = write("\ufeff" + end.join([header, *rows, ""]), "puzzles.csv")
    puzzles = read(path)
    np.testing.assert_array_equal(from_tokens(puzzles.inputs), PUZZLES.boards)
    np.testing.assert_array_equal(from_tokens(puzzles.labels), PUZZLES.solutions)


def test_a_difficulty_may_be_chosen_by(write):
    rows = [f"{b},{a},{d}" for b, a, d in zip(BOARDS, SOLUTIONS, ("0.5", "2.3", "2"), strict=True)]
    path = write("\n".join(["puzzle,solution,difficulty", *rows]))
    np.testing.assert_array_equal(read_csv(path, min_rating=2).lines, [3, 4])
    with pytest.raises(ValueError, match="expected a CSV with a column rating or difficulty"):
        read_csv(write(f"puzzle\n{BOARDS[0]}\n"), min_rating=2)


@pytest.mark.parametrize("rest", [",9.0", ";Arto Inkala;ER=11.9", "\t# easy", " -", ",12,,"])
def test_further_columns_of_a_list_are_not_read(write, rest):
    text = f"{BOARDS[0]}{rest}\n{BOARDS[1]},{SOLUTIONS[1]}{rest}\n{BOARDS[2]}"
    listing = read_list(write(text))
    np.testing.assert_array_equal(listing.questions, PUZZLES.boards)
    np.testing.assert_array_equal(listing.answers.any(axis=1), [False, True, False])


def test_zeros_and_dots_are_blanks(write):
    listing = read_list(write("\n".join([BOARDS[0], BOARDS[0].replace(".", "0")])))
    np.testing.assert_array_equal(listing.questions[0], listing.questions[1])


def test_sudoku_extreme_is_filtered_by_rating(write):
    path = write(csv_text([3, 0, 40]), "test.csv")
    everything = read_csv(path)
    np.testing.assert_array_equal(everything.lines, [2, 3, 4])
    np.testing.assert_array_equal(everything.questions, PUZZLES.boards)
    np.testing.assert_array_equal(everything.answers, PUZZLES.solutions)
    np.testing.assert_array_equal(read_csv(path, min_rating=3).lines, [2, 4])
    np.testing.assert_array_equal(read_csv(path, min_rating=1, max_puzzles=1).lines, [2])


@pytest.mark.parametrize("kind", ["list", "csv", "byte order mark", "folder"])
def test_every_format_is_recognised(write, tmp_path, kind):
    expected = build_sudokus(PUZZLES)
    if kind == "folder":
        path = tmp_path / "folder"
        write_folder(path, {"test": expected})
    elif kind == "list":
        path = write("\n".join(BOARDS))
    elif kind == "csv":
        path = write(csv_text([0, 0, 0]), "no_suffix")
    else:
        path = write("\ufeff" + "\n".join(BOARDS))
    found = read(path)
    np.testing.assert_array_equal(found.inputs, expected.inputs)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.metadata == expected.metadata
    assert str(path) in found.source


def test_reading_stops_before_later_lines(write):
    path = write(f"{BOARDS[0]}\nnonsense\n")
    np.testing.assert_array_equal(from_tokens(read(path, max_puzzles=1).inputs), PUZZLES.boards[:1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected at least one puzzle, found none"),
        ("# nothing\n", "expected at least one puzzle, found none"),
        ("1234\n", r"line 1: board: expected \[16, 36, 81, 256\] characters, found 4"),
        (f"{BOARDS[0]}\n{'.' * 15}9\n", "line 2: board: expected the characters .* found '9'"),
        (f"{BOARDS[0]}\n{'.' * 36}\n", "line 2: expected 16 cells as in line 1, found 36"),
        (
            f"{BOARDS[0]},{'.' * 36}\n",
            "line 1: expected 16 .* in the answer 36",
        ),
        (f"#\n{BOARDS[0]},{SOLUTIONS[1]}\n", "line 2: expected a solution of the puzzle"),
        ("11" + "." * 14, "line 1: expected a puzzle with one solution, found none"),
        (b"\xff\xfe\x00", "expected a text file"),
    ],
)
def test_wrong_lists_are_refused(write, text, message):
    path = write(text)
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_puzzles_without_one_known_solution_have_no_label(write):
    puzzles = read(write(f"{BOARDS[0]}\n{'.' * 16}\n"))
    np.testing.assert_array_equal(puzzles.labels.any(axis=1), [True, False])
    maze = "S    " + "     " * 3 + "    G"
    unanswered = read(write(f"question\n{maze}\n"))
    assert not unanswered.labels.any()
    assert unanswered.metadata.vocab_size == VOCAB_SIZE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("board,answer\n", "line 1: unknown header 'board,answer'; expected one of the names ques"),
        ("\n# made here\nname,level\n", "line 3: unknown header 'name,level'"),
        ("quizzes,question\n", "line 1: unknown header 'quizzes,question'"),
        ("puzzle,Puzzle\n", "line 1: unknown header 'puzzle,Puzzle'"),
        ("no. (of 9),board?\n", r"line 1: unknown header 'no\. \(of 9\),board\?'"),
        ("puzzle,answer,solution\n", "line 1: unknown header 'puzzle,answer,solution'"),
        ("source,question,answer\n", "expected at least one puzzle, found none"),
        (f"\nquizzes,solutions\n\n{BOARDS[0]},{SOLUTIONS[1]}\n", "line 4: expected a solution of"),
        (f"quizzes,solutions\n{BOARDS[0]}\n", "line 2: expected quizzes,solutions, found"),
        (HEADER, "expected at least one puzzle, found none"),
        (
            HEADER + f"a,{BOARDS[0]},{SOLUTIONS[0]}\n",
            "line 2: expected source,question,",
        ),
        (HEADER + f"a,{BOARDS[0]},{SOLUTIONS[0]},hard\n", "line 2: .*rating, found .*'hard'"),
        (HEADER + f"a,{BOARDS[0]},{SOLUTIONS[1]},1\n", "line 2: expected a solution of the"),
        (HEADER + f"a,{BOARDS[0][1:]},{SOLUTIONS[1]},1\n", "line 2: board: expected .* found 15"),
        (HEADER + "a" * 140000 + ",,,1\n", "expected comma-separated rows"),
    ],
)
def test_wrong_csv_files_are_refused(write, text, message):
    path = write(text, "train.csv")
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"missing.txt: expected a file or a data-set folder"):
        read(tmp_path / "missing.txt")


def test_solutions_from_the_solver_are_the_only_ones(write):
    labels = from_tokens(read(write("\n".join(BOARDS))).labels)
    for board, label in zip(PUZZLES.boards, labels, strict=True):
        found = solve_sudoku(board)
        assert found.count == 1
        np.testing.assert_array_equal(found.solution, label)


def test_a_csv_of_mazes_is_told_from_one_of_sudokus(write):
    answer = " S###" + " o###" * 3 + " G###"  # the first cell is free: a blank
    row = f"maze,{answer.replace('o', ' ')},{answer},0\n"
    path = write(HEADER + row * 2, "mazes.csv")
    mazes = read(path)
    assert read(write(f"question,answer\r\n{row[5:-3]}\r\n")).digest() == mazes[:1].digest()
    assert (len(mazes), mazes.metadata.vocab_size) == (2, 6)
    assert format_maze(mazes.labels[0]).splitlines()[1] == " o###"
    assert len(read(path, max_puzzles=1)) == 1


def test_a_folder_is_read_as_far_as_is_asked(tmp_path):
    write_folder(tmp_path / "set", {"test": build_sudokus(PUZZLES)})
    assert read(tmp_path / "set").digest() == build_sudokus(PUZZLES).digest()
    assert read(tmp_path / "set", max_puzzles=2).digest() == build_sudokus(PUZZLES)[:2].digest()
