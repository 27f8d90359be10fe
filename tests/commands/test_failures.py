"""`--failures-of`: an earlier run of a model says which puzzles another command takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rrjax import cli, load_results
from rrjax.commands.failures import failed_puzzles
from rrjax.commands.job import first_puzzles
from rrjax.models import save_model
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.folders import read_folder, write_folder
from tests.tools.jobs import SMALL, run
from tests.tools.tiny import puzzles, weights

NUMBER, SOLVED = 5, [1, 3]
OPTIONS = {
    "spectrum": ["--num-segments", "2", "--num-exponents", "1"],
    "rollout": ["--num-segments", "2"],
    "basin": ["--num-segments", "2", "--sigmas", "0.5", "--num-restarts", "1"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, puzzles of which it solves two, and what the commands find of them."""
    path = tmp_path_factory.mktemp("failures")
    save_model(path / "model", weights(SMALL), SMALL, {})
    asked = puzzles(NUMBER)
    write_folder(path / "asked", {"test": asked})
    answers = measure(path, "rollout", "asked")["answers_by_segment"][:, -1]
    labels = np.where(np.isin(np.arange(NUMBER), SOLVED)[:, None], answers, asked.labels)
    write_folder(path / "data", {"test": replace(asked, labels=labels)})
    for command in OPTIONS:
        measure(path, command, "data")
    return path


def measure(path: Path, command: str, data: str, *more: str):
    out = path / f"{command}-{'-'.join((data, *more))}".replace("/", "-")
    words = [command, str(path / "model"), "--puzzles", str(path / data), "--out", str(out)]
    run(*words, "--chunk-size", "1", *OPTIONS[command], *more)
    return load_results(out)


def data_of(path: Path) -> PuzzleSet:
    return read_folder(path / "data", "test")


@pytest.mark.parametrize("command", ["spectrum", "rollout"])
def test_the_failures_are_those_that_the_results_tell(folder, command):
    every = data_of(folder)
    failed = failed_puzzles(every, folder / f"{command}-data")
    np.testing.assert_array_equal(failed.inputs, np.delete(every.inputs, SOLVED, axis=0))
    np.testing.assert_array_equal(failed.labels, np.delete(every.labels, SOLVED, axis=0))
    first = first_puzzles(every, 2, folder / f"{command}-data")
    np.testing.assert_array_equal(first.inputs, every.inputs[[0, 2]])


def test_a_command_takes_only_failures(folder):
    results = measure(folder, "basin", "data", "--failures-of", str(folder / "spectrum-data"))
    assert results["solved"].shape[0] == NUMBER - len(SOLVED)
    assert not results["solved"][:, 0, -1].any()


def refusal(folder: Path, capsys: pytest.CaptureFixture, of: str, *more: str) -> str:
    words = ["basin", str(folder / "model"), "--puzzles", str(folder / "data"), *more]
    out = folder / "refused"
    code = cli.main([*words, "--out", str(out), "--failures-of", str(folder / of)])
    assert code == 2
    assert not out.exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("basin-data", "is a basin"),
        ("rollout-asked", "are not the first of"),
        ("nothing", "no such file or folder"),
    ],
)
def test_results_that_tell_no_failures_of_these_puzzles_are_refused(folder, capsys, of, message):
    assert message in refusal(folder, capsys, of)


def test_more_failures_than_there_are_cannot_be_asked_for(folder, capsys):
    message = refusal(folder, capsys, "spectrum-data", "--num-puzzles", "4")
    assert "spectrum-data (failures) has 3 puzzles, but 4 were asked for" in message


def test_where_all_are_solved_there_are_no_failures(folder):
    every = data_of(folder)
    answers = load_results(folder / "rollout-data")["answers_by_segment"][:, -1]
    write_folder(folder / "solved", {"test": replace(every, labels=answers)})
    measure(folder, "spectrum", "solved")
    with pytest.raises(ValueError, match="all 5 puzzles"):
        failed_puzzles(read_folder(folder / "solved", "test"), folder / "spectrum-solved")
