"""`rrjax train`: the official recipe on a data-set folder."""

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import tyro
import yaml

from rrjax.cells import Arch, Config, parse_arch
from rrjax.checks import coerce, nearest
from rrjax.jobs.devices import use_cpu_devices
from rrjax.jobs.progress import progress
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.folders import read_folder
from rrjax.training.logs import METRICS
from rrjax.training.loop import Rhythm, Task, identity, train, writes
from rrjax.training.placement import Device, training_devices
from rrjax.training.recipe import Recipe
from rrjax.training.recipe_files import find_recipe
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
    rhythm: Annotated[Rhythm, tyro.conf.arg(name="")] = field(default_factory=Rhythm)


def main(arguments: list[str]) -> None:
    """Parse, train with a progress bar, print the outcome."""
    options = parse(Options, arguments, "rrjax train")
    devices = _devices(options.cpu_devices)
    task = make_task(options)
    with (
        progress("training", task.recipe.steps) as bar,
        tracking(options.track, options.out, identity(task)) as track,
    ):

        def report(step: int, numbers: dict[str, float]) -> None:
            track(step, numbers)
            bar.report(step, numbers)

        outcome = train(task, options.rhythm, options.out, report, devices)
    if writes():
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in outcome.items())
        numbers = numbers or f"finished, but its {METRICS} has no evaluation"
        print(f"{options.out}: {numbers}")


def _devices(number: int | None) -> list[Device]:
    if number is not None:
        if number < 1:
            raise ValueError(f"cpu_devices must be at least 1, got {number}")
        use_cpu_devices(number)
    return training_devices(number)


def parse(kind: Callable[..., Kind], arguments: list[str], prog: str) -> Kind:
    """Options of a class with `config`, `arch`, `recipe` and `rhythm`; --config has defaults."""
    path = _config_path(arguments)
    arch, recipe = read_yaml(path) if path else (Arch(), Recipe())
    defaults = functools.partial(kind, config=path, arch=arch, recipe=recipe, rhythm=Rhythm())
    return tyro.cli(defaults, args=arguments, prog=prog)


def _config_path(arguments: list[str]) -> Path | None:
    for index, argument in enumerate(arguments):
        if argument == "--config" and index + 1 < len(arguments):
            return find_recipe(arguments[index + 1])
        if argument.startswith("--config="):
            return find_recipe(argument.partition("=")[2])
    return None


def make_task(options: Options) -> Task:
    """What is trained on what, checked."""
    if (options.data / "dataset.json").is_file():
        raise ValueError(
            f"{options.data} is one split; pass the folder that holds train/ and test/"
        )
    sets = {split: read_folder(options.data, split) for split in ("train", "test")}
    meta, other = sets["train"].metadata, sets["test"].metadata
    for key in ("seq_len", "vocab_size", "num_puzzle_identifiers", "ignore_label_id"):
        if getattr(meta, key) != getattr(other, key):
            raise ValueError(
                f"{options.data}: {key} of train is {getattr(meta, key)}, of test "
                f"{getattr(other, key)}"
            )
    for split, puzzles in sets.items():
        _check_labels(options.data / split, puzzles)
    options.recipe.augmentation.refuse_idle()
    options.recipe.floss.refuse_idle()
    config = Config(options.arch, meta.seq_len, meta.vocab_size, meta.num_puzzle_identifiers)
    return Task(config, options.recipe, sets["train"], sets["test"], options.augment)


def _check_labels(folder: Path, puzzles: PuzzleSet) -> None:
    """Refuse a split that nothing can be learned from or judged by; the first label will do."""
    ignored, size = puzzles.metadata.ignore_label_id, 1000
    starts = range(0, len(puzzles), size)
    if not any(np.any(puzzles.labels[start : start + size] != ignored) for start in starts):
        raise ValueError(f"{folder}: expected labels, found none in {len(puzzles)} puzzles")


_WITHOUT_EFFECT = {
    *("data_path", "data_paths", "data_paths_test", "evaluators", "project_name", "run_name"),
    *("entity", "checkpoint_path", "load_checkpoint", "checkpoint_every_eval", "eval_interval"),
    *("min_eval_interval", "eval_save_outputs", "epochs", "freeze_weights"),
}
"""Keys of an official `all_config.yaml` for folders, logs and schedules, which options set here."""


def read_yaml(path: Path) -> tuple[Arch, Recipe]:
    """Architecture and recipe of a YAML file; an official `all_config.yaml` is one.

    Raises:
      ValueError: for a file that is no mapping, an unknown key (with the nearest known name), or
        a value of the wrong type.
    """
    mapping = load_yaml(path)
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{path} must hold a mapping, found {type(mapping).__name__}")
    if mapping.get("freeze_weights"):
        raise ValueError(f"{path}: freeze_weights is not supported; expected false")
    known = {f.name: f.type for f in fields(Recipe)}
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        if key in _WITHOUT_EFFECT:
            print(f"{path.name}: {key} has no effect here; see the options", file=sys.stderr)
        elif key in known:
            values[key] = coerce(str(key), value, known[key])
        elif key != "arch":
            raise ValueError(f"{path} has no use for {key!r}{nearest(str(key), known)}")
    # upstream keeps no average where its config does not ask for one
    return _arch(path, mapping), Recipe(**{"ema": False, **values})


def load_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
      ValueError: for a file that is none.
    """
    try:
        return yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from None


def _arch(path: Path, mapping: Mapping[Any, Any]) -> Arch:
    if "arch" not in mapping:
        return Arch()
    if not isinstance(mapping["arch"], Mapping):
        raise ValueError(f"arch in {path} must be a mapping, got {mapping['arch']!r}")
    return parse_arch(mapping["arch"])
