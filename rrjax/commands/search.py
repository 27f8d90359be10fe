"""`rrjax search`: Optuna over fields of a training, by its accuracy on held-out puzzles."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from rrjax.cells.config import Arch
from rrjax.commands.train import parse
from rrjax.training.settings import LoopSettings, Recipe, SearchSettings


@dataclass(frozen=True)
class Options:
    """Searches over fields of a training with Optuna.

    A killed search goes on where it stopped when the command is given again.

    Every trial is a run of `rrjax train` in `out`/trials/NUMBER. It has the options that are given
    here, except for the fields of the space. A trial that was killed continues from its last
    checkpoint, with its values. What a trial draws depends only on `search_seed`, its number and
    the trials before it, so that a search draws the same whether or not it was interrupted.

    The score of a trial is its exact accuracy on the test split. The best score is therefore
    higher than the accuracy that new puzzles would show. A training that stops because its loss is
    not finite or jumps has the best score that it had reached, or 0 with the objective `final`.
    Values that no cell or device can have make a failed trial, which counts as one.

    Attributes:
      data: Data-set folder with `train/` and `test/`.
      out: Folder of the search, which gets trials.csv, best.yaml (for `rrjax train --config`),
        study.log and trials/.
      space: A YAML file that names fields and the values to try, such as `recipe.lr: {low: 1e-5,
        high: 1e-2, log: true}`, `arch.hidden_size: {choices: [64, 128]}` and `augmentation.p_clean:
        {low: 0, high: 1}`. Bounds are included.
      augment: As in `rrjax train`.
      config: As in `rrjax train`.
    """

    data: Path
    out: Path
    space: Path
    search: Annotated[SearchSettings, tyro.conf.arg(name="")] = field(
        default_factory=SearchSettings
    )
    augment: bool = False
    config: Path | None = None
    arch: Arch = field(default_factory=Arch)
    recipe: Annotated[Recipe, tyro.conf.arg(name="")] = field(default_factory=Recipe)
    loop: Annotated[LoopSettings, tyro.conf.arg(name="")] = field(default_factory=LoopSettings)


def main(arguments: list[str]) -> None:
    """Parses, runs the trials that are missing, and prints the table."""
    options = parse(Options, arguments, "rrjax search", search=SearchSettings())
    # only now, because --help needs none of it
    from rrjax.reports.searches import trial_table
    from rrjax.reports.terminal import print_table
    from rrjax.training.search import BEST, search
    from rrjax.training.search_space import read_space
    from rrjax.training.task import read_task

    space = read_space(options.space)
    task = read_task(options.data, options.arch, options.recipe, options.augment)
    command = ["rrjax", "train", "--config", str(options.out / BEST), "--data", str(options.data)]
    command += ["--out", "FOLDER", *(["--augment"] if options.augment else [])]
    trials = search(task, space, options.search, options.loop, options.out, command)
    print_table(trial_table(trials, list(space), options.search.objective, options.out))
