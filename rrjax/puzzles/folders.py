"""Data-set folders of the official TRM and HRM code.

A folder holds `train/` and `test/`, each with `dataset.json` and five arrays `all__*.npy`, and
`identifiers.json`. `puzzle_indices` bounds the examples of each puzzle, `group_indices` the puzzles
of each group. ARC's folders also hold `test_puzzles.json`.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rrjax.puzzles.dataset import Metadata, PuzzleSet, check_bounds
from rrjax.store import new_folder
from rrjax.store.reading import NPY_ERRORS, read_json_value

SPLITS = ("train", "test")
ARRAYS = ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")
IDENTIFIERS = "identifiers.json"
BLANK = "<blank>"

_LARGEST_JSON = 2**29
"""Bytes of the largest JSON file: a thousand copies of each task of ARC have a million names."""

MAPPED_BYTES = 2**28
"""Token arrays of more bytes than this are mapped instead of read, if they are uint8."""


@dataclass(frozen=True)
class Stream:
    """A split that is written piece by piece, since it may not fit in memory.

    Attributes:
        pieces: Inputs and labels (some examples, seq) in uint8, piece after piece.
        puzzle_ids: (P,) int32 identifier of each puzzle.
        puzzle_indices: (P + 1,) int32 first example of each puzzle, then N.
        group_indices: (G + 1,) int32 first puzzle of each group, then P.
        metadata: Sizes and special tokens.
    """

    pieces: Iterable[tuple[np.ndarray, np.ndarray]]
    puzzle_ids: np.ndarray
    puzzle_indices: np.ndarray
    group_indices: np.ndarray
    metadata: Metadata


def write_folder(folder: str | Path, splits: Mapping[str, PuzzleSet]) -> None:
    """Writes a data-set folder; the same sets give the same bytes.

    Tokens are stored as uint8, the official dtype of sets without augmentation (the official
    builder stores augmented ones as int64; its reader takes both).

    Args:
        folder: New or empty folder; it appears whole or not at all.
        splits: Sets under "train", "test" or both.

    Raises:
        ValueError: The folder holds something, or a set does not fit the format.

    Example:
        >>> puzzles = rrjax.puzzles.build_sudokus(rrjax.puzzles.generate_sudokus(4, 3, seed=0))
        >>> rrjax.puzzles.write_folder("data/sudoku4", {"test": puzzles})
        >>> len(rrjax.puzzles.read("data/sudoku4"))
        3
    """
    _check_splits(splits)
    streams = {split: _stream(puzzles) for split, puzzles in splits.items()}
    write_streams(folder, streams, {IDENTIFIERS: [BLANK]})


def write_streams(
    folder: str | Path, streams: Mapping[str, Stream], lists: Mapping[str, Any]
) -> None:
    """Writes a data-set folder of splits that come in pieces.

    Args:
        folder: New or empty folder; it appears whole or not at all.
        streams: Splits under "train", "test" or both.
        lists: Content of the JSON files beside them, by name, `identifiers.json` among them.
    """
    with new_folder(folder) as temporary:
        for split, stream in streams.items():
            _write_stream(temporary / split, stream)
        for name, content in lists.items():
            _write_json(temporary / name, content)


def read_folder(folder: str | Path, split: str = "test") -> PuzzleSet:
    """Reads one split of a data-set folder; labels keep 0 for "ignored".

    Tokens are int32 in memory. Inputs or labels of more than `MAPPED_BYTES` in uint8 (ARC with its
    augmentations: gigabytes) stay in their file, mapped, and only rows that are taken are read.

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
    arrays = {array: _in_memory(_map_array(folder / f"{name}__{array}.npy")) for array in ARRAYS}
    source = f"{folder}/{name}__*.npy"
    ids = _spread(
        source, arrays.pop("puzzle_identifiers"), arrays["puzzle_indices"], arrays["inputs"]
    )
    return PuzzleSet(**arrays, puzzle_ids=ids, metadata=metadata, source=source, folder=folder)


def read_identifiers(folder: str | Path) -> list[str]:
    """Reads the names of the rows of the puzzle embedding of a data-set folder.

    Returns:
        Names; the first is that of no puzzle, "<blank>".

    Raises:
        ValueError: No such file, no list of names, or a name that comes twice.
    """
    path = Path(folder) / IDENTIFIERS
    names = read_json_file(path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}: expected a list of names, found {type(names).__name__}")
    if not names:
        raise ValueError(f"{path}: expected different names, found nothing")
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"{path}: expected different names, found {twice} again")
    return names


