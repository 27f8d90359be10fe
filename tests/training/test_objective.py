"""The loss head against loops over tokens in float64, and what rows without labels count for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import Readout
from rrjax.outcomes import is_right
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.training.objective import log_stablemax, score

LOSS_TYPES = ("stablemax_cross_entropy", "softmax_cross_entropy")
ROWS, SEQ, VOCAB = 6, 5, 7
COUNTED = ("count", "accuracy", "exact_accuracy", "q_halt_accuracy", "steps")


def example(seed: int = 0):
    """Logits, labels (row 0 has none, row 1 is answered rightly), q values, halting, steps."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(ROWS, SEQ, VOCAB)).astype(np.float32)
    labels = rng.integers(0, VOCAB, (ROWS, SEQ)).astype(np.int32)
    labels[1] = logits[1].argmax(-1)
    labels[rng.random((ROWS, SEQ)) < 0.3] = IGNORE_LABEL
    labels[0] = IGNORE_LABEL
    labels[1, 0] = logits[1, 0].argmax()
    q_halt, q_continue = rng.normal(size=(2, ROWS)).astype(np.float32)
    halted = np.array([True, True, False, True, True, False])
    readout = Readout(*map(jnp.asarray, (logits, q_halt, q_continue)))
    steps = jnp.arange(1, ROWS + 1, dtype=jnp.int32)
    return readout, jnp.asarray(labels), jnp.asarray(halted), steps


def negative_log_probability(x: np.ndarray, label: int, loss_type: str) -> float:
    x = x.astype(np.float64)
    if loss_type == "softmax_cross_entropy":
        weights = np.exp(x - x.max())
    else:
        weights = np.array([v + 1 if v >= 0 else 1 / (1 - v) for v in x])
    return -np.log(weights[label] / weights.sum())


def binary_cross_entropy(logit: float, target: float) -> float:
    p = 1 / (1 + np.exp(-np.float64(logit)))
    return -target * np.log(p) - (1 - target) * np.log(1 - p)


def brute_force(readout, labels, halted, steps, target, loss_type) -> dict[str, float]:
    totals = dict.fromkeys((*COUNTED, "lm_loss", "q_halt_loss", "q_continue_loss"), 0.0)
    for row in range(ROWS):
        tokens = [i for i in range(SEQ) if labels[row, i] != IGNORE_LABEL]
        losses = [
            negative_log_probability(readout.logits[row, i], labels[row, i], loss_type)
            for i in tokens
        ]
        right = [readout.logits[row, i].argmax() == labels[row, i] for i in tokens]
        totals["lm_loss"] += np.mean(losses) if tokens else 0
        totals["q_halt_loss"] += binary_cross_entropy(readout.q_halt[row], float(all(right)))
        totals["q_continue_loss"] += binary_cross_entropy(readout.q_continue[row], target[row])
        if halted[row] and tokens:
            totals["count"] += 1
            totals["accuracy"] += np.mean(right)
            totals["exact_accuracy"] += all(right)
            totals["q_halt_accuracy"] += (readout.q_halt[row] >= 0) == all(right)
            totals["steps"] += steps[row]
    return totals


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_losses_and_metrics_by_brute_force(loss_type):
    arguments = example()
    target = np.linspace(0.1, 0.9, ROWS, dtype=np.float32)
    found = score(*arguments, jnp.asarray(target), loss_type)
    expected = brute_force(*jax.tree.map(np.asarray, arguments), target, loss_type)
    assert expected["exact_accuracy"] == 1
    assert set(found.metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found.metrics[name], value, rtol=1e-5, err_msg=name)
    loss = expected["lm_loss"] + 0.5 * (expected["q_halt_loss"] + expected["q_continue_loss"])
    np.testing.assert_allclose(found.loss, loss, rtol=1e-5)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_smoothed_labels_and_the_weight_of_halting_by_brute_force(loss_type):
    readout, labels, halted, steps = example()
    found = score(readout, labels, halted, steps, None, loss_type, 0.2, 0.05)
    lm_loss = 0.0
    for row in range(ROWS):
        tokens = [i for i in range(SEQ) if labels[row, i] != IGNORE_LABEL]
        for i in tokens:
            of = [
                negative_log_probability(np.asarray(readout.logits[row, i]), value, loss_type)
                for value in range(VOCAB)
            ]
            lm_loss += (0.8 * of[labels[row, i]] + 0.2 * np.mean(of)) / len(tokens)
    np.testing.assert_allclose(found.metrics["lm_loss"], lm_loss, rtol=1e-5)
    plain = score(readout, labels, halted, steps, None, loss_type)
    np.testing.assert_array_equal(found.metrics["q_halt_loss"], plain.metrics["q_halt_loss"])
    expected = lm_loss + 0.05 * float(plain.metrics["q_halt_loss"])
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)


def test_without_a_target_q_continue_is_in_no_loss():
    found = score(*example(), None, "stablemax_cross_entropy")
    assert "q_continue_loss" not in found.metrics
    expected = found.metrics["lm_loss"] + 0.5 * found.metrics["q_halt_loss"]
    np.testing.assert_allclose(found.loss, expected, rtol=1e-6)


def test_only_halted_slots_with_labels_count():
    readout, labels, halted, steps = example()
    nobody = score(readout, labels, jnp.zeros_like(halted), steps, None, "softmax_cross_entropy")
    assert {name: float(nobody.metrics[name]) for name in COUNTED} == dict.fromkeys(COUNTED, 0)
    only = jnp.arange(ROWS) == 0  # the row without labels, of which every token is "right"
    assert bool(is_right(readout.logits.argmax(-1), labels)[0])
    unlabelled = score(readout, labels, only, steps, None, "softmax_cross_entropy")
    assert {name: float(unlabelled.metrics[name]) for name in COUNTED} == dict.fromkeys(COUNTED, 0)


def test_the_order_of_ignored_logits_changes_no_loss():
    readout, labels, halted, steps = example()
    noise = jnp.where(
        (labels == IGNORE_LABEL)[..., None], readout.logits[..., ::-1], readout.logits
    )
    before = score(readout, labels, halted, steps, None, "stablemax_cross_entropy")
    after = score(
        readout._replace(logits=noise), labels, halted, steps, None, "stablemax_cross_entropy"
    )
    assert not np.array_equal(noise, readout.logits)
    np.testing.assert_array_equal(before.loss, after.loss)


def test_stablemax_and_its_gradient_where_a_branch_has_its_pole():
    x = np.array([-1e4, -1, -1e-6, 0, 1e-6, 1 - 1e-6, 1, 1 + 1e-6, 2, 1e4], np.float32)
    wide = x.astype(np.float64)
    negative = np.minimum(wide, 0)
    s = np.where(wide < 0, 1 / (1 - negative), wide + 1)
    slope = np.where(wide < 0, 1 / (1 - negative) ** 2, 1.0)
    np.testing.assert_allclose(
        log_stablemax(jnp.asarray(x)), np.log(s / s.sum()), rtol=1e-6, atol=1e-7
    )
    jacobian = np.diag(slope / s) - slope / s.sum()
    found = jax.jit(jax.jacrev(log_stablemax))(jnp.asarray(x))
    np.testing.assert_allclose(found, jacobian, rtol=1e-5, atol=1e-10)
