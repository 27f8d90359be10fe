"""`rrjax sudoku`: reproducible folders whose sets share no board, or nothing at all."""

from pathlib import Path

import numpy as np
import pytest

from rrjax.cli import main
from rrjax.commands import sudoku
from rrjax.puzzles import distinct, from_tokens, read_folder, solve

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
            solution = solve(board)
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
        (("--num-train", "-1"), "number: expected at least 0, found -1"),
        (("--num-train", "0"), "expected boards and solutions"),
        (("--seed", "-1"), "seed: expected at least 0, found -1"),
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
    monkeypatch.setattr(sudoku, "make_sets", lambda options: pytest.fail("made puzzles"))
    (tmp_path / "notes.txt").write_text("keep")
    assert main(["sudoku", str(tmp_path / place), *SMALL]) == 2
    assert message in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("notes.txt", "keep")]


@pytest.mark.parametrize("options", [("--size", "5"), ("--colour", "red")])
def test_an_unknown_option_or_size_is_refused(tmp_path, options):
    with pytest.raises(SystemExit) as stopped:
        main(["sudoku", str(tmp_path / "data"), *options])
    assert stopped.value.code == 2
    assert list(tmp_path.iterdir()) == []
