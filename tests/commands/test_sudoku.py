"""`rrjax sudoku`: reproducible folders whose sets share no board, or nothing at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rrjax.cli import main
from rrjax.commands import sudoku
from rrjax.puzzles import from_tokens, generate_sudokus, is_solved, solve_sudoku
from rrjax.puzzles.folders import read_folder
from rrjax.puzzles.sudoku import compact_board
from rrjax.puzzles.sudoku_build import sudoku_sets
from rrjax.puzzles.sudoku_generate import distinct, is_among
from rrjax.puzzles.sudoku_mix import MIXES, generate_mixed, kinds_of, parse_mix, word_of
from rrjax.puzzles.test_sets import hard_boards

SMALL = ("--size", "4", "--num-train", "20", "--num-test", "10")


def make(folder: Path, *options: str) -> dict[str, bytes]:
    """The files that the command writes."""
    assert main(["sudoku", str(folder), *options]) == 0
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_seed_gives_the_same_bytes(tmp_path):
    first = make(tmp_path / "a", *SMALL, "--seed", "5")
    assert make(tmp_path / "b", *SMALL, "--seed", "5") == first
    other = make(tmp_path / "c", *SMALL, "--seed", "6")
    assert other["train/all__inputs.npy"] != first["train/all__inputs.npy"]
    assert other["test/all__inputs.npy"] != first["test/all__inputs.npy"]


@pytest.mark.parametrize("seed", range(3))
def test_no_test_board_is_a_training_board(tmp_path, seed):
    # so few boards of this kind that a plain draw repeats: a fifth of the training set does
    options = ("--size", "4", "--clues", "14", "14", "--num-train", "60", "--num-test", "30")
    make(tmp_path / "data", *options, "--seed", str(seed))
    train, test = (read_folder(tmp_path / "data", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (60, 30)
    boards = [from_tokens(part.inputs) for part in (train, test)]
    assert distinct(boards[1], boards[0]).all()
    assert not {row.tobytes() for row in train.inputs} & {row.tobytes() for row in test.inputs}


def test_puzzles_have_the_clues_asked_for_and_one_solution(tmp_path):
    make(tmp_path / "data", *SMALL, "--clues", "6", "8")
    for split in ("train", "test"):
        puzzles = read_folder(tmp_path / "data", split)
        boards = from_tokens(puzzles.inputs)
        assert set(np.count_nonzero(boards, axis=1)) <= {6, 7, 8}
        for board, labels in zip(boards, puzzles.labels, strict=True):
            solution = solve_sudoku(board)
            assert solution.count == 1
            np.testing.assert_array_equal(solution.solution, from_tokens(labels))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        # twelve full grids up to names of digits
        (
            ("--clues", "16", "16", "--num-train", "5", "--num-test", "12"),
            "could not make 12 test puzzles that differ from the 5 training puzzles",
        ),
        (("--clues", "3", "5"), "clues: expected 4 <= fewest <= most <= 16"),
        (("--clues", "8", "6"), "clues: expected 4 <= fewest <= most <= 16"),
        (("--num-train", "-1"), "num_train must be at least 0, got -1"),
        (("--num-train", "0"), "at least one training and one test puzzle, found 0 and 10"),
        (("--min-guesses", "5"), "min_guesses: expected at most 0 at 4x4"),
        (("--clues", "6", "8", "--min-guesses", "5"), "min_guesses: expected none with clues"),
        (("--clues", "6", "8", "--mix", "hard"), "mix: expected none with clues"),
        (("--mix", "guesses:x=2"), "mix: expected hard or graded, or entries such as"),
        (("--mix", "minimal=0"), "mix: expected shares that add up to 1..1000, found [0]"),
        (("--workers", "0"), "workers must be at least 1, got 0"),
        (("--seed", "-1"), "seed must be at least 0, got -1"),
    ],
)
def test_an_impossible_request_writes_nothing(tmp_path, capsys, options, message):
    assert main(["sudoku", str(tmp_path / "data"), *SMALL, *options]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("", "expected a new or empty folder"),
        ("notes.txt", "expected a new or empty folder"),
        ("notes.txt/data", "notes.txt/data: Not a directory; a part of the path is a file"),
    ],
)
def test_a_place_that_is_taken_is_refused_before_anything_is_made(
    tmp_path, monkeypatch, capsys, place, message
):
    monkeypatch.setattr(sudoku, "sudoku_sets", lambda **_: pytest.fail("made puzzles"))
    (tmp_path / "notes.txt").write_text("keep")
    assert main(["sudoku", str(tmp_path / place), *SMALL]) == 2
    assert message in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("notes.txt", "keep")]


@pytest.mark.parametrize("options", [("--size", "5"), ("--colour", "red")])
def test_an_unknown_option_or_size_is_refused(tmp_path, options):
    assert main(["sudoku", str(tmp_path / "data"), *options]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def csv(tmp_path) -> Path:
    """A folder as the official one, of the puzzles of a generated set."""
    make(tmp_path / "made", *SMALL)
    (tmp_path / "csv").mkdir()
    for split in ("train", "test"):
        part = read_folder(tmp_path / "made", split)
        sides = (from_tokens(side) for side in (part.inputs, part.labels))
        rows = [
            f"web,{compact_board(board)},{compact_board(answer)},{index}"
            for index, (board, answer) in enumerate(zip(*sides, strict=True))
        ]
        text = "\n".join(["source,question,answer,rating", *rows, ""])
        (tmp_path / "csv" / f"{split}.csv").write_text(text)
    return tmp_path / "csv"


def test_the_official_csv_makes_the_same_folder(tmp_path, csv):
    files = make(tmp_path / "data", "--csv", str(csv))
    assert files == {name: (tmp_path / "made" / name).read_bytes() for name in files}
    zeros = csv / "test.csv"
    zeros.write_text(zeros.read_text().replace(".", "0"))
    assert make(tmp_path / "zeros", "--csv", str(csv)) == files


def test_of_more_puzzles_than_wanted_a_seeded_choice_stays(tmp_path, csv):
    few = ("--csv", str(csv), "--num-train", "5", "--num-test", "3")
    first = make(tmp_path / "a", *few)
    assert make(tmp_path / "b", *few) == first
    assert make(tmp_path / "c", *few, "--seed", "1") != first
    for split, number in (("train", 5), ("test", 3)):
        whole, part = (read_folder(tmp_path / name, split).inputs for name in ("made", "a"))
        places = [np.flatnonzero((whole == row).all(axis=1)).item() for row in part]
        assert len(places) == number
        assert places == sorted(set(places))


def test_the_rating_chooses_from_both_files(tmp_path, csv):
    make(tmp_path / "data", "--csv", str(csv), "--min-rating", "7")
    for split in ("train", "test"):
        whole, part = (read_folder(tmp_path / name, split).inputs for name in ("made", "data"))
        np.testing.assert_array_equal(part, whole[7:])


@pytest.mark.parametrize("from_csv", [False, True])
def test_copies_follow_their_training_puzzle_in_its_group(tmp_path, csv, capsys, from_csv):
    options = ("--csv", str(csv)) if from_csv else SMALL
    first = make(tmp_path / "a", *options, "--num-aug", "3")
    assert "20 training (80 examples) and 10 test puzzles" in capsys.readouterr().out
    assert make(tmp_path / "b", *options, "--num-aug", "3") == first
    train, test = (read_folder(tmp_path / "a", split) for split in ("train", "test"))
    whole = read_folder(tmp_path / "made", "train")
    assert (len(train), len(test)) == (80, 10)
    np.testing.assert_array_equal(train.inputs[::4], whole.inputs)
    np.testing.assert_array_equal(train.group_indices, np.arange(0, 81, 4))
    clues = np.count_nonzero(from_tokens(train.inputs), axis=1).reshape(20, 4)
    assert (clues == clues[:, :1]).all()
    assert is_solved(from_tokens(train.labels)).all()


def refused(tmp_path, capsys, *options: str) -> str:
    """The message of a request that writes nothing."""
    before = sorted(tmp_path.iterdir())
    assert main(["sudoku", str(tmp_path / "data"), *options]) == 2
    assert sorted(tmp_path.iterdir()) == before
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num-train", "21"), "num_train: expected 1 to the 20 puzzles of the CSV, found 21"),
        (("--num-test", "11"), "num_test: expected 1 to the 10 puzzles of the CSV, found 11"),
        (("--num-train", "0"), "num_train: expected 1 to the 20 puzzles of the CSV, found 0"),
        (("--num-test", "-1"), "num_test must be at least 0, got -1"),
        (("--num-aug", "-1"), "num_aug must be at least 0, got -1"),
        (("--seed", "-1"), "seed must be at least 0, got -1"),
        (("--clues", "4", "8"), "clues: expected none with a csv"),
        (("--mix", "hard"), "mix: expected none with a csv"),
        (("--min-rating", "15"), "test.csv: expected at least one puzzle, found none"),
    ],
)
def test_a_request_that_no_csv_answers_writes_nothing(tmp_path, csv, capsys, options, message):
    assert message in refused(tmp_path, capsys, "--csv", str(csv), *options)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("web,{board},{answer}", "train.csv, line 3: expected source,question,answer,rating"),
        ("web,{board},{answer},hard", "line 3: expected a number as the rating, found"),
        ("web,{board}.,{answer},1", "line 3: board: expected [16, 36, 81, 256] characters"),
        ("web,{board},12,1", "line 3: board: expected [16, 36, 81, 256] characters, found 2"),
        ("web,{board},{answer}{answer},1", "train.csv, line 3: board: expected [16, 36, 81"),
        ("web,x{board:.15},{answer},1", "line 3: board: expected the characters 0.1234, found 'x'"),
        ("web,{board},1111222233334444,1", "train.csv, line 3: expected a solution of the puzzle"),
        ("web,................,{board},1", "train.csv, line 3: expected a solution of the puzzle"),
    ],
)
def test_a_bad_line_is_named(tmp_path, csv, capsys, row, message):
    path = csv / "train.csv"
    lines = path.read_text().splitlines()
    board, answer = lines[2].split(",")[1:3]
    lines[2] = row.format(board=board, answer=answer)
    path.write_text("\n".join(lines))
    # a choice that leaves the line out is refused as well
    for number in ("19", "1"):
        assert message in refused(tmp_path, capsys, "--csv", str(csv), "--num-train", number)


def test_files_that_do_not_go_together_are_refused(tmp_path, csv, capsys):
    (csv / "train.csv").write_text("name,answer\n")
    error = refused(tmp_path, capsys, "--csv", str(csv))
    assert "train.csv, line 1: unknown header 'name,answer'" in error
    (six,) = generate_sudokus(6, 1, seed=0).solutions
    text = f"source,question,answer,rating\nweb,{compact_board(six)},{compact_board(six)},0\n"
    (csv / "train.csv").write_text(text)
    error = refused(tmp_path, capsys, "--csv", str(csv))
    assert "of one size, found 36 cells in train.csv and 16 in test.csv" in error
    (csv / "train.csv").unlink()
    assert "train.csv: expected a file" in refused(tmp_path, capsys, "--csv", str(csv))


def test_a_rating_without_a_csv_is_refused(tmp_path, capsys):
    assert "without a csv; clues, min_guesses and mix say" in refused(
        tmp_path, capsys, *SMALL, "--min-rating", "3"
    )


@pytest.fixture
def boards(tmp_path) -> Path:
    """A list as people have it: comments, ratings, repeats, and boards without one solution."""
    puzzles = generate_sudokus(4, 30, seed=3)
    lines = [f"{compact_board(board)},7.2;hard" for board in puzzles.boards]
    renamed = compact_board(puzzles.boards[4]).translate(str.maketrans("1234", "4321"))
    lines += [renamed, "11" + "0" * 14, "." * 16, "1" + "." * 15, lines[0].replace(".", "0")]
    path = tmp_path / "boards.txt"
    path.write_text("\r\n".join(["# from somewhere", "", *lines, "  "]))
    return path


def rows_of(folder: Path, split: str) -> list[bytes]:
    return [row.tobytes() for row in read_folder(folder, split).inputs]


def test_a_list_becomes_a_folder_of_different_puzzles_with_one_solution(tmp_path, boards, capsys):
    options = ("--list", str(boards), "--unsuitable", "skip")
    first = make(tmp_path / "a", *options, "--num-aug", "2")
    output = capsys.readouterr()
    for line in ("1 puzzle with no solution", "2 puzzles with several solutions"):
        assert f"rrjax: left out {line}\n" in output.err
    numbers = len(rows_of(tmp_path / "a", "train")) // 3, len(rows_of(tmp_path / "a", "test"))
    puzzles = [from_tokens(read_folder(tmp_path / "a", s).inputs) for s in ("train", "test")]
    assert distinct(puzzles[1], puzzles[0]).all()
    repeated = 35 - 3 - sum(numbers)
    assert f"rrjax: left out {repeated} puzzles with the board of another" in output.err
    assert f"{numbers[0]} training ({3 * numbers[0]} examples) and 3 test puzzles" in output.out
    for split in ("train", "test"):
        part = read_folder(tmp_path / "a", split)
        for board, labels in zip(part.inputs, part.labels, strict=True):
            solution = solve_sudoku(from_tokens(board))
            assert solution.count == 1
            np.testing.assert_array_equal(solution.solution, from_tokens(labels))
    assert make(tmp_path / "b", *options, "--num-aug", "2") == first
    assert make(tmp_path / "c", *options, "--num-aug", "2", "--seed", "1") != first


def test_one_csv_is_a_list_too(tmp_path, csv):
    make(tmp_path / "data", "--list", str(csv / "train.csv"), "--num-train", "6", "--num-test", "2")
    whole = rows_of(tmp_path / "made", "train")
    assert set(rows_of(tmp_path / "data", "train") + rows_of(tmp_path / "data", "test")) < set(
        whole
    )


def test_of_a_list_as_many_are_taken_as_are_wanted(tmp_path, boards):
    few = ("--list", str(boards), "--unsuitable", "skip", "--num-train", "7", "--num-test", "4")
    make(tmp_path / "data", *few)
    train, test = (rows_of(tmp_path / "data", split) for split in ("train", "test"))
    assert (len(set(train)), len(set(test)), len({*train, *test})) == (7, 4, 11)


def test_unsuitable_puzzles_of_a_list_are_refused_with_their_numbers(tmp_path, boards, capsys):
    error = refused(tmp_path, capsys, "--list", str(boards))
    numbers = "1 with no solution and 2 with several solutions"
    assert f"found {numbers}, the first of them in line 34" in error
    assert "--unsuitable skip leaves them out" in error
    skip = ("--list", str(boards), "--unsuitable", "skip")
    error = refused(tmp_path, capsys, *skip, "--num-train", "40")
    assert "boards.txt: expected 40 training and 3 test puzzles, found" in error
    assert "1 with no solution and 29 with one solution and 2 with several solutions" in error
    boards.write_text(boards.read_text().splitlines()[2])
    error = refused(tmp_path, capsys, *skip)
    assert "expected some training and 1 test puzzles, found 1 with one solution" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--clues", "4", "8"), "--clues cannot be given with --list"),
        (("--csv", "folder"), "--csv cannot be given with --list"),
        (("--min-rating", "2"), "--min-rating cannot be given with --list"),
        (("--num-test", "0"), "num_test must be at least 1, got 0"),
    ],
)
def test_a_list_goes_with_no_other_source(tmp_path, boards, capsys, options, message):
    assert message in refused(tmp_path, capsys, "--list", str(boards), *options)


def test_skipping_is_for_lists(tmp_path, capsys):
    assert "give --list FILE as well" in refused(tmp_path, capsys, *SMALL, "--unsuitable", "skip")


MIXED = (
    "--mix",
    "minimal=1",
    "clues:6-8=2",
    "--size",
    "4",
    "--num-train",
    "300",
    "--num-test",
    "9",
)


def test_a_mixture_has_its_shares_everywhere(tmp_path):
    make(tmp_path / "data", *MIXED, "--workers", "1")
    boards = from_tokens(read_folder(tmp_path / "data", "train").inputs)
    clues = np.count_nonzero(boards, axis=1).reshape(100, 3)
    assert ((clues >= 6).sum(axis=1) >= 2).all()  # two of each three have 6 to 8 clues
    assert (clues < 6).any()


def test_each_kind_is_made_for_itself_and_named(tmp_path, monkeypatch, capsys):
    made = []

    def recorded(request, indices):
        made.append(set(kinds_of(request, indices).tolist()))
        return generate_mixed(request, indices)

    monkeypatch.setattr(sudoku, "generate_mixed", recorded)
    make(tmp_path / "data", *MIXED, "--workers", "1")
    assert made == [{0}, {1}]
    shown = capsys.readouterr().err
    assert shown.index("sudokus minimal") < shown.index("sudokus clues:6-8")


def test_a_kind_has_the_word_that_asks_for_it():
    for words in MIXES.values():
        kinds, _ = parse_mix(words.split())
        assert [word_of(kind) for kind in kinds] == [word.split("=")[0] for word in words.split()]


def test_workers_change_no_byte_and_leave_no_piece(tmp_path):
    first = make(tmp_path / "a", *MIXED, "--workers", "1")
    assert make(tmp_path / "b", *MIXED, "--workers", "2") == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_was_cut_off_goes_on_to_the_same_bytes(tmp_path, monkeypatch, capsys):
    first = make(tmp_path / "a", *MIXED, "--workers", "1")
    made = []

    def cut_off(request, indices):
        made.append(len(indices))
        if len(made) == 2:
            raise KeyboardInterrupt
        return generate_mixed(request, indices)

    monkeypatch.setattr(sudoku, "generate_mixed", cut_off)
    assert main(["sudoku", str(tmp_path / "b"), *MIXED, "--workers", "1"]) == 130
    assert made == [103, 206]  # those of a kind are made together
    other = ["sudoku", str(tmp_path / "b"), *MIXED, "--seed", "1"]
    assert main(other) == 2
    assert "its seed is 0, asked for 1" in capsys.readouterr().err
    assert make(tmp_path / "b", *MIXED, "--workers", "1") == first
    assert made == [103, 206, 206]
    assert not (tmp_path / "b.pieces").exists()


def test_a_training_set_holds_no_puzzle_of_the_hard_test_set():
    # the seed of the test set, whose every fourth puzzle is minimal as it comes
    train, _ = sudoku_sets(9, 8, 2, seed=2026)
    boards = from_tokens(train.inputs)
    assert not is_among(boards, hard_boards()).any()
    plain = generate_sudokus(9, 8, seed=2026).boards
    np.testing.assert_array_equal(is_among(plain, hard_boards()), np.arange(8) % 4 == 0)
    assert is_among(plain, boards).sum() == 6


def test_the_help_of_the_makers_of_puzzles_needs_no_jax():
    code = (
        "import sys; sys.modules['jax'] = None\n"  # any import of it fails
        "from rrjax.cli import main\n"
        "for command in ('sudoku', 'maze', 'arc'):\n"
        "    assert main([command, '--help']) == 0\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.count("--seed")) == (0, 3), run.stderr
