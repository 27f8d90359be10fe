"""Reads and writes architecture and recipe as YAML, as in an official `all_config.yaml`."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from rrjax.cells.config import Arch
from rrjax.cells.official import keys_of, parse_arch
from rrjax.checks import brief, coerce, nearest
from rrjax.store.yaml_files import read_yaml
from rrjax.training.settings import Recipe

_PACKAGE = Path(__file__).parents[1]

_WITHOUT_EFFECT = {
    *("data_path", "data_paths", "data_paths_test", "evaluators", "project_name", "run_name"),
    *("entity", "checkpoint_path", "load_checkpoint", "checkpoint_every_eval", "eval_interval"),
    *("min_eval_interval", "eval_save_outputs", "epochs", "freeze_weights"),
}
"""Keys of an official `all_config.yaml` for folders, logs and schedules, which are options here."""


def find_recipe(name: str) -> Path:
    """Returns the path of a config file, given as a path or by the name of a bundled recipe.

    Raises:
      ValueError: if there is neither such a file nor such a recipe.
    """
    if Path(name).is_file():
        return Path(name)
    recipes = bundled_recipes()
    if name not in recipes:
        raise ValueError(
            f"no config file {name!r}: it is neither a file nor a recipe of rrjax"
            f"{nearest(name, recipes)}"
        )
    return recipes[name]


def bundled_recipes() -> dict[str, Path]:
    """Returns the config files that come with rrjax, by their names."""
    folders = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")  # installed; in a checkout
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def read_config_file(path: Path) -> tuple[Arch, Recipe]:
    """Returns the architecture and the recipe of a YAML file.

    Raises:
      ValueError: for a file that is not a mapping, an unknown key (the message names the nearest
        known one), or a value of the wrong type.
    """
    mapping = read_yaml(path)
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{path} must hold a mapping, found {type(mapping).__name__}")
    try:
        return _arch_and_recipe(path.name, mapping)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _arch_and_recipe(file: str, mapping: Mapping[Any, Any]) -> tuple[Arch, Recipe]:
    if mapping.get("freeze_weights"):
        raise ValueError("freeze_weights is not supported; expected false")
    types = {f.name: f.type for f in fields(Recipe)}
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        if key in _WITHOUT_EFFECT:
            print(f"{file}: {key} has no effect here; see the options", file=sys.stderr)
        elif key in types:
            values[key] = coerce(str(key), value, types[key])
        elif key != "arch":
            raise ValueError(f"there is no setting {brief(key)}{nearest(str(key), types)}")
    block = mapping.get("arch", {})
    if not isinstance(block, Mapping):
        raise ValueError(f"arch must be a mapping, got {brief(block)}")
    arch = parse_arch(block) if "arch" in mapping else Arch()
    # upstream keeps no average where its config does not ask for one
    return arch, Recipe(**{"ema": False, **values})


def dump_config(arch: Arch, recipe: Recipe) -> str:
    """Returns the YAML from which `read_config_file` makes an equal architecture and recipe.

    Keys that the cell does not read are left out.
    """
    allowed = keys_of(arch.name, arch.name)
    block = {"name": arch.name, "loss": {"loss_type": arch.loss_type}}
    block |= {key: value for key, value in asdict(arch).items() if key in allowed}
    return yaml.safe_dump({"arch": block, **asdict(recipe)}, sort_keys=False)
