"""Chunks of a sweep on the devices of this process, and the share of this process among others.

Each device runs the program of one whole chunk, compiled once for all of them: the bits of a chunk
do not depend on how many devices there are, and nothing passes between them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from rrjax.sweep import Share

AXIS = "chunks"

Device = Any
"""A `jax.Device`, which is a name and no type to type checkers."""

Compute = Callable[[Any, Any], Mapping[str, jax.Array]]
"""A pure function of what all chunks share and of one chunk's arrays, by item."""


class OnDevices:
    """The work of a sweep, with one chunk at a time on every device.

    Attributes:
      parallel: how many chunks run at once.
    """

    def __init__(
        self,
        compute: Compute,
        shared: Any,
        prepare: Callable[[np.ndarray], Any],
        devices: Sequence[Device] | None = None,
    ):
        """Compile nothing yet.

        Args:
          compute: from `shared` and arrays (chunk_size, ...) to arrays (chunk_size, ...).
          shared: arrays that every device gets (parameters).
          prepare: from item indices (n,) to a pytree of arrays (n, ...).
          devices: None: all of this process.
        """
        devices = jax.local_devices() if devices is None else list(devices)
        self.parallel = len(devices)
        self._compute, self._shared, self._prepare = compute, shared, prepare
        self._program = jax.jit(sharded(compute, devices))

    def __call__(self, items: np.ndarray) -> Mapping[str, np.ndarray]:
        """Results (chunks, chunk_size, ...) of up to `parallel` chunks of items."""
        padded = items[np.minimum(np.arange(self.parallel), len(items) - 1)]
        batch = self._prepare(padded.ravel())
        results = jax.device_get(self._program(self._shared, batch))
        return {
            name: value.reshape(*padded.shape, *value.shape[1:])[: len(items)]
            for name, value in results.items()
        }

    def check(self) -> None:
        """Raise what is wrong with the request, before anything is written or compiled."""
        jax.eval_shape(self._compute, self._shared, self._prepare(np.zeros(1, np.int64)))


def sharded(compute: Compute, devices: Sequence[Device]) -> Compute:
    """`compute` on the chunks of a batch, one on each device; what is shared is everywhere."""
    mesh = jax.make_mesh((len(devices),), (AXIS,), (AxisType.Auto,), devices=devices)
    everywhere, by_chunk = PartitionSpec(), PartitionSpec(AXIS)
    return jax.shard_map(
        compute,
        mesh=mesh,
        in_specs=(everywhere, by_chunk),
        out_specs=by_chunk,
        check_vma=False,
    )


def use_cpu_devices(number: int) -> None:
    """Let the processor count as `number` devices; must come before JAX's first computation.

    Raises:
      ValueError: if it comes too late.
    """
    if number == 1:
        return
    try:
        jax.config.update("jax_num_cpu_devices", number)
    except RuntimeError as error:
        raise ValueError(
            f"cpu_devices {number} must be set before JAX has started; it has "
            f"{jax.local_device_count()} devices"
        ) from error


def parse_share(text: str | None) -> Share | None:
    """The share `i/n` (from 0) of this job, times that of this process under `jax.distributed`.

    Without a text, that of a Slurm array task (SLURM_ARRAY_TASK_ID, _MIN, _COUNT); without one
    all chunks are this job's. None where there is no other worker.

    Raises:
      ValueError: for another form, or i not in 0..n−1.
    """
    job = _from_text(text) if text is not None else _from_slurm(os.environ)
    processes = jax.process_count()
    index, count = job.index * processes + jax.process_index(), job.count * processes
    return Share(index, count) if count > 1 else None


def _from_text(text: str) -> Share:
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ValueError(f"shard must be i/n, such as 0/4 for the first of four; got {text!r}")
    share = Share(*map(int, parts))
    if not share.index < share.count:
        raise ValueError(f"shard i/n needs i in 0..n−1, the first is 0/n; got {text!r}")
    return share


def _from_slurm(environment: Mapping[str, str]) -> Share:
    if "SLURM_ARRAY_TASK_COUNT" not in environment:
        return Share()
    first, count = (int(environment[f"SLURM_ARRAY_TASK_{x}"]) for x in ("MIN", "COUNT"))
    index = int(environment["SLURM_ARRAY_TASK_ID"]) - first
    if not 0 <= index < count:
        raise ValueError(
            f"the Slurm array must number its tasks without gaps; task {index + first} is not in "
            f"{first}..{first + count - 1}; or pass --shard i/n"
        )
    return Share(index, count)
