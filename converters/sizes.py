"""The sizes of a checkpoint's data, which its configuration does not state."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.sources import Source
from rrjax.store import read_json

SIZES = ("seq_len", "vocab_size", "num_puzzle_identifiers")
_ROWS_OF = {
    "vocab_size": "embed_tokens.embedding_weight",
    "num_puzzle_identifiers": "puzzle_emb.weights",
}
_RESIZE_HINT = " (--resize-puzzle-embeddings N makes it N copies of their mean)"


def find_sizes(
    given: Mapping[str, int | None], source: Source, tensors: Mapping[str, np.ndarray]
) -> dict[str, int]:
    """Each of `SIZES`: from the options given, or else a meta file, or else the tensors.

    The sequence length cannot always be seen in the tensors: one of the first two must state it.

    Raises:
      ValueError: if a size is stated nowhere, or contradicts the rows of its table.
    """
    stated = {name: (value, "the option") for name, value in given.items() if value is not None}
    if len(stated) < len(SIZES):
        stated = _read_meta(source) | stated
    seen = {name: tensors[t].shape[0] for name, t in _ROWS_OF.items() if _is_table(tensors.get(t))}
    for name, rows in seen.items():
        value, origin = stated.setdefault(name, (rows, "the tensors"))
        if value != rows:
            raise ValueError(
                f"{name} is {value!r} by {origin}, but {_ROWS_OF[name]} has {rows} rows"
                f"{_RESIZE_HINT if name == 'num_puzzle_identifiers' else ''}"
            )
    if missing := [name for name in SIZES if name not in stated]:
        options = " ".join(f"--{name.replace('_', '-')} N" for name in missing)
        raise ValueError(
            f"{' and '.join(missing)} stated nowhere: give {options}, "
            f"or put a meta.json with {', '.join(SIZES)} beside the weights"
        )
    return {name: stated[name][0] for name in SIZES}


def _is_table(tensor: np.ndarray | None) -> bool:
    return tensor is not None and tensor.ndim == 2


def _read_meta(source: Source) -> dict[str, tuple[Any, str]]:
    """The sizes that the checkpoint's meta file states, each with that file's name."""
    if not source.metas:
        return {}
    meta = source.metas[0] if len(source.metas) == 1 else _choose(source)
    record = read_json(meta)
    return {name: (record[name], meta.name) for name in SIZES if name in record}


def _choose(source: Source) -> Path:
    """Of several meta files, the one whose name is in the folder's: `trm_sudoku`, `sudoku_meta`."""
    folder = source.weights.absolute().parent.name
    fitting = [meta for meta in source.metas if meta.name.removesuffix("_meta.json") in folder]
    if len(fitting) != 1:
        found = ", ".join(meta.name for meta in source.metas)
        raise ValueError(
            f"several files could state the sizes of {folder}: {found}; copy the right one to "
            f"{folder}/meta.json, or give --seq-len, --vocab-size and --num-puzzle-identifiers"
        )
    return fitting[0]
