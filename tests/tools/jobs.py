"""What the tests of commands share: a run with its folders, and what it printed."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rrjax import cli
from tests.tools.tiny import CONFIG

SMALL = replace(CONFIG, arch=replace(CONFIG.arch, H_cycles=1, L_cycles=1))
"""Two updates a segment: programs compile in no time."""


class Job(NamedTuple):
    """The inputs of a run, its output folder when it ran undisturbed, and what it printed."""

    model: Path
    data: Path
    out: Path
    printed: str


def printed_by(main: Callable[[list[str]], object], *command_line: str) -> str:
    """What a command prints, its white space evened out."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        main(list(command_line))
    return " ".join(out.getvalue().split())


def run(*command_line: str) -> str:
    """What an `rrjax` command that must succeed prints, its white space evened out."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert cli.main(command_line) == 0
    return " ".join(out.getvalue().split())
