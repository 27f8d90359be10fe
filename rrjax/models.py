"""Models as folders: `model.safetensors` + `config.json`; bundled, local, or on a hub."""

import dataclasses
import hashlib
import html
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_safetensors
from safetensors.numpy import save as save_safetensors

from rrjax.cells.binding import bind
from rrjax.cells.config import Config, Dtype, config_from_dict, config_to_dict
from rrjax.cells.params import check_arrays, flatten, unflatten
from rrjax.checks import brief, check_choice
from rrjax.contract import Dynamics
from rrjax.hub import HubError, download_files, list_files
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.folders import read_folder
from rrjax.puzzles.values import check_values
from rrjax.store.files import new_folder, replaced_folder
from rrjax.store.records import check_format, encode_json, format_entry, read_json, write_json

WEIGHTS, CONFIG, PUZZLES = "model.safetensors", "config.json", "puzzles"
FORMAT = ("model", 1)
_BUNDLED = Path(__file__).parent / "bundled"
# where a training run keeps its models, and which of them stands for the run
_MODELS_OF_RUN, _BEST = "models", "best"


_OF_DYNAMICS = {*(field.name for field in dataclasses.fields(Dynamics)), "start", "drives"}
"""What functions of dynamics ask for first."""


@dataclass(frozen=True, repr=False)
class Model:
    """A cell with its weights.

    Attributes:
      config: The cell and its sizes; `config.arch.forward_dtype` is the dtype it computes in.
      params: Nested parameters under their PyTorch names, as NumPy arrays: nothing is placed on a
        device before the model is used.
      provenance: How the weights came to be.
      name: The bundled name, or the name of the folder.
      digest: sha256 of the weights and of the settings of the cell, by which folders of results
        know the model again.
      folder: Where the files of the model are.
    """

    config: Config
    params: Any
    provenance: dict[str, Any]
    name: str
    digest: str
    folder: Path

    @property
    def num_parameters(self) -> int:
        """The number of all parameters, puzzle embeddings and initial vectors included."""
        return sum(math.prod(leaf.shape) for leaf in flatten(self.params).values())

    def bind(self, tokens: Any, puzzle_id: Any = 0) -> Dynamics:
        """Returns the dynamics on one puzzle.

        Under `vmap` and `jit` shapes and types are checked, values are not. The weights are placed
        on the default device once and shared by all puzzles.

        Args:
          tokens: (seq_len,) integers in 0..vocab_size−1.
          puzzle_id: Row of the puzzle-embedding table.

        Raises:
          ValueError: Tokens or an id of another shape, no integers, or out of range.
        """
        check_tokens(self.config, tokens, puzzle_id)
        return bind(self._placed_params, self.config, jnp.asarray(tokens, jnp.int32), puzzle_id)

    @cached_property
    def _placed_params(self) -> Any:
        with jax.ensure_compile_time_eval():  # a model may first be bound inside a traced function
            return jax.tree.map(jnp.asarray, self.params)

    def test_puzzles(self) -> PuzzleSet:
        """Returns the held-out puzzles that a bundled model or a training run comes with.

        Raises:
          ValueError: There are none beside the model.
        """
        folders = [self.folder / PUZZLES]
        if self.folder.parent.name == _MODELS_OF_RUN:
            folders.append(self.folder.parents[1] / PUZZLES)
        for folder in folders:
            if folder.is_dir():
                return read_folder(folder, "test")
        raise ValueError(
            f"model {self.name} comes without test puzzles; give it some with --puzzles: a file, a "
            "data-set folder, or for 9×9 Sudokus the name hard-sudoku9"
        )

    def __getattr__(self, name: str) -> Any:
        if name in _OF_DYNAMICS:
            raise AttributeError(
                "a model has dynamics only on a puzzle: bind one first, as in "
                "rrjax.spectrum(model.bind(puzzles.inputs[0]), …)"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"Model({', '.join(f'{key} {value}' for key, value in self._facts().items())})"

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>"
            for key, value in self._facts().items()
        )
        return f"<table>{''.join(cells)}</table>"

    def _facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "cell": self.config.arch.name,
            "tokens": self.config.seq_len,
            "width": self.config.arch.hidden_size,
            "parameters": f"{self.num_parameters:,}",
            "dtype": self.config.arch.forward_dtype,
        }


def bundled_names() -> list[str]:
    """Returns the names of the models that come with rrjax.

    Example:
      >>> "trm-sudoku9-hard" in rrjax.bundled_names()
      True
    """
    return sorted(path.parent.name for path in _BUNDLED.glob(f"*/{CONFIG}"))


