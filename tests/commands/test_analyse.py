"""`rrjax analyse` on spectra made up by hand: numbers, words, figures, and runs it must refuse."""

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rrjax.commands.analyse import difficulty, main
from rrjax.puzzles import generate_sudokus, solve_sudoku, to_tokens
from rrjax.results.results import load_results
from rrjax.store import read_json, write_result
from tests.tools.tiny import snapshot

NUMBER, SEGMENTS, PER_SEGMENT = 60, 4, 3
BOARDS = generate_sudokus(4, NUMBER, seed=0).boards
FIGURES = {"late_drift", "auc_within_bins", "early_window", "lambda1_by_horizon"}


def spectrum_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Solved runs settle and contract, with exceptions; they are solved one after the other."""
    rng = np.random.default_rng(seed)
    first = rng.integers(1, SEGMENTS + 4, NUMBER)
    solved = np.arange(1, SEGMENTS + 1) >= first[:, None]
    still = np.where(rng.random(NUMBER) < 0.1, rng.random(NUMBER) < 0.5, solved[:, -1])
    growth = rng.normal(0, 0.3, (NUMBER, SEGMENTS * PER_SEGMENT, 2)) + 0.2
    growth -= 0.3 * np.repeat(solved, PER_SEGMENT, axis=1)[:, :, None]
    drift = 10 ** rng.normal(np.where(still, -4.0, 0.5)[:, None], 0.4, (NUMBER, SEGMENTS))
    return {
        "exponents": growth.mean(1).astype(np.float32),
        "log_growth": growth.astype(np.float32),
        "drift_z_H": drift.astype(np.float32),
        "solved": solved[:, -1],
        "solved_by_segment": solved,
        "finite": np.ones(NUMBER, bool),
        "inputs": to_tokens(BOARDS).astype(np.uint8),
    }


def write(folder: Path, arrays: dict[str, np.ndarray], **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    record = {"command": "spectrum", "puzzles": {"vocab_size": 6}, "model": {"name": "m"}} | more
    write_result(folder / "results.npz", arrays, record)
    return folder


def run(*arguments: object) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        main([str(argument) for argument in arguments])
    return " ".join(out.getvalue().split())


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrjax.commands.analyse._draw", lambda *_: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = write(tmp_path_factory.mktemp("analyse") / "one", spectrum_arrays())
    return folder, run(folder)


@pytest.fixture(scope="module")
def found(made) -> dict[str, Any]:
    return read_json(made[0] / "analysis.json")["runs"]["one"]


def test_the_files(made):
    pictures = {f"{name}.png" for name in FIGURES}
    assert snapshot(made[0]).keys() == {"results.npz", "results.json", "analysis.json", *pictures}
    for name in pictures:
        assert (made[0] / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_the_tables(made):
    for words in (
        "Settled: log10 late drift up to",
        "λ1 among runs that are alike in late drift, unsettled runs",
        "alike in givens",
        "alike in solver guesses",
        "Do segments 1..s tell which unsolved runs get solved?",
        f"numbers and figures are in {made[0]}",
    ):
        assert words in made[1]
    assert "beside each other" not in made[1]
    assert "nan" not in made[1]


def test_the_numbers_are_those_of_the_arrays(made, found):
    arrays = spectrum_arrays()
    solved, lambda1 = arrays["solved"], arrays["log_growth"][:, :, 0].mean(1)
    analysis = found["analysis"]
    assert (analysis["num_solved"], analysis["num_failed"]) == (solved.sum(), (~solved).sum())
    pairs = lambda1[solved][:, None] < lambda1[~solved]
    assert analysis["lambda1_auc"]["value"] == pytest.approx(pairs.mean())
    assert analysis["solved_lambda1"]["value"] == pytest.approx(np.median(lambda1[solved]))
    settled = arrays["drift_z_H"].mean(1) < 0.1  # the two groups lie at 1e-4 and 3
    counts = analysis["settling"]["otsu"]
    assert counts["settled_solved"] == np.sum(settled & solved) > 0
    assert counts["unsettled_failed"] == np.sum(~settled & ~solved) > 0
    unsettled = analysis["within_drift"]
    assert unsettled["num_solved"] == np.sum(~settled & solved)
    assert analysis["horizon"]["solved"]["value"][-1] == pytest.approx(
        np.median(lambda1[solved]), abs=1e-6
    )
    assert [window["segment"] for window in analysis["early"]] == [1, 2, 3]
    assert found["results_sha256"] == load_results(made[0]).record["sha256"]
    assert found["not_analysed"] == []


def test_difficulty_is_that_of_the_boards(made):
    known = difficulty(load_results(made[0]))
    assert known["givens"].tolist() == [int((board > 0).sum()) for board in BOARDS]
    assert known["solver guesses"].tolist() == [solve_sudoku(board).guesses for board in BOARDS]


@pytest.mark.usefixtures("_no_figures")
def test_several_runs_stand_beside_each_other(tmp_path):
    one = write(tmp_path / "one", spectrum_arrays())
    two = write(tmp_path / "two", spectrum_arrays(seed=1))
    printed = run(one, two / "results.npz", "--out", tmp_path / "out")
    assert "Runs beside each other" in printed
    joint = read_json(tmp_path / "out" / "analysis.json")["runs"]
    assert list(joint) == ["one", "two"]
    for name in joint:
        alone = read_json(tmp_path / "out" / name / "analysis.json")["runs"]
        assert alone == {name: joint[name]}
    assert snapshot(one).keys() == {"results.npz", "results.json"}


@pytest.mark.usefixtures("_no_figures")
def test_runs_of_one_name_are_refused(tmp_path):
    for place in ("a", "b"):
        write(tmp_path / place / "run", spectrum_arrays())
    with pytest.raises(ValueError, match="have one name, run: rename a folder"):
        run(tmp_path / "a" / "run", tmp_path / "b" / "run")
    assert not list(tmp_path.rglob("analysis.json"))


@pytest.mark.usefixtures("_no_figures")
def test_what_older_results_lack_is_said(tmp_path):
    arrays = spectrum_arrays()
    del arrays["solved_by_segment"], arrays["inputs"]
    printed = run(write(tmp_path / "old", arrays))
    assert "no early windows: it does not say after which segments" in printed
    assert "no bins of difficulty: the puzzles are not in it; run rrjax spectrum again" in printed
    assert "Do segments 1..s" not in printed
    saved = read_json(tmp_path / "old" / "analysis.json")["runs"]["old"]
    assert saved["analysis"]["early"] is None
    assert len(saved["not_analysed"]) == 2


@pytest.mark.usefixtures("_no_figures")
def test_puzzles_that_are_no_sudokus_have_no_difficulty(tmp_path):
    printed = run(write(tmp_path / "maze", spectrum_arrays(), puzzles={"vocab_size": 9}))
    assert "no bins of difficulty, which is known of Sudokus only" in printed


@pytest.mark.usefixtures("_no_figures")
def test_runs_without_a_number_are_left_out_and_counted(tmp_path):
    arrays = spectrum_arrays()
    arrays["exponents"][0, 0] = np.nan
    arrays["log_growth"][0] = np.nan
    arrays["finite"][1] = False
    arrays["drift_z_H"][2, 1] = np.inf
    printed = run(write(tmp_path / "run", arrays))
    assert f"3 of {NUMBER} runs were not finite: they are left out." in printed
    saved = read_json(tmp_path / "run" / "analysis.json")["runs"]["run"]["analysis"]
    assert saved["num_excluded"] == 3
    assert saved["num_solved"] + saved["num_failed"] == NUMBER - 3


def all_of(value: bool) -> dict[str, np.ndarray]:
    arrays = spectrum_arrays()
    arrays["solved"][:] = value
    arrays["solved_by_segment"][:] = value
    return arrays


def first_only() -> dict[str, np.ndarray]:
    return {name: array[:1] for name, array in all_of(True).items()}


def nowhere_finite() -> dict[str, np.ndarray]:
    return spectrum_arrays() | {"exponents": np.full((NUMBER, 2), np.nan, np.float32)}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (all_of(True), f"all {NUMBER} runs were solved: solved and failed ones are needed"),
        (all_of(False), f"none of the {NUMBER} runs were solved"),
        (first_only(), "all 1 runs were solved"),
        (nowhere_finite(), f"none of the {NUMBER} runs was finite with a λ₁"),
    ],
)
def test_runs_with_nothing_to_compare_are_refused(tmp_path, arrays, words):
    folder = write(tmp_path / "run", arrays)
    with pytest.raises(ValueError, match=f"results.npz: {words}"):
        run(folder)
    assert not (folder / "analysis.json").exists()


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize("kept", [0, 1])
def test_one_run_of_an_outcome_is_enough_for_words(tmp_path, kept):
    arrays = all_of(bool(kept))
    arrays["solved"][0] = arrays["solved_by_segment"][0, -1] = not kept
    printed = run(write(tmp_path / "run", arrays))
    assert "only 1 " in printed
    assert "too few" in printed
    assert "nan" not in printed


@pytest.mark.usefixtures("_no_figures")
def test_runs_that_all_stand_still_and_one_segment(tmp_path):
    arrays = spectrum_arrays() | {"drift_z_H": np.zeros((NUMBER, SEGMENTS), np.float32)}
    printed = run(write(tmp_path / "still", arrays))
    assert "no run" in printed  # is unsettled
    assert "unsettled runs" not in printed
    short = {
        name: array[:, :PER_SEGMENT] if name == "log_growth" else array
        for name, array in spectrum_arrays().items()
    }
    short |= {name: short[name][:, -1:] for name in ("drift_z_H", "solved_by_segment")}
    assert "Pooled: over" in run(write(tmp_path / "short", short))


def test_results_of_another_command_are_refused(tmp_path):
    arrays = {"solved": np.ones((3, 4), bool), "drift_z_H": np.ones((3, 4))}
    folder = write(tmp_path / "run", arrays, command="rollout")
    with pytest.raises(
        ValueError,
        match=r"holds results of rrjax rollout without exponents, log_growth, finite: rrjax "
        r"analyse needs those of rrjax spectrum",
    ):
        run(folder)


def test_other_requests_that_cannot_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        run(tmp_path / "absent")
    with pytest.raises(ValueError, match="no run to analyse"):
        run()
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        run(tmp_path, "--seed", -1)


def test_without_matplotlib_the_numbers_are_there_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    folder = write(tmp_path / "run", spectrum_arrays())
    run(folder)
    assert "figures need matplotlib: pip install 'rrjax[viz]'" in capsys.readouterr().err
    assert (folder / "analysis.json").exists()
    assert list(folder.glob("*.png")) == []
