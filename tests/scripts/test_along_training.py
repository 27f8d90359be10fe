"""Chaos along training: what a checkpoint's row says, which models are read, table and figure."""

import csv
from typing import Any

import numpy as np
import pytest

from scripts.studies import along_training as study

pytest.importorskip("matplotlib")


class Spectra(dict):
    answer_drift = "drift_z_H"


def spectra(lambda1: list[float], drift: list[float], solved: list[bool]) -> Any:
    number = len(lambda1)
    return Spectra(
        exponents=np.array(lambda1)[:, None],
        drift_z_H=np.repeat(np.array(drift)[:, None], 8, axis=1),
        solved=np.array(solved),
        finite=np.arange(number) < number - 1,
    )


MIXED = spectra(
    lambda1=[-0.3, -0.2, -0.1, 0.1, 0.2, -0.2, 9.0],
    drift=[0.1, 0.2, 0.3, 5.0, 7.0, 0.2, 9.0],
    solved=[True, True, True, False, False, False, False],
)


def test_a_row_counts_finite_runs_by_outcome():
    row = study.row_of(MIXED)
    assert (row.num_solved, row.num_failed) == (3, 3)
    assert row.solved.value == 0.5
    assert (row.solved_lambda1.value, row.failed_lambda1.value) == (-0.2, 0.1)
    assert row.chaotic.value == pytest.approx(2 / 3)
    assert row.auc.value == pytest.approx(7.5 / 9)  # the failed −0.2 ties with one, loses to one
    assert (row.solved_drift.value, row.failed_drift.value) == (0.2, 5.0)
    assert row.settled.value == pytest.approx(1 / 3)


def test_without_a_solved_run_nothing_is_compared():
    row = study.row_of(spectra([0.1, 0.2, 0.3], [1.0, 2.0, 3.0], [False] * 3))
    assert (row.num_solved, row.num_failed, row.chaotic.value) == (0, 2, 1.0)
    for undefined in (row.auc, row.solved_lambda1, row.solved_drift, row.settled):
        assert np.isnan(undefined.value)


def test_models_are_taken_in_the_order_of_their_steps(tmp_path):
    for name in ("step_000900", "step_001000", "best", "step_x"):
        (tmp_path / "models" / name).mkdir(parents=True)
    assert list(study.checkpoints(tmp_path)) == [900, 1000]
    assert list(study.checkpoints(tmp_path / "models")) == [900, 1000]
    with pytest.raises(SystemExit, match="expected models step_N"):
        study.checkpoints(tmp_path / "models" / "best")


def test_the_table_and_the_figure_have_every_checkpoint(tmp_path):
    rows = {10: study.row_of(MIXED), 20: study.row_of(MIXED)}
    study.write_table(rows, tmp_path / "table.csv")
    first, last = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    assert (first["step"], last["step"]) == ("10", "20")
    assert float(first["auc"]) == pytest.approx(7.5 / 9, rel=1e-5)
    assert float(first["chaotic_low"]) < 2 / 3 < float(first["chaotic_high"])
    panels: Any = study.figure(rows).axes
    assert [ax.get_ylabel().split("\n")[0] for ax in panels] == [
        "solved puzzles",
        "median λ₁",
        "share of the failed runs",
        "AUC of −λ₁",
        "median late drift ‖Δz‖",
    ]
    for ax in panels:
        assert list(ax.containers[0].lines[0].get_xdata()) == [10, 20]
