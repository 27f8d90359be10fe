"""A planted network: each puzzle has another map, and it is known where its trajectory goes."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.analysis.points import CYCLE, FATES, NOT_FINITE, RIGHT, SADDLE, WANDERS, WRONG, fates
from rrjax.contract import Dynamics, Repeat
from rrjax.experiments import fixed_points
from tests.tools.charts import rows_of_panels

MAPS = RIGHT, WRONG, CYCLE, SADDLE, WANDERS, NOT_FINITE, "approaches"
SIZES = {"num_segments": 48, "progress": False}
TURN = np.array([[0.8, -0.6], [0.6, 0.8]])
LOGISTIC = {"cycle": 3.3, "chaos": 3.9, "three": 3.832}


def logistic(rate: float, z: jax.Array) -> jax.Array:
    return jnp.stack([rate * z[:, 0] * (1 - z[:, 0]), z[:, 1] / 2], 1)


def step(kind: jax.Array, z: jax.Array, drive: None) -> jax.Array:
    right, wrong, turn = (
        jnp.asarray(array, z.dtype) for array in ([[0.8, 0.1]], [[0.2, 0.1]], TURN.T)
    )
    images = [
        right + 0.5 * (z - right) @ turn,  # a stable focus, |μ| = 1/2
        wrong + 0.5 * (z - wrong) @ turn,
        logistic(LOGISTIC["cycle"], z),
        logistic(LOGISTIC["chaos"], z),
        z @ turn / jnp.linalg.norm(z),  # a rotation, which no point survives
        4 * z**2 + 1,
        wrong + 0.9 * (z - wrong),
        logistic(LOGISTIC["three"], z),
    ]
    return jnp.select([kind == k for k in range(len(images))], images)


def read(kind: jax.Array, z: jax.Array) -> jax.Array:
    """The one token is 1, which is right, where the first component is above a half."""
    return jnp.stack([jnp.zeros(1, z.dtype), z[:, 0] - 0.5], 1)


class Planted:
    """Its initial state has no type, so that it would be wide where float64 is on."""

    def __init__(self, schedule=(step,)):
        self.schedule = schedule

    def bind(self, tokens, puzzle_id=0):
        return Dynamics.from_updates(jnp.array([[0.3, 0.4]]), self.schedule, read, tokens[0])


def puzzles(*kinds: int) -> SimpleNamespace:
    tokens = np.array(kinds, np.int32)[:, None]
    return SimpleNamespace(inputs=tokens, labels=np.ones_like(tokens))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("points") / "run"


@pytest.fixture(scope="module")
def run(folder):
    return fixed_points(Planted(), puzzles(*range(7)), folder=folder, num_random=1, **SIZES)


def test_each_trajectory_does_what_was_planted(run):
    expected = [*MAPS[:6], WRONG]
    assert [FATES[index] for index in fates(run)] == expected
    failed, solved = run.summary().groups
    assert failed.number + solved.number == 7
    assert failed.fates[FATES.index(WRONG)].number == 2
    assert failed.num_arrived == 1  # another still approaches
    assert solved.num_arrived == 2  # the right point, and the cycle, which is right at the readout
    assert run.record["options"]["dtype"] == "float32"
    assert not jax.config.read("jax_enable_x64")


def at(run, kind: int, period: int) -> tuple[int, int]:
    """The first search of a period, which begins at an earlier state than the end or there."""
    return kind, int(np.flatnonzero(run["period"] == period)[0])


def test_points_and_eigenvalues_are_those_of_closed_forms(run):
    values = run["eigenvalue_real"] + 1j * run["eigenvalue_imag"]
    np.testing.assert_allclose(
        np.sort_complex(values[at(run, 0, 1)][:2]),
        0.5 * np.array([0.8 - 0.6j, 0.8 + 0.6j]),
        atol=1e-9,
    )
    r = LOGISTIC["cycle"]
    leading = values[at(run, 2, 2)][0]
    np.testing.assert_allclose(leading, 4 + 2 * r - r**2, atol=1e-7)
    assert run["least_period"][at(run, 2, 2)] == 2
    r = LOGISTIC["chaos"]
    saddle = at(run, 3, 1)
    np.testing.assert_allclose(values[saddle][0], 2 - r, atol=1e-7)
    np.testing.assert_allclose(run["norm"][saddle], 1 - 1 / r, atol=1e-9)
    assert run["point_solved"][saddle]
    assert not run["point_solved"][at(run, 1, 1)]
    converged = run["point_id"] >= 0
    assert (run["residual"][converged] <= 1e-9).all()
    assert np.isnan(run["norm"][~converged]).all()
    assert not converged[4:6].any()  # no point to be found


def test_what_the_trained_map_does_from_a_point(run):
    rests, saddle = at(run, 1, 1), at(run, 3, 1)
    assert run["kept"][rests] < 1e-6 * run["norm"][rests]
    assert run["kept_answer"][rests]
    # round-off of float32 grows 1.9-fold a segment, 8 times
    assert 1e-7 < run["kept"][saddle] < 1e-3
    distance = run["distance"][rests]
    np.testing.assert_allclose(distance[1:12] / distance[:11], 0.5, rtol=1e-3)


def test_it_is_loaded_and_shows_what_was_found(run, folder, tmp_path):
    text = repr(rrjax.load_results(folder).summary())
    assert "Where 7 puzzles go" in text
    assert "rests at a wrong point" in text
    failed, _, wrong = run.summary().findings()
    assert "at segment 16 is “rests at a wrong point” after" in failed
    assert "A stable point with a wrong answer was found for" in wrong
    run.plot().save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"fates.png", "eigenvalues.png"}
    fates, values = rows_of_panels(run)
    assert len(fates) == 2 * len(FATES)
    real = [row["x"] for row in values if "puzzle" in row and row["y"] >= 0]
    reached = np.isfinite(run["norm"]) & (run["period"] == 1)
    np.testing.assert_allclose(real, run["eigenvalue_real"][reached][:, 0], rtol=1e-3)


def test_the_period_at_which_a_trajectory_comes_back_is_searched():
    run = fixed_points(Planted(), puzzles(7, 2), periods=(1, 2, 3, 4, 6), num_starts=1, **SIZES)
    searched = np.isfinite(run["residual"])
    np.testing.assert_array_equal(searched[:, 2:], [[1, 0, 0], [0, 0, 0]])
    assert searched[1, 1]
    assert run["residual"][0, 2] <= 1e-9
    assert (FATES[fates(run)[0]], run["least_period"][0, 2]) == (CYCLE, 3)
    text = " ".join(repr(run.summary()).split())
    assert "was reached with period (searches): 4 segments (0), 6 segments (0)." in text
    r, x = LOGISTIC["three"], 0.5
    for _ in range(3000):
        x = r * x * (1 - x)
    expected = 1.0
    for _ in range(3):
        x, expected = r * x * (1 - x), expected * r * (1 - 2 * x)
    np.testing.assert_allclose(run["eigenvalue_real"][0, 2, :2], [0.125, expected], atol=1e-7)
    assert run["distance"][0, 2, -1] < 1e-4
    assert run["distance"][1, 1, -1] < 1e-6


def test_a_cycle_inside_a_segment_is_found_by_cycles():
    model = Planted((Repeat(2, step),))
    run = fixed_points(model, puzzles(2), clock="cycle", periods=(2,), num_starts=1, **SIZES)
    assert run["step"][0, -1] < 1e-6  # over segments it stands still
    assert run["returns"][0, 0] > 0.3
    assert run["returns"][0, 1] < 1e-6
    assert FATES[fates(run)[0]] == CYCLE
    assert run["least_period"][0, 0] == 2
    assert run["cycle_return"][0, 0] > 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"periods": ()}, "periods must be one or more different numbers"),
        ({"periods": (1, 1)}, "periods must be one or more different numbers"),
        ({"periods": (0,)}, "periods must"),
        ({"num_starts": 49}, "num_starts must"),
        ({"num_eigenvalues": 49}, "num_eigenvalues must"),
    ],
)
def test_what_makes_no_search_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fixed_points(Planted(), puzzles(0), **SIZES, **options)


def test_driven_dynamics_are_refused():
    class Driven(Planted):
        def bind(self, tokens, puzzle_id=0):
            return Dynamics.from_updates(
                jnp.ones((1, 2)), step, read, tokens[0], drive=jnp.ones((48, 1))
            )

    with pytest.raises(ValueError, match="the dynamics must be autonomous"):
        fixed_points(Driven(), puzzles(0), **SIZES)


def test_a_radius_that_is_none_is_refused(run):
    with pytest.raises(ValueError, match="radius must be"):
        run.summary(radius=0.0)
    fate = fates({**run, "distance": run["distance"] + 0.05}, 1e-9)
    assert FATES[fate[3]] == WANDERS  # nearer than a hundredth of the norm is near at any radius
