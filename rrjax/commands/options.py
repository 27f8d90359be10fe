"""Options of a command, made from the signatures and docstrings of the functions that it calls.

The source is read, not imported: the modules of experiments import JAX, for which `--help` need not
wait. So defaults and help texts stand once, in the functions.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, make_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro

from rrjax import choices
from rrjax.commands.parsing import parse_command_line

_GIVEN = ("folder", "progress")
"""Arguments of experiments that a command gives itself."""

_EXPLAINED = ("rrjax.experiments.spectra", "spectrum")
"""The function whose docstring explains the arguments that all experiments share."""

_TYPES = {
    "Annotated": Annotated,
    "Literal": Literal,
    "Path": Path,
    "Sequence": Sequence,
    "tyro": tyro,
    **vars(choices),
}


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


Options = dict[str, dict[str, Any]]
"""By the name of each function, its keyword arguments."""


def parse_options(command: str, functions: Mapping[str, Function], arguments: list[str]) -> Options:
    """Returns the options on a command line, which `run` gives its description.

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
    parsed = parse_command_line(kind, arguments, f"rrjax {command}", description)
    return {
        name: {keyword: getattr(parsed, keyword) for keyword in function.parameters}
        for name, function in functions.items()
    }


def read_function(module: str, name: str) -> Function:
    """Returns the description and the keywords with defaults of a function, read from its source.

    Types are those of `_TYPES`, `rrjax.choices` among them, and built-in ones; defaults are
    literals. An argument that the docstring does not explain has the help that it has in
    `rrjax.experiments.spectrum`.
    """
    node, doc = _parse(module, name)
    helps = _helps(_parse(*_EXPLAINED)[1]) | _helps(doc)
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


def _parse(module: str, name: str) -> tuple[ast.FunctionDef, str]:
    """Returns the syntax tree and the docstring of a function, whose module is not imported."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (node,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    return node, ast.get_docstring(node) or ""


def _with_defaults(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    first = len(arguments.args) - len(arguments.defaults)
    yield from zip(arguments.args[first:], arguments.defaults, strict=True)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield argument, default


def _helps(doc: str) -> dict[str, str]:
    """Returns by name the texts in the section `Args` of a docstring."""
    section = re.search(r"^Args:\n((?:  .*\n?|\n)+?)(?=^\S|\Z)", doc, re.MULTILINE)
    entries = re.split(r"\n(?=  \w)", section[1] if section else "")
    pairs = (entry.strip().partition(": ") for entry in entries)
    return {name: " ".join(text.split()) for name, _, text in pairs}
