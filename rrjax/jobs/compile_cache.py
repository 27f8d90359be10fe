"""Keeps compiled programs between runs of the commands."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_SETTINGS = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
"""A command runs many small programs, which JAX's own threshold of a second would leave out."""


def use_compile_cache() -> None:
    """Makes JAX keep its compiled programs in the user's cache folder.

    It must be called before JAX is imported. The user's own settings for JAX stay: the folder in
    `JAX_COMPILATION_CACHE_DIR`, and `JAX_ENABLE_COMPILATION_CACHE=false`, which turns the cache
    off. Nothing is kept where the folder cannot be written. JAX warns of a damaged entry and
    compiles its program again.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = cache_folder()
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # JAX runs what lies there
    if folder.is_dir() and os.access(folder, os.W_OK):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)


def cache_folder() -> Path:
    """Returns the folder of compiled programs, where the system keeps a user's caches."""
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "rrjax" / "compiled"
