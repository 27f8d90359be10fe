"""The story and the figures of the seed documents run, small; verdicts follow from the numbers."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from rrjax.commands import ptrm
from rrjax.results.results import Results
from scripts.studies import claims, figure_q_stability, hub, runs
from tests.tools.processes import begin, finish

pytest.importorskip("matplotlib")

SMALL = ("--num-puzzles", "4")
RUNS = {
    "toy": ["toy.png"],
    "spectrum-trm-sudoku9-hard": ["lambda1_by_outcome.png", "spectrum_by_outcome.png"],
    "spectrum-hrm-sudoku6": ["lambda1_by_outcome.png", "spectrum_by_outcome.png"],
    "rollout-trm-sudoku9-hard": ["accuracy_against_compute.png", "survival_of_failures.png"],
    "rollout-hrm-sudoku6": ["accuracy_against_compute.png", "survival_of_failures.png"],
    "basin-trm-sudoku9-hard": ["restarts_of_failures.png"],
    "basin-hrm-sudoku6": ["restarts_of_failures.png"],
}


def run_story(*arguments: str) -> str:
    """What the story prints. The Hub is never asked by a test."""
    command = [sys.executable, "-m", "scripts.studies.story", *arguments]
    return finish(begin(command, HF_HUB_OFFLINE="1"))


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("story")
    sizes = ("--num-segments", "17", "--num-restarts", "1", "--restart-segments", "16")
    toy = ("--num-toy-runs", "200")
    return folder, run_story("--folder", str(folder), *SMALL, *sizes, *toy)


@pytest.mark.slow
def test_without_a_network_the_story_is_told_of_the_models_in_the_box(story):
    folder, printed = story
    assert "taking trm-sudoku9-hard from the box" in printed
    assert "taking hrm-sudoku6 from the box" in printed
    for name, figures in RUNS.items():
        assert (folder / name / "results.npz").exists(), name
        found = {path.name for path in (folder / name).glob("*.png")}
        assert found >= set(figures), name
    found = json.loads((folder / "claims.json").read_text())["claims"]
    assert [claim["model"] for claim in found].count("trm") == 5
    # four puzzles decide nothing but the toy
    assert [claim["model"] for claim in found if claim["holds"] is not None] == ["toy"]


@pytest.mark.slow
def test_the_figures_are_drawn_from_the_runs_of_the_story(story, monkeypatch):
    folder, _ = story
    chunks = {path: path.stat().st_mtime_ns for path in folder.rglob("chunks/*.npz")}
    for script, figure in (
        ("figure_lambda1", "lambda1_by_outcome.png"),
        ("figure_spectrum", "spectrum_by_outcome.png"),
    ):
        monkeypatch.setattr(sys, "argv", [script, "--folder", str(folder), *SMALL])
        runpy.run_module(f"scripts.studies.{script}", run_name="__main__")
        assert (folder / figure).stat().st_size > 10_000
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("chunks/*.npz")} == chunks


def test_the_figure_of_noisy_rollouts_is_drawn(tmp_path, monkeypatch):
    asked = []
    rng = np.random.default_rng(0)
    shape = (3, 4)
    arrays = {
        "sigma": np.array([0, 0.3, 0.3, 0.3]),
        "repeat": np.array([0, 0, 1, 2]),
        "solved": rng.random((*shape, 1)) < 0.5,
        "answers": rng.integers(0, 9, (*shape, 5)),
        "exponents": rng.normal(size=(*shape, 1)),
        **{name: rng.normal(size=shape) for name in ("q_halt", "residual", "late_drift")},
    }
    result = Results(arrays, {})
    monkeypatch.setattr(
        figure_q_stability, "run", lambda folder, *words: asked.append(words) or result
    )
    figure_q_stability.main(figure_q_stability.Options(folder=tmp_path))
    assert (tmp_path / "q_against_stability.png").stat().st_size > 5_000
    # the command line takes these words
    options = ptrm.parse([str(word) for word in asked[0][1:]])
    assert options["choose"]["num_puzzles"] == 128
    assert (options["run"]["num_runs"], options["run"]["sigma"]) == (8, 0.3)


def test_a_command_that_is_refused_ends_the_script(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        runs.run(tmp_path / "x", "rollout", "trm-sudoku6", "--num-segments", 0)
    assert stopped.value.code == 2
    assert "num_segments must be at least 1" in capsys.readouterr().err


def estimate(value, low, high):
    return {"value": value, "low": low, "high": high}


def result(record, **arrays):
    return Results(arrays, {"summary": record, "answer": "z_H"})


def evidence(number: int, high: bool):
    """A world in which all claims of the notebook hold (high), or none does; so many puzzles."""
    good, bad = estimate(0.9, 0.8, 0.95), estimate(0.1, 0.05, 0.2)
    yes, no = (good, bad) if high else (bad, good)
    above, below = estimate(0.1, 0.05, 0.2), estimate(-0.1, -0.2, -0.05)
    toy = Results({"auc": np.array([0.9, 0.6] if high else [0.6, 0.9])}, {})
    spectrum = result(
        {
            "num_solved": number,
            "num_failed": number,
            "exponent_auc": [yes],
            "solved_exponents": [below],
            "failed_exponents": [above if high else below],
        }
    )
    more, fewer = (900, 100) if high else (100, 900)
    escaped = {"trm": more, "hrm": fewer}

    def rollout(name):
        escape = {
            "num_failures": number,
            "num_escaped": escaped[name],
            "num_at_rest": 0 if high else 1,
            "segments_watched": 9,
            "segments_moving": 1000,
            "still_failing": no if name == "trm" else yes,
        }
        made = result({"escape": escape})
        made.record.update({"options": {"num_segments": 25}, "updates_per_segment": 6})
        return made

    row = {"sigma": 0.3, "num_runs": 4, "failures": {"some_run": yes}}
    basin = result(
        {
            "failures": list(range(number)),
            "never_solved": [0] if high else [],
            "by_sigma": [{**row, "sigma": 0.0, "failures": {"some_run": no}}, row],
        }
    )
    names = ("trm", "hrm")
    return claims.Evidence(
        toy,
        dict.fromkeys(names, spectrum),
        {name: rollout(name) for name in names},
        dict.fromkeys(names, basin),
    )


@pytest.mark.parametrize("high", [True, False])
def test_verdicts_follow_from_the_numbers(high):
    found = claims.claims(evidence(20, high))
    assert [claim.holds for claim in found] == [high] * 13


def test_few_puzzles_leave_claims_about_them_open():
    found = claims.claims(evidence(4, True))
    assert {claim.holds for claim in found if claim.model in ("trm", "hrm")} == {None}


def test_claims_are_printed_and_kept(tmp_path, capsys):
    claims.print_claims(evidence(20, True), tmp_path / "claims.json")
    assert "13 of 13 claims hold" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "claims.json").read_text())["claims"]) == 13


def test_tokens_of_the_official_test_set_become_a_list_of_puzzles():
    inputs = np.array([[1, 2, 10, 1], [3, 1, 1, 4]], np.int64)
    assert hub.sudoku_lines(inputs) == "0190\n2003\n"


@pytest.mark.parametrize("error", [ValueError("no such repository"), OSError("disk")])
def test_where_the_hub_fails_the_box_is_taken(tmp_path, monkeypatch, capsys, error):
    def fail(*arguments, **more):
        raise error

    monkeypatch.setattr(hub, "convert", fail)
    assert hub.model_and_puzzles("hrm", tmp_path, 4, hub=True).words == ("hrm-sudoku6",)
    assert str(error) in capsys.readouterr().out


def test_what_the_converter_refuses_is_said(tmp_path):
    with pytest.raises(ValueError, match="no folder or file"):
        hub.convert("./nothing/here", tmp_path / "x")


def test_the_official_model_comes_with_its_puzzles(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "convert", lambda source, folder: asked.append(source))
    np.save(tmp_path / "inputs.npy", np.full((6, 81), 2))
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_: tmp_path / "inputs.npy")
    model = hub.model_and_puzzles("trm", tmp_path, 4, hub=True)
    assert asked == [f"hf://{hub.REPOSITORY}/trm_sudoku"]
    assert model.words[0] == str(tmp_path / "official-trm")
    assert Path(model.words[2]).read_text().split() == ["1" * 81] * 4
