"""Finds the sizes of a checkpoint's data, which its configuration does not state."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.store import read_json

from .sources import Source

SIZES = ("seq_len", "vocab_size", "num_puzzle_identifiers")
_TABLES = {
    "vocab_size": "embed_tokens.embedding_weight",
    "num_puzzle_identifiers": "puzzle_emb.weights",
}
_TOKEN_AXES = {
    "L_level.layers.0.mlp_t.gate_up_proj.weight": 1,
    "embed_pos.embedding_weight": 0,
}
"""Tensors of which one axis is that of the tokens."""
_RESIZE_HINT = " (--resize-puzzle-embeddings N makes it N copies of their mean)"


def find_sizes(
    given: Mapping[str, int | None],
    source: Source,
    tensors: Mapping[str, np.ndarray],
    puzzle_tokens: int = 0,
) -> dict[str, int]:
    """Returns each of `SIZES`, from the options, else from a meta file, else from the tensors.

    A network without puzzle embeddings has one puzzle identifier unless more are stated.
    The tensors show the sequence length where a network mixes tokens without attention or learns
    their positions. For others an option or a meta file must state it.

    Args:
      given: The options, None where one is not given.
      source: The files of the checkpoint.
      tensors: The weights by name.
      puzzle_tokens: Number of tokens in front of the puzzle.

    Raises:
      ValueError: If a size is stated nowhere, or contradicts the rows of its table.
    """
    stated = {name: (value, "the option") for name, value in given.items() if value is not None}
    if len(stated) < len(SIZES):
        stated = _read_meta(source) | stated
    for name, key in _TABLES.items():
        table = tensors.get(key)
        if table is None or table.ndim != 2:
            continue
        rows = table.shape[0]
        value, origin = stated.setdefault(name, (rows, "the tensors"))
        if value != rows:
            raise ValueError(
                f"{name} is {value!r} by {origin}, but {_TABLES[name]} has {rows} rows"
                f"{_RESIZE_HINT if name == 'num_puzzle_identifiers' else ''}"
            )
    for key, axis in _TOKEN_AXES.items():
        if key in tensors and tensors[key].ndim == 2:
            seq_len = tensors[key].shape[axis] - puzzle_tokens
            stated.setdefault("seq_len", (seq_len, "the tensors"))
    if _TABLES["num_puzzle_identifiers"] not in tensors:
        stated.setdefault("num_puzzle_identifiers", (1, "a network without puzzle embeddings"))
    if missing := [name for name in SIZES if name not in stated]:
        options = " ".join(f"--{name.replace('_', '-')} N" for name in missing)
        raise ValueError(
            f"{' and '.join(missing)} stated nowhere: give {options}, "
            f"or put a meta.json with {', '.join(SIZES)} beside the weights"
        )
    return {name: stated[name][0] for name in SIZES}


def _read_meta(source: Source) -> dict[str, tuple[Any, str]]:
    """Returns the sizes that the meta file states, each with that file's name."""
    if not source.metas:
        return {}
    meta = source.metas[0] if len(source.metas) == 1 else _choose(source)
    record = read_json(meta)
    return {name: (record[name], meta.name) for name in SIZES if name in record}


def _choose(source: Source) -> Path:
    """Returns the meta file whose name is part of the folder's: `sudoku_meta` for `trm_sudoku`."""
    folder = source.weights.absolute().parent.name
    fitting = [meta for meta in source.metas if meta.name.removesuffix("_meta.json") in folder]
    if len(fitting) != 1:
        names = ", ".join(meta.name for meta in source.metas)
        raise ValueError(
            f"several files could state the sizes of {folder}: {names}; copy the right one to "
            f"{folder}/meta.json, or give --seq-len, --vocab-size and --num-puzzle-identifiers"
        )
    return fitting[0]
