"""How a result was made: versions, devices, state of the source, time and command."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any


def describe_run() -> dict[str, Any]:
    """Returns how a result was made: versions, devices, source, time and command.

    Nothing in it names the machine, its user or its folders.

    Returns:
      A record for `write_json`; `git` is None unless rrjax runs from a checkout of its source.
    """
    import jax

    devices = jax.devices()
    return {
        "versions": {name: version(name) for name in ("rrjax", "jax", "jaxlib", "flax", "numpy")},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "backend": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "num_devices": len(devices),
        # they choose the kernels, and so the last bits
        "xla_flags": [*map(_without_folders, os.environ.get("XLA_FLAGS", "").split())],
        "git": _git_state(Path(__file__).parents[1] / "__init__.py"),
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [PurePath(sys.argv[0]).name, *map(_without_folders, sys.argv[1:])],
    }


def version(package: str = "rrjax") -> str | None:
    """Returns the installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _without_folders(argument: str) -> str:
    """Returns the argument, with an absolute path in it cut down to its last part."""
    option, equals, value = argument.rpartition("=")
    return option + equals + PurePath(value).name if PurePath(value).is_absolute() else argument


def _git_state(source: Path) -> dict[str, Any] | None:
    """Returns the commit of the checkout of `source`, and whether its folder has changes."""
    try:
        # An environment inside some other project's checkout does not track this file.
        _git(source.parent, "ls-files", "--error-unmatch", source.name)
        commit = _git(source.parent, "rev-parse", "HEAD").strip()
        changes = _git(source.parent, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changes.strip())}


def _git(folder: Path, *arguments: str) -> str:
    # Inside a hook, GIT_DIR and the like would point git at another repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(
        ["git", "--no-optional-locks", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    ).stdout
