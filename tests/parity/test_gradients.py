"""Every gradient of a training segment: a misplaced `stop_gradient` leaves all values equal."""

import dataclasses

import numpy as np
import pytest

from rrjax.contract import Dynamics, count_updates
from rrjax.training import act
from tests.parity import golden
from tests.parity.golden import EACH

TOLERANCE = 1e-4


def relative_errors(name: str, grads: dict) -> dict[str, float]:
    """‖difference‖ / ‖golden‖ of every parameter; a vanishing gradient must vanish exactly."""
    errors = {}
    for key, expected in golden.arrays(name, "golden").items():
        if key.startswith("train/grad/"):
            distance = np.linalg.norm(np.asarray(grads[key.removeprefix("train/grad/")]) - expected)
            size = np.linalg.norm(expected)
            errors[key] = float(distance / size) if size else float(np.sign(distance))
    return errors


@pytest.mark.parametrize("name", EACH)
def test_gradients(name: str):
    errors = relative_errors(name, golden.backward(name).grads)
    assert max(errors.values()) <= TOLERANCE, errors


@pytest.mark.parametrize("name", EACH)
def test_nothing_else_has_a_gradient(name: str):
    """Initial vectors, and the table whose rows are differentiated by row."""
    grads = golden.backward(name).grads
    expected = {key for key in golden.arrays(name, "golden") if key.startswith("train/grad/")}
    rest = set(grads) - {key.removeprefix("train/grad/") for key in expected}
    assert "inner.H_init" in rest or "inner.L_init" in rest
    assert all(key.endswith(("_init", "puzzle_emb.weights")) for key in rest)
    assert not any(np.asarray(grads[key]).any() for key in rest)


def with_all_updates(dynamics: Dynamics) -> Dynamics:
    return dataclasses.replace(dynamics, gradient_updates=count_updates(dynamics.schedule))


def with_one_update_fewer(dynamics: Dynamics) -> Dynamics:
    assert dynamics.gradient_updates is not None
    return dataclasses.replace(dynamics, gradient_updates=dynamics.gradient_updates - 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "misplace"),
    [("trm_mlp", with_all_updates), ("hrm", with_all_updates), ("hrm", with_one_update_fewer)],
)
def test_a_misplaced_stop_gradient_shows(monkeypatch: pytest.MonkeyPatch, name: str, misplace):
    bind = act.bind_vector
    monkeypatch.setattr(act, "bind_vector", lambda *arguments: misplace(bind(*arguments)))
    with golden.precision("float32"):
        wrong = golden.differentiate(golden.load_case(name))
    np.testing.assert_allclose(wrong.loss, golden.backward(name).loss, rtol=1e-5)
    errors = relative_errors(name, wrong.grads)
    assert max(errors.values()) > 100 * TOLERANCE, errors
