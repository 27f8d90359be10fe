"""`python -m converters SRC DST`, and `python -m converters --to-torch SRC DST.pt` back."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from converters.convert import Conversion, convert, to_torch


@dataclass(frozen=True)
class Arguments:
    """Convert an official TRM or HRM checkpoint to a model folder of rrjax, or back.

    Nothing needs torch, nothing in a checkpoint is run, and nothing is overwritten.
    """

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Folder with all_config.yaml and weights.pt or step_N, that file, or a Hub id (user/repo/sub).
    With --to-torch: a model folder."""
    destination: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """Model folder to write. With --to-torch: the .pt file to write."""
    to_torch: tyro.conf.FlagCreatePairsOff[bool] = False
    """Write a PyTorch state dict from a model folder."""
    seq_len: int | None = None
    """Tokens of a puzzle, if no meta.json states it."""
    vocab_size: int | None = None
    """Number of token values, if no meta.json states it."""
    num_puzzle_identifiers: int | None = None
    """Rows of the puzzle-embedding table, if no meta.json states it."""
    resize_puzzle_embeddings: int | None = None
    """Reset the puzzle embeddings to this many copies of their mean."""


def main() -> None:
    """Run the command line; exit with 2 and one message where the input is at fault."""
    arguments = tyro.cli(Arguments, prog="python -m converters")
    try:
        conversion = _run(arguments)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(_report(conversion, arguments.destination))


def _run(arguments: Arguments) -> Conversion:
    sizes = {
        "seq_len": arguments.seq_len,
        "vocab_size": arguments.vocab_size,
        "num_puzzle_identifiers": arguments.num_puzzle_identifiers,
    }
    resize = arguments.resize_puzzle_embeddings
    if not arguments.to_torch:
        return convert(
            arguments.source, arguments.destination, sizes=sizes, resize_puzzle_embeddings=resize
        )
    if resize is not None or any(size is not None for size in sizes.values()):
        raise ValueError("--to-torch takes no sizes: a model folder states its own")
    return to_torch(Path(arguments.source), arguments.destination)


def _report(conversion: Conversion, destination: Path) -> str:
    """A line for each tensor (name, shape, dtype, key in the torch file) and a summary."""
    width = max(len(name) for name in conversion.params)
    lines = [
        f"{name:<{width}}  {array.shape!s:<12} {array.dtype!s:<9} {conversion.key_prefix}{name}"
        for name, array in conversion.params.items()
    ]
    config = conversion.config
    total = sum(array.size for array in conversion.params.values())
    return "\n".join(
        [
            *lines,
            f"{config.arch.name}: seq_len {config.seq_len}, vocab_size {config.vocab_size}, "
            f"num_puzzle_identifiers {config.num_puzzle_identifiers}",
            f"{len(lines)} tensors, {total:,} parameters, written to {destination}",
        ]
    )


if __name__ == "__main__":
    main()
