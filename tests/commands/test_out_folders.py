"""Every command refuses an `--out` that holds anything but the same run, and leaves it as it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rrjax import cli
from rrjax.models import save_model
from rrjax.puzzles.folders import write_folder
from tests.tools.jobs import SMALL, run
from tests.tools.made_up import spectrum_arrays, spectrum_results
from tests.tools.tiny import puzzles, snapshot, weights
from tests.tools.tiny_training import ARCH, options

JOBS = ("spectrum", "rollout", "basin", "ptrm", "policies", "slice")
TOY = ("toy", "--num-runs", "20", "--readout-times", "2", "4")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder, with a model, puzzles, a finished spectrum and a finished toy."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model", weights(SMALL), SMALL, {})
    write_folder(folder / "data", {"train": puzzles(3), "test": puzzles(3)})
    spectrum_results(spectrum_arrays(0)).save(folder / "spectrum")
    (folder / "space.yaml").write_text("recipe.lr: {choices: [0.001, 0.002]}\n")
    (folder / "notes").mkdir()
    (folder / "notes" / "notes.txt").write_text("mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("rrjax.reports.terminal.draw_results", lambda *_: None)
        run(*TOY, "--out", "finished")
        yield folder


def command_line(command: str, out: str) -> list[str]:
    """A command that would write into `out`."""
    if command in JOBS:
        length = ("--max-evaluations", "32") if command == "policies" else ("--num-segments", "2")
        sizes = (*length, "--chunk-size", "3")
        more = ("--rest-segments", "1") if command == "slice" else ()
        return [command, "model", "--puzzles", "data", *sizes, "--out", out, *more]
    if command in ("train", "search"):
        space = ["--space", "space.yaml"] if command == "search" else []
        return [command, "--data", "data", "--out", out, *space, *options(ARCH, "arch.")]
    return {
        "toy": [*TOY, "--seed", "1", "--out", out],
        "analyse": ["analyse", "spectrum", "--out", out],
        "report": ["report", "spectrum", "--out", out],
        "compact": ["compact", "model", out],
        "convert": ["convert", "model", out],
        "sudoku": ["sudoku", out, "--size", "4", "--num-train", "2", "--num-test", "1"],
        "maze": ["maze", out, "--size", "9", "--min-path", "5", "--num-train", "2"],
        "arc": ["arc", out, "--num-aug", "0"],
    }[command]


# the questions of `inside` are jobs like those above, and slow to trace
@pytest.mark.parametrize("command", sorted(cli.COMMANDS.keys() - {"runs", "solve", "inside"}))
def test_a_folder_with_anything_else_is_refused(place, capsys, command):
    before = snapshot(place)
    for out in ("model", "data", "finished", "notes", "space.yaml"):
        assert cli.main(command_line(command, out)) == 2, out
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert out in printed.err
        assert snapshot(place) == before, out


def test_the_same_toy_goes_into_the_same_folder(place, capsys):
    before = (place / "finished" / "results.npz").read_bytes()
    run(*TOY, "--out", "finished")
    assert (place / "finished" / "results.npz").read_bytes() == before
    assert cli.main([*TOY, "--seed", "1", "--out", "finished"]) == 2
    assert "finished holds another run: its seed is 0, asked for 1" in capsys.readouterr().err


def test_an_analysis_goes_where_one_of_the_same_spectra_is(place, capsys):
    spectrum_results(spectrum_arrays(1)).save(place / "other")
    for _ in range(2):
        run("analyse", "spectrum", "other", "--out", "both")
        run("analyse", "spectrum", "--out", "alone")
        run("analyse", "spectrum", "--out", "spectrum")
    before = snapshot(place)
    assert cli.main(["analyse", "spectrum", "other", "--out", "alone"]) == 2
    assert "alone holds another run: its runs.other is None" in capsys.readouterr().err
    assert cli.main(["analyse", "other", "--out", "alone"]) == 2
    assert "alone holds another run: its runs.other is None" in capsys.readouterr().err
    assert snapshot(place) == before
