"""Options of a command, made from the signatures and docstrings of the functions that it calls.

The source is read, not imported: the modules of experiments import JAX, for which `--help` need not
wait. So defaults and help texts stand once, in the functions.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, make_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro

# arguments of experiments that a command gives itself
_GIVEN = ("folder", "progress")


class Parameter(NamedTuple):
    """A keyword of a function: its name, its type as tyro reads it, its default and its help."""

    name: str
    kind: Any
    default: Any
    help: str


class Function(NamedTuple):
    """What a command shows of a function: its docstring up to the first section, its keywords."""

    description: str
    parameters: dict[str, Parameter]


@dataclass(frozen=True)
class Options(Mapping[str, Any]):
    """The options on a command line.

    Attributes:
      by_name: Their values by name.
      names: By function, the names of those that are its keywords.
    """

    by_name: dict[str, Any]
    names: dict[str, list[str]]

    def __getitem__(self, name: str) -> Any:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)

    def of(self, function: str) -> dict[str, Any]:
        """Returns the keyword arguments of a function."""
        return {name: self.by_name[name] for name in self.names[function]}


def parse_options(command: str, functions: Mapping[str, Function], arguments: list[str]) -> Options:
    """Returns the options on a command line; those of `run` give the command its description.

    Args:
      command: Name of the command.
      functions: The functions whose keywords are options; equal names are one option.
      arguments: The words of the command line.
    """
    parameters: dict[str, Parameter] = {}
    for function in functions.values():
        parameters = function.parameters | parameters
    fields = [
        (p.name, Annotated[p.kind, tyro.conf.arg(help=p.help)], field(default=p.default))
        for p in parameters.values()
    ]
    kind = make_dataclass("Options", fields, frozen=True)
    description = functions["run"].description
    parsed = tyro.cli(kind, args=arguments, prog=f"rrjax {command}", description=description)
    names = {name: list(function.parameters) for name, function in functions.items()}
    return Options({name: getattr(parsed, name) for name in parameters}, names)


class _Many:
    """Stands for `Sequence` in signatures: any number of values on the command line."""

    def __class_getitem__(cls, kind: Any) -> Any:
        return tuple[kind, ...]


_TYPES = {"Annotated": Annotated, "Literal": Literal, "Path": Path, "Sequence": _Many, "tyro": tyro}


def read_function(module: str, name: str) -> Function:
    """Returns the description and the keywords with defaults of a function, read from its source.

    Types are built-in ones, `Path`, `Sequence` and `Literal`; defaults are literals.
    """
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (node,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    doc = inspect.cleandoc(ast.get_docstring(node) or "")
    helps = dict(_entries(doc))
    parameters = {
        argument.arg: Parameter(
            argument.arg,
            eval(ast.unparse(argument.annotation), dict(_TYPES)),
            ast.literal_eval(default),
            helps[argument.arg],
        )
        for argument, default in _with_defaults(node.args)
        if argument.annotation is not None and argument.arg not in _GIVEN
    }
    description = re.split(r"^\w+:$", doc, maxsplit=1, flags=re.MULTILINE)[0].strip()
    return Function(description, parameters)


def _with_defaults(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    first = len(arguments.args) - len(arguments.defaults)
    yield from zip(arguments.args[first:], arguments.defaults, strict=True)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield argument, default


def _entries(doc: str) -> Iterator[tuple[str, str]]:
    """Yields the names and texts in the section `Args` of a docstring."""
    section = re.search(r"^Args:\n((?:  .*\n?|\n)+)", doc, re.MULTILINE)
    for entry in re.split(r"\n(?=  \w)", section[1].rstrip() if section else ""):
        name, _, text = entry.strip().partition(": ")
        yield name, " ".join(text.split())
