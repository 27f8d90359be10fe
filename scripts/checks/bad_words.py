"""Bad words of command lines: the values of options, and paths to what is no file or folder."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

NO_NUMBER = ("two", "", " ", "nan", "1e3", "1.5", "0x10", "1,5", "--", "-", "[3]", "x" * 2000, "😀")
OUT_OF_RANGE = ("-1", "-99999999999", "4294967296", "9223372036854775808", "1" + "0" * 30)
LONG = ("9" * 5000, "-" + "9" * 5000)
ABSURD = ("2147483647", "1000000000")
"""Counts that no machine has memory or time for, where the option is a size."""

NO_FLOAT = ("two", "", "nan", "inf", "-inf", "1e999", "-1e999", "1_", "0x1p3", "1,5", "9" * 5000)
NEGATIVE = ("-1", "-1e-9", "-1e300")
NO_CHOICE = ("rubbish", "", "EXACT", "None ", "x" * 2000, "\udcff", "1")

SIGNED = {"--halt-q", "--floss.target"}
"""Numbers that may be negative."""

NO_SIZES = {
    *("--seed", "--search-seed", "--chunk-size", "--num-random", "--min-rating"),
    *("--steps", "--lr-warmup-steps", "--log-every", "--eval-every", "--checkpoint-every"),
    *("--eval-puzzles", "--augmentation.clean-steps", "--augmentation.ramp-steps"),
    *("--floss.pre", "--floss.every", "--floss.episode", "--floss.at-most", "--floss.limit"),
    *("--num-trials", "--num-targets", "--num-sampled", "--num-measured", "--levels"),
}
"""Integers that may be as large as an integer can be: a chunk is at most all runs, chosen cells and
puzzles are at most all of them, and a training or a search says how long it will take and may be
stopped at any time."""


class Option(NamedTuple):
    """An option as a command's help names it, with the words for its values."""

    flag: str
    metavar: str


def options_in(help_text: str) -> Iterator[Option]:
    """Yields the options with values in a command's help."""
    for match in re.finditer(
        r"^[ │]+(--[\w.-]+)(?:, --[\w.-]+)*(?: ([A-Z{\[].*?))? *│?$", help_text, re.M
    ):
        if match[2]:
            yield Option(match[1], re.split(r" {2,}", match[2])[0])


def bad_values(option: Option) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Returns bad values of an option by their kind, each as the words after the flag."""
    kind, many = option.metavar, len(re.findall(r"INT|FLOAT", option.metavar))
    values: dict[str, tuple[str, ...]] = {}
    if "INT" in kind:
        values = {"no number": NO_NUMBER, "out of range": OUT_OF_RANGE, "long": LONG}
        if option.flag not in NO_SIZES:
            values["absurd"] = ABSURD
    elif "FLOAT" in kind:
        values = {"no number": NO_FLOAT}
        if option.flag not in SIGNED:
            values["out of range"] = NEGATIVE
    elif kind.startswith("{"):
        choices = kind.strip("{}").split(",")
        values = {"no choice": tuple(word for word in NO_CHOICE if word not in choices)}
    pairs = many == 2 and "..." not in kind
    return {
        name: tuple((word, word) if pairs else (word,) for word in words)
        for name, words in values.items()
    }


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _others(path: Path) -> None:
    path.mkdir()
    (path / "notes").touch()


def _write(path: Path) -> None:
    path.write_text("mine")


NO_INPUT: dict[str, Callable[[Path], None] | str] = {
    "absent": "nowhere",
    "absent below": "nowhere/here",
    "below a file": "file/x",
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a circle of links": _circle,
    "a dead link": lambda path: path.symlink_to("nowhere"),
    "a link to zeros": lambda path: path.symlink_to("/dev/zero"),
    "an empty folder": Path.mkdir,
    "an empty file": Path.touch,
    "another file": _write,
    "/dev/zero": "/dev/zero",
    "/dev/null": "/dev/null",
    "/dev/stdin": "/dev/stdin",
    "/dev/full": "/dev/full",
    "/proc/self/mem": "/proc/self/mem",
    "/proc": "/proc/self",
    "a long name": "x" * 300,
    "a long path": "x/" * 3000,
    "no word": "",
    "blank": " ",
    "an address": "https://example.org/data",
    "an unfinished hub": "hf://",
    "half a hub": "hf://user",
    "home of nobody": "~nobody/data",
    "surrogates": "\udcff\udcfe",
    "control characters": "a\x1b[31m\nb",
}
"""Inputs that are none: a path, or what makes one."""

NO_OUTPUT: dict[str, Callable[[Path], None] | str] = {
    "a file": _write,
    "below a file": "file/x",
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a circle of links": _circle,
    "a link to a file": lambda path: path.symlink_to("file"),
    "/dev/null": "/dev/null",
    "/dev/full": "/dev/full",
    "below /dev/null": "/dev/null/x",
    "below /proc": "/proc/x/y",
    "a folder of others": _others,
    "a long name": "x" * 300,
    "a long path": "x/" * 3000,
    "the root": "/",
}
"""Outputs where nothing can be written."""
