"""Runs of the `rrjax` command that several scripts read: done once, continued when killed."""

import shlex
from pathlib import Path

from rrjax import Results, load_results
from rrjax.cli import main


def run(folder: Path, command: str, *arguments: object) -> Results:
    """The results of `rrjax COMMAND ARGUMENTS --out FOLDER`; finished chunks are not run again.

    Raises:
      SystemExit: with the command's exit code, where it refuses the request.
    """
    words = [command, *map(str, arguments), "--out", str(folder)]
    print(f"$ rrjax {shlex.join(words)}", flush=True)
    code = main(words)
    if code:
        raise SystemExit(code)
    return load_results(folder)
