"""The command `rrjax convert`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.commands.parsing import parse_command_line


@dataclass(frozen=True)
class Options:
    """Converts a checkpoint of TRM, HRM or their forks to a model folder of rrjax, or back.

    The command does not need PyTorch, runs no code that a checkpoint holds, and overwrites nothing.

    Attributes:
      source: The folder with all_config.yaml and one file of weights, that file itself (of
        torch.save or of safetensors, under any name), or a repository of the Hugging Face Hub
        (user/repo/folder). With --to-torch it is a model folder, a training run, or a bundled name.
      destination: The model folder to write, or with --to-torch the .pt file to write.
      entry: Which weights to take where the file holds several, such as ema.shadow.
      config: The configuration file, or the name of a recipe with the same network. It is needed if
        no all_config.yaml lies beside the weights.
      to_torch: Write a PyTorch state dict of a model.
      seq_len: Number of tokens of a puzzle. It is needed if neither a meta.json nor the tensors
        show it.
      vocab_size: Number of token values. It is needed if no meta.json states it.
      num_puzzle_identifiers: Number of rows of the puzzle-embedding table. It is needed if no
        meta.json states it.
      resize_puzzle_embeddings: Replace the puzzle embeddings by this many copies of their mean.
    """

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    destination: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    entry: str | None = None
    config: str | None = None
    to_torch: tyro.conf.FlagCreatePairsOff[bool] = False
    seq_len: int | None = None
    vocab_size: int | None = None
    num_puzzle_identifiers: int | None = None
    resize_puzzle_embeddings: int | None = None


def main(arguments: Sequence[str], prog: str = "rrjax convert") -> None:
    """Parses the arguments, converts, and prints one line for each tensor.

    Raises:
      ValueError: If the input is at fault.
      OSError: If a file cannot be read or written.
    """
    options = parse_command_line(Options, arguments, prog)
    from .convert import convert, to_torch  # after the parsing, since they start JAX

    names = ("seq_len", "vocab_size", "num_puzzle_identifiers", "resize_puzzle_embeddings")
    sizes = {name: getattr(options, name) for name in names}
    choices = {"entry": options.entry, "config": options.config}
    if not options.to_torch:
        conversion = convert(options.source, options.destination, **choices, **sizes)
    elif any(choice is not None for choice in choices.values()):
        raise ValueError("--to-torch takes neither --entry nor --config")
    elif any(size is not None for size in sizes.values()):
        raise ValueError("--to-torch takes no sizes: a model folder states its own")
    else:
        conversion = to_torch(options.source, options.destination)
    print(f"{conversion}, written to {options.destination}")
