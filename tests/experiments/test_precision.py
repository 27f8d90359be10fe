"""One argument for the precision of all experiments: what it changes, and where it is told."""

import json

import jax
import numpy as np
import pytest

from rrjax.experiments import basin, experiment, ptrm, rollout, slice, spectrum
from rrjax.models import load_model
from tests.experiments.conftest import PUZZLES, make_model

SIZES = {"num_segments": 2, "chunk_size": 2, "progress": False}
EXPERIMENTS = {
    "rollout": (rollout, PUZZLES[:2], {}),
    "basin": (basin, PUZZLES[:2], {"sigmas": [1.0], "num_restarts": 1}),
    "ptrm": (ptrm, PUZZLES[:2], {"num_runs": 1, "num_exponents": 0}),
    "slice": (slice, PUZZLES[0], {"grid": 5, "rest_segments": 1}),
    "spectrum": (spectrum, PUZZLES[:2], {"num_exponents": 1, "num_certified": 0}),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_precision_changes_the_numbers_and_stands_in_record_and_notes(model, name):
    run, puzzles, options = EXPERIMENTS[name]
    exact, coarse = (
        run(model, puzzles, **options, **SIZES, precision=precision)
        for precision in ("exact", "bf16")
    )
    array = "exponents" if name == "spectrum" else "residual"
    difference = np.abs(exact[array] - coarse[array])
    assert 1e-6 < difference.max() < 0.1
    assert coarse.record["options"]["precision"] == "bf16"
    words = "bf16 in tangents and split in states" if name == "spectrum" else "bf16"
    assert f"Matrix products are {words}." in coarse.summary().tables[0].notes
    assert "Matrix products are exact float32." in exact.summary().tables[0].notes


def test_a_folder_holds_one_precision_and_names_the_one_that_auto_stands_for(
    model, tmp_path, monkeypatch
):
    options = SIZES | {"num_exponents": 1, "num_certified": 0, "folder": tmp_path}
    monkeypatch.setattr(experiment, "default_precision", lambda: "tf32")
    spectrum(model, PUZZLES[:2], **options)
    identity = json.loads((tmp_path / "sweep.json").read_text())["identity"]
    assert identity["precision"] == "tf32"
    with pytest.raises(ValueError, match="its precision is tf32, asked for exact"):
        spectrum(model, PUZZLES[:2], **options, precision="exact")


def test_a_float64_model_is_measured_exactly_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "default_precision", lambda: "tf32")
    make_model(tmp_path)
    with jax.enable_x64(True):
        model = load_model(tmp_path / "model", "float64")
        run = spectrum(model, PUZZLES[:2], **SIZES, num_exponents=1)
        assert run.record["options"]["precision"] == "exact"
        with pytest.raises(ValueError, match="the states are float64; use precision"):
            rollout(model, PUZZLES[:2], **SIZES, precision="bf16")