def load_model(source: str | Path, dtype: Dtype = "float32") -> Model:
    """Returns a model by name, folder or address.

    Args:
      source: The name of a bundled model, the folder of a model, the folder of a training run
        (its best model), or `hf://user/repo/sub/folder`.
      dtype: The type in which the model computes, whatever it was trained in. Tangents need
        float32 or float64; float64 must be enabled first, by
        `jax.config.update("jax_enable_x64", True)`.

    Raises:
      ValueError: There is no such model, or its files are damaged or do not fit each other.

    Example:
      >>> rrjax.load_model("trm-sudoku6")
      Model(name trm-sudoku6, cell trm, tokens 36, width 128, parameters 451,074, dtype float32)
    """
    check_choice("dtype", dtype, Dtype)
    folder = locate_model(str(source))
    flat, config, provenance = read_model(folder)
    if dtype == "float64" and jnp.result_type(float) != jnp.float64:
        raise ValueError(
            "dtype float64 needs jax.config.update('jax_enable_x64', True) before any array "
            "is made (rrjax spectrum: --dtype float64 does it)"
        )
    wide = np.float64 if dtype == "float64" else np.float32
    arch = dataclasses.replace(config.arch, forward_dtype=dtype)
    return Model(
        config=dataclasses.replace(config, arch=arch),
        params=unflatten({name: np.asarray(leaf, wide) for name, leaf in flat.items()}),
        provenance=provenance,
        name=_name(folder),
        digest=_digest(folder, config),
        folder=folder,
    )


def _digest(folder: Path, config: Config) -> str:
    """Returns the sha256 of weights and settings: other damping or cycles make another map."""
    settings = encode_json(config_to_dict(config))
    return hashlib.sha256((folder / WEIGHTS).read_bytes() + settings).hexdigest()


def read_model(folder: str | Path) -> tuple[dict[str, np.ndarray], Config, dict[str, Any]]:
    """Returns the flat arrays, config and provenance of a model folder, which must fit together.

    Raises:
      ValueError: Names the file and what is missing, unknown, damaged, of the wrong shape or of
        another format.
    """
    folder = Path(folder)
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is not an rrjax model: it has no {name}{_hint(folder)}")
    record = read_json(folder / CONFIG)
    # folders were of the first format before they named it
    check_format({**format_entry("model", 1), **record}, *FORMAT, folder / CONFIG)
    if not isinstance(record.get("config"), dict):
        raise ValueError(f"{folder / CONFIG} has no entry `config`: it is not an rrjax model's")
    try:
        config = config_from_dict(record["config"])
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG}: {error}") from None
    flat = read_weights(folder / WEIGHTS)
    check_arrays(flat, config, str(folder / WEIGHTS))
    provenance = record.get("provenance", {})
    if not isinstance(provenance, dict):
        raise ValueError(f"{folder / CONFIG}: provenance must be a record, got {brief(provenance)}")
    return flat, config, provenance


