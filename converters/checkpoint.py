"""Reads the weights of a checkpoint, whichever format its file has."""

from pathlib import Path

import numpy as np

from rrjax.models import read_weights

from .entries import State, find_state
from .records import CheckpointError
from .torch_file import read_torch_file


def read_checkpoint(path: Path, entry: str | None = None) -> State:
    """Returns the state dict in a file of `torch.save` or of safetensors.

    Args:
      path: The file; its content decides what it is.
      entry: Which state dict to take where the file holds several.

    Raises:
      ValueError: As `read_torch_file`, or a damaged safetensors file.
      OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(9)
    # the length of a header of JSON comes first
    if head[8:] != b"{":
        return read_torch_file(path, entry)
    tensors = read_weights(path)
    try:
        return find_state(tensors, np.ndarray, entry)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
