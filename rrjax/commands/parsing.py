"""Parsing of command lines by tyro, with help that names types and not how tyro holds them."""

import io
import re
from collections import abc
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
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

from rrjax.checks import brief, closest

Kind = TypeVar("Kind")

_LONGEST_SHOWN = 200
"""Characters of a word up to which a message shows it as it is."""


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
      ValueError: a word is neither an option nor a value that the command takes.
    """
    registry = ConstructorRegistry()
    # the rules of a registry are tried before tyro's own; each asks those for what it changes
    registry.primitive_rule(_in_plain_words)
    registry.struct_rule(_negations_as_values)
    shown = [word if len(word) <= _LONGEST_SHOWN else brief(word) for word in arguments]

    def parse(words: Sequence[str]) -> Kind:
        parsed, unknown = tyro.cli(
            kind, args=words, prog=prog, description=description, return_unknown_args=True
        )
        if unknown:
            raise ValueError(_unknown(unknown[0], kind, prog))
        return parsed

    with registry:
        if shown != [*arguments]:
            with suppress(SystemExit), redirect_stdout(None), redirect_stderr(None):
                return parse(arguments)
        return parse(shown)


def _unknown(word: str, kind: Callable[..., Any], prog: str) -> str:
    """Returns the message for a word that no option and no position of a command takes."""
    if not word.startswith("-"):
        return f"{prog} has no place for the word {brief(word)} (see {prog} --help)"
    with suppress(SystemExit), redirect_stdout(io.StringIO()) as help_text:
        tyro.cli(kind, args=["--help"], prog=prog)
    options = re.findall(r"--[\w.-]+", help_text.getvalue())
    return f"{prog} has no option {brief(word)}{closest(word, options)} (see {prog} --help)"


def _in_plain_words(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """A type shows as `INT`, not `{None}|INT`, and a wrong word is told in one sentence."""
    spec = _tyros_own(info)
    if spec is None:
        return None
    metavar = spec.metavar
    if info.type_origin in (Union, UnionType) and NoneType in get_args(info.type):
        metavar = _metavar(metavar)

    def read(words: list[Any]) -> Any:  # [[]] where a position is empty and a word unknown
        try:
            return spec.instance_from_str(words)
        except ValueError:
            raise ValueError(f"expected {metavar}, found {brief(' '.join(words))}") from None

    def show(value: Any) -> list[str]:
        words = spec.str_from_instance(value)
        # an empty list of values is the default `none`, not a blank
        is_list = info.type_origin in (tuple, abc.Sequence)
        return words or (["none"] if is_list else words)

    return replace(spec, metavar=metavar, instance_from_str=read, str_from_instance=show)


def _metavar(words: str) -> str:
    """Returns `INT` for `{None}|INT`, and `INT INT` for `{None}|{INT INT}`."""
    return re.sub(r"^\{([A-Z ]+)\}$", r"\1", words.replace("{None}|", ""))


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
