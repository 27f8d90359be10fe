"""Models as folders: `model.safetensors` + `config.json`; bundled, local, or on a hub."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_safetensors
from safetensors.numpy import save as save_safetensors

from rrjax.cells import (
    Config,
    bind,
    check_arrays,
    config_from_dict,
    config_to_dict,
    unflatten,
)
from rrjax.cells.config import Dtype
from rrjax.contract import Dynamics
from rrjax.puzzles import PuzzleSet, read_folder
from rrjax.store import new_folder, read_json, replaced_folder, write_json

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class Model:
    """A cell with its weights.

    Attributes:
      config: the cell and its sizes; `config.arch.forward_dtype` is the dtype it runs in.
      params: nested parameters, PyTorch names.
      provenance: how the weights came to be.
      name: what it was loaded as.
      digest: sha256 of the weights file.
      folder: where its files are.
    """

    config: Config
    params: Any
    provenance: dict[str, Any]
    name: str
    digest: str
    folder: Path

    def bind(self, tokens: Any, puzzle_id: int = 0) -> Dynamics:
        """The dynamics on one puzzle.

        Args:
          tokens: (seq_len,) integers in 0..vocab_size−1.
          puzzle_id: row of the puzzle-embedding table.

        Raises:
          ValueError: for another length, a token or an id out of range.
        """
        check_tokens(self.config, np.asarray(tokens)[None], np.asarray([puzzle_id]))
        return bind(self.params, self.config, jnp.asarray(tokens, jnp.int32), puzzle_id)

    def test_puzzles(self) -> PuzzleSet:
        """The held-out puzzles that come with a bundled model.

        Raises:
          ValueError: if the model's folder has none.
        """
        folder = self.folder / "puzzles"
        if not folder.is_dir():
            raise ValueError(f"model {self.name} comes without test puzzles; pass --puzzles FILE")
        return read_folder(folder, "test")


def bundled_names() -> list[str]:
    """Returns the names of the models that come with rrjax."""
    return sorted(path.parent.name for path in _BUNDLED.glob(f"*/{CONFIG}"))


def load_model(source: str | Path, dtype: Dtype = "float32") -> Model:
    """Returns the model of a bundled name, a folder, or `hf://user/repo/sub/folder`.

    Args:
      source: what to load.
      dtype: what it computes in, whatever it was trained in. Tangents need float32 or float64;
        float64 must be enabled first (`jax.config.update("jax_enable_x64", True)`).

    Raises:
      ValueError: if there is no such model, or its files are damaged or do not fit each other.
    """
    folder = _locate(str(source))
    flat, config, provenance = read_model(folder)
    if dtype not in get_args(Dtype):
        raise ValueError(f"dtype must be one of {', '.join(get_args(Dtype))}; got {dtype!r}")
    if dtype == "float64" and jnp.result_type(float) != jnp.float64:
        raise ValueError(
            "dtype float64 needs jax.config.update('jax_enable_x64', True) before any array "
            "is made (rrjax spectrum: --dtype float64 does it)"
        )
    wide = jnp.promote_types(dtype, jnp.float32)
    params = unflatten({name: jnp.asarray(leaf).astype(wide) for name, leaf in flat.items()})
    arch = dataclasses.replace(config.arch, forward_dtype=dtype)
    return Model(
        config=dataclasses.replace(config, arch=arch),
        params=params,
        provenance=provenance,
        name=str(source) if str(source) in bundled_names() else folder.name,
        digest=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        folder=folder,
    )


def read_model(folder: str | Path) -> tuple[dict[str, np.ndarray], Config, dict[str, Any]]:
    """The flat arrays, config and provenance of a model folder, checked against each other.

    Raises:
      ValueError: naming the file and what is missing, unknown, damaged or of the wrong shape.
    """
    folder = Path(folder)
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is no rrjax model: it has no {name}{_hint(folder)}")
    record = read_json(folder / CONFIG)
    if not isinstance(record.get("config"), dict):
        raise ValueError(f"{folder / CONFIG} has no entry `config`: it is not an rrjax model's")
    config = _parse_config(record["config"], folder / CONFIG)
    flat = _read_weights(folder / WEIGHTS)
    check_arrays(flat, config, str(folder / WEIGHTS))
    return flat, config, record.get("provenance", {})


def save_model(
    folder: str | Path,
    flat: Mapping[str, np.ndarray],
    config: Config,
    provenance: Mapping[str, Any],
    replace: bool = False,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
      folder: must not exist, unless `replace`.
      flat: arrays under their flat PyTorch names.
      config: the cell.
      provenance: JSON-able record of where the weights come from.
      replace: put it in the place of an older model there.

    Raises:
      ValueError: if names or shapes do not fit the config, or `folder` exists.
      OSError: as `rrjax.store.new_folder`.
    """
    folder = Path(folder)
    check_arrays(flat, config, "flat")
    if folder.exists() and not (replace and (folder / CONFIG).is_file()):
        raise ValueError(f"{folder} exists; choose another folder or remove it first")
    data = save_safetensors({name: np.ascontiguousarray(flat[name]) for name in sorted(flat)})
    record = {"config": config_to_dict(config), "provenance": dict(provenance)}
    put = replaced_folder if folder.exists() else new_folder
    with put(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(data)
        write_json(temporary / CONFIG, record)


def check_tokens(config: Config, tokens: np.ndarray, puzzle_ids: np.ndarray) -> None:
    """Refuse puzzles that a cell was not made for.

    Args:
      config: the cell.
      tokens: (puzzles, seq_len) integers.
      puzzle_ids: (puzzles,) integers.

    Raises:
      ValueError: naming the sizes or values expected and found.
    """
    if tokens.ndim != 2 or tokens.shape[1] != config.seq_len:
        raise ValueError(
            f"a puzzle must have {config.seq_len} tokens for this model, got "
            f"{tokens.shape[-1] if tokens.ndim > 1 else 'no sequence'}"
        )
    _check_range("tokens", tokens, config.vocab_size)
    _check_range("puzzle_id", puzzle_ids, config.num_puzzle_identifiers)


def _check_range(name: str, values: np.ndarray, size: int) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got {values.dtype}")
    if values.size and not (values.min() >= 0 and values.max() < size):
        raise ValueError(
            f"{name} must lie in 0..{size - 1} for this model, got {values.min()}..{values.max()}"
        )


def _parse_config(mapping: dict[str, Any], path: Path) -> Config:
    try:
        return config_from_dict(mapping)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_safetensors(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    except AttributeError as error:  # how safetensors says that NumPy lacks a type, float8 say
        raise ValueError(f"{path} holds arrays of a type that cannot be read: {error}") from None


def _locate(source: str) -> Path:
    if source.startswith("hf://"):
        return _download(source.removeprefix("hf://"))
    if (_BUNDLED / source / CONFIG).is_file():
        return _BUNDLED / source
    if Path(source).is_dir():
        return Path(source)
    raise ValueError(
        f"no model {source!r}: neither a folder nor bundled ({', '.join(bundled_names())}); "
        "a hub folder is written hf://user/repo/sub/folder"
    )


def _download(path: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
        LocalEntryNotFoundError,
    )

    user, _, rest = path.partition("/")
    repo, _, folder = rest.partition("/")
    if not user or not repo:
        raise ValueError(f"a hub folder is written hf://user/repo/sub/folder, got hf://{path}")
    files = [f"{folder}/{name}".lstrip("/") for name in (WEIGHTS, CONFIG)]
    try:
        root = snapshot_download(f"{user}/{repo}", allow_patterns=files)
    except (LocalEntryNotFoundError, HTTPError, OSError) as error:
        raise ValueError(
            f"cannot reach the hub for {user}/{repo} ({type(error).__name__}). Put "
            f"{' and '.join(files)} into a folder by hand and pass that folder; PyTorch weights "
            f"go through `rrjax convert {path} FOLDER`"
        ) from None
    return Path(root) / folder


def _hint(folder: Path) -> str:
    torch_files = [*folder.glob("*.pt"), *folder.glob("step_*")] if folder.is_dir() else []
    if not torch_files:
        return ""
    return f"; {torch_files[0].name} there is PyTorch's: rrjax convert {folder} NEW_FOLDER"
