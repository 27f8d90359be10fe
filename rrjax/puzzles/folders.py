"""Data-set folders of the official TRM and HRM code.

A folder holds `train/` and `test/`, each with `dataset.json` and five arrays `all__*.npy`, and
`identifiers.json`. `puzzle_indices` bounds the examples of each puzzle, `group_indices` the puzzles
of each group.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from rrjax.puzzles.dataset import Metadata, PuzzleSet, check_bounds
from rrjax.store import new_folder

SPLITS = ("train", "test")
ARRAYS = ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")


def write_folder(folder: str | Path, splits: Mapping[str, PuzzleSet]) -> None:
    """Writes a data-set folder; the same sets give the same bytes.

    Tokens are stored as uint8, the official dtype of sets without augmentation (the official
    builder stores augmented ones as int64; its reader takes both).

    Args:
        folder: New or empty folder; it appears whole or not at all.
        splits: Sets under "train", "test" or both.

    Raises:
        ValueError: The folder holds something, or a set does not fit the format.
        OSError: As `rrjax.store.new_folder`.
    """
    _check_splits(splits)
    with new_folder(folder) as temporary:
        for split, puzzles in splits.items():
            _write_split(temporary / split, puzzles)
        _write_json(temporary / "identifiers.json", ["<blank>"])


def read_folder(folder: str | Path, split: str = "test") -> PuzzleSet:
    """Reads one split of a data-set folder; labels keep 0 for "ignored".

    Args:
        folder: The folder with `train/` and `test/`, or one of these two (then `split` is unused).
        split: "train" or "test".

    Raises:
        ValueError: A file is missing, damaged, or contradicts `dataset.json`.
    """
    folder = Path(folder)
    if not (folder / "dataset.json").is_file():
        folder = folder / split
    metadata = _read_metadata(folder / "dataset.json")
    name = metadata.sets[0]
    arrays = {array: _read_array(folder / f"{name}__{array}.npy") for array in ARRAYS}
    source = f"{folder}/{name}__*.npy"
    ids = _spread(
        source, arrays.pop("puzzle_identifiers"), arrays["puzzle_indices"], arrays["inputs"]
    )
    return PuzzleSet(**arrays, puzzle_ids=ids, metadata=metadata, source=source)


def _spread(source: str, ids: np.ndarray, bounds: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Gives every example the identifier of its puzzle."""
    try:
        check_bounds("puzzle_indices", bounds, len(inputs))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    if ids.shape != (bounds.size - 1,):
        raise ValueError(
            f"{source}: puzzle_identifiers: expected {bounds.size - 1} puzzles as in "
            f"puzzle_indices, found shape {ids.shape}"
        )
    return np.repeat(ids, np.diff(bounds))


def _check_splits(splits: Mapping[str, PuzzleSet]) -> None:
    if not splits or not set(splits) <= set(SPLITS):
        raise ValueError(f"splits: expected some of {SPLITS}, found {tuple(splits)}")
    for split, puzzles in splits.items():
        meta = puzzles.metadata
        if meta.num_puzzle_identifiers != 1 or meta.vocab_size > 256 or meta.sets != ["all"]:
            raise ValueError(
                f"{split}: expected one puzzle identifier, at most 256 tokens and sets ['all'], "
                f"found {meta.num_puzzle_identifiers}, {meta.vocab_size} and {meta.sets}"
            )


def _write_split(folder: Path, puzzles: PuzzleSet) -> None:
    folder.mkdir()
    _write_json(folder / "dataset.json", asdict(puzzles.metadata))
    arrays = {
        "inputs": puzzles.inputs.astype(np.uint8),
        "labels": puzzles.labels.astype(np.uint8),
        "puzzle_identifiers": puzzles.puzzle_ids[puzzles.puzzle_indices[:-1]],
        "puzzle_indices": puzzles.puzzle_indices,
        "group_indices": puzzles.group_indices,
    }
    for name, array in arrays.items():
        # through memory: of a full disk NumPy says only how many values it wrote
        buffer = io.BytesIO()
        np.save(buffer, array)
        (folder / f"all__{name}.npy").write_bytes(buffer.getvalue())


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _read_metadata(path: Path) -> Metadata:
    if not path.is_file():
        raise ValueError(f"{path}: expected this file in a data-set folder, found none")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also a wrong encoding
        raise ValueError(f"{path}: expected JSON, found {error}") from None
    names = [entry.name for entry in fields(Metadata)]
    if not isinstance(content, dict) or set(content) != set(names):
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected the keys {names}, found {found}")
    _check_metadata(path, content)
    return Metadata(**content)


def _check_metadata(path: Path, content: dict) -> None:
    for name, value in content.items():
        if name == "sets":
            if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], str):
                raise ValueError(f"{path}: sets: expected the name of one set, found {value!r}")
        elif name in ("pad_id", "ignore_label_id", "blank_identifier_id"):
            if value != 0:
                raise ValueError(f"{path}: {name}: expected 0, found {value!r}")
        elif not isinstance(value, int | float) or value < 1:
            raise ValueError(f"{path}: {name}: expected a positive number, found {value!r}")
        elif name != "mean_puzzle_examples" and not isinstance(value, int):
            raise ValueError(f"{path}: {name}: expected an integer, found {value!r}")


def _read_array(path: Path) -> np.ndarray:
    """Reads an integer array as int32; mapped first, so that a false header cannot ask for more."""
    if not path.is_file():
        raise ValueError(f"{path}: expected this file in a data-set folder, found none")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path}: expected a whole .npy file, found {error}") from None
    if not np.issubdtype(array.dtype, np.integer) or not array.ndim:
        raise ValueError(
            f"{path}: expected an array of integers, found {array.dtype} of shape {array.shape}"
        )
    if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise ValueError(f"{path}: expected 32-bit values, found {array.min()} to {array.max()}")
    return np.array(array, dtype=np.int32)
