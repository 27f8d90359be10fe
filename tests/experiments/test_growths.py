"""Growth by part on a tiny model: the parts of the library, their sums, the summary."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from rrjax.analysis.growths import Contribution
from rrjax.analysis.intervals import Interval
from rrjax.experiments import growth, load_results
from rrjax.inside import growth_by_part, stage_names
from rrjax.reports.growths import findings
from tests.experiments.conftest import NUMBER, relabelled
from tests.tools.charts import rows_of_panels

SEGMENTS, FOLLOWED = 2, 2


@pytest.fixture(scope="module")
def puzzles(plain):
    labels = np.stack([run.answers[0] for run in plain])
    labels[:2] = [run.answers[SEGMENTS - 1] for run in plain[:2]]  # right after the run
    labels[2] = plain[2].answers[SEGMENTS + FOLLOWED - 1]
    return relabelled(np.where(labels == 0, 1, labels))


def test_parts_are_those_of_the_library_and_add_up(model, puzzles, tmp_path):
    sizes = {"num_vectors": 2, "num_segments": SEGMENTS, "num_followed": FOLLOWED}
    asked = {**sizes, "chunk_size": 3, "folder": tmp_path / "run", "progress": False}
    run = growth(model, puzzles, **asked)
    before = (tmp_path / "run" / "results.npz").read_bytes()
    growth(model, puzzles, **asked)
    assert (tmp_path / "run" / "results.npz").read_bytes() == before
    dynamics = model.bind(puzzles.inputs[4])
    key = jax.random.fold_in(jax.random.key(0), 4)
    parts = growth_by_part(dynamics, 2, SEGMENTS, key=key)
    np.testing.assert_allclose(run.by_stage[4].sum((0, 1)), run.exponents[4], atol=1e-5)
    rows = run.by_row_z_H.sum(-1) + run.by_row_z_L.sum(-1)
    np.testing.assert_allclose(rows, run.exponents, atol=1e-5)
    number = len(parts.log_growth)
    np.testing.assert_allclose(run.by_stage[4], parts.stages.sum(0) / number, atol=1e-4)
    shares = run.share_z_H + run.share_z_L
    np.testing.assert_allclose(shares, 1, atol=1e-5)
    np.testing.assert_allclose(run.v1_z_H + run.v1_z_L, 1, atol=1e-5)
    assert run.record["stages"] == list(stage_names(dynamics))
    again = load_results(tmp_path / "run")
    summary = again.summary()
    assert summary.num_solved + summary.num_failed == NUMBER
    assert summary.largest_gap < 1e-5
    total = sum(part.failed.value for part in summary.stages)
    assert total == pytest.approx(summary.lambda1.failed.value, abs=1e-5)
    of_one_outcome = not summary.num_solved or not summary.num_failed
    assert (summary.findings() == []) == of_one_outcome
    small, large = (Interval(value, value - 1, value + 1) for value in (0.5, -2.0))
    stages = [Contribution("sum", small, small, small), Contribution("norm", large, large, large)]
    planted = replace(summary.numbers, num_solved=3, num_failed=2, lambda1=stages[0], stages=stages)
    lambda1, stage = findings(again, planted)
    assert lambda1.startswith("λ₁ of 2 failed runs less that of 3 solved is +0.500 (95 % interval")
    assert "is norm: -2.000 (95 % interval -3.000 to -1.000)" in stage
    assert [each.name for each in summary.stretches] == ["early", "late", "never"]
    assert sum(each.num_puzzles for each in summary.stretches) == NUMBER
    assert "The stages add up to λ₁" in " ".join(repr(summary).split())
    assert set(again.plot()) == {"stages_by_outcome"}
    parts, updates, cells = rows_of_panels(again)
    of_failed = [row["value"] for row in updates if row["group"] == "failed"]
    assert sum(of_failed) == pytest.approx(summary.lambda1.failed.value, abs=1e-4)
    assert len(parts) == 2 * (len(summary.stages) + 3)
    assert len(cells) == 6


def test_steps_are_left_out_where_they_are_not_asked_for(model, puzzles):
    run = growth(model, puzzles, num_vectors=1, num_segments=1, num_lanczos=0, progress=False)
    assert not {"natural", "singular_value"} & {*run}
    assert "How a segment stretches" not in repr(run.summary())
