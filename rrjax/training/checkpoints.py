"""Checkpoints of the whole train state, which are checked when they are read.

A run that resumes from one computes the same numbers as a run that was never interrupted.
"""

import gc
import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, UInt32

from rrjax.jobs.memory import is_out_of_memory
from rrjax.training.state import TrainState


class DamagedError(Exception):
    """Says that a checkpoint does not hold what was saved."""


class Checkpoints:
    """The last checkpoints of one run folder.

    A save runs in the background, and the checkpoint appears whole or not at all. Its record has a
    checksum of every array. Reading compares them, so that a single changed byte is noticed. The
    sampler needs no state of its own, because its batches are a function of seed and step.
    """

    def __init__(self, folder: Path, keep: int = 2):
        """Makes the folder if it is missing; under `jax.distributed` every process calls this."""
        import orbax.checkpoint as ocp  # 0.7 s to import

        self._ocp, self._folder = ocp, folder
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, step: int, state: TrainState, record: Mapping[str, Any]) -> None:
        """Saves the state after `step` steps in the background, with a small JSON record."""
        content = {"record": dict(record), "arrays": _described(state)}
        arguments = self._ocp.args.Composite(
            state=self._ocp.args.StandardSave(state),
            record=self._ocp.args.JsonSave({**content, "sha256": _digest(content)}),
        )
        self._manager.save(step, args=arguments)

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """Returns the newest whole checkpoint and its record, or None if there is no checkpoint.

        Newer checkpoints that are damaged are named in a warning and removed: the run makes them
        again.

        Args:
          like: a state with the expected shapes and types, on the devices on which the result is
            wanted. They need not be those of the run that saved.

        Raises:
          ValueError: if all checkpoints are damaged, or one is of another architecture.
        """
        damaged: dict[int, DamagedError] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                checkpoint = self._read(step, like)
            except DamagedError as reason:
                damaged[step] = reason
                continue
            for newer, error in damaged.items():
                message = f"{error}; it is removed, and the run goes on from step {step}"
                warnings.warn(message, stacklevel=2)
                self._manager.delete(newer)
            return checkpoint
        if damaged:
            raise ValueError(
                f"no checkpoint is whole: {'; '.join(map(str, damaged.values()))}; start again "
                "in another folder"
            )
        return None

    def last(self) -> Path | None:
        """Returns the folder of the newest checkpoint, once it is whole on the disk."""
        self._manager.wait_until_finished()
        step = self._manager.latest_step()
        return None if step is None else self._folder / str(step)

    def close(self) -> None:
        """Waits until everything saved is on the disk."""
        self._manager.wait_until_finished()
        self._manager.close()

    def _read(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        path = self._folder / str(step)
        content = self._load(step, record=self._ocp.args.JsonRestore())["record"]
        digest = content.pop("sha256", None) if isinstance(content, dict) else None
        if digest != _digest(content):
            raise DamagedError(f"the record of {path} does not have the SHA-256 that it names")
        _check_shapes(path, content["arrays"], like)
        target = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, like)
        state = self._load(step, state=self._ocp.args.StandardRestore(target))["state"]
        for name, array in _described(state).items():
            if array != content["arrays"][name]:
                raise DamagedError(f"{name} in {path} does not have its checksum")
        return jax.tree.map(_uncommitted, state), content["record"]

    def _load(self, step: int, **arguments: Any) -> Any:
        with _quiet_leftovers():
            try:
                return self._manager.restore(step, args=self._ocp.args.Composite(**arguments))
            # Orbax and its libraries raise many kinds of errors for a damaged file; a machine that
            # is short of memory or loses its disk says nothing about the file
            except Exception as error:
                if _is_passing(error):
                    raise
                first_line = str(error).partition("\n")[0]
                reason = f"{type(error).__name__}: {first_line[:200]}"
            gc.collect()  # the tasks that failed, now that the error does not hold them
        raise DamagedError(f"{self._folder / str(step)} cannot be read ({reason})")


@contextmanager
def _quiet_leftovers() -> Iterator[None]:
    """Keeps quiet about failed tasks that Orbax leaves behind beside the error that it raises."""
    hook, logger = sys.unraisablehook, logging.getLogger("asyncio")
    was_disabled = logger.disabled
    sys.unraisablehook, logger.disabled = lambda _: None, True
    try:
        yield
    finally:
        sys.unraisablehook, logger.disabled = hook, was_disabled


def _is_passing(error: Exception) -> bool:
    """Returns whether an error is of memory or of the file system, and may not come again."""
    if isinstance(error, OSError):
        return not isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    return is_out_of_memory(error)


def _check_shapes(path: Path, arrays: Mapping[str, list[Any]], like: TrainState) -> None:
    """Refuses a checkpoint whose arrays have other names, shapes or types than those of `like`."""
    expected = {name: _kind(leaf) for name, leaf in named(like).items()}
    actual = {name: array[:2] for name, array in arrays.items()}
    for name in expected | actual:
        if expected.get(name) != actual.get(name):
            expected_words, actual_words = (
                f"{kinds[name][1]} {tuple(kinds[name][0])}" if name in kinds else "none"
                for kinds in (expected, actual)
            )
            raise ValueError(
                f"{path} is of another architecture or recipe: {name} is {actual_words} in it, "
                f"expected {expected_words}"
            )


def _described(state: TrainState) -> dict[str, list[Any]]:
    """Returns the shape, type and checksum of every array by its name."""
    sums = named(jax.device_get(_checksums(state)))
    return {name: [*_kind(leaf), int(sums[name])] for name, leaf in named(state).items()}


def named(tree: Any) -> dict[str, Any]:
    """Returns the leaves of a tree by their paths, which checkpoints and compact runs record."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _kind(leaf: Any) -> list[Any]:
    return [list(leaf.shape), str(leaf.dtype)]


@jax.jit
def _checksums(tree: Any) -> Any:
    return jax.tree.map(_checksum, tree)


def _checksum(leaf: Array) -> UInt32[Array, ""]:
    """Returns Σ wᵢ·fᵢ mod 2³² over the leaf's words wᵢ of at most 32 bits, with odd factors fᵢ.

    The words are whole numbers, so that their sum does not depend on how the array is split. An
    odd factor has an inverse modulo 2³², so that a single changed word always changes the sum.
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


def _uncommitted(leaf: Array) -> Array:
    """Returns an array that, on one device, is not committed to it, like the results of a step.

    Orbax commits arrays to their device. A step would be compiled again for them, with other
    round-off than the program of the run before.
    """
    return leaf if isinstance(leaf.sharding, NamedSharding) else jnp.array(np.asarray(leaf))
