"""Blocks of a YAML file as dataclasses, with the field's type as judge of what was meant."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from rrjax.cells.config import nearest
from rrjax.checks import check_choice

Kind = TypeVar("Kind")


def read_block(kind: Callable[..., Kind], name: str, block: Any) -> Kind:
    """A dataclass from a mapping of its fields.

    Raises:
      ValueError: for no mapping, an unknown key (with the nearest known name), a value of the wrong
        type, or one that the class refuses.
    """
    if not isinstance(block, Mapping):
        raise ValueError(f"{name} must be a mapping, got {block!r}")
    known = {f.name: f.type for f in fields(kind)}  # pyright: ignore[reportArgumentType]
    for key in block:
        if key not in known:
            raise ValueError(f"{name} has no key {key!r}{nearest(str(key), known)}")
    return kind(**{k: coerced(f"{name}.{k}", value, known[k]) for k, value in block.items()})


def coerced(key: str, value: Any, kind: Any) -> Any:
    """PyYAML reads `1e-4` as a string; the field's type says what was meant.

    Raises:
      ValueError: for a value of another type, or none of a Literal's.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        check_choice(key, value, kind)
        return value
    if origin is UnionType:
        (only,) = (part for part in parts if part is not NoneType)
        return None if value is None else coerced(key, value, only)
    if origin is tuple:
        return _sequence(key, value, parts)
    return _scalar(key, value, kind)


def _sequence(key: str, value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    number = None if parts[1] is Ellipsis else len(parts)
    if not isinstance(value, list) or number not in (None, len(value)):
        of = _WORDS.get(parts[0], parts[0].__name__)
        many = "" if number is None else f"{number} "
        raise ValueError(f"{key} must be a list of {many}{of}, got {value!r}")
    return tuple(coerced(key, each, parts[0]) for each in value)


_WORDS = {float: "numbers", int: "integers", str: "words"}


def _scalar(key: str, value: Any, kind: Any) -> Any:
    try:
        exact = kind in (bool, int, str)
        if isinstance(value, bool) != (kind is bool) or (exact and not isinstance(value, kind)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{key} must be of type {kind.__name__}, got {value!r}") from None
