"""Fresh processes that see this checkout: JAX counts a processor's devices when it starts."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def begin(arguments: list[str], xla_flags: str = "", **environment: str) -> subprocess.Popen[str]:
    """Starts a process that knows of no job but the one of its arguments.

    Args:
      arguments: The command line.
      xla_flags: Flags for XLA beside those of this process.
      environment: Environment variables that differ from those of this process.
    """
    outer = {name: value for name, value in os.environ.items() if "SLURM" not in name}
    paths = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    paths["XLA_FLAGS"] = f"{outer.get('XLA_FLAGS', '')} {xla_flags}"
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=outer | paths | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What a process that must succeed printed."""
    try:
        out, err = process.communicate(timeout=500)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return out
