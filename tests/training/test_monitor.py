"""What stops a run, and what does not."""

import math

import pytest

from rrjax.training.monitor import Monitor
from rrjax.training.settings import LoopSettings


def means(loss: float, **more: float) -> dict[str, float]:
    return {"loss": loss, "gradient_norm": 1.0, "parameter_norm": 1.0} | more


def test_a_loss_far_above_the_recent_ones_and_the_first_is_a_spike():
    monitor = Monitor(10.0)
    assert [monitor.complaint(means(1.0)) for _ in range(5)] == [None] * 5
    assert monitor.complaint(means(10.0)) is None  # not more than
    complaint = monitor.complaint(means(10.1))
    assert complaint is not None
    assert "the loss jumped to 10.1, more than 10 times the median 1 of the 6 logged" in complaint
    assert 10.1 not in monitor.losses


def test_a_jump_that_stays_below_the_first_loss_is_none():
    monitor = Monitor(10.0, [2.0] + [0.01] * 20)
    assert monitor.complaint(means(1.9)) is None
    assert monitor.complaint(means(2.1)) is not None


def test_few_losses_are_no_comparison_and_zero_asks_for_none():
    assert Monitor(10.0, [1.0] * 4).complaint(means(1e9)) is None
    assert Monitor(0.0, [1.0] * 20).complaint(means(1e9)) is None


@pytest.mark.parametrize("name", ["loss", "gradient_norm", "parameter_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_named(name, value):
    words = {"loss": "loss", "gradient_norm": "gradient", "parameter_norm": "weights"}[name]
    complaint = Monitor(0.0).complaint(means(1.0) | {name: value})
    assert complaint is not None
    assert words in complaint
    assert complaint.endswith(f" is {value}")


def test_the_first_loss_and_the_last_twenty_are_remembered():
    monitor = Monitor(0.0)
    for loss in range(100):
        monitor.complaint(means(float(loss)))
    assert monitor.losses == [0.0, *map(float, range(79, 100))]
    again = Monitor(10.0, monitor.losses)
    assert again.complaint(means(895.0)) is None  # the median of 80..99 is 89.5
    assert Monitor(10.0, monitor.losses).complaint(means(896.0)) is not None


@pytest.mark.parametrize("factor", [-1.0, 0.5, 1.0, math.inf, math.nan])
def test_a_factor_that_makes_no_sense_is_refused(factor):
    with pytest.raises(ValueError, match="spike_factor must be 0 or above 1"):
        LoopSettings(spike_factor=factor)
