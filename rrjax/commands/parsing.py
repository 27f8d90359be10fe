"""Parsing of command lines by tyro, with help that names types and not how tyro holds them."""

import re
from collections import abc
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructTypeInfo,
)

Kind = TypeVar("Kind")


def parse_command_line(
    kind: Callable[..., Kind],
    arguments: Sequence[str],
    prog: str,
    description: str | None = None,
) -> Kind:
    """Returns the options on a command line.

    Args:
      kind: A dataclass, or a function that makes one.
      arguments: The words of the command line.
      prog: The words of the command itself.
      description: What the help says first; None stands for the docstring of `kind`.

    Raises:
      SystemExit: after help was asked for, or a word was refused and tyro has said why.
    """
    registry = ConstructorRegistry()
    # the rules of a registry are tried before tyro's own; each asks those for what it changes
    registry.primitive_rule(_optional_without_none)
    registry.primitive_rule(_empty_tuple_in_words)
    registry.struct_rule(_negations_as_values)
    with registry:
        return tyro.cli(kind, args=arguments, prog=prog, description=description)


def _optional_without_none(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """An option that may be absent shows `INT`, not `{None}|INT`; it still takes None."""
    if info.type_origin not in (Union, UnionType) or NoneType not in get_args(info.type):
        return None
    spec = _tyros_own(info)
    return spec and replace(spec, metavar=_metavar(spec.metavar))


def _metavar(words: str) -> str:
    """Returns `INT` for `{None}|INT`, and `INT INT` for `{None}|{INT INT}`."""
    return re.sub(r"^\{([A-Z ]+)\}$", r"\1", words.replace("{None}|", ""))


def _empty_tuple_in_words(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """An empty list of values is the default `none`, not a blank."""
    if info.type_origin not in (tuple, abc.Sequence):
        return None
    spec = _tyros_own(info)
    if spec is None:
        return None
    shown = spec.str_from_instance
    return replace(spec, str_from_instance=lambda values: shown(values) or ["none"])


def _negations_as_values(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A setting that is a negation takes True or False, since its flag would be `--no-no-…`."""
    spec = _tyros_own(info)
    if spec is None or not any(field.name.startswith("no_") for field in spec.fields):
        return None
    explicit = Annotated[bool, tyro.conf.FlagConversionOff]
    fields = (
        replace(field, type=explicit) if field.name.startswith("no_") else field
        for field in spec.fields
    )
    return replace(spec, fields=tuple(fields))


_asking: list[Any] = []


def _tyros_own(info: Any) -> Any:
    """Returns what tyro makes of a type without the rules above; None where it makes nothing."""
    if info in _asking:
        return None
    _asking.append(info)
    try:
        if isinstance(info, StructTypeInfo):
            spec = ConstructorRegistry.get_struct_spec(info)
        else:
            spec = ConstructorRegistry.get_primitive_spec(info)
    finally:
        _asking.remove(info)
    is_known = isinstance(spec, StructConstructorSpec | PrimitiveConstructorSpec)
    return spec if is_known else None
