"""Describes accelerators that need not be there, so that programs can be compiled for them."""

import importlib.util
from collections.abc import Mapping

import jax
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh

from rrjax.jobs.devices import AXIS

GPU = "h100"
"""The name of the GPU as a topology; every other name is a TPU slice's, such as `v5e:2x2`."""

# What XLA would ask the driver of an H100 SXM with 80 GB: NVIDIA's H100 datasheet, and its tuning
# guide for compute capability 9.0.
_H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  device_memory_size: 84929347584
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def platform(topology: str) -> str:
    """Returns JAX's name of a topology's platform."""
    return "cuda" if topology == GPU else "tpu"


def compiler_options(topology: str) -> Mapping[str, int]:
    """Returns the compiler's options: nothing can be tried out on a GPU that is not there."""
    return {"xla_gpu_autotune_level": 0} if topology == GPU else {}


def describe(topology: str) -> Mesh:
    """Returns a mesh over the chips of a described slice, or over one described GPU.

    Raises:
      ModuleNotFoundError: The wheel that holds the compiler is missing.
      ValueError: The compiler does not know the topology, or another process uses libtpu.
    """
    described = _describe_gpu() if topology == GPU else _describe_tpu(topology)
    number = len(described.devices)
    return jax.make_mesh((number,), (AXIS,), (AxisType.Auto,), devices=described.devices)


def _describe_tpu(topology: str) -> topologies.TopologyDescription:
    if importlib.util.find_spec("libtpu") is None:
        raise ModuleNotFoundError(
            "the libtpu wheel, which holds the compiler, is missing: pip install 'rrjax[tpu]'"
        )
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"libtpu cannot describe topology {topology!r}: {error}") from error


def _describe_gpu() -> topologies.TopologyDescription:
    if importlib.util.find_spec("jax_cuda13_plugin") is None:
        raise ModuleNotFoundError(
            "the CUDA plugin, which holds the compiler, is missing: pip install 'rrjax[cuda13]'"
        )
    return topologies.get_topology_desc(platform="cuda", target_config=_H100, topology="1x1x1")
