"""Folders that belong to one job."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rrjax.store.files import HIDDEN_NAME, write_bytes_once
from rrjax.store.records import encode_json, plain, read_json

STRAY_SECONDS = 3600
"""Age from which a temporary file or folder is what a kill left behind. Nobody takes an hour from
one write to the next, and the clocks of machines that share a disk differ by less."""


def claim_folder(
    folder: str | Path, name: str, identity: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Claims a folder for a job: a new or empty one, or one that the same job left unfinished.

    What killed writers left in it more than `STRAY_SECONDS` ago is removed.

    Args:
      folder: Made where it does not exist.
      name: Of the JSON file in it that says what job it belongs to.
      identity: What makes two jobs the same; JSON-able.
      record: What else a new file says.

    Raises:
      ValueError: If the folder holds another job, naming what differs, or anything else.
    """
    folder, mine = Path(folder), plain(identity)
    if _is_free(folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        # of two jobs that find it free at the same moment one is first, and the other finds it here
        write_bytes_once(folder / name, encode_json({"identity": mine, **record}))
    check_claim(folder, name, mine)
    _remove_strays(folder)


def check_claim(folder: str | Path, name: str, identity: Mapping[str, Any]) -> None:
    """Refuses a folder that a job cannot claim; nothing is written.

    Args:
      folder, name, identity: As in `claim_folder`.

    Raises:
      ValueError: If the folder holds another job, naming what differs, or anything else.
    """
    folder, mine = Path(folder), plain(identity)
    if check_holds(folder, name):
        return
    differences = list(_differences(mine, read_json(folder / name).get("identity", {}), ""))
    if differences:
        raise ValueError(
            f"{folder} holds another run: " + "; ".join(differences[:3]) + "; "
            "choose another folder (--out) or remove that folder"
        )


def check_holds(folder: Path, name: str) -> bool:
    """Refuses a folder that is neither free nor holds a file or a folder of that name.

    Returns:
      Whether the folder is free: absent, or empty but for what a kill left of writing `name`.

    Raises:
      ValueError: It is a file, or holds something else.
    """
    if _is_free(folder, name):
        return True
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is a file, where a folder was expected: choose another folder (--out)"
        )
    if not (folder / name).exists():
        raise ValueError(
            f"{folder} is not empty and holds no run (no {name}): choose another folder (--out)"
        )
    return False


def _is_free(folder: Path, name: str) -> bool:
    """Says whether the folder holds nothing but what a kill left of writing `name`."""
    if not folder.is_dir():
        return not folder.exists()
    matches = (HIDDEN_NAME.fullmatch(path.name) for path in folder.iterdir())
    return all(match is not None and match[1] == name for match in matches)


def _differences(mine: Any, theirs: Any, path: str) -> Iterator[str]:
    """Yields one phrase for each leaf that differs."""
    if not (isinstance(mine, Mapping) and isinstance(theirs, Mapping)):
        if mine != theirs:
            yield f"its {path or 'identity'} is {theirs}, asked for {mine}"
        return
    for key in [*mine, *(key for key in theirs if key not in mine)]:
        yield from _differences(mine.get(key), theirs.get(key), f"{path}.{key}".lstrip("."))


def _remove_strays(folder: Path) -> None:
    """Removes what killed writers left in a folder and below it."""
    for above, folders, files in os.walk(folder):
        for path in (Path(above, name) for name in (*folders, *files)):
            # another worker may be at the same: what cannot be removed does no harm
            with suppress(OSError):
                if _is_stray(path):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        folders[:] = [name for name in folders if not HIDDEN_NAME.fullmatch(name)]


def _is_stray(path: Path) -> bool:
    """Says whether a path is ours and abandoned; an `.old` is needed until its successor stands."""
    match = HIDDEN_NAME.fullmatch(path.name)
    if match is None or (match[2] == "old" and not path.with_name(match[1]).exists()):
        return False
    newest = max(item.stat().st_mtime for item in (path, *path.rglob("*")))
    return time.time() - newest > STRAY_SECONDS
