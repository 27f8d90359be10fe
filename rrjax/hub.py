"""Lists and downloads files of repositories of the Hugging Face Hub."""

import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


class HubError(ValueError):
    """The Hub cannot be reached, or has no such repository; the message is its reason."""


def list_files(repo: str) -> list[str]:
    """Returns the names of all files of a repository, or of its cached ones without a network.

    Raises:
      HubError: Neither the Hub nor the cache has the repository.
    """
    hub = _quiet_hub()
    try:
        return hub.list_repo_files(repo)
    except _unreachable() as error:
        try:
            root = Path(hub.snapshot_download(repo, local_files_only=True))
        except _unreachable():
            raise HubError(_reason(error)) from None
        return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


def download_files(repo: str, names: Iterable[str]) -> Path:
    """Returns the folder of a repository's cached snapshot, which then has the files named.

    Names that the repository does not have are left out.

    Raises:
      HubError: The Hub cannot be reached and the cache has no such repository.
    """
    hub = _quiet_hub()
    try:
        return Path(hub.snapshot_download(repo, allow_patterns=list(names)))
    except _unreachable() as error:
        raise HubError(_reason(error)) from None


def _unreachable() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import (
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
        LocalEntryNotFoundError,
    )

    return LocalEntryNotFoundError, HTTPError, OSError


def _quiet_hub() -> ModuleType:
    """Returns the Hub's library, which then does not log that it tries again."""
    import huggingface_hub as hub

    hub.logging.set_verbosity_error()
    return hub


def _reason(error: Exception) -> str:
    first, _, _ = re.sub(r"\[Errno [^]]*\] ", "", str(error)).partition("\n")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
