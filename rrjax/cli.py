"""The `rrjax` command. A bad request gives one message and exit code 2."""

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rrjax import __version__
from rrjax.checks import brief, nearest
from rrjax.jobs.compile_cache import use_compile_cache
from rrjax.jobs.memory import OutOfMemory, memory_advice
from rrjax.jobs.platforms import platform_complaint, quiet_plugins
from rrjax.process import GIVEN_AGAIN
from rrjax.streams import patient_streams

COMMANDS = {
    "spectrum": "measure Lyapunov spectra on many puzzles, and compare solved with failed ones",
    "rollout": "run many segments: what more compute solves, and which failures escape",
    "basin": "restart from perturbed starts: which failures does the start decide?",
    "slice": "map answers and settling times on a plane of starts",
    "ptrm": "add noise before every segment: what do many noisy runs solve?",
    "inside": "look inside a model: fixed points, growth by part, patches, kicks, probes",
    "policies": "compare longer runs, restarts, noise and votes at equal compute",
    "solve": "solve your own Sudoku or maze, and see how far to trust the answer",
    "analyse": "analyse finished spectra: settling, difficulty, early warning, horizons",
    "report": "write results and training runs as one interactive HTML page",
    "train": "train a cell with the official recipe, or with a faster one",
    "compact": "write the newest checkpoint of a training into a small folder, to go on elsewhere",
    "search": "search over fields of a training with Optuna",
    "runs": "average training runs over their seeds",
    "convert": "convert an official PyTorch checkpoint to a model folder, or back",
    "sudoku": "make a data set of Sudokus with exactly one solution",
    "maze": "make a data set of mazes with long shortest paths",
    "arc": "make a data set of ARC-AGI tasks",
    "toy": "see in one dimension why failed runs are the chaotic ones",
}
_ELSEWHERE = {"convert": "rrjax.converters.command"}
"""Modules of commands that do not live in `rrjax.commands`."""

Command = Callable[[Sequence[str]], Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a sub-command and returns the exit code, also where the process goes on.

    A command does not fail at its output: at the end one line on standard error says what could
    not be shown. The exit code is 2 where the disk of a standard output that is a file is full.
    """
    with patient_streams() as out, _plain_warnings():
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        if out is None or (complaint := out.complaint()) is None:
            return code
        is_lost = out.failure is not None and not out.reader_has_gone
        return _refuse(complaint, code or (2 if is_lost else 0))


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--no-compile-cache"]:
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
        del arguments[0]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"rrjax {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        closest = nearest(arguments[0], COMMANDS)
        return _refuse(f"unknown command {brief(arguments[0])}{closest} (see rrjax --help)")
    use_compile_cache()
    quiet_plugins()
    name, *words = arguments
    return run_command(lambda words: command_module(name).main(words), words)


def run_command(command: Command, arguments: Sequence[str]) -> int:
    """Runs a command's function and returns the exit code, with a message for expected errors."""
    from rrjax.jobs.sweep import Unfinished  # loads NumPy, which `rrjax --help` does without

    try:
        with memory_advice(lambda: _MORE_MEMORY):
            command(arguments)
    except SystemExit as end:  # after --help or wrong options, which are told already
        return _exit_code(end)
    except Unfinished as rest:
        print(rest)
    except OSError as error:
        return _refuse(_message(error))
    except (ValueError, FloatingPointError) as error:
        return _refuse(str(error))
    except OutOfMemory as error:
        return _refuse(str(error))
    except (RuntimeError, AssertionError):
        complaint = platform_complaint()
        if complaint is None:
            raise
        return _refuse(complaint)
    except KeyboardInterrupt:
        return _refuse(f"interrupted; {GIVEN_AGAIN}", code=130)
    return 0


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Prints warnings without the line of code that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_: f"rrjax: {_shortened(str(message))}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def command_module(name: str) -> ModuleType:
    """Returns the module of a command, with its `Options` and `main`."""
    # imported only when asked for, so that `rrjax --help` answers at once
    return importlib.import_module(_ELSEWHERE.get(name, f"rrjax.commands.{name}"))


_MOST_LINES, _MOST_CHARACTERS = 10, 1200
"""How long a message may be: whoever reads it must find the culprit and the advice."""

_MORE_MEMORY = "free some memory, or use a machine or a device that has more"


def _usage() -> str:
    rows = "\n".join(f"  {name:10s} {text}" for name, text in COMMANDS.items())
    return f"""usage: rrjax [--no-compile-cache] COMMAND [OPTIONS]

{rows}

`rrjax COMMAND --help` lists the options of a command, and `rrjax --version` prints the version.
Compiled programs are kept for later calls; with --no-compile-cache they are neither read nor kept.
Begin with `rrjax spectrum trm-sudoku9`."""


def _message(error: OSError) -> str:
    """Returns the error's text without its number, and with the path if the text lacks it."""
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    return _refuse(str(end.code))


def _refuse(message: str, code: int = 2) -> int:
    print(f"rrjax: {_shortened(message)}", file=sys.stderr)
    return code


def _shortened(message: str) -> str:
    """Returns a message without its middle where that is long, as where it shows a whole file."""
    lines = message.splitlines()
    if len(lines) > _MOST_LINES:
        left_out = len(lines) - _MOST_LINES + 1
        lines[_MOST_LINES // 2 : -(_MOST_LINES // 2 - 1)] = [f"… ({left_out} lines more)"]
    text, half = "\n".join(lines), _MOST_CHARACTERS // 2
    return text if len(text) <= 2 * half else f"{text[:half]} … {text[-half:]}"


if __name__ == "__main__":
    from rrjax.process import run

    run()
