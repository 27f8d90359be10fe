"""Chunks of a sweep on the devices of this process.

Each device runs the program of one whole chunk, compiled once for all of them: the bits of a chunk
do not depend on how many devices there are, and no data pass between them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rrjax.checks import machine_memory
from rrjax.jobs.workers import num_cores

AXIS = "chunks"

Device = Any
"""A `jax.Device`, which type checkers know as a name only."""

Compute = Callable[[Any, Any], Mapping[str, jax.Array]]
"""A pure function of what all chunks share and of one chunk's arrays; it returns arrays by item."""

Keep = Callable[[np.ndarray, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
"""From items (chunks, chunk_size) and their arrays to the arrays that a sweep keeps of them."""


class ChunkProgram:
    """A compiled function of one chunk, which runs on one chunk per device at a time.

    Attributes:
      devices: The devices, each of which runs a chunk.
      parallel: Number of chunks that run at once.
    """

    def __init__(
        self,
        compute: Compute,
        shared: Any,
        prepare: Callable[[np.ndarray], Any],
        devices: Sequence[Device] | None = None,
        keep: Keep | None = None,
    ):
        """Places the shared arrays; compiles nothing yet.

        Args:
          compute: From `shared` and arrays (chunk_size, ...) to arrays (chunk_size, ...).
          shared: Arrays that every device gets, such as parameters.
          prepare: From item indices (n,) to a pytree of arrays (n, ...).
          devices: The devices to use; None stands for all of this process.
          keep: What becomes of computed arrays; None returns them all.
        """
        devices = jax.local_devices() if devices is None else list(devices)
        self.devices, self.parallel = devices, len(devices)
        self._prepare, self._keep = prepare, keep
        # placed once: an array on one device would be copied to the others for every chunk
        self._shared = jax.device_put(shared, NamedSharding(_mesh(devices), PartitionSpec()))
        self._program = jax.jit(sharded(compute, devices))
        self._compiled: dict[int, Any] = {}

    def __call__(self, items: np.ndarray) -> Mapping[str, np.ndarray]:
        """Returns arrays (chunks, chunk_size, ...) for items (chunks ≤ parallel, chunk_size)."""
        padded = items[np.minimum(np.arange(self.parallel), len(items) - 1)]
        batch = self._prepare(padded.ravel())
        results = jax.device_get(self.compile(items.shape[1])(self._shared, batch))
        arrays = {
            name: value.reshape(*padded.shape, *value.shape[1:])[: len(items)]
            for name, value in results.items()
        }
        return arrays if self._keep is None else self._keep(items, arrays)

    def result_size(self, chunk_size: int) -> int:
        """Returns how many bytes the results of a chunk take, by the traced program.

        So a request that cannot work fails before anything is written. The trace is kept: the first
        call with chunks of this size does not trace again.

        Raises:
          ValueError: What the traced functions refuse.
        """
        arrays = jax.tree.leaves(self._trace(chunk_size).out_info)
        return sum(array.size * array.dtype.itemsize for array in arrays) // self.parallel

    def memory(self, chunk_size: int) -> int:
        """Returns how many bytes a chunk needs on a device beside what is placed there already."""
        return _num_bytes(self.compile(chunk_size))

    def compile(self, chunk_size: int) -> Any:
        """Returns the compiled program for chunks of this size; the last one is kept."""
        if chunk_size not in self._compiled:
            compiled = self._trace(chunk_size).lower().compile()
            self._check_memory(compiled)
            self._compiled = {chunk_size: compiled}
        return self._compiled[chunk_size]

    def _check_memory(self, compiled: Any) -> None:
        """Raises MemoryError where a processor lacks memory: the system would kill the process."""
        total, needed = machine_memory(), self.parallel * _num_bytes(compiled)
        if self.devices[0].platform == "cpu" and total is not None and needed > total:
            raise MemoryError(
                f"{self.parallel} chunks at once need {needed / 1e9:,.0f} GB, and this machine has "
                f"{total / 1e9:,.0f} GB"
            )

    def _trace(self, chunk_size: int) -> Any:
        items = np.zeros(self.parallel * chunk_size, np.int64)
        return self._program.trace(self._shared, self._prepare(items))


def _num_bytes(compiled: Any) -> int:
    """Returns how many bytes a program needs on a device beside its arguments."""
    analysis = compiled.memory_analysis()
    return analysis.temp_size_in_bytes + analysis.output_size_in_bytes


def sharded(compute: Compute, devices: Sequence[Device]) -> Compute:
    """Returns `compute` with one chunk of its batch on each device; what is shared is on all."""
    everywhere, by_chunk = PartitionSpec(), PartitionSpec(AXIS)
    return jax.shard_map(
        compute,
        mesh=_mesh(devices),
        in_specs=(everywhere, by_chunk),
        out_specs=by_chunk,
        check_vma=False,
    )


def _mesh(devices: Sequence[Device]) -> Mesh:
    # the order does not matter, because no data pass between the devices
    return Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))


def use_cpu_devices(number: int | None = None) -> None:
    """Makes JAX see the processor as `number` devices; works only before JAX's first computation.

    A program for one chunk leaves cores idle wherever it is not a large matrix product, so that as
    many chunks at once as there are cores are faster than one. The bits of a chunk stay the same.

    Args:
      number: None stands for the number that is set already, or one for each core that this
        process may use; JAX then keeps what it has if it is running.

    Raises:
      ValueError: JAX is running with another number of devices.
    """
    if number is None and jax.config.jax_num_cpu_devices > 0:  # pyright: ignore[reportAttributeAccessIssue]
        return
    try:
        jax.config.update("jax_num_cpu_devices", number or num_cores())
    except RuntimeError as error:
        if number not in (None, jax.local_device_count()):
            raise ValueError(
                f"cpu_devices {number} must be set before JAX has started; it has "
                f"{jax.local_device_count()} devices"
            ) from error
