"""The benchmark of sweeps runs, small, and compares the same arithmetic."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rrjax.cells import Arch, Config
from scripts.benchmarks import sweep as benchmark

TINY = Config(
    Arch(
        hidden_size=8,
        num_heads=1,
        H_cycles=1,
        L_cycles=1,
        L_layers=1,
        mlp_t=True,
        pos_encodings="none",
    )
)


@pytest.mark.slow
def test_it_runs_at_a_tiny_size(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "official_mlp", lambda width: TINY)
    monkeypatch.setattr(benchmark, "bundled", lambda name: TINY)
    monkeypatch.setattr(benchmark, "COMMANDS", {"sudoku": ""})
    monkeypatch.setattr(benchmark.jax.config, "update", lambda name, value: None)
    options = benchmark.Options(out=tmp_path / "speed.json", chunks=(1, 2), num_chunks=3, repeats=1)
    benchmark.main(replace(options, num_segments=1))
    found = json.loads(options.out.read_text())["results"]
    assert [len(rows) for rows in found.values()] == [3, 2, 1]
    for rows in found.values():
        assert all(math.isfinite(value) and value > 0 for value in rows.values())
    assert "basin / forward" in capsys.readouterr().out


def test_the_basin_sweep_runs_the_network_of_the_forward():
    forward, basin = benchmark.forward_work(TINY, 2), benchmark.basin_work(TINY, 2)
    items = np.arange(2)[None]
    assert forward(items)["z"].shape[:2] == basin(items)["solved"].shape[:2] == (1, 2)
    assert basin(items)["solved"].shape[2] == 2
