"""The share of time that the training loop lets the device compute."""

import gzip
import json

import pytest

from scripts.benchmarks.loop import covered, program_intervals


def test_overlaps_count_once_and_gaps_not_at_all():
    assert covered([(2.0, 4.0), (3.0, 5.0), (3.0, 4.0), (7.0, 12.0)]) == pytest.approx(0.8)


def test_only_the_operations_of_the_step_count(tmp_path):
    def event(start: int, module: str) -> dict:
        return {"ph": "X", "name": "dot", "ts": start, "dur": 2, "args": {"hlo_module": module}}

    events = [event(5, "jit_train_step"), event(1, "jit_train_step"), event(3, "jit_norm")]
    events += [{"ph": "M", "name": "thread_name"}, {"ph": "X", "name": "host", "ts": 0, "dur": 9}]
    (tmp_path / "a").mkdir()
    with gzip.open(tmp_path / "a" / "host.trace.json.gz", "wt") as file:
        json.dump({"traceEvents": events}, file)
    assert program_intervals(tmp_path) == [(1, 3), (5, 7)]
