"""`rrjax spectrum --attribution` on a tiny random model: arrays, record, notes and figure."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

import rrjax
from rrjax import cli, store
from rrjax.commands import attribution, spectrum
from rrjax.dynamics.participation import participation
from rrjax.models import load_model, save_model
from rrjax.puzzles import PuzzleSet, write_folder
from tests.tools.jobs import run
from tests.tools.tiny import CONFIG, UPDATES, puzzles, snapshot, weights, write_model

NUMBER, EXPONENTS, SEGMENTS = 4, 2, 2
PUZZLES = puzzles(NUMBER)


class Job(NamedTuple):
    """A run with its inputs, results and what it printed."""

    command_line: list[str]
    model: Path
    out: Path
    printed: str
    results: dict[str, np.ndarray]


def arguments(model: Path, data: PuzzleSet, folder: Path) -> list[str]:
    write_folder(folder / "data", {"test": data})
    sizes = ["--num-exponents", str(EXPONENTS), "--num-segments", str(SEGMENTS)]
    places = ["--puzzles", str(folder / "data"), "--out", str(folder / "out")]
    return ["spectrum", str(model), *places, *sizes, "--chunk-size", "4"]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("attribution")
    model = write_model(folder / "model")
    command_line = arguments(model, PUZZLES, folder)
    printed = run(*command_line, "--attribution")
    results = store.read_arrays(folder / "out" / "results.npz")
    return Job(command_line, model, folder / "out", printed, results)


def test_the_shares_of_every_segment_are_saved(job):
    shares = [job.results[f"participation_{name}"] for name in ("z_H", "z_L")]
    for share in shares:
        assert share.shape == (NUMBER, SEGMENTS, EXPONENTS, 16)
        assert share.dtype == np.float32
        assert (share >= 0).all()
    np.testing.assert_allclose(np.sum(shares, axis=(0, -1)), 1, rtol=1e-5)


def test_shares_and_answers_are_those_of_the_library(job):
    dynamics = load_model(job.model).bind(PUZZLES.inputs[2])
    key = jax.random.fold_in(jax.random.key(0), 2)
    frame = rrjax.spectrum(dynamics, EXPONENTS, 1, key=key).frame
    for name, share in participation(frame)._asdict().items():
        np.testing.assert_allclose(job.results[f"participation_{name}"][2, 0], share, atol=1e-4)
    answers = rrjax.rollout(dynamics, SEGMENTS).logits.argmax(-1)
    np.testing.assert_array_equal(job.results["answers_by_segment"][2], answers)
    np.testing.assert_array_equal(job.results["answers_by_segment"][:, -1], job.results["answers"])


def test_the_record_says_what_the_arrays_are(job):
    record = store.read_result(job.out / "results.npz")[1]["attribution"]
    assert record["arrays"] == ["participation_z_H", "participation_z_L"]
    assert record["axes"] == ["puzzle", "segment", "vector", "token"]
    assert record["puzzle_tokens"] == 0
    assert record["summary"]["num_puzzles"] == NUMBER
    states = record["summary"]["state_shares"]
    last = job.results["participation_z_H"][:, -1, 0].sum(-1)
    assert states["z_H"] == pytest.approx(np.median(last), abs=1e-6)


def test_every_array_has_axes_and_a_unit(job):
    results = rrjax.load_results(job.out)
    sizes = {"puzzle": NUMBER, "segment": SEGMENTS, "exponent": EXPONENTS, "cell": 16, "token": 16}
    sizes["update"] = SEGMENTS * UPDATES
    assert results.axes.keys() == results.units.keys() == results.keys()
    for name, array in results.items():
        assert array.shape == tuple(sizes[axis] for axis in results.axes[name]), name
    assert results.to_xarray()["participation_z_H"].dims == (
        "puzzle",
        "segment",
        "exponent",
        "token",
    )


def test_the_notes_are_printed_and_the_figure_is_there(job):
    assert f"λ1's vector after segment {SEGMENTS} (medians of {NUMBER} puzzles)" in job.printed
    assert "failed puzzles a wrong cell carries " in job.printed
    assert (job.out / "unstable_cells.png").read_bytes().startswith(b"\x89PNG")


def test_attribution_is_part_of_what_a_folder_holds(job, capsys):
    before = snapshot(job.out)
    assert cli.main(job.command_line) == 2
    assert "its attribution is True, asked for False" in capsys.readouterr().err
    assert snapshot(job.out) == before


def test_the_boards_are_the_first_of_each_outcome_or_the_chosen_one(job, monkeypatch):
    drawn = []
    monkeypatch.setattr(attribution, "unstable_cells", lambda boards, states: drawn.append(boards))
    flags = {"solved": [False, True, False, True], "finite": [False, True, True, True]}
    results = job.results | {name: np.array(flag) for name, flag in flags.items()}
    attribution.draw_board(results, PUZZLES, None)
    attribution.draw_board(results, PUZZLES, 3)
    names = [[board.name for board in boards] for boards in drawn]
    assert names == [["Puzzle 2 (failed)", "Puzzle 1 (solved)"], ["Puzzle 3 (solved)"]]
    first = drawn[0][0]
    assert first.box == (2, 2)
    np.testing.assert_array_equal(first.is_open, PUZZLES.inputs[2] == 1)
    given = np.where(first.is_open, "", [str(token - 1) for token in PUZZLES.inputs[2]])
    wrong = results["answers_by_segment"][2] != PUZZLES.labels[2]
    np.testing.assert_array_equal(first.wrong, wrong)
    np.testing.assert_array_equal(first.symbols == "", first.is_open & ~wrong)
    np.testing.assert_array_equal(first.symbols[0, ~wrong[0]], given[~wrong[0]])


def test_runs_that_are_not_finite_are_drawn_on_no_board(job):
    nothing = job.results | {"finite": np.zeros(NUMBER, bool)}
    with pytest.raises(ValueError, match="no run was finite"):
        attribution.draw_board(nothing, PUZZLES, None)
    assert attribution.summarize_attribution(nothing, PUZZLES, 0).num_puzzles == 0


def test_a_chosen_board_is_drawn_without_computing_again(job, monkeypatch):
    monkeypatch.setattr(spectrum.ChunkProgram, "__call__", None)
    monkeypatch.setattr(spectrum, "draw_results", lambda *_: None)
    before = (job.out / "unstable_cells.png").read_bytes()
    run(*job.command_line, "--attribution", "--board", "1")
    assert (job.out / "unstable_cells.png").read_bytes() != before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--board", "1"], "add --attribution"),
        (["--attribution", "--board", "4"], r"board must lie in 0..3, got 4"),
        (["--attribution", "--board", "-1"], r"board must lie in 0..3, got -1"),
    ],
)
def test_a_board_that_is_not_there_is_refused(job, capsys, more, message):
    assert cli.main([*job.command_line, *more]) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_square_is_saved_and_not_drawn(tmp_path, capsys):
    arch = dataclasses.replace(CONFIG.arch, puzzle_emb_ndim=8)
    config = dataclasses.replace(CONFIG, arch=arch, seq_len=12)
    save_model(tmp_path / "model", weights(config), config, {})
    meta = dataclasses.replace(PUZZLES.metadata, seq_len=12)
    cut = (PUZZLES.inputs[:, :12], PUZZLES.labels[:, :12])
    data = dataclasses.replace(PUZZLES, inputs=cut[0], labels=cut[1], metadata=meta)
    assert cli.main([*arguments(tmp_path / "model", data, tmp_path), "--attribution"]) == 0
    message = "no figure of the board: a board needs a square number of cells; Puzzle 0 (failed)"
    assert f"{message} has 12; the shares are saved" in capsys.readouterr().err
    found, record = store.read_result(tmp_path / "out" / "results.npz")
    assert found["participation_z_L"].shape == (NUMBER, SEGMENTS, EXPONENTS, 13)
    assert record["attribution"]["puzzle_tokens"] == 1
    assert not (tmp_path / "out" / "unstable_cells.png").exists()
