"""Converts a PyTorch checkpoint to a model folder of rrjax, and back."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rrjax.cells import Config, param_shapes
from rrjax.models import locate_model, read_model, save_model

from .arch_file import read_arch
from .caches import check_rotary, drop_caches
from .checkpoint import read_checkpoint
from .entries import State
from .matching import check_match, resize_puzzle_table, strip_prefix
from .sizes import find_sizes
from .sources import Source, find_source
from .torch_writer import write_state_dict

CONVERTER_VERSION = 1
"""Is raised whenever the same source would be written differently."""

_OFFICIAL_PREFIX = "_orig_mod.model.inner."
"""What the official training puts before the name of each parameter."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote; `print` shows one line for each tensor.

    Attributes:
      params: The weights by their names in rrjax.
      config: The cell and its sizes.
      key_prefix: What stands before those names in the torch file.
      notes: Sentences about what was chosen or left out.
    """

    params: dict[str, np.ndarray]
    config: Config
    key_prefix: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        width = max(map(len, self.params))
        lines = [
            f"{name:<{width}}  {array.shape!s:<12} {array.dtype!s:<9} {self.key_prefix}{name}"
            for name, array in self.params.items()
        ]
        config = self.config
        total = sum(array.size for array in self.params.values())
        return "\n".join(
            [
                *lines,
                *self.notes,
                f"{config.arch.name}: seq_len {config.seq_len}, vocab_size {config.vocab_size}, "
                f"num_puzzle_identifiers {config.num_puzzle_identifiers}",
                f"{len(lines)} tensors, {total:,} parameters",
            ]
        )


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    entry: str | None = None,
    config: str | Path | None = None,
    seq_len: int | None = None,
    vocab_size: int | None = None,
    num_puzzle_identifiers: int | None = None,
    resize_puzzle_embeddings: int | None = None,
) -> Conversion:
    """Writes a checkpoint of the official code or of its forks as a model folder.

    Every tensor keeps its bits and its dtype. PyTorch is not needed, and nothing that the
    checkpoint asks for is run. Tables that were saved although the model computes them are dropped.

    Args:
      source: The folder with `all_config.yaml` and one file of weights, that file, or a repository
        of the Hugging Face Hub (`user/repo/folder`). The file is one of `torch.save` or of
        safetensors, under any name.
      destination: a folder that must not exist; it appears whole or not at all.
      entry: Which state dict to take where the file holds several, such as `ema.shadow`. Buffers
        that an average lacks come from the weights that were averaged.
      config: a file with an `arch:` block, or the name of a recipe, where no `all_config.yaml`
        lies beside the weights.
      seq_len: Number of tokens of a puzzle, if neither a `meta.json` nor the tensors show it.
      vocab_size: Number of token values, if no `meta.json` states it.
      num_puzzle_identifiers: Rows of the puzzle-embedding table, if no `meta.json` states them.
      resize_puzzle_embeddings: Replace the puzzle embeddings by this many copies of their mean.

    Returns:
      The weights by name, the config, the prefix of the names in the torch file, and notes.

    Raises:
      ValueError: If the checkpoint is incomplete, damaged, or not exactly the model that its
        configuration states.
      OSError: If a file cannot be read or written.

    Example:
      >>> conversion = rrjax.convert(
      ...     "downloads/trm", "models/trm"
      ... )  # a folder of an official checkpoint
      >>> len(conversion.params), conversion.config.arch.name
      (15, 'trm')
    """
    destination = Path(destination)
    if destination.exists():
        raise ValueError(f"{destination} exists already and is not overwritten; name another")
    files = find_source(str(source), None if config is None else str(config))
    state = read_checkpoint(files.weights, entry)
    tensors, caches = drop_caches(state.tensors)
    prefix, params = strip_prefix(tensors)
    arch, notes = read_arch(files.config)
    if config is not None:
        notes.append(
            f"H_cycles {arch.H_cycles} and L_cycles {arch.L_cycles} are those of "
            f"{files.config.name}, as no weight shows them"
        )
    provenance = _provenance(files, prefix, state.entry)
    if resize_puzzle_embeddings is not None:
        provenance["resize_puzzle_embeddings"] = resize_puzzle_embeddings
        params = resize_puzzle_table(params, resize_puzzle_embeddings)
        if num_puzzle_identifiers is None:
            num_puzzle_identifiers = resize_puzzle_embeddings
    sizes = {
        "seq_len": seq_len,
        "vocab_size": vocab_size,
        "num_puzzle_identifiers": num_puzzle_identifiers,
    }
    cell = Config(arch, **find_sizes(sizes, files, params, Config(arch).leading_tokens))
    check_match(params, param_shapes(cell))
    check_rotary(caches, cell)
    params = {name: params[name] for name in param_shapes(cell)}
    save_model(destination, params, cell, provenance)
    return Conversion(params, cell, prefix, (*notes, *_notes(state, caches)))


def to_torch(source: str | Path, destination: str | Path) -> Conversion:
    """Writes the weights of a model as a PyTorch state dict and returns what it wrote.

    The source is a bundled name, a model folder, or a training run, of which it is the best model.

    The names get the prefix that they had before the model was converted. A model that was never
    converted gets the prefix of the official checkpoints.

    Raises:
      ValueError: If the destination exists or the source is no model.
      OSError: If a file cannot be read or written.
    """
    flat, config, provenance = read_model(locate_model(str(source)))
    prefix = str(provenance.get("key_prefix", _OFFICIAL_PREFIX))
    params = {name: flat[name] for name in param_shapes(config)}
    arrays = {prefix + name: array for name, array in params.items()}
    write_state_dict(Path(destination), arrays)
    return Conversion(params, config, prefix)


def _notes(state: State, caches: Mapping[str, np.ndarray]) -> Iterator[str]:
    if state.entry:
        yield f"taken from the entry {state.entry}"
    if state.filled:
        filled = ", ".join(state.filled)
        yield f"taken from the entry {state.donor}, as averages lack them: {filled}"
    if caches:
        yield f"left out, as the model computes them: {', '.join(caches)}"


def _provenance(files: Source, prefix: str, entry: str) -> dict[str, Any]:
    with files.weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    origin = {"source": files.hub_id} if files.hub_id else {}
    return {
        **origin,
        "source_file": files.weights.name,
        "source_sha256": digest,
        **({"entry": entry} if entry else {}),
        "key_prefix": prefix,
        "converter_version": CONVERTER_VERSION,
    }
