"""`rrjax train`: the official recipe on a data-set folder."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from rrjax.cells.config import Arch
from rrjax.checks import check_count
from rrjax.training.config_file import find_recipe, read_config_file
from rrjax.training.settings import LoopSettings, Recipe
from rrjax.training.track import Tracker, tracking

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Options:
    """Train a cell. A killed run goes on where it stopped when the command is given again.

    Attributes:
      data: data-set folder with `train/` and `test/` (see `rrjax sudoku`).
      out: run folder: config.json, metrics.csv, checkpoints/, models/step_N/, models/best/.
      augment: move every training Sudoku by a random validity-preserving symmetry.
      config: the name of a recipe that comes with rrjax, such as cpu_sudoku4, or a YAML file of
        defaults: `arch:` and the recipe's keys, as in `all_config.yaml`, `augmentation:` and
        `floss:`.
      track: also write the logged numbers for TensorBoard or W&B, into the run folder.
      cpu_devices: share each batch among so many devices of the processor; without it one, which
        uses all cores. Accelerators are all used.
    """

    data: Path
    out: Path
    augment: bool = False
    config: Path | None = None
    track: Tracker = "none"
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
    from rrjax.training.logs import METRICS, writes
    from rrjax.training.loop import train
    from rrjax.training.placement import training_devices
    from rrjax.training.task import read_task

    check_count("cpu_devices", options.cpu_devices, least=1)
    if options.cpu_devices is not None:
        use_cpu_devices(options.cpu_devices)
    devices = training_devices(options.cpu_devices)
    task = read_task(options.data, options.arch, options.recipe, options.augment)
    with (
        progress("training", task.recipe.steps) as bar,
        tracking(options.track, options.out, task.identity()) as track,
    ):

        def report(step: int, numbers: dict[str, float]) -> None:
            track(step, numbers)
            bar.report(step, numbers)

        with memory_advice(lambda: _smaller_batch(task.recipe.global_batch_size)):
            outcome = train(task, options.loop, options.out, report, devices)
    if writes():
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in outcome.items())
        print(f"{options.out}: {numbers or f'finished, but its {METRICS} has no evaluation'}")


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
    return tyro.cli(functools.partial(kind, **settings), args=arguments, prog=prog)


def _config_path(arguments: list[str]) -> Path | None:
    for index, argument in enumerate(arguments):
        if argument == "--config" and index + 1 < len(arguments):
            return find_recipe(arguments[index + 1])
        if argument.startswith("--config="):
            return find_recipe(argument.partition("=")[2])
    return None
