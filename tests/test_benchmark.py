"""The benchmark: what it compares is one network, what it counts is right, and it runs."""

import importlib.util
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import init_params

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_at_a_tiny_size(benchmark, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "MATRIX_SIZE", 64)
    out = tmp_path / "speed.json"
    benchmark.main(
        benchmark.Options(out=out, hidden_size=8, num_exponents=2, chunks=(1,), quick=True)
    )
    results = json.loads(out.read_text())["results"]
    assert set(results) == {"product", "chunk 1", "spectrum's memory"}
    assert all(math.isfinite(x) and x > 0 for row in results.values() for x in row.values())
    assert results["chunk 1"]["spectrum / forward"] > 1
    one, four = results["spectrum's memory"].values()
    assert four < 1.01 * one + 1e-3
    assert "spectrum / forward" in capsys.readouterr().out


def test_the_network_in_torch_is_the_same(benchmark):
    pytest.importorskip("torch")
    config = benchmark.official_config(16)
    params = init_params(jax.random.key(1), config)
    tokens = np.random.default_rng(0).integers(1, 11, (2, 81))
    in_torch = benchmark.torch_forward(config, 1, params, tokens)
    in_jax = benchmark.forward(config, 1, params, jnp.asarray(tokens, jnp.int32))
    np.testing.assert_allclose(in_torch().numpy(), in_jax.z_H, atol=1e-3)


def test_operations_of_the_official_network(benchmark):
    # a block: SwiGLUs of three products each, over 97 tokens (inner 512) and 512 channels (1536)
    block = 2 * 3 * (512 * 97 * 512 + 97 * 512 * 1536)
    assert benchmark.flops(benchmark.official_config(512)) == 21 * 2 * block


def test_cases_take_turns(benchmark):
    calls = []
    cases = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = benchmark.measure(cases, 2)
    assert calls == ["a", "b"] * 3
    assert {name: times.shape for name, times in seconds.items()} == {"a": (2,), "b": (2,)}
