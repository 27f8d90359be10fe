"""The table of what models solve: counts, quartiles of guesses, and a measurement run twice."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rrjax.puzzles import read, write_folder
from rrjax.puzzles.difficulty import GUESSES, difficulty
from scripts.models import accuracy
from tests.tools import tiny


class Rollout(dict):
    def __init__(self, vocab_size: int, **arrays: Any):
        super().__init__(arrays)
        self.record = {"puzzles": {"vocab_size": vocab_size}}


def test_the_quartiles_of_a_list_add_up_to_it():
    puzzles = read("hard-sudoku9", max_puzzles=16)
    guesses = difficulty(puzzles.inputs, 11).numbers[GUESSES]
    solved = np.zeros((16, 3), bool)
    solved[:, 0] = True  # only the last segment counts
    solved[np.argsort(guesses)[:3], -1] = True
    results: Any = Rollout(11, inputs=puzzles.inputs, solved=solved)
    whole, *quartiles = accuracy.rows_of("m", "hard", results)
    assert (whole.guesses, whole.number, whole.solved.value) == ("all", 16, 3 / 16)
    assert [row.number for row in quartiles] == [4, 4, 4, 4]
    assert [round(row.solved.value * row.number) for row in quartiles] == [3, 0, 0, 0]
    assert whole.cells()[:5] == ("m", "hard", "all", "16", "3")
    assert whole.cells()[-2:] == ("0.040", "0.456")  # Clopper and Pearson


def test_mazes_have_no_guesses():
    inputs = np.full((2, 9), 2, np.uint8)
    results: Any = Rollout(6, inputs=inputs, solved=np.ones((2, 1), bool))
    (row,) = accuracy.rows_of("m", "mazes", results)
    assert (row.number, row.solved.value) == (2, 1.0)


def test_all_lists_are_measured_once(tmp_path, capsys):
    model = tiny.write_model(tmp_path / "tiny")
    write_folder(model / "puzzles", {"test": tiny.puzzles(5)})
    write_folder(tmp_path / "others", {"test": tiny.puzzles(3)})
    options = accuracy.Options(tmp_path / "out", (str(model),), (str(tmp_path / "others"),))
    accuracy.main(options)
    table = (options.out / "accuracy.csv").read_text()
    rows = [(row["puzzles"], row["num_puzzles"]) for row in csv.DictReader(table.splitlines())]
    assert rows == [("own", "5"), ("others", "3")]  # 4x4 Sudokus need no guess: no quartiles
    assert "| tiny | own | all | 5 |" in capsys.readouterr().out
    stamps = _stamps(options.out)
    accuracy.main(options)
    assert len(stamps) == 2
    assert _stamps(options.out) == stamps
    assert (options.out / "accuracy.csv").read_text() == table


def test_nothing_runs_for_a_wrong_name(tmp_path, capsys):
    model = tiny.write_model(tmp_path / "tiny")
    write_folder(model / "puzzles", {"test": tiny.puzzles(5)})
    for models, lists in (((str(model), "nope"), ()), ((str(model),), ("nope.txt",))):
        with pytest.raises(SystemExit) as end:
            accuracy.main(accuracy.Options(tmp_path / "out", models, lists))
        assert end.value.code == 2
        assert "nope" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("chunks/*")}
