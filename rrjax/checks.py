"""Checks of settings, and the reading of settings from files.

A check raises a ValueError that names the setting, its rule and its value. Nothing here imports
JAX, so that the command line can show its help at once.
"""

import difflib
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

Kind = TypeVar("Kind")

LARGEST = 2**31 - 1
"""The largest count, because steps, segments and the like are 32-bit integers on every device."""

MOST_SEGMENTS = 10**6
"""The largest number of segments of a run: a model of three layers takes an hour for so many."""

MOST_SEGMENTS_TRAINED = 10**4
"""The largest number of segments of a training slot, and of cycles in a segment: beyond, nobody
would see the end of one training step."""

MOST_RUNS = 10**5
"""The largest number of runs of one puzzle, restarts and symmetric copies among them."""

MOST_PUZZLES = 10**7
"""The largest number of puzzles that are made: thrice as many as the largest set has."""

MOST_CPU_DEVICES = 256
"""The largest number of devices or processes that share a processor; each has its own threads."""

LARGEST_NUMBER = 3.4e38
"""The largest magnitude of a number, because most of what is computed is in float32."""


def refuse(name: str, rule: str, value: object) -> NoReturn:
    """Raises the error of a setting that breaks its rule."""
    raise ValueError(f"{name} must {rule}; got {value}")


def brief(value: object, most: int = 100) -> str:
    """Returns how Python writes a value, cut in the middle where it is longer than `most`."""
    if isinstance(value, Real) and type(value) not in (bool, int, float):
        value = int(value) if isinstance(value, Integral) else float(value)  # a number of NumPy
    try:
        text = repr(value)
    except ValueError:  # Python writes no integers of more than 4,300 digits
        return "an integer of thousands of digits"
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


def check_choice(name: str, value: object, kind: Any) -> None:
    """Refuses a value that is not one of a Literal's."""
    choices = get_args(kind)
    if value not in choices:
        refuse(name, f"be one of {', '.join(choices)}", f"{brief(value)}{closest(value, choices)}")


def check_choices(settings: Any, prefix: str = "") -> None:
    """Refuses a dataclass with a value that the Literal of its field does not name."""
    for field in fields(settings):
        if get_origin(field.type) is Literal:
            check_choice(f"{prefix}{field.name}", getattr(settings, field.name), field.type)


def check_count(name: str, value: Any, least: int = 0, most: int = LARGEST) -> None:
    """Refuses a value that is not an integer from `least` to `most`.

    None passes: it stands for a setting that is not given.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} must be an integer, got {brief(value)}")
    number = int(value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {brief(value)}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {brief(value)}")


def check_positive(settings: Any, names: Iterable[str]) -> None:
    """Refuses settings that are given and not integers of at least 1."""
    for name in names:
        check_count(name, getattr(settings, name), least=1)


def check_number(
    name: str,
    value: Any,
    *,
    least: int | float = -math.inf,
    above: int | float = -math.inf,
    most: int | float = math.inf,
    below: int | float = math.inf,
) -> None:
    """Refuses a number that is not finite in float32 or does not lie within its bounds.

    The bounds are least ≤ value, above < value, value ≤ most and value < below.
    """
    bounds = {"at least": least, "above": above, "at most": most, "below": below}
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not (least <= number <= most and above < number < below):
        words = [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
        words = words if len(words) == 2 else ["finite", *words]
        raise ValueError(f"{name} must be {' and '.join(words)}, got {brief(value)}")
    if abs(number) > LARGEST_NUMBER:
        raise ValueError(f"{name} must be a number that float32 can hold, got {brief(value)}")


def check_memory(what: str, num_bytes: int | float, advice: str) -> None:
    """Refuses what needs more memory than the machine has.

    Args:
      what: what needs it, with the settings that it follows from.
      num_bytes: a lower bound of what it needs.
      advice: what to do instead.
    """
    total = machine_memory()
    if total is not None and num_bytes > total:
        raise ValueError(
            f"{what} would take {num_bytes / 1e9:,.0f} GB of memory, of which this machine has "
            f"{total / 1e9:,.0f}; {advice}"
        )


def machine_memory() -> int | None:
    """Returns the bytes of memory that this process may use at most; None where nobody knows.

    That is the memory of the machine, or of the container or the job that the process runs in.
    """
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # "max" where there is no limit
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    return total


def check_seed(name: str, value: Any) -> None:
    """Refuses a seed that is not an integer from 0 to 2³² − 1.

    JAX's keys would keep only the low 32 bits of a larger one, and NumPy knows no negative ones.
    """
    check_count(name, value, most=2**32 - 1)


def refuse_idle(prefix: str, settings: Any, idle: Collection[str], needed: str) -> None:
    """Refuses settings that nothing reads, because whoever gave them expects an effect.

    Args:
      prefix: name of the block and a dot, or nothing.
      settings: a dataclass whose fields have defaults.
      idle: the fields that nothing reads.
      needed: the setting under which they would be read.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in idle and value != field.default:
            refuse(f"{prefix}{field.name}", f"stay at {field.default} without {needed}", value)


def read_block(kind: Callable[..., Kind], name: str, block: Any) -> Kind:
    """Returns a dataclass made from a mapping of its fields, as a YAML or JSON file holds it.

    Args:
      kind: the dataclass; its defaults fill what the mapping leaves out.
      name: name of the block, for messages.
      block: the mapping.

    Raises:
      ValueError: if the block is not a mapping, has an unknown key (the message names the nearest
        known one), a value of the wrong type, or one that the class refuses.
    """
    if not isinstance(block, Mapping):
        raise ValueError(f"{name} must be a mapping, got {brief(block)}")
    types = {f.name: f.type for f in fields(kind)}  # pyright: ignore[reportArgumentType]
    for key in block:
        if key not in types:
            raise ValueError(f"{name} has no key {brief(key)}{nearest(key, types)}")
    return kind(**{key: coerce(f"{name}.{key}", block[key], types[key]) for key in block})


def coerce(name: str, value: Any, kind: Any) -> Any:
    """Returns a value read from a file as its field's type.

    PyYAML reads `1e-4` as a text; the type says that a number was meant.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        check_choice(name, value, kind)
        return value
    if origin is UnionType:
        (other,) = (part for part in parts if part is not NoneType)
        return None if value is None else coerce(name, value, other)
    if origin is tuple:
        return _tuple(name, value, parts)
    if is_dataclass(kind):
        return read_block(kind, name, value)  # pyright: ignore[reportArgumentType]
    return _scalar(name, value, kind)


_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
_PLURALS = {int: "integers", float: "numbers", str: "texts"}


def _tuple(name: str, value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    number = None if parts[1] is Ellipsis else len(parts)
    if not isinstance(value, list) or number not in (None, len(value)):
        size = "" if number is None else f"{number} "
        raise ValueError(f"{name} must be a list of {size}{_PLURALS[parts[0]]}, got {brief(value)}")
    return tuple(coerce(name, entry, parts[0]) for entry in value)


def _scalar(name: str, value: Any, kind: Any) -> Any:
    try:
        exact = kind in (bool, int, str)
        if isinstance(value, bool) != (kind is bool) or (exact and not isinstance(value, kind)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be {_WORDS[kind]}, got {brief(value)}") from None


def nearest(name: Any, known: Iterable[str]) -> str:
    """Returns what a message adds about an unknown name: the closest known one, or all of them."""
    known = sorted(known)
    return closest(name, known) or f"; known: {', '.join(known)}"


def closest(name: Any, known: Iterable[str]) -> str:
    """Returns what a message adds about an unknown name: the closest known one, if one is close."""
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
