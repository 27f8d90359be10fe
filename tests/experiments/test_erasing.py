"""Erasing in a running model: the states are those of the library, and the digit is gone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.experiments import erase, probed_cells, states
from rrjax.experiments.erasing import ERASE, _change
from rrjax.experiments.experiment import Job
from rrjax.experiments.probed_cells import split
from rrjax.inside import leace
from rrjax.inside.interventions import erase as erase_in
from tests.experiments.conftest import NUMBER, PUZZLES
from tests.tools.charts import data_of

SIZES = {"num_segments": 3, "progress": False}


@pytest.fixture(scope="module")
def recorded(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("erasing") / "states"
    states(model, PUZZLES, folder=folder, untrained=False, **SIZES)
    return folder


def test_runs_are_those_of_the_intervention(model, recorded, tmp_path):
    asked = {"states": recorded, "segments": [1], "target": "given", "num_draws": 2, **SIZES}
    run = erase(model, PUZZLES, folder=tmp_path / "run", **asked)
    halves = split(NUMBER, 0)
    puzzle = int(halves.held_out[0])
    assert run.held_out[0] == puzzle
    assert run.record["times"] == ["1", "1 on"]
    rows = np.load(recorded / "state_z_L.npy")[halves.train, 0]
    given = (PUZZLES.inputs != 1).astype(int)[halves.train]
    eraser = leace(rows.reshape(-1, rows.shape[-1]), given.ravel())
    is_open = (PUZZLES.labels != PUZZLES.inputs)[puzzle]
    changed = erase_in(model.bind(PUZZLES.inputs[puzzle]), {"z_L": eraser}, [1], is_open)
    tokens = rrjax.rollout(changed, 3).answers
    right = (tokens == PUZZLES.labels[puzzle])[:, is_open].mean(1)
    np.testing.assert_allclose(run.right[0, 0, 1, 0], right, atol=1e-6)
    plain = rrjax.rollout(model.bind(PUZZLES.inputs[puzzle]), 3).answers
    own = (plain == PUZZLES.labels[puzzle])[:, is_open].mean(1)
    np.testing.assert_allclose(run.own_right[0], own, atol=1e-6)
    np.testing.assert_allclose(run.distance[..., 2], run.distance[..., 0], rtol=1e-5)
    untouched, erased, _ = run.probed[0, 1]
    assert untouched > 0.9
    assert erased < 0.7
    again = rrjax.load_results(tmp_path / "run")
    first, *_ = again.summary().findings()
    change = (run.at_once[:, 0, 0, 0] - run.at_once[:, 0, 0, 1]).mean()
    assert f"after segment 1 changes the share of right cells by {change:+.2f} (" in first
    assert "LEACE less random directions" in " ".join(repr(again.summary()).split())
    assert list(again.plot()) == ["erasures"]
    (panel,) = ERASE.report_panels(again)
    assert {row["group"] for row in data_of(panel)} == {"leace", "random", "moved"}


def test_a_move_is_as_long_as_what_is_erased():
    rng = np.random.default_rng(0)
    state = {"z": jnp.asarray(rng.normal(size=(5, 8)), jnp.float32)}
    eraser = leace(rng.normal(size=(50, 8)), np.arange(50) % 3)
    erasers = {"z": jax.tree.map(lambda part: jnp.asarray(part, jnp.float32), eraser)}
    rows = jnp.arange(5) > 1
    for is_moved in (False, True):
        changed, share = _change(
            state, rows, jnp.array([True]), erasers, jnp.array(is_moved), jax.random.key(0)
        )
        step = np.linalg.norm(changed["z"] - state["z"], axis=1)
        expected = np.linalg.norm(eraser(np.asarray(state["z"])) - state["z"], axis=1)
        np.testing.assert_allclose(step, np.where(rows, expected, 0), rtol=1e-4)
        norms = np.linalg.norm(state["z"], axis=1)
        assert float(share) == pytest.approx((expected / norms)[2:].mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "distance"}, "have classes and belong to a cell"),
        ({"target": "colour"}, "must be among digit"),
        ({"segments": [3]}, "segments must"),
        ({"num_segments": 2}, "be of 2 segments"),
    ],
)
def test_what_cannot_be_erased_is_refused(model, recorded, options, message):
    with pytest.raises(ValueError, match=message):
        erase(model, PUZZLES, **{"states": recorded, "segments": [1], **SIZES, **options})


def test_states_are_recorded_beside_a_folder_which_stays_free_for_the_sweep(model, tmp_path):
    place = tmp_path / "run", "auto", None
    job = Job(ERASE, model, PUZZLES[:2], 1, 0, "exact", *place, progress=False)
    assert probed_cells.recorded(job, None)[0].solved.shape == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["run-states"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes").touch()
    with pytest.raises(ValueError, match="run is not empty and holds no run"):
        probed_cells.recorded(job, None)


def test_states_of_another_model_are_refused(model, recorded):
    other = replace(model, digest="another")
    with pytest.raises(ValueError, match="states of another model"):
        erase(other, PUZZLES, states=recorded, segments=[1], **SIZES)
