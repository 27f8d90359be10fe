"""`rrjax compact`: the newest checkpoint of a training run in little space."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.commands.parsing import parse_command_line


@dataclass(frozen=True)
class Options:
    """Writes the newest checkpoint of a training run into a small folder, to go on elsewhere.

    Weights, counters and puzzles are kept to the bit. The optimizer's moments and the distance of
    the averaged weights from the others are rounded to bfloat16. The states of the slots are
    computed again with the weights as they are. The training therefore goes on almost, but not
    exactly, as it would have. To go on, give the command of the training with `--out OUT`.

    Attributes:
      run: Folder of the training run.
      out: Folder to write, which must be new.
    """

    run: Annotated[Path, tyro.conf.Positional]
    out: Annotated[Path, tyro.conf.Positional]


def main(arguments: list[str]) -> None:
    """Parses, writes the folder, and says how the run goes on."""
    options = parse_command_line(Options, arguments, "rrjax compact")
    # only now, because --help needs none of it
    from rrjax.training.compact import compact_run

    step, size = compact_run(options.run, options.out)
    print(
        f"{options.out}: step {step:,} in {size / 2**20:.1f} MiB; to go on from it give the "
        f"command of {options.run} with --out {options.out}"
    )
