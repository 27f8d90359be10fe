"""Reads the network that a configuration of the official code or of a fork describes."""

import re
from pathlib import Path
from typing import Any, get_args

from rrjax.cells import Arch, parse_arch
from rrjax.cells.config import LossType
from rrjax.store.yaml_files import read_yaml

# Hydra replaces such a text by the value of another key of the block
_REFERENCE = re.compile(r"\$\{(?:\.|arch\.)?(\w+)\}")


def read_arch(path: Path) -> tuple[Arch, list[str]]:
    """Returns the architecture in a YAML file, and notes about what was not read.

    The file has an `arch:` block, or is such a block itself, as in the official `config/arch`. Of
    the loss, which is no part of the network, only a known `loss_type` is kept.

    Raises:
      ValueError: If it is no YAML or has no such block, or the network differs from those of rrjax.
    """
    content = read_yaml(path)
    block = content.get("arch", content) if isinstance(content, dict) else None
    if not isinstance(block, dict) or (block is content and "name" not in block):
        raise ValueError(f"{path}: expected an `arch:` block, as official checkpoints have it")
    block = {key: _referred(value, block) for key, value in block.items()}
    loss, unread = _known_loss(block.pop("loss", {}))
    try:
        arch = parse_arch({**block, "loss": loss})
    except ValueError as error:
        raise ValueError(
            f"{path}: {error} (should the network be the same in spite of it, correct a copy of "
            "the file and give --config COPY)"
        ) from error
    if not unread:
        return arch, []
    return arch, [f"not read, because the loss is not part of the network: {', '.join(unread)}"]


def _referred(value: Any, block: dict[Any, Any]) -> Any:
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return value if match is None else block.get(match[1], value)


def _known_loss(loss: Any) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(loss, dict):
        return {}, ["arch.loss"]
    known = {key: loss[key] for key in ("loss_type",) if loss.get(key) in get_args(LossType)}
    official = {**known, "name": "losses@ACTLossHead"}
    return known, [f"arch.loss.{key}" for key, value in loss.items() if official.get(key) != value]
