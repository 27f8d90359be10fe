"""Names and shapes of a state dict against those of a model: all agree, or nothing is converted."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import ml_dtypes
import numpy as np

from converters.records import CheckpointError

# What torch.compile, data parallelism, the loss head and the model put before a parameter's name.
_WRAPPERS = ("_orig_mod", "module", "model", "inner")
_PUZZLE_TABLE = "puzzle_emb.weights"
_LISTED = 8


def strip_prefix(tensors: Mapping[str, np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
    """The wrappers' prefix that all keys share (with its final dot), and the tensors without it.

    Raises:
      CheckpointError: if two keys name the same parameter, or the keys' prefixes differ.
    """
    prefixes: dict[str, str] = {}
    stripped: dict[str, np.ndarray] = {}
    for key, tensor in tensors.items():
        prefix, name = _split(key)
        if name in stripped:
            raise CheckpointError(f"{prefixes[name] + name!r} and {key!r} name one parameter")
        prefixes[name], stripped[name] = prefix, tensor
    if len(set(prefixes.values())) != 1:
        examples = {prefix: prefix + name for name, prefix in prefixes.items()}
        raise CheckpointError(
            f"keys of differing prefixes: {_listing(map(repr, examples.values()))}"
        )
    return next(iter(prefixes.values())), stripped


def _split(key: str) -> tuple[str, str]:
    parts = key.split(".")
    depth = 0
    while depth < len(parts) - 1 and parts[depth] in _WRAPPERS:
        depth += 1
    return "".join(f"{part}." for part in parts[:depth]), ".".join(parts[depth:])


def check_match(tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuse tensors that are not, name for name, finite floats of the model's shapes.

    Raises:
      CheckpointError: naming all keys without a partner on either side, with the nearest name on
        the other, and all differing shapes; or the tensors with an unfit dtype or value.
    """
    problems = [
        *_unpartnered("in the file but not in the model", tensors, shapes),
        *_unpartnered("in the model but not in the file", shapes, tensors),
        *_differing_shapes(tensors, shapes),
    ]
    if problems:
        raise CheckpointError("\n  ".join(["the weights are not this model's:", *problems]))
    _check_values(tensors)


def _unpartnered(where: str, names: Collection[str], others: Collection[str]) -> Iterator[str]:
    lost = [name for name in names if name not in others]
    free = [name for name in others if name not in names]
    if lost:
        yield f"{where} ({len(lost)}): {_listing(_with_nearest(name, free) for name in lost)}"


def _with_nearest(name: str, others: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(others), n=1)
    return f"{name!r} (nearest: {close[0]!r})" if close else repr(name)


def _differing_shapes(
    tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> Iterator[str]:
    differing = [
        f"{name}: {tensors[name].shape} in the file, {tuple(shape)} in the model"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != tuple(shape)
    ]
    if differing:
        yield f"of another shape ({len(differing)}): {_listing(differing)}"


def _check_values(tensors: Mapping[str, np.ndarray]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f" and tensor.dtype != ml_dtypes.bfloat16:
            raise CheckpointError(f"{name} must hold floats, got {tensor.dtype}")
        unfit = tensor.size - np.count_nonzero(np.isfinite(tensor))
        if unfit:
            raise CheckpointError(f"{name}: {unfit} of {tensor.size} values are NaN or infinite")


def resize_puzzle_table(tensors: Mapping[str, np.ndarray], num_rows: int) -> dict[str, np.ndarray]:
    """The tensors with a puzzle-embedding table of `num_rows` rows, each the mean of the old ones.

    A table that has that many rows already is left as it is.

    Raises:
      ValueError: if `num_rows` is not positive or there is no such table.
    """
    table = tensors.get(_PUZZLE_TABLE)
    if table is None or table.ndim != 2 or not len(table) or num_rows < 1:
        raise ValueError(
            "--resize-puzzle-embeddings needs at least 1 row and a table "
            f"{_PUZZLE_TABLE!r} in the file; got {num_rows} rows and {_shape_of(table)}"
        )
    if len(table) == num_rows:
        return dict(tensors)
    mean = table.astype(np.float64).mean(axis=0, keepdims=True).astype(table.dtype)
    return {**tensors, _PUZZLE_TABLE: np.repeat(mean, num_rows, axis=0)}


def _shape_of(table: np.ndarray | None) -> str:
    return "no table" if table is None else f"a tensor of shape {table.shape}"


def _listing(items: Iterable[str]) -> str:
    items = list(items)
    more = f", and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(items[:_LISTED]) + more