def save_model(
    folder: str | Path,
    flat: Mapping[str, np.ndarray],
    config: Config,
    provenance: Mapping[str, Any],
    replace: bool = False,
) -> None:
    """Writes a model folder, whole or not at all.

    Args:
      folder: Must not exist, unless `replace`.
      flat: Arrays under their flat PyTorch names.
      config: The cell.
      provenance: Record of where the weights come from, which JSON can hold.
      replace: Whether an older model in this folder may be replaced.

    Raises:
      ValueError: Names or shapes do not fit the config, or `folder` exists.
    """
    folder = Path(folder)
    check_arrays(flat, config, "flat")
    if folder.exists() and not (replace and (folder / CONFIG).is_file()):
        raise ValueError(f"{folder} exists; choose another folder or remove it first")
    data = save_safetensors({name: np.ascontiguousarray(flat[name]) for name in sorted(flat)})
    record = {**format_entry(*FORMAT), "config": config_to_dict(config), "provenance": provenance}
    put = replaced_folder if folder.exists() else new_folder
    with put(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(data)
        write_json(temporary / CONFIG, record)


def check_tokens(
    config: Config, tokens: Any, puzzle_ids: Any, batch_shape: tuple[int, ...] = ()
) -> None:
    """Refuses puzzles that a cell was not made for.

    Shapes and types are always checked, values unless they are traced.

    Args:
      config: The cell.
      tokens: (*batch_shape, seq_len) integers.
      puzzle_ids: (*batch_shape) integers.
      batch_shape: () for one puzzle.
    """
    for name, values, shape, size in (
        ("tokens", tokens, (*batch_shape, config.seq_len), config.vocab_size),
        ("puzzle_id", puzzle_ids, batch_shape, config.num_puzzle_identifiers),
    ):
        is_traced = isinstance(values, Tracer)
        values = values if is_traced else np.asarray(values)
        if values.shape != shape:
            hint = ""
            if values.shape[1:] == shape and not batch_shape:
                hint = (
                    "; for many puzzles use jax.vmap, as in "
                    "jax.vmap(lambda tokens: rrjax.rollout(model.bind(tokens)))(puzzles.inputs)"
                )
            raise ValueError(
                f"{name}: this model expects the shape {shape}, found {values.shape}{hint}"
            )
        if not jnp.issubdtype(values.dtype, np.integer):
            raise ValueError(f"{name}: expected integers, found dtype {values.dtype}")
        if not is_traced:
            check_values(name, values, 0, size - 1)


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a safetensors file by name.

    Raises:
      ValueError: The file is damaged, or holds arrays of a type that NumPy lacks.
    """
    try:
        return load_safetensors(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    except AttributeError as error:  # how safetensors says that NumPy lacks a type, float8 say
        raise ValueError(f"{path} holds arrays of a type that cannot be read: {error}") from None


def _name(folder: Path) -> str:
    """Returns the name of a model: of the best model of a run, the name of the run."""
    is_of_run = folder.name == _BEST and folder.parent.name == _MODELS_OF_RUN
    return (folder.parents[1] if is_of_run else folder).absolute().name


def locate_model(source: str) -> Path:
    """Returns the folder of a model, as `load_model` takes it; one of a hub is downloaded.

    Raises:
      ValueError: There is no such model.
    """
    if source.startswith("hf://"):
        return _download(source.removeprefix("hf://"))
    if source in bundled_names():
        return _BUNDLED / source
    folder = Path(source)
    best_of_run = folder / _MODELS_OF_RUN / _BEST
    if best_of_run.is_dir():
        return best_of_run
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ValueError(
            f"{source} is a file, where a model is a folder; weights of PyTorch go through: "
            f"rrjax convert {source} NEW_FOLDER"
        )
    raise ValueError(
        f"no model {source!r}: neither a folder nor bundled ({', '.join(bundled_names())}); "
        "a hub folder is written hf://user/repo/sub/folder"
    )


def _download(path: str) -> Path:
    user, _, rest = path.partition("/")
    name, _, folder = rest.partition("/")
    if not user or not name:
        raise ValueError(f"a hub folder is written hf://user/repo/sub/folder, got hf://{path}")
    repo, folder = f"{user}/{name}", folder.strip("/")
    files = [f"{folder}/{name}".lstrip("/") for name in (WEIGHTS, CONFIG)]
    try:
        downloaded = download_files(repo, files) / folder
        others = [] if (downloaded / CONFIG).is_file() else torch_files(list_files(repo), folder)
    except HubError as error:
        raise ValueError(
            f"cannot reach the hub for {repo} ({error}). Put {' and '.join(files)} into a folder "
            "by hand and pass that folder; PyTorch weights go through "
            f"`rrjax convert {path} FOLDER`"
        ) from None
    if others:
        raise ValueError(
            f"hf://{path} is not an rrjax model: it has no {CONFIG}; {others[0]} there may be "
            f"PyTorch's: rrjax convert hf://{path} NEW_FOLDER"
        )
    return downloaded


def torch_files(names: Iterable[str], folder: str = "") -> list[str]:
    """Returns the files that may hold PyTorch weights, by their names.

    These are the files of the folder itself or, where it has none, of the folders in it. Files with
    a suffix of weights, or a name such as step_100, come before others without a suffix.

    Args:
      names: Paths of files, with slashes.
      folder: The folder to look in, "" for all.

    Returns:
      The paths that were given, sorted.
    """
    paths = [PurePosixPath(name) for name in sorted(names)]
    inside = [path for path in paths if path.is_relative_to(folder)]
    depth = len(PurePosixPath(folder).parts)
    for level in (1, 2):
        here = [path for path in inside if len(path.parts) == depth + level]
        for pattern in (_TORCH_NAMES, _BARE_NAMES):
            fitting = [str(path) for path in here if pattern.fullmatch(path.name.lower())]
            if fitting:
                return fitting
    return []


# what trainers write beside the weights is none
_TORCH_NAMES = re.compile(
    r"(?!optimizer|scheduler|scaler|rng_state|random_state|training_args)"
    r"(\w[^/]*\.(pt|pth|ckpt|bin|safetensors|pth\.tar)"
    r"|(step|checkpoint|ckpt|epoch|iter|model|weights|best|last|latest|final)[\w-]*)"
)
_BARE_NAMES = re.compile(
    r"(?!(licen[sc]e|copying|readme|notice|authors|changelog|makefile|dockerfile)$)[\w-]+"
)


def _hint(folder: Path) -> str:
    if (folder / "checkpoints").is_dir():
        return "; a training run saves its first model when it is first evaluated (eval_every)"
    entries = folder.iterdir() if folder.is_dir() else ()
    files = torch_files(path.name for path in entries if path.is_file() and path.name != WEIGHTS)
    if not files:
        return ""
    return f"; {files[0]} there may be PyTorch's: rrjax convert {folder} NEW_FOLDER"
