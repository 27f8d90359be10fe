"""Tangent dynamics: ln R of every update's QR from the golden frame, end states, exponents."""

import jax
import numpy as np
import pytest

from tests.parity import golden
from tests.parity.golden import EACH, FAST

# float32 runs the same program, and so a few cells are enough to judge its round-off
RUNS = [pytest.param(*each.values, "float64", marks=each.marks) for each in EACH]
RUNS += [pytest.param(name, "float32", marks=pytest.mark.slow) for name in (*FAST, "trm_hier6")]


def tolerance(name: str, dtype: str) -> float:
    if dtype == "float32":
        return 5e-3
    return 1e-5 if golden.load_case(name).has_rotary_tables else 1e-6


@pytest.mark.parametrize(("name", "dtype"), RUNS)
def test_log_stretch(name: str, dtype: str):
    expected, found = golden.arrays(name, "tangent_f64"), golden.tangents(name, dtype)
    assert found.log_growth.dtype == dtype
    assert found.finite.all()
    error = np.abs(np.asarray(found.log_growth) - expected["log_stretch"]).max()
    assert error <= tolerance(name, dtype)


@pytest.mark.parametrize(("name", "dtype"), RUNS)
def test_exponents(name: str, dtype: str):
    expected, found = golden.arrays(name, "tangent_f64"), golden.tangents(name, dtype)
    error = np.abs(np.asarray(found.exponents) - expected["exponents_per_update"]).max()
    assert error <= tolerance(name, dtype)


@pytest.mark.parametrize("name", EACH)
def test_end_state(name: str):
    expected, found = golden.arrays(name, "tangent_f64"), golden.tangents(name, "float64")
    atol = 1e-5 if golden.load_case(name).has_rotary_tables else 1e-8
    for field, leaf in found.state._asdict().items():
        np.testing.assert_allclose(leaf, expected[f"state/{field}"], rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["trm_mlp", pytest.param("hrm", marks=pytest.mark.slow)])
def test_the_order_of_the_frame_shows(name: str):
    """The growth of the last vectors depends on those before, but that of all k together not."""
    expected = golden.arrays(name, "tangent_f64")
    with golden.precision("float64"):
        case = golden.load_case(name, "float64")
        reverse = jax.tree.map(lambda leaf: leaf[:, ::-1], golden.frames(case))
        segments = int(expected["segments"])
        found = golden.spectra(case.config, segments, case.params, case.batch, reverse)
    stretch, growth = expected["log_stretch"], np.asarray(found.log_growth)
    assert np.abs(growth - stretch).max() > 1e-2
    np.testing.assert_allclose(growth.sum(-1), stretch.sum(-1), rtol=0, atol=1e-5)
