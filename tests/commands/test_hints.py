"""Hints name options that there are: a command's own in its module, some command's elsewhere."""

import ast
import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import rrjax
from rrjax.cli import COMMANDS, main

PACKAGE = Path(rrjax.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*[a-z\d]")
NOT_OURS = {"--array", "--error-unmatch", "--no-optional-locks", "--porcelain"}
"""Options of Slurm and of Git."""


def named_options(path: Path) -> set[str]:
    """Returns the options that stand in the messages, but not the docstrings, of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for node in ast.walk(tree) if isinstance(node, documented))
    docs = {ast.get_docstring(node, clean=False) for node in nodes}
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    texts = [text for text in strings if isinstance(text, str) and text not in docs]
    return {
        option for text in texts for option in OPTION.findall(text) if "--xla" not in option
    } - NOT_OURS


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options in the help of each command, and those before a command."""
    known = {"": {"--help", "--version", "--no-compile-cache"}}
    for command in COMMANDS:
        with redirect_stdout(io.StringIO()) as printed:
            assert main([command, "--help"]) == 0
        known[command] = set(OPTION.findall(printed.getvalue()))
    return known


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if named_options(path))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_hint_names_an_option_that_there_is(path, options):
    is_command = path.parent.name == "commands" and path.stem in COMMANDS
    known = options[path.stem] if is_command else set().union(*options.values())
    assert named_options(path) - known == set()
