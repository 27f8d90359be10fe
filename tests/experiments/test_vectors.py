"""Vectors against meanings: they are those of the library, and falls of growth are told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import rrjax
from rrjax.analysis.vectors import fall_segments, rise_at
from rrjax.contract import run_segment
from rrjax.experiments import meaning, states
from rrjax.experiments.vectors import MEANING
from rrjax.inside import overlap
from tests.experiments.conftest import PUZZLES
from tests.tools.charts import data_of

SEGMENTS = 2
SIZES = {"num_segments": SEGMENTS, "progress": False}


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("meaning")
    states(model, PUZZLES, folder=folder / "states", untrained=False, **SIZES)
    asked = {"states": folder / "states", "num_vectors": 1, "backward_transient": 1, **SIZES}
    meaning(model, PUZZLES, folder=folder / "run", num_measured=3, forward_after=[2], **asked)
    return rrjax.load_results(folder / "run")


def test_vectors_are_those_of_the_library(model, run):
    puzzle = int(run.held_out[1])
    key = jax.random.fold_in(jax.random.key(0), puzzle)
    dynamics = model.bind(PUZZLES.inputs[puzzle])
    vectors = rrjax.covariant_vectors(
        dynamics, 1, SEGMENTS + 1, key=key, forward_transient=0, backward_transient=1
    )
    growth = vectors.log_growth.reshape(SEGMENTS, -1).mean(1)
    np.testing.assert_allclose(run.growth[1, :, 0], growth, atol=1e-4)
    z_H = np.square(vectors.vectors.z_H[:, 0])
    np.testing.assert_allclose(run.in_field[1, :, 0, 0], z_H.sum((1, 2)), atol=1e-3)
    total = z_H.sum(-1) + np.square(vectors.vectors.z_L[:, 0]).sum(-1)
    given = PUZZLES.inputs[puzzle] != 1
    share = total[:, given].mean(1) / total.mean(1)
    np.testing.assert_allclose(run.on_cells[1, :, 0, 0], share, rtol=2e-3)
    assert run.record["vectors"] == ["covariant 1", "forward", "random"]
    overlaps = run.overlap[1, :, 0, run.record["targets"].index("candidates"), 0, 0]
    assert np.all((overlaps >= 0) & (overlaps <= z_H.shape[-1] * 1.001))


def test_the_forward_vector_is_the_direction_that_grows_most(model, run):
    assert np.isnan(run.in_field[:, 0, 1]).all()
    puzzle = int(run.held_out[0])
    dynamics = model.bind(PUZZLES.inputs[puzzle])
    state, rebuild = ravel_pytree(rrjax.rollout(dynamics, 2).state)

    def later(flat):
        return ravel_pytree(run_segment(dynamics, run_segment(dynamics, rebuild(flat))))[0]

    with jax.default_matmul_precision("highest"):
        jacobian = np.asarray(jax.jit(jax.jacfwd(later))(state), np.float64)
    leading = rebuild(jnp.asarray(np.linalg.svd(jacobian)[2][0], jnp.float32))
    in_z_H, in_z_L = (np.square(field).sum(-1) for field in (leading.z_H, leading.z_L))
    assert run.in_field[0, 1, 1, 0] == pytest.approx(in_z_H.sum(), abs=1e-3)
    given = PUZZLES.inputs[puzzle] != 1
    share = (in_z_H + in_z_L)[given].mean() * len(given)
    assert run.on_cells[0, 1, 1, 0] == pytest.approx(share, abs=1e-3)


def test_random_vectors_have_the_overlap_of_random_vectors(run):
    random = run.overlap[:, :, -1]
    known = random[np.isfinite(random)]
    assert known.mean() == pytest.approx(1, abs=0.15)
    # by chance the mean over tokens and channels is that of the dimension
    frame = np.random.default_rng(0).normal(size=(400, 16, 8))
    basis = np.eye(8)[:, :3]
    assert overlap(frame, basis, np.ones(16, bool)).mean() * 8 / 3 == pytest.approx(1, abs=0.02)


def test_tables_figures_and_panels_show_it(run):
    text = " ".join(repr(run.summary()).split())
    assert "Where leading vectors lie" in text
    assert "What becomes readable when growth falls" in text
    overlap = run.summary().overlaps[0]
    ratio = overlap.over_shuffled["failed"][-1].value
    z_H, *_ = run.summary().findings()
    assert "covariant 1 overlaps with what a probe of “digit” reads from z_H" in z_H
    assert f"{ratio:.2g} (no interval) times in failed puzzles" in z_H
    assert set(run.plot()) == {"overlaps", "falls"}
    curves, rises = MEANING.report_panels(run)
    assert {"z_H, failed", "z_L, failed"} <= {row["group"] for row in data_of(curves)}
    assert {row["group"] for row in data_of(rises)} == {"z_H", "z_L"}


def test_a_rise_that_goes_with_the_fall_is_told_from_a_common_one():
    rng = np.random.default_rng(0)
    events = rng.integers(2, 8, 60)
    growth = np.where(np.arange(10) < events[:, None], 0.1, -0.1)
    np.testing.assert_array_equal(fall_segments(growth), events)
    common = np.tile(np.linspace(0, 1, 10), (60, 1))
    groups = np.arange(60) % 2
    own, others = rise_at(common, events, groups)
    np.testing.assert_allclose(own - others, 0, atol=1e-12)
    stepped = np.where(np.arange(10) < events[:, None], 0.2, 0.9)
    own, others = rise_at(stepped, events, groups)
    np.testing.assert_allclose(own, 0.7)
    assert others.max() < 0.4
