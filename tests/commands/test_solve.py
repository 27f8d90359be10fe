"""`rrjax solve`: text, files and standard input, and puzzles that are none."""

import io

import pytest

from rrjax.cli import main
from rrjax.commands.solve import read_text
from tests.tools.jobs import run
from tests.tools.tiny import write_model

BOARD = "12...4......2..."


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(write_model(tmp_path_factory.mktemp("solve") / "model"))


def test_a_puzzle_is_solved_from_text_a_file_or_standard_input(
    model, tmp_path, monkeypatch, capsys
):
    (tmp_path / "puzzle.txt").write_text("\n".join(BOARD[i : i + 4] for i in range(0, 16, 4)))
    monkeypatch.setattr("sys.stdin", io.StringIO(BOARD + "\n"))
    words = [
        run("solve", model, source, "--num-segments", "2", "--symmetries", "2", "--restarts", "1")
        for source in (BOARD, str(tmp_path / "puzzle.txt"), "-")
    ]
    assert words[0] == words[1] == words[2]
    assert "solve of model: compiling" in capsys.readouterr().err
    for part in ("probability", "λ₁ is", "relative step", "of 4 runs give this answer"):
        assert part in words[0]


def test_a_text_that_is_longer_than_names_of_files_is_a_puzzle():
    assert read_text("S" + " " * 5000 + "G") == "S" + " " * 5000 + "G"


@pytest.mark.parametrize(
    ("puzzle", "message"),
    [
        ("." * 81, "expected the 16 characters of a 4x4 Sudoku, found 81"),
        ("1x" + "." * 14, "found 'x' at place 2"),
        ("11" + "." * 14, "found digit 1 2 times in row 1"),
        ("nothing.txt", "expected the 16 characters of a 4x4 Sudoku, found 11"),
    ],
)
def test_what_is_no_puzzle_gives_one_message(model, capsys, puzzle, message):
    assert main(["solve", model, puzzle]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_text_is_refused(model, tmp_path, capsys):
    (tmp_path / "puzzle.bin").write_bytes(b"\xff\xfe\x00")
    assert main(["solve", model, str(tmp_path / "puzzle.bin")]) == 2
    assert "puzzle.bin: expected a text file" in capsys.readouterr().err