def read_json_file(path: Path) -> Any:
    """Reads a JSON file of a data-set folder.

    Raises:
        ValueError: No such file, or no JSON.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected this file in a data-set folder, found none")
    return read_json_value(path, _LARGEST_JSON)


def _spread(source: str, ids: np.ndarray, bounds: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Gives every example the identifier of its puzzle."""
    check_bounds(f"{source}: puzzle_indices", bounds, len(inputs))
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


def _stream(puzzles: PuzzleSet) -> Stream:
    return Stream(
        pieces=[(puzzles.inputs.astype(np.uint8), puzzles.labels.astype(np.uint8))],
        puzzle_ids=puzzles.puzzle_ids[puzzles.puzzle_indices[:-1]],
        puzzle_indices=puzzles.puzzle_indices,
        group_indices=puzzles.group_indices,
        metadata=puzzles.metadata,
    )


def _write_stream(folder: Path, stream: Stream) -> None:
    folder.mkdir()
    _write_json(folder / "dataset.json", asdict(stream.metadata))
    bounds = {"puzzle_indices": stream.puzzle_indices, "group_indices": stream.group_indices}
    for name, array in {"puzzle_identifiers": stream.puzzle_ids, **bounds}.items():
        with (folder / f"all__{name}.npy").open("wb") as file:
            _write_header(file, array.shape, array.dtype)
            file.write(array.tobytes())
    shape = int(stream.puzzle_indices[-1]), stream.metadata.seq_len
    inputs, labels = folder / "all__inputs.npy", folder / "all__labels.npy"
    with inputs.open("wb") as questions, labels.open("wb") as answers:
        _write_pieces(questions, answers, shape, stream.pieces)


def _write_pieces(
    questions: BinaryIO,
    answers: BinaryIO,
    shape: tuple[int, int],
    pieces: Iterable[tuple[np.ndarray, np.ndarray]],
) -> None:
    written = 0
    for file in (questions, answers):
        _write_header(file, shape, np.dtype(np.uint8))
    for pair in pieces:
        for file, tokens in zip((questions, answers), pair, strict=True):
            if tokens.dtype != np.uint8 or tokens.shape != (len(pair[0]), shape[1]):
                raise ValueError(
                    f"pieces: expected uint8 of shape ({len(pair[0])}, {shape[1]}), "
                    f"found {tokens.dtype} of shape {tokens.shape}"
                )
            # not np.save: of a full disk it says only how many values it wrote
            file.write(tokens.tobytes())
        written += len(pair[0])
    if written != shape[0]:
        raise ValueError(f"pieces: expected {shape[0]} examples in all, found {written}")


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> None:
    description = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _read_metadata(path: Path) -> Metadata:
    content = read_json_file(path)
    names = [entry.name for entry in fields(Metadata)]
    if isinstance(content, dict) and "total_puzzles" not in content:
        # HRM's builders write none
        content = {**content, "total_puzzles": content.get("total_groups")}
    if not isinstance(content, dict) or not set(names) <= set(content):
        keys = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected the keys {names}, found {keys}")
    unknown = sorted(set(content) - set(names))
    if unknown:
        print(f"rrjax: {path}: {', '.join(unknown)} has no effect here", file=sys.stderr)
    known = {name: content[name] for name in names}
    _check_metadata(path, known)
    return Metadata(**known)


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


def _map_array(path: Path) -> np.ndarray:
    """Maps an array of 32-bit integers; a false header cannot ask for more than the file has."""
    if not path.is_file():
        raise ValueError(f"{path}: expected this file in a data-set folder, found none")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (*NPY_ERRORS, OSError) as error:
        raise ValueError(f"{path}: expected a whole .npy file, found {error}") from None
    if not np.issubdtype(array.dtype, np.integer) or not array.ndim:
        raise ValueError(
            f"{path}: expected an array of integers, found {array.dtype} of shape {array.shape}"
        )
    if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise ValueError(f"{path}: expected 32-bit values, found {array.min()} to {array.max()}")
    return array


def _in_memory(array: np.ndarray) -> np.ndarray:
    """Returns the array in int32, or as it is where that would take too much memory."""
    if array.dtype == np.uint8 and array.ndim == 2 and array.nbytes > MAPPED_BYTES:
        return array
    return np.array(array, dtype=np.int32)
