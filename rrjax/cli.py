"""The `rrjax` command: one sub-command a job; a bad request is one message and exit code 2."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rrjax.commands.errors import is_out_of_memory, memory_message
from rrjax.jobs.sweep import Unfinished

COMMANDS = {
    "spectrum": "Lyapunov spectra of a model on many puzzles, solved against failed",
    "rollout": "thousands of segments: accuracy against compute, escape of the failures",
    "basin": "restarts from perturbed starts: which failures the start decides",
    "slice": "final answers and settling times on a plane of starts, and how they are mixed",
    "ptrm": "noise before every segment: what many noisy runs solve, and which one to choose",
    "analyse": "settling, difficulty, early warning and horizons, of finished spectra",
    "train": "train a cell with the official recipe",
    "search": "search over fields of a training run, by Optuna",
    "runs": "training runs of a folder, averaged over seeds",
    "sudoku": "make a data set of Sudokus with exactly one solution",
    "maze": "make a data set of mazes with long shortest paths",
    "arc": "make a data set of ARC-AGI tasks",
    "toy": "transient chaos in one dimension: why failures are the chaotic runs",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        return _refuse(f"unknown command {arguments[0]!r}\n\n{_usage()}")
    try:
        _command(arguments[0])(arguments[1:])
    except Unfinished as rest:
        print(rest)
    except OSError as error:
        return _refuse(_message(error))
    except (ValueError, FloatingPointError) as error:
        return _refuse(str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _refuse(memory_message(error))
    except KeyboardInterrupt:
        return _refuse("interrupted; given again, sweeps and training go on", code=130)
    return 0


def _command(name: str) -> Callable[[list[str]], Any]:
    # imported only when asked for, so that `rrjax --help` answers at once
    return importlib.import_module(f"rrjax.commands.{name}").main


def _usage() -> str:
    rows = "\n".join(f"  {name:10s} {text}" for name, text in COMMANDS.items())
    return f"usage: rrjax COMMAND [OPTIONS]\n\n{rows}\n\nrrjax COMMAND --help lists its options."


def _message(error: OSError) -> str:
    """Without the number; `rrjax.store` says the path itself, the system apart from the text."""
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _refuse(message: str, code: int = 2) -> int:
    print(f"rrjax: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
