"""The code that users write, block by block, at tiny sizes."""

import jax
import numpy as np
import pytest

import rrjax


@pytest.fixture(scope="module")
def model() -> rrjax.Model:
    return rrjax.load_model("trm-sudoku6")


def test_a_model_many_puzzles_and_what_came_of_it(model, tmp_path):
    puzzles = model.test_puzzles()[:4]
    sizes = {"num_exponents": 2, "num_segments": 2}
    run = rrjax.experiments.spectrum(model, puzzles, **sizes, folder=tmp_path / "first")
    assert run.exponents.shape == (4, 2)
    assert run.solved.dtype == bool
    assert "λ1" in repr(run.summary())
    assert "_repr_html_" in dir(run.plot())
    assert run.to_xarray()["exponents"].dims == ("puzzle", "exponent")
    again = rrjax.load_results(tmp_path / "first")
    np.testing.assert_array_equal(again.exponents, run.exponents)
    assert repr(again.summary()) == repr(run.summary())


def test_one_puzzle_by_hand_under_vmap_is_the_experiment(model):
    puzzles = model.test_puzzles()[:3]
    keys = jax.random.split(jax.random.key(0), len(puzzles))
    spectra = jax.vmap(
        lambda tokens, key: rrjax.spectrum(
            model.bind(tokens), num_exponents=1, num_segments=2, key=key
        )
    )(puzzles.inputs, keys)
    assert spectra.exponents.shape == (3, 1)
    one = rrjax.spectrum(model.bind(puzzles.inputs[2]), 1, 2, key=keys[2])
    np.testing.assert_allclose(spectra.exponents[2], one.exponents, atol=1e-4)
    trajectory = rrjax.rollout(model.bind(puzzles.inputs[0]), num_segments=3)
    assert trajectory.logits.argmax(-1).shape == (3, 36)


def test_restarts_planes_of_starts_and_noise(model):
    puzzles = model.test_puzzles()[:3]
    sizes = {"num_segments": 2, "progress": False}
    basin = rrjax.experiments.basin(model, puzzles, sigmas=[0.1, 1.0], num_restarts=1, **sizes)
    assert basin.solved.shape == (3, 3, 2)
    plane = rrjax.experiments.slice(model, puzzles[2], grid=2, rest_segments=1, **sizes)
    assert plane.answer_index.shape == (2, 2)
    noisy = rrjax.experiments.ptrm(model, puzzles, sigma=0.1, num_runs=2, **sizes)
    assert noisy.exponents.shape == (3, 3, 1)
