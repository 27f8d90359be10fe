"""`rrjax train`: the official recipe on a data-set folder."""

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from rrjax.cells.config import Arch
from rrjax.checks import MOST_CPU_DEVICES, check_count
from rrjax.commands.parsing import parse_command_line
from rrjax.training.config_file import bundled_recipes, find_recipe, read_config_file
from rrjax.training.settings import LoopSettings, Recipe
from rrjax.training.track import Tracker, tracking

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Options:
    """Trains a cell on a data set.

    A killed training goes on where it stopped when the command is given again. A finished one goes
    on with a larger number of steps if lr_min_ratio is 1.

    Attributes:
      data: Data-set folder with `train/` and `test/`, as `rrjax sudoku` makes it.
      out: Folder of the training run, which gets config.json, metrics.csv, checkpoints/,
        models/step_N/ and models/best/.
      augment: Move every training Sudoku by a random symmetry that keeps it valid.
      config: The name of a recipe that comes with rrjax, such as cpu_sudoku4, or a YAML file of
        defaults. It may hold `arch:`, the recipe's keys as in `all_config.yaml`, `augmentation:`
        and `floss:`.
      start: Begin with the weights of this model (a name, a folder or a training run) instead of
        drawing them by the seed. The optimizer begins anew.
      track: Also write the logged numbers into the training's folder for TensorBoard or W&B.
      max_minutes: Stop with a checkpoint at the first logged row after so many minutes. The same
        command then goes on from there.
      cpu_devices: Share each batch among so many devices of the processor. Without it there is one,
        which uses all cores. Accelerators are always all used.
    """

    data: Path
    out: Path
    augment: bool = False
    config: Path | None = None
    start: str | None = None
    track: Tracker = "none"
    max_minutes: float | None = None
    cpu_devices: int | None = None
    arch: Arch = field(default_factory=Arch)
    recipe: Annotated[Recipe, tyro.conf.arg(name="")] = field(default_factory=Recipe)
    loop: Annotated[LoopSettings, tyro.conf.arg(name="")] = field(default_factory=LoopSettings)


def main(arguments: list[str]) -> None:
    """Parses, trains with a progress bar, and prints the outcome."""
    options = parse(Options, arguments, "rrjax train")
    # only now, because --help needs none of it
    from rrjax.jobs.devices import use_cpu_devices
    from rrjax.jobs.memory import memory_advice
    from rrjax.jobs.progress import progress
    from rrjax.training.announce import Announcer, describe
    from rrjax.training.logs import METRICS, writes
    from rrjax.training.loop import train
    from rrjax.training.placement import training_devices
    from rrjax.training.task import read_task

    check_count("cpu_devices", options.cpu_devices, least=1, most=MOST_CPU_DEVICES)
    if options.cpu_devices is not None:
        use_cpu_devices(options.cpu_devices)
    devices = training_devices(options.cpu_devices)
    task = read_task(options.data, options.arch, options.recipe, options.augment, options.start)
    with (
        progress("training", task.recipe.steps, shown=writes()) as bar,
        tracking(options.track, options.out, task.identity()) as track,
    ):
        announcer = Announcer(bar, devices[0])
        bar.tell(describe(task, devices))
        if options.config is None and devices[0].platform == "cpu":
            bar.tell(_small_recipes())

        def report(step: int, numbers: dict[str, float]) -> None:
            track(step, numbers)
            bar.report(step, numbers)

        arguments_of_train = (task, options.loop, options.out, report, devices)
        with memory_advice(lambda: _smaller_batch(task.recipe.global_batch_size)):
            outcome = train(*arguments_of_train, announcer.moved, options.max_minutes)
    if not writes():
        return
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in outcome.items())
    if bar.done < task.recipe.steps:
        print(
            f"{options.out}: stopped after {bar.done:,} of {task.recipe.steps:,} steps, as "
            f"--max-minutes says{f' ({numbers})' if numbers else ''}; to go on: "
            f"{shlex.join(['rrjax', 'train', *arguments])}"
        )
    else:
        print(f"{options.out}: {numbers or f'finished, but its {METRICS} has no evaluation'}")


def _small_recipes() -> str:
    names = ", ".join(name for name in bundled_recipes() if name.startswith("cpu_"))
    return (
        "without --config a training has the official sizes, which are meant for accelerators; "
        f"recipes for a processor are {names}"
    )


def _smaller_batch(size: int) -> str:
    """Returns what to do after a batch of so many puzzles ran out of memory."""
    if size == 1:
        return "not even one puzzle fits: train a smaller cell"
    half = size // 2
    return (
        f"a batch of {half} (--global-batch-size {half}) needs about half of it; it makes this "
        "another run, which needs a new folder (--out)"
    )


def parse(kind: Callable[..., Kind], arguments: list[str], prog: str, **defaults: Any) -> Kind:
    """Returns the options of a training; a file that --config names gives their defaults.

    Args:
      kind: options with `config`, `arch`, `recipe` and `loop`.
      arguments: the command line.
      prog: name of the command.
      defaults: defaults of further options.
    """
    path = _config_path(arguments)
    arch, recipe = read_config_file(path) if path else (Arch(), Recipe())
    settings = {"config": path, "arch": arch, "recipe": recipe, "loop": LoopSettings(), **defaults}
    return parse_command_line(functools.partial(kind, **settings), arguments, prog)


def _config_path(arguments: list[str]) -> Path | None:
    for index, argument in enumerate(arguments):
        if argument == "--config" and index + 1 < len(arguments):
            return find_recipe(arguments[index + 1])
        if argument.startswith("--config="):
            return find_recipe(argument.partition("=")[2])
    return None
