"""The `rrjax` command as scripts call it; a killed run is continued."""

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
    call(*words)
    return load_results(folder)


def call(*words: object) -> None:
    """Runs `rrjax WORDS`.

    Raises:
      SystemExit: With the command's exit code, where it refuses the request.
    """
    code = main([str(word) for word in words])
    if code:
        raise SystemExit(code)
