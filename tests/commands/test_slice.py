"""`rrjax slice` from end to end on a tiny model: points, answers, files, tables, figures."""

import dataclasses
import functools
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import store
from rrjax.commands import job as jobs
from rrjax.commands import slice as command
from rrjax.dynamics.forward_vectors import forward_vectors
from rrjax.dynamics.starts import start_scale
from rrjax.models import load_model, save_model
from rrjax.puzzles import write_folder
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from tests.tools.jobs import Job, printed_by
from tests.tools.tiny import CONFIG, puzzles, weights

PUZZLE, GRID, SEGMENTS, REST, EXTENT = 1, 5, 8, 2, 1.5
SEQ, TOKENS, WIDTH = 16, 16, 8
PUZZLES = puzzles(3)
FIGURES = ("settling.png", "answers.png")


run = functools.partial(printed_by, command.main)


def arguments(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    numbers = {"puzzle": PUZZLE, "grid": GRID, "num-segments": SEGMENTS, "rest-segments": REST}
    numbers |= {"extent": EXTENT, "box-size": 2, "residual": 0.2, "chunk-size": 8}
    places = [str(model), "--puzzles", str(data), "--out", str(out)]
    return [*places, *(part for k, v in numbers.items() for part in (f"--{k}", str(v))), *more]


def write_slow_model(folder: Path) -> Path:
    """A model whose answers settle: layers that change the state little."""
    flat = {name: leaf * (0.25 if "layers" in name else 1) for name, leaf in weights().items()}
    save_model(folder, flat, CONFIG, {})
    return folder


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The right answer is declared to be that of z0."""
    folder = tmp_path_factory.mktemp("slice")
    model = write_slow_model(folder / "model")
    bound = load_model(model).bind(PUZZLES.inputs[PUZZLE])
    labels = np.array(PUZZLES.labels)
    with jax.default_matmul_precision("highest"):
        labels[PUZZLE] = rrjax.rollout(bound, SEGMENTS).logits[-1].argmax(-1)
    write_folder(folder / "data", {"test": dataclasses.replace(PUZZLES, labels=labels)})
    out = folder / "out"
    return Job(model, folder / "data", out, run(*arguments(model, folder / "data", out)))


@pytest.fixture(scope="module")
def results(job: Job) -> dict[str, np.ndarray]:
    return store.read_arrays(job.out / "results.npz")


def test_the_arrays_lie_on_the_grid(results):
    number = len(results["distinct_answers"])
    assert {name: array.shape for name, array in results.items()} == {
        "a": (GRID,),
        "b": (GRID,),
        "answer_at": (GRID, GRID),
        "residual_at": (GRID, GRID),
        "residual": (GRID, GRID),
        "finite": (GRID, GRID),
        "solved": (GRID, GRID),
        "answer_index": (GRID, GRID),
        "distinct_answers": (number, SEQ),
        "answer_solved": (number,),
        "direction_z_H": (2, TOKENS, WIDTH),
        "direction_z_L": (2, TOKENS, WIDTH),
    }
    np.testing.assert_allclose(results["a"], np.linspace(-EXTENT, EXTENT, GRID))
    rows = np.concatenate([results[f"direction_{n}"].reshape(2, -1) for n in ("z_H", "z_L")], 1)
    np.testing.assert_allclose(rows @ rows.T, np.eye(2), atol=1e-6)


def test_each_point_is_a_plain_rollout_from_its_place(job, results):
    bound = load_model(job.model).bind(PUZZLES.inputs[PUZZLE])
    scale = float(start_scale(bound.initial)) * np.sqrt(2 * TOKENS * WIDTH)
    u, v = (
        type(bound.initial)(*(results[f"direction_{n}"][i] for n in ("z_H", "z_L")))
        for i in range(2)
    )
    for i, j in ((0, 0), (2, 2), (1, 4), (4, 1), (3, 3)):
        a, b = scale * results["a"][i], scale * results["b"][j]
        start = jax.tree.map(lambda z, p, q, a=a, b=b: z + a * p + b * q, bound.initial, u, v)
        with jax.default_matmul_precision("highest"):
            whole = rrjax.rollout(bound, SEGMENTS, initial=jax.tree.map(jnp.asarray, start))
        answers = np.asarray(whole.logits.argmax(-1))
        changes = np.flatnonzero((answers[1:] != answers[:-1]).any(axis=1))
        expected = changes[-1] + 2 if len(changes) else 1
        assert results["answer_at"][i, j] == expected
        index = results["answer_index"][i, j]
        assert (index == -1) == (expected > SEGMENTS - REST)
        if index >= 0:
            np.testing.assert_array_equal(results["distinct_answers"][index], answers[-1])
    assert results["solved"][2, 2]


def test_some_settle_and_some_do_not(results):
    assert (results["answer_index"] == -1).any()
    assert (results["answer_index"] == 0).any()
    assert results["solved"].any()
    assert not results["solved"].all()
    assert results["finite"].all()


def test_the_record_says_what_the_numbers_are(job, results):
    _, record = store.read_result(job.out / "results.npz")
    assert set(record["axes"]) == set(record["units"]) == set(results)
    assert record["axes"]["answer_at"] == ["a", "b"]
    assert record["clock"] == "segment"
    assert record["directions"]["kind"] == "random orthonormal"
    summary, index = record["summary"], results["answer_index"]
    assert summary["num_moving"] == np.sum(index == -1)
    assert summary["num_answers"] == len(results["distinct_answers"]) == index.max() + 1
    assert summary["largest"] == sorted(summary["largest"], reverse=True)
    assert summary["largest"][0] == np.sum(index == 0)
    assert summary["num_solved"] == results["solved"].sum()
    assert summary["num_at_rest"] == np.sum(results["residual_at"] <= SEGMENTS - REST + 1)
    assert summary["answers"]["num_boxes"] == 4
    assert summary["answers"]["num_classes"] == len(np.unique(index))
    assert summary["outcome"]["num_classes"] == 2
    assert summary["outcome"]["remark"].startswith("the grid is too small")


def test_the_files_and_the_tables(job):
    for name in FIGURES:
        assert (job.out / name).read_bytes().startswith(b"\x89PNG\r\n")
    assert f"Puzzle {PUZZLE}, {GRID} × {GRID} starts" in job.printed
    assert "still moving" in job.printed
    assert "uncertainty exponent" in job.printed
    assert job.printed.endswith(f"results and figures are in {job.out}")


def test_other_boxes_and_another_rest_run_nothing_again(job, tmp_path, monkeypatch):
    def never(self, items):
        raise AssertionError("computed again")

    monkeypatch.setattr(command.ChunkProgram, "__call__", never)
    monkeypatch.setattr(command, "draw_results", lambda *_: None)
    out = shutil.copytree(job.out, tmp_path / "out")
    run(*arguments(job.model, job.data, out, "--rest-segments", "1", "--box-size", "3"))
    _, record = store.read_result(out / "results.npz")
    assert record["summary"]["answers"]["box_size"] == 3
    assert record["summary"]["rest_segments"] == 1


def test_lyapunov_directions_and_exponents(job, tmp_path):
    more = ("--directions", "lyapunov", "--direction-segments", "1", "--num-exponents", "2")
    run(*arguments(job.model, job.data, tmp_path / "out", "--grid", "2", *more))
    results, record = store.read_result(tmp_path / "out" / "results.npz")
    assert results["exponents"].shape == (2, 2, 2)
    assert results["fli"].shape == (2, 2)
    assert np.isfinite(results["exponents"]).all()
    bound = load_model(job.model).bind(PUZZLES.inputs[PUZZLE])
    found = forward_vectors(bound, 2, 1, key=jax.random.split(jax.random.key(0))[0])
    for name, leaf in found.frame._asdict().items():
        np.testing.assert_allclose(results[f"direction_{name}"], leaf, atol=1e-5)
    facts = record["directions"]
    growth = np.asarray(found.log_growth).tolist()
    assert facts["log_growth_nats"] == pytest.approx(growth, abs=1e-4)
    assert (facts["kind"], facts["segments"]) == ("forward Lyapunov vectors", 1)
    assert facts["converged"] == found.converged


def test_a_puzzle_without_a_known_answer_is_not_judged():
    puzzle = puzzle_with(np.full(SEQ, IGNORE_LABEL))
    results = describe(puzzle, answers=np.ones((4, SEQ), np.uint8), residual=np.zeros(4))
    assert not results.keys() & {"solved", "answer_solved"}


def test_runs_that_blow_up_are_not_settled_and_solve_nothing():
    labels = np.ones(SEQ, np.int32)
    residual = np.array([0.1, np.nan, np.inf, 0.1], np.float32)
    results = describe(puzzle_with(labels), np.ones((4, SEQ), np.uint8), residual)
    np.testing.assert_array_equal(results["answer_index"], [[0, -1], [-1, 0]])
    np.testing.assert_array_equal(results["solved"], [[True, False], [False, True]])


def puzzle_with(labels: np.ndarray) -> Batch:
    return Batch(PUZZLES.inputs[0], labels, np.int32(0))


def describe(puzzle: Batch, answers: np.ndarray, residual: np.ndarray) -> dict:
    """Four points whose answer came to rest at once."""
    once = np.ones(4, np.int32)
    found = {"answers": answers, "residual": residual, "answer_at": once, "residual_at": once}
    directions = load_model("trm-sudoku6").bind(np.ones(36, np.int32)).initial
    plane = command.Plane(np.array([-1.0, 1.0]), 1.0, directions, {})
    return command.describe_points(command.Options(grid=2), puzzle, plane, found)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--grid", "1"), "grid must be at least 2, got 1"),
        (("--extent", "0"), "extent must be a positive number, got 0"),
        (("--extent", "nan"), "extent must be a positive number, got nan"),
        (("--residual", "-1"), "residual must be a positive number, got -1"),
        (("--puzzle", "3"), r"puzzle must lie in 0\.\.2"),
        (("--puzzle", "-1"), r"puzzle must lie in 0\.\.2"),
        (("--rest-segments", "8"), "rest_segments must be fewer than the 8 segments"),
        (("--rest-segments", "0"), "rest_segments must be at least 1"),
        (("--box-size", "6"), r"box_size must lie in 2\.\.5"),
        (("--num-exponents", "-1"), "num_exponents must be at least 0"),
        (("--direction-segments", "0"), "direction_segments must be at least 1"),
    ],
)
def test_bad_requests_are_one_message(job, tmp_path, more, message):
    with pytest.raises(ValueError, match=message):
        command.main(arguments(job.model, job.data, tmp_path / "out", *more))
    assert not (tmp_path / "out").exists()


def test_a_number_of_puzzles_is_no_option(job, tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments(job.model, job.data, tmp_path / "out", "--num-puzzles", "2"))
    assert "num-puzzles" in capsys.readouterr().err
    assert not issubclass(command.Options, jobs.Options)
