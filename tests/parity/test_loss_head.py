"""The loss head on golden logits, and a whole training segment's loss, metrics and halting."""

import functools

import jax
import numpy as np
import pytest

from rrjax.cells import Readout
from rrjax.training.objective import score
from tests.parity import golden
from tests.parity.golden import CASES, EACH, SEGMENTS


@functools.partial(jax.jit, static_argnums=0)
def score_golden(loss_type, labels, logits, q_halt, q_continue, halted, steps):
    return score(Readout(logits, q_halt, q_continue), labels, halted, steps, None, loss_type)


def metrics_under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def assert_same_metrics(found: dict, expected: dict, rtol: float):
    assert set(found) == set(expected)
    for name, value in expected.items():
        if value.dtype.kind == "i":
            assert int(found[name]) == int(value), name
        else:
            np.testing.assert_allclose(found[name], value, rtol, atol=0, err_msg=name)


@pytest.mark.parametrize("t", range(SEGMENTS))
@pytest.mark.parametrize("name", CASES)
def test_evaluation(name: str, t: int):
    arrays = golden.arrays(name, "golden")
    keys = ("logits", "q_halt_logits", "q_continue_logits", "halted", "steps")
    with golden.precision("float32"):
        loss_type = golden.load_case(name).config.arch.loss_type
        scores = score_golden(
            loss_type, arrays["labels"], *(arrays[f"eval/{t}/{key}"] for key in keys)
        )
    assert_same_metrics(scores.metrics, metrics_under(arrays, f"eval/{t}/metrics/"), rtol=2e-6)
    np.testing.assert_allclose(scores.loss, arrays[f"eval/{t}/loss"], rtol=2e-6)


@pytest.mark.parametrize("name", EACH)
def test_training_segment(name: str):
    arrays, found = golden.arrays(name, "golden"), golden.backward(name)
    np.testing.assert_allclose(found.loss, arrays["train/loss"], rtol=1e-5)
    np.testing.assert_array_equal(found.halted, arrays["train/halted"])
    assert_same_metrics(found.metrics, metrics_under(arrays, "train/metrics/"), rtol=2e-4)
