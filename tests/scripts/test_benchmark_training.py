"""The benchmark of a training step: PyTorch's is ours, and memory does not grow with cycles."""

import json
import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from rrjax.cells import init_params
from rrjax.training.data import Sampler
from rrjax.training.settings import Recipe
from scripts.benchmarks import training as benchmark

TINY = {"hidden_size": 16, "num_heads": 1, "puzzle_emb_ndim": 16, "puzzle_emb_len": 1}
SHORT = {"H_cycles": 2, "L_cycles": 2, "L_layers": 1, "halt_max_steps": 1}


def config():
    official = benchmark.official_mlp()
    return replace(official, arch=replace(official.arch, **TINY, **SHORT))


def test_four_steps_in_torch_have_the_losses_of_ours():
    """Every step starts anew (`halt_max_steps` 1), so that weights alone carry over."""
    torch = pytest.importorskip("torch")
    recipe = Recipe(global_batch_size=4, lr=1e-2, lr_warmup_steps=0, puzzle_emb_lr=0.0)
    params = init_params(jax.random.key(0), config())
    batch = Sampler(benchmark.puzzles(4), 4, 0).batch(0)
    ours = benchmark.in_rrjax(config(), recipe, params, batch)
    theirs = benchmark.torch_reference.training_step(torch, config(), recipe, params, batch)
    losses = np.array([[float(ours()["loss"]), float(theirs())] for _ in range(4)])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-4)
    assert losses[3, 0] < 0.9 * losses[0, 0]


def test_it_runs_at_a_tiny_size(tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    small = config()
    monkeypatch.setattr(benchmark, "official_mlp", lambda width: small)
    few = benchmark.puzzles(4)
    monkeypatch.setattr(benchmark, "puzzles", lambda: few)
    monkeypatch.setattr(benchmark.jax.config, "update", lambda name, value: None)
    out = tmp_path / "speed.json"
    benchmark.main(benchmark.Options(out=out, batch_size=2, rounds=1, cycles=(3, 5)))
    found = json.loads(out.read_text())["results"]
    assert all(math.isfinite(found[name]) and found[name] > 0 for name in found if "step" in name)
    memory = found["temporary bytes by cycles"]
    assert memory["5"] == memory["3"] > 0
    assert "PyTorch / rrjax" in capsys.readouterr().out
