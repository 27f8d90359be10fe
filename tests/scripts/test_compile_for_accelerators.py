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

from scripts.accelerators import compile_for_accelerators as script
from tests.tools.tiny_training import CONFIG

mesh = jax.make_mesh((2,), (script.AXIS,), axis_types=(AxisType.Auto,))
options = script.Options(
    num_exponents=2, num_segments=2, puzzles_per_chip=2, points_per_chip=2, slots_per_chip=2
)
found = {}
for name in ("spectrum", "basins", "training"):
    traced = script.TRACES[name](CONFIG, mesh, options)
    found[name] = asdict(script.compile_traced(traced, mesh.size, "cpu"))
json.dump(found, sys.stdout)
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
    found = json.loads(finish(begin([sys.executable, "-c", ON_TWO_DEVICES], flags)))
    assert found["spectrum"]["collectives"] == found["basins"]["collectives"] == {}
    assert "all-reduce" in found["training"]["collectives"]
    assert all(row["host_calls"] == 0 and row["temporaries"] > 0 for row in found.values())
    assert set(found["spectrum"]["flops"]) == {"float32"}


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


def test_a_missing_compiler_is_named(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        script.main(script.Options(out=tmp_path / "compiled.json"))
    assert stopped.value.code == 2
    assert "pip install 'rrjax[tpu]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs the libtpu wheel")
def test_an_unknown_topology_is_named(script):
    with pytest.raises(ValueError, match="v5e:7x9"):
        script.describe("v5e:7x9")
