"""Checkpoints that resume to the same numbers: the whole train state, and who it belongs to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.training.step import TrainState


class Checkpoints:
    """The checkpoints of one run folder: the last ones and the best.

    A save appears whole or not at all. The sampler needs no state of its own: its batches are a
    function of seed and step.
    """

    def __init__(self, folder: Path, keep: int = 2):
        import orbax.checkpoint as ocp  # 0.7 s to import

        self._ocp = ocp
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, step: int, state: TrainState, record: Mapping[str, Any]) -> None:
        """Write the state after `step` steps, in the background; `record` is small JSON."""
        arguments = self._ocp.args.Composite(
            state=self._ocp.args.StandardSave(state),
            record=self._ocp.args.JsonSave(dict(record)),
        )
        self._manager.save(step, args=arguments)

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The newest checkpoint and its record, or None where there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        target = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, like)
        restored = self._manager.restore(
            step,
            args=self._ocp.args.Composite(
                state=self._ocp.args.StandardRestore(target),
                record=self._ocp.args.JsonRestore(),
            ),
        )
        # Orbax commits arrays to their device, for which a step would be compiled anew, with other
        # round-off than the program of the run before
        state = jax.tree.map(lambda leaf: jnp.array(np.asarray(leaf)), restored["state"])
        return state, restored["record"]

    def close(self) -> None:
        """Wait until everything saved is on the disk."""
        self._manager.wait_until_finished()
        self._manager.close()
