"""Where a run's arrays live: on one device, or on a mesh with weights everywhere and slots split.

The program of many devices is that of one with other shardings: sums over the batch, those of
gradients by puzzle identifier among them, are over the batch of all devices.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rrjax.checks import refuse
from rrjax.dynamics.precision import TENSOR_CORES, lacks_tensor_cores
from rrjax.jobs.devices import Device
from rrjax.training.state import TrainState

AXIS = "batch"


def training_devices(number: int | None = None) -> list[Device]:
    """Returns the devices of a run, over all processes.

    Args:
      number: how many devices of a processor each process uses; None means one, whose matrix
        products use all cores. Accelerators are all used, and then `number` must be None.
    """
    if jax.default_backend() != "cpu":
        if number is not None:
            raise ValueError(
                f"cpu_devices is for processors, got {number}; all {jax.device_count()} devices of "
                f"the {jax.default_backend()} are used"
            )
        return jax.devices()
    number = number or 1
    if number > jax.local_device_count():
        raise ValueError(f"{number} devices asked for, JAX has {jax.local_device_count()}")
    of_processes = (jax.local_devices(process_index=index) for index in range(jax.process_count()))
    return [device for devices in of_processes for device in devices[:number]]


def check_dtype(forward_dtype: str, device: Device) -> None:
    """Refuses to train in bfloat16 on a card that cannot multiply in it."""
    if forward_dtype == "bfloat16" and lacks_tensor_cores(device):
        raise ValueError(
            f"training in bfloat16 needs a card of compute capability {TENSOR_CORES} or more, and "
            f"{device.device_kind} has {device.compute_capability}; set arch.forward_dtype to "
            "float32"
        )


class Placement:
    """Puts a run's arrays where they belong; on one device it changes nothing.

    Every process builds the same batch, which is a function of seed and step, and places its part.
    """

    def __init__(self, devices: Sequence[Device], batch_size: int):
        """Refuses devices, those of all processes, that cannot share a batch equally."""
        self._number = len(devices)
        self.check("global_batch_size", batch_size)
        mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._split = NamedSharding(mesh, PartitionSpec(AXIS))

    def check(self, name: str, rows: int) -> None:
        """Refuses a setting whose number of rows the devices cannot share equally."""
        if rows % self._number:
            refuse(name, f"be a multiple of the number of devices, {self._number}", rows)

    def state(self, state: TrainState) -> TrainState:
        """Returns the state with its weights on every device and its slots split."""
        if self._number == 1:
            return state
        weights = _place(state._replace(slots=None), self._everywhere)  # pyright: ignore
        return weights._replace(slots=self.rows(state.slots))

    def rows(self, tree: Any) -> Any:
        """Returns arrays with a leading batch axis, on the devices and split along it."""
        return jax.device_put(tree) if self._number == 1 else _place(tree, self._split)

    def jit(self, step: Callable) -> Callable:
        """Returns the program of a step on all devices.

        Args:
          step: a function (config, recipe, state, ...) → (state, metrics). Config and recipe are
            static, and the new state takes over the buffers of the old one.
        """
        shardings = None
        if self._number > 1:
            # the compiler might split the new state otherwise, and the next step be compiled again
            whole = TrainState(*[self._everywhere] * len(TrainState._fields))  # pyright: ignore
            shardings = whole._replace(slots=self._split), self._everywhere  # pyright: ignore
        return jax.jit(step, static_argnums=(0, 1), donate_argnums=2, out_shardings=shardings)


def _place(tree: Any, sharding: NamedSharding) -> Any:
    """Puts this process's part of arrays, which every process has whole, on its devices."""

    def place(leaf: Any) -> jax.Array:
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(place, tree)
