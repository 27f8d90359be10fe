"""The benchmark: what it compares is one network, what it counts is right, and it runs."""

import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import init_params
from scripts.benchmarks import spectrum as benchmark
from scripts.benchmarks import timing

# of the parts of PyTorch that `torch.func` imports
IN_TORCH = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
TINY = {"hidden_size": 8, "num_heads": 1, "H_cycles": 1, "L_cycles": 1, "L_layers": 1}


def tiny(config, **more):
    return replace(config, arch=replace(config.arch, **TINY, **more), seq_len=81)


@pytest.mark.slow
@IN_TORCH
def test_it_runs_at_a_tiny_size(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(timing, "MATRIX_SIZE", 64)
    case = benchmark.Case("tiny", tiny(benchmark.bundled("trm-sudoku9")), 2)
    monkeypatch.setattr(benchmark, "make_cases", lambda options: [case])
    monkeypatch.setattr(benchmark.jax.config, "update", lambda name, value: None)
    out = tmp_path / "speed.json"
    benchmark.main(benchmark.Options(out=out, repeats=1))
    (row,) = json.loads(out.read_text())["results"].values()
    assert all(math.isfinite(value) and value > 0 for value in row.values())
    assert row["temporary MB, 16 segments"] < 1.01 * row["temporary MB, 1 segments"] + 1e-3
    assert "spectrum / forward / (1 + k)" in capsys.readouterr().out


def test_every_case_has_a_cell_of_its_size():
    for case in benchmark.make_cases(benchmark.Options()):
        params = jax.eval_shape(lambda case=case: init_params(jax.random.key(0), case.config))
        number = sum(leaf.size for leaf in jax.tree.leaves(params))
        assert number > 400_000, case.title
    quick = benchmark.make_cases(benchmark.Options(quick=True))
    assert [case.k for case in quick] == [8, 8]


@IN_TORCH
def test_the_network_in_torch_is_the_same():
    torch = pytest.importorskip("torch")
    config = tiny(benchmark.bundled("trm-sudoku9"), puzzle_emb_len=2, puzzle_emb_ndim=8)
    params, tokens = init_params(jax.random.key(1), config), benchmark.make_tokens(2)
    run = benchmark.torch_reference.forward(torch, config, 2, params, tokens)
    expected = benchmark.forward(config, 2, params, jnp.asarray(tokens))["z"]
    np.testing.assert_allclose(run().numpy(), expected, atol=1e-3)


@IN_TORCH
@pytest.mark.parametrize("qr", ["householder_qr", "cholesky_qr2"])
def test_the_spectrum_in_torch_is_the_same(qr):
    torch = pytest.importorskip("torch")
    reference = benchmark.torch_reference
    config = tiny(benchmark.bundled("trm-sudoku9"))
    params, tokens = init_params(jax.random.key(1), config), benchmark.make_tokens(2)
    torch.manual_seed(0)
    run = reference.spectrum(torch, config, 60, 2, params, tokens, getattr(reference, qr))
    found = run().numpy().sum(0)
    ours = benchmark.tangents(config, 60, 2, "exact", params, jnp.asarray(tokens))["log_growth"]
    # other random frames: the sums differ by what the first updates forget of them
    np.testing.assert_allclose(found, np.asarray(ours).sum(1), atol=6)


def test_operations_of_the_official_network():
    # a block: SwiGLUs of three products each, over 97 tokens (inner 512) and 512 channels (1536)
    block = 2 * 3 * (512 * 97 * 512 + 97 * 512 * 1536)
    config = benchmark.official_mlp()
    assert benchmark.operations(config) == 21 * 2 * block


def test_cases_take_turns():
    calls = []
    cases = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = timing.measure(cases, 2)
    assert calls == ["a", "b"] * 3
    assert {name: times.shape for name, times in seconds.items()} == {"a": (2,), "b": (2,)}
