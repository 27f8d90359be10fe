"""Checks of settings, and the reading of settings from files.

A check raises a ValueError that names the setting, its rule and its value. Nothing here imports
JAX, so that the command line can show its help at once.
"""

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

Kind = TypeVar("Kind")

LARGEST = 2**31 - 1
"""The largest count, because steps, segments and the like are 32-bit integers on every device."""


def refuse(name: str, rule: str, value: object) -> NoReturn:
    """Raises the error of a setting that breaks its rule."""
    raise ValueError(f"{name} must {rule}; got {value}")


def check_choice(name: str, value: object, kind: Any) -> None:
    """Refuses a value that is not one of a Literal's."""
    choices = get_args(kind)
    if value not in choices:
        refuse(name, f"be one of {', '.join(choices)}", f"{value!r}{_closest(value, choices)}")


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
        raise ValueError(f"{name} must be an integer, got {value!r}")
    number = int(value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {value}")


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
    """Refuses a number that is not finite or does not lie within its bounds.

    The bounds are least ≤ value, above < value, value ≤ most and value < below.
    """
    bounds = {"at least": least, "above": above, "at most": most, "below": below}
    number = float(value) if isinstance(value, Real) else math.nan
    if not (least <= number <= most and above < number < below):
        words = [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
        words = words if len(words) == 2 else ["finite", *words]
        raise ValueError(f"{name} must be {' and '.join(words)}, got {value}")


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
        raise ValueError(f"{name} must be a mapping, got {block!r}")
    types = {f.name: f.type for f in fields(kind)}  # pyright: ignore[reportArgumentType]
    for key in block:
        if key not in types:
            raise ValueError(f"{name} has no key {key!r}{nearest(key, types)}")
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
        raise ValueError(f"{name} must be a list of {size}{_PLURALS[parts[0]]}, got {value!r}")
    return tuple(coerce(name, entry, parts[0]) for entry in value)


def _scalar(name: str, value: Any, kind: Any) -> Any:
    try:
        exact = kind in (bool, int, str)
        if isinstance(value, bool) != (kind is bool) or (exact and not isinstance(value, kind)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be {_WORDS[kind]}, got {value!r}") from None


def nearest(name: Any, known: Iterable[str]) -> str:
    """Returns what a message adds about an unknown name: the closest known one, or all of them."""
    known = sorted(known)
    return _closest(name, known) or f"; known: {', '.join(known)}"


def _closest(name: Any, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
