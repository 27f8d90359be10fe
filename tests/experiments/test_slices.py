"""A plane of starts on a tiny model: points, answers, tables, figures."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax import store
from rrjax.dynamics.forward_vectors import forward_vectors
from rrjax.dynamics.starts import start_scale
from rrjax.experiments import slices
from rrjax.models import Model, load_model, save_model
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.results.results import Results
from tests.experiments.conftest import PUZZLES, relabelled
from tests.experiments.test_reasoner import MyPuzzles
from tests.tools.jobs import SMALL
from tests.tools.tiny import weights

PUZZLE, GRID, SEGMENTS, REST, EXTENT = 1, 5, 8, 2, 1.5
SEQ, TOKENS, WIDTH = 16, 16, 8
SIZES = {"grid": GRID, "num_segments": SEGMENTS, "rest_segments": REST, "extent": EXTENT}
SIZES |= {"residual": 0.2, "chunk_size": 8, "progress": False}


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Model:
    """A model whose answers settle: layers that change the state little."""
    folder = tmp_path_factory.mktemp("slices") / "model"
    flat = {name: leaf * (0.25 if "layers" in name else 1) for name, leaf in weights(SMALL).items()}
    save_model(folder, flat, SMALL, {})
    return load_model(folder)


@pytest.fixture(scope="module")
def puzzle(slow) -> PuzzleSet:
    """The right answer is declared to be that of z0."""
    labels = np.array(PUZZLES.labels)
    with jax.default_matmul_precision("highest"):
        run = rrjax.rollout(slow.bind(PUZZLES.inputs[PUZZLE]), SEGMENTS)
    labels[PUZZLE] = run.logits[-1].argmax(-1)
    return relabelled(labels)[PUZZLE]


@pytest.fixture(scope="module")
def plane(slow, puzzle) -> Results:
    return slices.slice(slow, puzzle, **SIZES)


def test_the_arrays_lie_on_the_grid(plane):
    number = len(plane.distinct_answers)
    assert {name: array.shape for name, array in plane.items()} == {
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
    np.testing.assert_allclose(plane.a, np.linspace(-EXTENT, EXTENT, GRID))
    flat = [plane[f"direction_{name}"].reshape(2, -1) for name in ("z_H", "z_L")]
    vectors = np.concatenate(flat, axis=1)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(2), atol=1e-6)
    assert plane.record["directions"]["kind"] == "random orthonormal"


def test_each_point_is_a_plain_rollout_from_its_place(plane, slow):
    dynamics = slow.bind(PUZZLES.inputs[PUZZLE])
    scale = float(start_scale(dynamics.initial)) * np.sqrt(2 * TOKENS * WIDTH)
    u, v = (
        type(dynamics.initial)(*(plane[f"direction_{name}"][i] for name in ("z_H", "z_L")))
        for i in range(2)
    )
    for i, j in ((0, 0), (2, 2), (1, 4), (4, 1), (3, 3)):
        a, b = scale * plane.a[i], scale * plane.b[j]
        start = jax.tree.map(lambda z, p, q, a=a, b=b: z + a * p + b * q, dynamics.initial, u, v)
        start = jax.tree.map(jnp.asarray, start)
        with jax.default_matmul_precision("highest"):
            whole = rrjax.rollout(dynamics, SEGMENTS, initial=start)
        answers = np.asarray(whole.logits.argmax(-1))
        changes = np.flatnonzero((answers[1:] != answers[:-1]).any(axis=1))
        expected = changes[-1] + 2 if len(changes) else 1
        assert plane.answer_at[i, j] == expected
        index = plane.answer_index[i, j]
        assert (index == -1) == (expected > SEGMENTS - REST)
        if index >= 0:
            np.testing.assert_array_equal(plane.distinct_answers[index], answers[-1])
    assert plane.solved[2, 2]


def test_some_settle_and_some_do_not(plane):
    assert (plane.answer_index == -1).any()
    assert (plane.answer_index == 0).any()
    assert plane.solved.any()
    assert not plane.solved.all()
    assert plane.finite.all()


def test_the_summary_says_how_mixed_the_basins_are(plane, tmp_path):
    summary, index = plane.summary(box_size=2), plane.answer_index
    assert summary.num_moving == np.sum(index == -1)
    assert summary.num_answers == len(plane.distinct_answers) == index.max() + 1
    assert summary.largest == sorted(summary.largest, reverse=True)
    assert summary.largest[0] == np.sum(index == 0)
    assert summary.num_solved == plane.solved.sum()
    assert summary.num_at_rest == np.sum(plane.residual_at <= SEGMENTS - REST + 1)
    assert summary.answers.num_boxes == 4
    assert summary.answers.num_classes == len(np.unique(index))
    assert summary.outcome.num_classes == 2
    assert plane.summary(box_size=3).answers.box_size == 3
    assert f"{GRID} × {GRID} starts" in repr(summary)
    plane.plot().save(tmp_path / "new")
    for name in ("settling", "answers"):
        assert (tmp_path / "new" / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n")
    with pytest.raises(ValueError, match=r"box_size must lie in 2\.\.5"):
        plane.summary(box_size=6)


def test_another_rest_runs_nothing_again(slow, puzzle, tmp_path, chunk_sizes):
    slices.slice(slow, puzzle, **SIZES, folder=tmp_path)
    assert chunk_sizes
    chunk_sizes.clear()
    other = slices.slice(slow, puzzle, **SIZES | {"rest_segments": 1}, folder=tmp_path)
    assert chunk_sizes == []
    assert other.summary(box_size=2).rest_segments == 1


def test_lyapunov_directions_and_exponents(slow, puzzle):
    options = SIZES | {"directions": "lyapunov", "direction_segments": 1, "num_exponents": 2}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = slices.slice(slow, puzzle, **options | {"grid": 2})
    assert len(caught) == (not run.record["directions"]["converged"])
    assert run.exponents.shape == (2, 2, 2)
    assert run.fli.shape == (2, 2)
    assert np.isfinite(run.exponents).all()
    key = jax.random.split(jax.random.key(0))[0]
    vectors = forward_vectors(slow.bind(PUZZLES.inputs[PUZZLE]), 2, 1, key=key)
    for name, leaf in vectors.frame._asdict().items():
        np.testing.assert_allclose(run[f"direction_{name}"], leaf, atol=1e-5)
    facts = run.record["directions"]
    growth = np.asarray(vectors.log_growth).tolist()
    assert facts["log_growth_nats"] == pytest.approx(growth, abs=1e-4)
    assert (facts["kind"], facts["segments"]) == ("forward Lyapunov vectors", 1)
    assert facts["converged"] == vectors.converged


def describe(right: store.Arrays, residual: np.ndarray) -> store.Arrays:
    """Returns the arrays of four points that say ones, and whose answer came to rest at once."""
    once = np.ones(4, np.int32)
    points = {"answers": np.ones((4, SEQ), np.int32), "residual": residual}
    points |= {"answer_at": once, "residual_at": once}
    state = load_model("trm-sudoku6").bind(np.ones(36, np.int32)).initial
    plane = slices.Plane(np.array([-1.0, 1.0]), 1.0, state, {})
    return slices._describe_points(points, right, plane, last_change=28)


def test_a_puzzle_without_a_known_answer_is_not_judged(slow):
    puzzle = MyPuzzles(PUZZLES.inputs[:1], np.full((1, SEQ), IGNORE_LABEL))
    arrays = slices.slice(slow, puzzle, **SIZES | {"grid": 2})
    assert not arrays.keys() & {"solved", "answer_solved"}


def test_runs_that_blow_up_are_not_settled_and_solve_nothing():
    residual = np.array([0.1, np.nan, np.inf, 0.1], np.float32)
    arrays = describe({"solved": np.ones(4, bool)}, residual)
    np.testing.assert_array_equal(arrays["answer_index"], [[0, -1], [-1, 0]])
    np.testing.assert_array_equal(arrays["solved"], [[True, False], [False, True]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 1}, "grid must be at least 2, got 1"),
        ({"extent": 0.0}, "extent must be finite and above 0, got 0"),
        ({"extent": float("nan")}, "extent must be finite and above 0, got nan"),
        ({"residual": -1.0}, "residual must be finite and above 0, got -1"),
        ({"rest_segments": 8}, "rest_segments must be fewer than the 8 segments"),
        ({"rest_segments": 0}, "rest_segments must be at least 1"),
        ({"num_exponents": -1}, "num_exponents must be at least 0"),
        ({"direction_segments": 0}, "direction_segments must be at least 1"),
    ],
)
def test_bad_requests_are_one_message(slow, puzzle, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        slices.slice(slow, puzzle, folder=tmp_path / "out", **SIZES | options)
    assert not (tmp_path / "out").exists()


def test_a_small_slice_is_not_refused_by_its_own_defaults(slow, puzzle):
    plane = slices.slice(slow, puzzle, grid=2, num_segments=2, progress=False)
    assert plane.summary().rest_segments == 1
    assert plane.record["options"]["rest_segments"] == 1


def test_a_slice_is_of_one_puzzle(slow):
    with pytest.raises(ValueError, match=r"needs one puzzle, such as puzzles\[5\]; got 6"):
        slices.slice(slow, PUZZLES, **SIZES)
