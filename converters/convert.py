"""An official PyTorch checkpoint to a model folder of rrjax, and back."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from converters.matching import check_match, resize_puzzle_table, strip_prefix
from converters.sizes import find_sizes
from converters.sources import Source, find_source
from converters.torch_file import read_state_dict
from converters.torch_writer import write_state_dict
from rrjax.cells import Arch, Config, param_shapes, parse_arch
from rrjax.models import read_model, save_model

# Bumped whenever the same source would be written differently.
CONVERTER_VERSION = 1
# As upstream's training saves and loads them.
_OFFICIAL_PREFIX = "_orig_mod.model.inner."


@dataclass(frozen=True)
class Conversion:
    """What was written: weights by rrjax name, and the prefix of those names in the torch file."""

    params: dict[str, np.ndarray]
    config: Config
    key_prefix: str


def convert(
    source: str,
    destination: Path,
    *,
    sizes: Mapping[str, int | None],
    resize_puzzle_embeddings: int | None = None,
) -> Conversion:
    """Write a checkpoint as a model folder: every tensor bit-equal and in the dtype it has.

    Args:
      source: a folder, a weights file in one, or a Hub id (`user/repo/folder`).
      destination: a folder that must not exist; it appears whole or not at all.
      sizes: `seq_len`, `vocab_size` and `num_puzzle_identifiers`, where no meta file states them.
      resize_puzzle_embeddings: reset the puzzle embeddings to this many copies of their mean.

    Raises:
      ValueError: if the checkpoint is incomplete, damaged, or not exactly the model it says it is.
      OSError: if the disk fails.
    """
    _refuse_existing(destination)
    files = find_source(source)
    prefix, params = strip_prefix(read_state_dict(files.weights))
    provenance = _provenance(files, prefix)
    if resize_puzzle_embeddings is not None:
        provenance["resize_puzzle_embeddings"] = resize_puzzle_embeddings
        params = resize_puzzle_table(params, resize_puzzle_embeddings)
        if sizes.get("num_puzzle_identifiers") is None:
            sizes = {**sizes, "num_puzzle_identifiers": resize_puzzle_embeddings}
    config = Config(_read_arch(files.config), **find_sizes(sizes, files, params))
    check_match(params, param_shapes(config))
    params = {name: params[name] for name in param_shapes(config)}
    save_model(destination, params, config, provenance)
    return Conversion(params, config, prefix)


def to_torch(source: Path, destination: Path) -> Conversion:
    """Write the weights of a model folder as a PyTorch state dict, under their original prefix.

    A model that was not converted gets the prefix of official checkpoints.

    Raises:
      ValueError: if the destination exists or the source is no model folder.
      OSError: if the disk fails.
    """
    flat, config, provenance = read_model(source)
    prefix = str(provenance.get("key_prefix", _OFFICIAL_PREFIX))
    params = {name: flat[name] for name in param_shapes(config)}
    write_state_dict(destination, {prefix + name: array for name, array in params.items()})
    return Conversion(params, config, prefix)


def _refuse_existing(destination: Path) -> None:
    if destination.exists():
        raise ValueError(f"{destination} exists already and is not overwritten; name another")


def _read_arch(path: Path) -> Arch:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("arch"), dict):
        raise ValueError(f"{path}: expected an `arch:` block, as official checkpoints have it")
    try:
        return parse_arch(content["arch"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _provenance(files: Source, prefix: str) -> dict[str, Any]:
    with files.weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    origin = {"source": files.hub_id} if files.hub_id else {}
    return {
        **origin,
        "source_file": files.weights.name,
        "source_sha256": digest,
        "key_prefix": prefix,
        "converter_version": CONVERTER_VERSION,
    }
