"""Chunks of a sweep on the devices of this process, and the share of this process among others.

Each device runs the program of one whole chunk, compiled once for all of them: the bits of a chunk
do not depend on how many devices there are, and nothing passes between them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rrjax.jobs.sweep import Share

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
        self._compute, self._prepare = compute, prepare
        # placed once: an array on one device would be copied to the others for every chunk
        self._shared = jax.device_put(shared, NamedSharding(_mesh(devices), PartitionSpec()))
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
    everywhere, by_chunk = PartitionSpec(), PartitionSpec(AXIS)
    return jax.shard_map(
        compute,
        mesh=_mesh(devices),
        in_specs=(everywhere, by_chunk),
        out_specs=by_chunk,
        check_vma=False,
    )


def _mesh(devices: Sequence[Device]) -> Mesh:
    """In the order given: nothing passes between the devices, whichever of them are neighbours."""
    return Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))


def use_cpu_devices(number: int | None) -> None:
    """Let the processor count as `number` devices; must come before JAX's first computation.

    A program for one chunk leaves cores idle wherever it is not a large matrix product, so as many
    chunks at once as there are cores are faster than one, without changing a bit of any.

    Args:
      number: None: one for each core this process may use, or what is set already.

    Raises:
      ValueError: if it comes too late.
    """
    try:
        jax.config.update("jax_num_cpu_devices", number or _num_cores())
    except RuntimeError as error:
        if number not in (None, jax.local_device_count()):
            raise ValueError(
                f"cpu_devices {number} must be set before JAX has started; it has "
                f"{jax.local_device_count()} devices"
            ) from error


def _num_cores() -> int:
    """Cores this process may use, as far as the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_share(text: str | None) -> Share | None:
    """The share `i/n` (from 0) of this job, and in it of this process under `jax.distributed`.

    Without a text, that of a Slurm array task (SLURM_ARRAY_TASK_ID, _MIN, _MAX, _COUNT); without
    one all chunks are this job's. None where there is no other worker.

    Raises:
      ValueError: for another form, or i not in 0..n−1.
    """
    job = _from_text(text) if text is not None else _from_slurm(os.environ)
    share = Share(job.index, job.count, jax.process_index(), jax.process_count())
    return share if share.count * share.processes > 1 else None


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
    names = (f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT"))
    task, first, last, count = (int(environment[name]) for name in names)
    # every task refuses, also those whose own number would do
    if last - first + 1 != count:
        raise ValueError(
            f"the Slurm array must number its tasks without gaps; it has {count} tasks in "
            f"{first}..{last}; number them 0-{count - 1}, or pass --shard i/n"
        )
    return Share(task - first, count)
