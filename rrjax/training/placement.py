"""Where a run's arrays live: on one device, or on a mesh with weights everywhere and slots split.

The program of many devices is that of one with other shardings: sums over the batch, those of
gradients by puzzle identifier among them, are over the batch of all devices.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rrjax.cells import Config
from rrjax.puzzles.batch import Batch
from rrjax.training.gradients import Flat
from rrjax.training.recipe import Recipe
from rrjax.training.step import TrainState, floss_step, logged_step

AXIS = "batch"

Device = Any
"""A `jax.Device`, which is a name and no type to type checkers."""


def training_devices(number: int | None = None) -> list[Device]:
    """The devices of a run, over all processes.

    Args:
      number: of the devices of a processor that each process uses; None: one, whose matrix
        products use all cores. Accelerators are all used.

    Raises:
      ValueError: if there are fewer, or `number` is given where there are accelerators.
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
    mine = (jax.local_devices(process_index=index) for index in range(jax.process_count()))
    return [device for devices in mine for device in devices[:number]]


class Placement:
    """Puts a run's arrays where they belong; on one device it changes nothing.

    Every process builds the same batch, as it is a function of seed and step, and places its part.
    """

    def __init__(self, devices: Sequence[Device], batch_size: int):
        """Refuse what cannot be split.

        Args:
          devices: of all processes.
          batch_size: rows of a batch.

        Raises:
          ValueError: if the devices cannot share the batch equally.
        """
        self._number = len(devices)
        self.check("global_batch_size", batch_size)
        self._one = self._number == 1
        mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._apart = NamedSharding(mesh, PartitionSpec(AXIS))
        self._step = self._on_all(logged_step)
        self._floss = self._on_all(floss_step)

    def check(self, name: str, rows: int) -> None:
        """Refuse a number of rows that the devices cannot share equally.

        Raises:
          ValueError: naming it.
        """
        if rows % self._number:
            raise ValueError(
                f"{name} must be a multiple of the number of devices, {self._number}; got {rows}"
            )

    def state(self, state: TrainState) -> TrainState:
        """Weights on every device, slots split."""
        if self._one:
            return state
        weights = _placed(state._replace(slots=None), self._everywhere)  # pyright: ignore
        return weights._replace(slots=self.rows(state.slots))

    def rows(self, tree: Any) -> Any:
        """Arrays with a leading batch axis, split along it."""
        return tree if self._one else _placed(tree, self._apart)

    def step(
        self, config: Config, recipe: Recipe, state: TrainState, batch: Batch
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """`logged_step` on a placed state and a batch from the host."""
        return self._step(config, _seedless(recipe), state, self.rows(batch))

    def floss(
        self, config: Config, recipe: Recipe, state: TrainState, batch: Batch, reference: Flat
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """`floss_step` on a placed state and a batch from the host."""
        return self._floss(config, _seedless(recipe), state, self.rows(batch), reference)

    def _on_all(self, step: Any) -> Callable:
        """A jitted step as the program of all devices."""
        if self._one:
            return step
        whole = TrainState(*[self._everywhere] * len(TrainState._fields))  # pyright: ignore
        return jax.jit(
            step.__wrapped__,
            static_argnums=(0, 1),
            donate_argnums=2,
            # left to the compiler, a state could come back split otherwise and be compiled for anew
            out_shardings=(whole._replace(slots=self._apart), self._everywhere),  # pyright: ignore
        )


def _seedless(recipe: Recipe) -> Recipe:
    """Steps take the seed from the state: one program for all seeds of a recipe."""
    return replace(recipe, seed=0)


def _placed(tree: Any, sharding: NamedSharding) -> Any:
    """Every process has the whole arrays and puts its part on its devices."""

    def place(leaf: Any) -> jax.Array:
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(place, tree)
