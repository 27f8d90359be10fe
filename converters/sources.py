"""Finds the files of an official checkpoint in a folder or in a repository of the Hub."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

_CONFIG = "all_config.yaml"
_WEIGHTS = re.compile(r"weights\.pt|step_\d+")
_HUB_ID = re.compile(r"(hf://)?(\w[\w.-]*/\w[\w.-]*)((?:/\w[\w.-]*)*)/?")


@dataclass(frozen=True)
class Source:
    """The files of a checkpoint.

    Attributes:
      weights: the state dict, `weights.pt` or `step_N`.
      config: `all_config.yaml`.
      metas: files that may state the data's sizes: the folder's own `meta.json`, or else the
        repository's `data/*_meta.json`.
      hub_id: `hf://user/repo/folder`, for files from the Hugging Face Hub.
    """

    weights: Path
    config: Path
    metas: tuple[Path, ...]
    hub_id: str | None = None


def find_source(text: str) -> Source:
    """Returns the files of the checkpoint at a folder, a weights file or a Hub id.

    A path that exists is read from the disk. A Hub id is `user/repo/folder`; `hf://` in front of it
    always means the Hub.

    Raises:
      ValueError: if a file is missing, several could be meant, or the Hub cannot be reached.
      OSError: if the disk fails.
    """
    path = Path(text)
    if path.exists():
        return _source_in(path, _folder_of(path).resolve().parent)
    match = _HUB_ID.fullmatch(text)
    # `runs/modle`, where a folder `runs` exists, is a typo rather than a repository.
    if match is None or (match[1] is None and Path(text.split("/")[0]).exists()):
        raise ValueError(
            f"there is no folder or file {text!r}; "
            "a repository of the Hugging Face Hub is written hf://user/repo/folder"
        )
    return _hub_source(match[2], match[3].strip("/"))


def _folder_of(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _source_in(path: Path, repository: Path) -> Source:
    """Returns the checkpoint at `path`, with meta files from the repository's `data` folder."""
    folder = _folder_of(path)
    weights = path if path.is_file() else _find_weights(folder)
    config, own_meta = folder / _CONFIG, folder / "meta.json"
    if not config.is_file():
        raise ValueError(f"{folder} has no {_CONFIG}; found {_names(folder.iterdir())}")
    shared_metas = tuple(sorted(repository.glob("data/*_meta.json")))
    return Source(weights, config, (own_meta,) if own_meta.is_file() else shared_metas)


def _find_weights(folder: Path) -> Path:
    files = [e for e in folder.iterdir() if e.is_file() and _WEIGHTS.fullmatch(e.name)]
    if not files:
        entries = _names(folder.iterdir())
        raise ValueError(f"{folder} has neither weights.pt nor a file step_N; found {entries}")
    if len(files) > 1:
        raise ValueError(f"{folder} has several weights files; name one of {_names(files)}")
    return files[0]


def _names(paths: Iterable[Path]) -> str:
    names = sorted(path.name for path in paths)
    return ", ".join(names[:12] + ["…"] * (len(names) > 12)) or "nothing"


def _hub_source(repo: str, inside: str) -> Source:
    root = _download(repo, inside)
    path = root / inside
    hub_id = f"hf://{repo}/{inside}".rstrip("/")
    if not path.exists():
        raise ValueError(f"the repository {repo} has no checkpoint at {inside!r}")
    return replace(_source_in(path, root), hub_id=hub_id)


def _download(repo: str, inside: str) -> Path:
    """Downloads the files of one checkpoint and returns the cached snapshot of its repository."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
        LocalEntryNotFoundError,
    )

    # The id may name a folder or, for one of several step_N, the file itself.
    folders = {inside, inside.rpartition("/")[0]}
    names = [f"{folder}/{name}" for folder in folders for name in (_CONFIG, "meta.json")]
    wanted = [inside, f"{inside}/weights.pt", *names, "data/*_meta.json"]
    try:
        root = snapshot_download(repo, allow_patterns=[p.lstrip("/") for p in wanted if p])
    except (LocalEntryNotFoundError, HTTPError) as error:
        raise ValueError(_offline_message(repo, inside, error)) from error
    return Path(root)


def _offline_message(repo: str, inside: str, error: Exception) -> str:
    folder, _, last = inside.rpartition("/")
    folder, file = (folder, last) if _WEIGHTS.fullmatch(last) else (inside, "weights.pt")
    at = f"{folder}/" if folder else ""
    reason = str(error).partition("\n")[0] or type(error).__name__
    return (
        f"cannot download {at}{file} of the Hub repository {repo}: {reason}\n"
        "Without a network, put these files of that repository into a new folder FOLDER:\n"
        f"  {at}{_CONFIG} as FOLDER/{_CONFIG}\n"
        f"  {at}{file} as FOLDER/{file}\n"
        f"  {at}meta.json, or else the fitting data/…_meta.json, as FOLDER/meta.json\n"
        "and run: rrjax convert FOLDER DESTINATION"
    )
