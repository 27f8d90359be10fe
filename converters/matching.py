"""Compares names and shapes of a state dict with those of a model, which must agree in all."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import ml_dtypes
import numpy as np

from rrjax.cells.config import LARGEST_SIZE
from rrjax.checks import check_count

from .records import CheckpointError

# torch.compile, data parallelism, the loss head and the model put these before a name
_WRAPPERS = ("_orig_mod", "module", "model", "inner")
# every model has this parameter
_ANCHOR = "lm_head.weight"
_PUZZLE_TABLE = "puzzle_emb.weights"
_LISTED = 8


def strip_prefix(tensors: Mapping[str, np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
    """Returns the prefix that all keys share, with its final dot, and the tensors without it.

    It is what stands before `lm_head.weight`, or else the names that wrappers give.

    Raises:
      CheckpointError: If two keys name the same parameter, the keys' prefixes differ, or they
        belong to several models.
    """
    anchors = prefixes_of_models(tensors)
    if len(anchors) > 1:
        raise CheckpointError(
            f"the keys are those of several models, with the prefixes "
            f"{_listing(map(repr, anchors))}; choose one by --entry PREFIX"
        )
    if anchors and all(key.startswith(anchors[0]) for key in tensors):
        return anchors[0], {key.removeprefix(anchors[0]): a for key, a in tensors.items()}
    return _strip_wrappers(tensors)


def prefixes_of_models(keys: Iterable[str]) -> list[str]:
    """Returns what stands before the name of the answer's head, for each model among the keys."""
    return [key.removesuffix(_ANCHOR) for key in keys if f".{key}".endswith(f".{_ANCHOR}")]


def _strip_wrappers(tensors: Mapping[str, np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
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
            f"the keys have different prefixes: {_listing(map(repr, examples.values()))}"
        )
    return next(iter(prefixes.values())), stripped


def _split(key: str) -> tuple[str, str]:
    parts = key.split(".")
    depth = 0
    while depth < len(parts) - 1 and parts[depth] in _WRAPPERS:
        depth += 1
    return "".join(f"{part}." for part in parts[:depth]), ".".join(parts[depth:])


def check_match(tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuses tensors that are not exactly the model's: its names and shapes, and finite floats.

    Raises:
      CheckpointError: With all keys that only one side has, each with the nearest name on the
        other side, and all shapes that differ; or with a tensor of a wrong dtype or value.
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
    unmatched = [name for name in names if name not in others]
    candidates = [name for name in others if name not in names]
    if unmatched:
        listing = _listing(_with_nearest(name, candidates) for name in unmatched)
        yield f"{where} ({len(unmatched)}): {listing}"


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
        yield f"with another shape ({len(differing)}): {_listing(differing)}"


def _check_values(tensors: Mapping[str, np.ndarray]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f" and tensor.dtype != ml_dtypes.bfloat16:
            raise CheckpointError(f"{name} must hold floats, got {tensor.dtype}")
        unfit = tensor.size - np.count_nonzero(np.isfinite(tensor))
        if unfit:
            raise CheckpointError(f"{name}: {unfit} of {tensor.size} values are NaN or infinite")


def resize_puzzle_table(tensors: Mapping[str, np.ndarray], num_rows: int) -> dict[str, np.ndarray]:
    """Returns the tensors with a puzzle-embedding table of `num_rows` copies of its mean.

    A table that already has that many rows stays as it is.

    Raises:
      ValueError: If `num_rows` is not positive or there is no such table.
    """
    table = tensors.get(_PUZZLE_TABLE)
    if table is None or table.ndim != 2 or not len(table) or num_rows < 1:
        raise ValueError(
            "--resize-puzzle-embeddings needs at least 1 row and a table "
            f"{_PUZZLE_TABLE!r} in the file; got {num_rows} rows and {_shape_of(table)}"
        )
    check_count("resize_puzzle_embeddings", num_rows, most=LARGEST_SIZE)
    if len(table) == num_rows:
        return dict(tensors)
    mean = table.astype(np.float64).mean(axis=0, keepdims=True).astype(table.dtype)
    return {**tensors, _PUZZLE_TABLE: np.repeat(mean, num_rows, axis=0)}


def _shape_of(table: np.ndarray | None) -> str:
    return "no table" if table is None else f"a tensor of shape {table.shape}"


def _listing(items: Iterable[str]) -> str:
    items = list(items)
    rest = f", and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(items[:_LISTED]) + rest
