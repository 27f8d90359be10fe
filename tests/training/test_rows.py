"""Rows of metrics: means of their steps, written late, with the time that the steps took."""

from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from rrjax.training import rows as module
from rrjax.training.logs import METRICS, Logs, read_table
from rrjax.training.monitor import Monitor
from rrjax.training.rows import Rows, means

EIGHT = jnp.asarray(8.0)


def test_before_any_slot_has_halted_there_is_only_its_loss():
    none = {name: jnp.asarray(0.0) for name in ("count", "accuracy")} | {"loss": EIGHT}
    assert means([none], 4, 1.0).keys() == {"loss", "seconds_per_step", "examples_per_second"}
    row = means([{"count": 2.0, "accuracy": 1.0, "loss": EIGHT}], 4, 1.0)
    assert (row["accuracy"], row["loss"]) == (0.5, 2.0)


def test_a_row_is_written_when_asked_for_and_its_time_leaves_pauses_out(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(module, "time", clock)
    reported = []
    rows = Rows(Logs(tmp_path), Monitor(0.0), lambda step, row: reported.append(step), 4)
    norms = {"gradient_norm": EIGHT, "parameter_norm": EIGHT}
    rows.write_closed()
    for step in (1, 2):
        rows.add({"count": EIGHT, "loss": EIGHT, "gradient_norm": EIGHT})
        rows.close(step, norms)
        assert len(reported) == step - 1
        clock.now += 3
        rows.write_closed()
        assert reported[-1] == step
        clock.now += 100
        rows.restart_clock()
    assert read_table(tmp_path / METRICS)["seconds_per_step"].tolist() == [3, 3]


def test_the_step_of_a_row_that_stops_the_run_is_named(tmp_path):
    rows = Rows(Logs(tmp_path), Monitor(0.0), lambda *_: None, 4)
    rows.add({"count": EIGHT, "loss": EIGHT * jnp.nan, "gradient_norm": EIGHT})
    rows.close(7, {"parameter_norm": EIGHT})
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 7"):
        rows.write_closed()
    assert not (tmp_path / METRICS).exists()
