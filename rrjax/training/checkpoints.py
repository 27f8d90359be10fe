"""Checkpoints that resume to the same numbers: the whole train state, checked when it is read."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, UInt32

from rrjax.training.state import TrainState


class DamagedError(Exception):
    """A checkpoint that does not hold what was saved."""


class Checkpoints:
    """The last checkpoints of one run folder.

    A save goes on in the background and appears whole or not at all. Every array has a checksum
    in the checkpoint's record, which is checked when it is read: any one changed byte is found.
    The sampler needs no state of its own: its batches are a function of seed and step.
    """

    def __init__(self, folder: Path, keep: int = 2):
        """Make the folder, or take the one that is there; of `jax.distributed` all processes do."""
        import orbax.checkpoint as ocp  # 0.7 s to import

        self._ocp, self._folder = ocp, folder
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, step: int, state: TrainState, record: Mapping[str, Any]) -> None:
        """Write the state after `step` steps, in the background; `record` is small JSON."""
        arrays = _described(state)
        content = {"record": dict(record), "arrays": arrays}
        arguments = self._ocp.args.Composite(
            state=self._ocp.args.StandardSave(state),
            record=self._ocp.args.JsonSave({**content, "sha256": _digest(content)}),
        )
        self._manager.save(step, args=arguments)

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The newest whole checkpoint and its record, or None where there is none at all.

        Damaged ones that are newer are named in a warning and removed, as the run makes them again.

        Args:
          like: a state with the shapes and types expected, placed as the result shall be: on
            whatever devices, which need not be those of the run that saved.

        Raises:
          ValueError: if all checkpoints are damaged, or one is of another architecture.
        """
        damaged: dict[int, DamagedError] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self._read(step, like)
            except DamagedError as error:
                damaged[step] = error
                continue
            self._remove(damaged, step)
            return found
        if damaged:
            raise ValueError(
                f"no checkpoint is whole: {'; '.join(map(str, damaged.values()))}; start anew in "
                "another folder"
            )
        return None

    def last(self) -> Path | None:
        """The newest checkpoint, once it is whole on the disk."""
        self._manager.wait_until_finished()
        step = self._manager.latest_step()
        return None if step is None else self._folder / str(step)

    def close(self) -> None:
        """Wait until everything saved is on the disk."""
        self._manager.wait_until_finished()
        self._manager.close()

    def _read(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        path = self._folder / str(step)
        found = self._load(step, record=self._ocp.args.JsonRestore())["record"]
        digest = found.pop("sha256", None) if isinstance(found, dict) else None
        if digest != _digest(found):
            raise DamagedError(f"the record of {path} has not the SHA-256 it names")
        _check_shapes(path, found["arrays"], like)
        target = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, like)
        state = self._load(step, state=self._ocp.args.StandardRestore(target))["state"]
        for name, array in _described(state).items():
            if array != found["arrays"][name]:
                raise DamagedError(f"{name} in {path} has not the checksum it was saved with")
        return jax.tree.map(_free, state), found["record"]

    def _load(self, step: int, **arguments: Any) -> Any:
        try:
            return self._manager.restore(step, args=self._ocp.args.Composite(**arguments))
        # of a damaged file Orbax and its libraries raise whatever they stumble over; what a machine
        # lacks for the moment says nothing of the file
        except Exception as error:
            if _is_passing(error):
                raise
            reason = str(error).partition("\n")[0][:200]
            path = self._folder / str(step)
            raise DamagedError(
                f"{path} cannot be read ({type(error).__name__}: {reason})"
            ) from error

    def _remove(self, damaged: Mapping[int, DamagedError], good: int) -> None:
        for step, error in damaged.items():
            warnings.warn(
                f"{error}; it is removed, and the run goes on from step {good}", stacklevel=3
            )
            self._manager.delete(step)


def _is_passing(error: Exception) -> bool:
    """Whether an error is one of memory or of the file system, which a later try may not meet."""
    if isinstance(error, OSError):
        return not isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _check_shapes(path: Path, found: Mapping[str, list[Any]], like: TrainState) -> None:
    """Refuse the checkpoint of other arrays."""
    wanted = {name: _kind(leaf) for name, leaf in _named(like).items()}
    kinds = {name: array[:2] for name, array in found.items()}
    for name in [*wanted, *(name for name in kinds if name not in wanted)]:
        if wanted.get(name) != kinds.get(name):
            words = [
                "none" if k is None else f"{k[1]} {tuple(k[0])}"
                for k in (wanted.get(name), kinds.get(name))
            ]
            raise ValueError(
                f"{path} is of another architecture or recipe: {name} is {words[1]} in it, "
                f"expected {words[0]}"
            )


def _described(state: TrainState) -> dict[str, list[Any]]:
    """Shape, type and checksum of every array by its name."""
    checksums = jax.device_get(_checksums(state))
    arrays, sums = _named(state), _named(checksums)
    return {name: [*_kind(leaf), int(sums[name])] for name, leaf in arrays.items()}


def _named(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _kind(leaf: Any) -> list[Any]:
    return [list(leaf.shape), str(leaf.dtype)]


@jax.jit
def _checksums(tree: Any) -> Any:
    return jax.tree.map(_checksum, tree)


def _checksum(leaf: Array) -> UInt32[Array, ""]:
    """Σ wᵢ·(odd number of place i) mod 2³² over the leaf's words wᵢ of at most 32 bits.

    Whole numbers, whose sum does not depend on how the array is split; an odd factor has an
    inverse, so that one changed word always shows.
    """
    if leaf.dtype == bool:
        leaf = leaf.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(leaf, _WORDS[min(leaf.dtype.itemsize, 4)])
    words = words.astype(jnp.uint32).ravel()
    places = jax.lax.iota(jnp.uint32, words.size)
    return jnp.sum(words * (places * jnp.uint32(0x9E3779B1) | 1), dtype=jnp.uint32)


_WORDS = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _free(leaf: Array) -> Array:
    """On one device an array that is not committed to it, as a step's results are.

    Orbax commits arrays to their device, for which a step would be compiled anew, with other
    round-off than the program of the run before.
    """
    return leaf if isinstance(leaf.sharding, NamedSharding) else jnp.array(np.asarray(leaf))
