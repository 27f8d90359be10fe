"""A few puzzles of a spectrum held against float64, and how the tables say it."""

import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.dynamics.certificate import Certificate
from rrjax.experiments import certificates, spectrum
from rrjax.experiments.certificates import choose_puzzles
from tests.experiments.conftest import PUZZLES, relabelled

SIZES = {"num_exponents": 2, "num_segments": 3, "chunk_size": 4, "progress": False}


@pytest.fixture(scope="module")
def half_solved(model):
    """Puzzles whose labels are what the model answers to every second one."""
    answers = spectrum(model, PUZZLES, **SIZES, precision="bf16", num_certified=0).answers
    return relabelled(np.where(np.arange(len(answers))[:, None] % 2, answers, 1))


@pytest.mark.parametrize(
    ("solved", "finite", "number", "chosen"),
    [
        ("101010", "111111", 4, [0, 1, 2, 3]),
        ("111100", "111111", 4, [0, 1, 4, 5]),
        ("111111", "111111", 4, [0, 1, 2, 3]),
        ("000000", "111111", 4, [0, 1, 2, 3]),
        ("100000", "111111", 4, [0, 1, 2, 3]),
        ("111110", "111111", 4, [0, 1, 2, 5]),
        ("101010", "001111", 2, [2, 3]),
        ("101010", "000000", 4, []),
        ("101010", "111111", 0, []),
    ],
)
def test_both_outcomes_are_chosen_as_far_as_there_are_any(solved, finite, number, chosen):
    solved, finite = (np.array([c == "1" for c in text]) for text in (solved, finite))
    assert choose_puzzles(solved, finite, number).tolist() == chosen


def test_a_spectrum_that_is_not_exact_has_a_certificate(model, half_solved, tmp_path, monkeypatch):
    options = SIZES | {"precision": "bf16", "num_certified": 4, "folder": tmp_path}
    run = spectrum(model, half_solved, **options)
    assert run.certified.tolist() == [0, 1, 2, 3]
    assert run.tangent_error.shape == (4, 2)
    assert 1e-7 < run.tangent_error.max() < 0.05
    # in the first updates chaos has not parted the trajectories
    np.testing.assert_allclose(run.lambda1_of_states, run.lambda1_of_exact_states, atol=1e-3)
    np.testing.assert_allclose(run.exponents[:4, 0], run.lambda1_of_states, atol=0.05)
    notes = run.summary().tables[0].notes
    assert f"up to {run.tangent_error.max():.1g} nats per update" in " ".join(notes)
    assert "(2 solved); " in notes[-1]
    assert "(2 failed)." in notes[-1]
    monkeypatch.setattr(certificates, "certify", None)
    again = spectrum(model, half_solved, **options)
    np.testing.assert_array_equal(again.tangent_error, run.tangent_error)


def test_an_exact_spectrum_has_one_when_asked(model, monkeypatch):
    def without_error(dynamics, num_exponents, num_segments, **options) -> Certificate:
        numbers = jnp.zeros(num_exponents)
        return Certificate(numbers + 2e-6, numbers, jnp.zeros(()), jnp.zeros(()))

    monkeypatch.setattr(certificates, "certify", without_error)
    plain = spectrum(model, PUZZLES, **SIZES)
    assert "certified" not in plain
    assert plain.summary().tables[0].notes[-1] == "Matrix products are exact float32."
    run = spectrum(model, PUZZLES, **SIZES, num_certified=1)
    assert run.tangent_error.shape == (1, 2)
    notes = run.summary().tables[0].notes
    assert notes[-1].startswith("The tangents' rounding changes exponents by up to 2e-06 nats")


def test_float64_is_not_held_against_itself(model, monkeypatch):
    monkeypatch.setattr(certificates.Job, "dtype", "float64")
    with pytest.raises(ValueError, match="num_certified must be 0 for a run in float64, got 2"):
        spectrum(model, PUZZLES, **SIZES, num_certified=2)
