"""Command lines that stand in documents and scripts, held against the commands' options."""

from collections.abc import Sequence
from typing import Any

from rrjax.cli import command_module
from rrjax.commands import train
from rrjax.commands.parsing import parse_command_line
from rrjax.training.settings import SearchSettings


def parsed(command: str, words: Sequence[str]) -> Any:
    """The options of a command on a command line; SystemExit where the command refuses it."""
    module = command_module(command)
    if command in ("train", "search"):
        settings = {"search": SearchSettings()} if command == "search" else {}
        return train.parse(module.Options, [*words], f"rrjax {command}", **settings)
    if hasattr(module, "parse"):
        return module.parse([*words])
    return parse_command_line(module.Options, words, f"rrjax {command}")
