"""Compiling for a mesh: no collectives in a sweep, an all-reduce in training; without libtpu."""

import importlib
import importlib.util
import json
import sys

import pytest

from tests.tools.processes import begin, finish

# XLA's partitioner is the same for processors as for TPUs; the number of devices is fixed when a
# process starts
ON_TWO_DEVICES = """
import json
import sys
from dataclasses import asdict

import jax
from jax.sharding import AxisType

from rrjax.jobs.devices import AXIS
from scripts.accelerators import compile_for_accelerators as script
from tests.tools.tiny_training import CONFIG

mesh = jax.make_mesh((2,), (AXIS,), axis_types=(AxisType.Auto,))
load = script.Load(
    num_exponents=2, num_segments=2, puzzles_per_chip=2, points_per_chip=2, slots_per_chip=2
)
programs = {}
for name in ("spectrum-exact", "rollout-exact", "basins", "policies", "training"):
    traced = script.TRACES[name](CONFIG, mesh, load)
    programs[name] = asdict(script.compile_traced(traced, mesh.size, "cpu", {}))
json.dump(programs, sys.stdout)
"""


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        # the script sets these for its own process
        patch.setenv("JAX_PLATFORMS", "cpu")
        patch.setenv("TPU_SKIP_MDS_QUERY", "1")
        yield importlib.import_module("scripts.accelerators.compile_for_accelerators")


@pytest.mark.slow
def test_puzzles_and_points_are_apart_and_gradients_are_summed():
    flags = "--xla_force_host_platform_device_count=2"
    programs = json.loads(finish(begin([sys.executable, "-c", ON_TWO_DEVICES], flags)))
    training = programs.pop("training")
    assert "all-reduce" in training["collectives"]
    assert [row["collectives"] for row in programs.values()] == [{}] * 4
    assert all(row["host_calls"] == 0 for row in (training, *programs.values()))
    assert all(row["temporaries"] > 0 for row in (training, *programs.values()))
    assert set(programs["spectrum-exact"]["flops"]) == {"float32"}


def test_collectives_and_host_calls_are_found_in_a_program(script):
    text = """
      %a = f32[8]{0} all-reduce(%x), channel_id=1
      %b = (f32[8]{0}, f32[16]{0}) all-gather-start(%a), channel_id=2
      %c = f32[16]{0} all-gather-done(%b), metadata={op_name="all-reduce"}
      %d = f32[16]{0} custom-call(%c), custom_call_target="xla_ffi_python_cpu_callback"
      %e = f32[16]{0} custom-call(%d), custom_call_target="Qr"
      %f = ((f32[16]{0}), token[]) infeed(%t)
    """
    assert script.find_collectives(text) == {"all-reduce": 1, "all-gather": 1}
    assert len(script.HOST_CALLS.findall(text)) == 2


@pytest.mark.parametrize(("topology", "extra"), [("v5e:2x2", "tpu"), ("h100", "cuda13")])
def test_a_missing_compiler_is_named(script, topology, extra, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        script.main(script.Options(topology, out=tmp_path / "compiled.json"))
    assert stopped.value.code == 2
    assert f"pip install 'rrjax[{extra}]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs the libtpu wheel")
def test_an_unknown_topology_is_named(script):
    with pytest.raises(ValueError, match="v5e:7x9"):
        script.targets.describe("v5e:7x9")


@pytest.mark.skipif(
    importlib.util.find_spec("jax_cuda13_plugin") is None, reason="needs JAX's CUDA plugin"
)
@pytest.mark.slow
def test_the_table_of_an_h100_has_memory_kernels_and_times(tmp_path):
    options = ("--topology", "h100", "--sizes", "bundled", "--programs", "spectrum-exact")
    load = ("--load.num-segments", "1", "--load.puzzles-per-chip", "2", "--num-kernels", "2")
    out = tmp_path / "compiled.json"
    module = "scripts.accelerators.compile_for_accelerators"
    printed = finish(begin([sys.executable, "-m", module, *options, *load, "--out", str(out)]))
    assert "bundled spectrum-exact" in printed
    (row,) = json.loads(out.read_text())["programs"]
    assert 0 < row["least ms"] < row["modelled ms"]
    assert row["modelled ms each"] == row["modelled ms"] / 2
    # what the kernels of the compiled program multiply is what the traced program asks for
    compiled = row["compiled"]
    work = sum(kernel["trips"] * kernel["work"] for kernel in compiled["kernels"])
    assert work == pytest.approx(sum(compiled["flops"].values()), rel=0.02)
