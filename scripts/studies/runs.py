"""Runs of the `rrjax` command that several scripts read; a killed run is continued."""

import shlex
from pathlib import Path

from rrjax import Results, load_results
from rrjax.cli import main


def run(folder: Path, command: str, *arguments: object) -> Results:
    """Returns the results of `rrjax COMMAND ARGUMENTS --out FOLDER`; finished chunks are kept.

    Raises:
      SystemExit: With the command's exit code, where it refuses the request.
    """
    words = [command, *map(str, arguments), "--out", str(folder)]
    print(f"$ rrjax {shlex.join(words)}", flush=True)
    code = main(words)
    if code:
        raise SystemExit(code)
    return load_results(folder)
