"""The space of a search: a YAML file with fields of a training and the values to try for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rrjax.cells.config import Arch
from rrjax.checks import brief, coerce, nearest, refuse
from rrjax.store.yaml_files import read_yaml
from rrjax.training.settings import Augmentation, Floss, Recipe
from rrjax.training.task import TrainingTask


@dataclass(frozen=True)
class Range:
    """Every number from `low` to `high`, both included; with `log` uniform in the logarithm."""

    low: int | float
    high: int | float
    log: bool = False


@dataclass(frozen=True)
class Choices:
    """A choice among some values."""

    choices: tuple[Any, ...]


Domain = Range | Choices
Space = dict[str, Domain]
"""The values to try for each field, by its name, such as `recipe.lr`."""


_PARTS = {"arch": Arch, "recipe": Recipe, "augmentation": Augmentation, "floss": Floss}
# blocks, pairs and lists are not single values that a trial could draw
_NOT_SEARCHED = {"augmentation", "floss", "sigma", "segments", "params"}
FIELDS = {
    f"{part}.{field.name}": field.type
    for part, kind in _PARTS.items()
    for field in fields(kind)
    if field.name not in _NOT_SEARCHED
}
"""The type of each field that can be searched, by its name."""


def read_space(path: Path) -> Space:
    """Reads a space: `recipe.lr: {low: 1e-5, high: 1e-2, log: true}`, `arch.mlp_t: {choices: …}`.

    Raises:
      ValueError: for a file that is not a mapping or is empty, an unknown field (the message names
        the nearest known one), or an invalid range.
    """
    mapping = read_yaml(path)
    if not isinstance(mapping, Mapping) or not mapping:
        raise ValueError(
            f"{path} must map names of fields to the values to try, such as "
            f"recipe.lr: {{low: 1e-5, high: 1e-2, log: true}}; found {brief(mapping)}"
        )
    try:
        return _space(mapping)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _space(mapping: Mapping[Any, Any]) -> Space:
    for name in mapping:
        if name not in FIELDS:
            # a name without its part stands for the field that ends so
            whole = next((known for known in FIELDS if known.endswith(f".{name}")), name)
            raise ValueError(f"it names no field with {brief(name)}{nearest(whole, FIELDS)}")
    space = {str(name): _domain(str(name), block) for name, block in mapping.items()}
    _check_ends(space)
    return space


def _domain(name: str, block: Any) -> Domain:
    if not isinstance(block, Mapping):
        refuse(name, "be {choices: [...]} or {low: ..., high: ...}", block)
    known = {"choices"} if "choices" in block else {"low", "high", "log"}
    for key in block:
        if key not in known:
            raise ValueError(f"{name} has no key {brief(key)}{nearest(key, known)}")
    return _choices(name, block["choices"]) if "choices" in block else _range(name, block)


def _choices(name: str, values: Any) -> Choices:
    if not isinstance(values, list) or len(values) < 2:
        refuse(f"{name}.choices", "be a list of two values or more", values)
    choices = tuple(coerce(name, value, FIELDS[name]) for value in values)
    if len(set(choices)) < len(choices):
        refuse(f"{name}.choices", "name each value once", values)
    return Choices(choices)


def _range(name: str, block: Mapping[Any, Any]) -> Range:
    if FIELDS[name] not in (int, float):
        refuse(name, "be {choices: [...]}, because it is not a number", dict(block))
    for key in ("low", "high"):
        if key not in block:
            raise ValueError(f"{name} lacks {key!r}")
    low, high = (coerce(name, block[key], FIELDS[name]) for key in ("low", "high"))
    log = block.get("log", False)
    if not isinstance(log, bool):
        refuse(f"{name}.log", "be true or false", log)
    if not low < high or math.isinf(high - low):
        refuse(name, "have a low below its high, both finite", (low, high))
    if log and low <= 0:
        refuse(name, "have a low above 0, because it is logarithmic", low)
    return Range(low, high, log)


def _check_ends(space: Space) -> None:
    """Refuses what no recipe can have; an architecture is judged later, with its other fields."""
    for name, domain in space.items():
        ends = (domain.low, domain.high) if isinstance(domain, Range) else domain.choices
        for value in ends:
            part, field = name.split(".")
            changes: dict[str, Any] = {field: value}
            if part != "arch":
                _PARTS[part](**changes)


def with_values(task: TrainingTask, values: Mapping[str, Any]) -> TrainingTask:
    """Returns a task in which some fields, by their names in a space, have other values."""
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for name, value in values.items():
        part, _, field = name.partition(".")
        parts[part][field] = value
    arch = replace(task.config.arch, **parts["arch"])
    augmentation = replace(task.recipe.augmentation, **parts["augmentation"])
    floss = replace(task.recipe.floss, **parts["floss"])
    recipe = replace(task.recipe, augmentation=augmentation, floss=floss, **parts["recipe"])
    return replace(task, config=replace(task.config, arch=arch), recipe=recipe)
