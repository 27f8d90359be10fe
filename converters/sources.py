"""Finds the files of a checkpoint in a folder or in a repository of the Hub."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rrjax.hub import HubError, download_files, list_files
from rrjax.models import torch_files
from rrjax.training.config_file import find_recipe

_CONFIGS = ("all_config.yaml", "all_config.yml", "config.yaml", "config.yml")
_HUB_ID = re.compile(r"(hf://)?(\w[\w.-]*/\w[\w.-]*)((?:/\w[\w.-]*)*)/?")


@dataclass(frozen=True)
class Source:
    """The files of a checkpoint.

    Attributes:
      weights: The file with the state dict.
      config: `all_config.yaml`, or the file that was given in its place.
      metas: Files that may state the data's sizes: the folder's own `meta.json`, or else the
        repository's `data/*_meta.json`.
      hub_id: `hf://user/repo/folder`, for files from the Hugging Face Hub.
    """

    weights: Path
    config: Path
    metas: tuple[Path, ...]
    hub_id: str | None = None


def find_source(text: str, config: str | None = None) -> Source:
    """Returns the files of the checkpoint at a folder, a weights file or a Hub id.

    A path that exists is read from the disk. A Hub id is `user/repo/folder`; `hf://` in front of it
    always means the Hub. Of a folder the only weights file is taken, whatever its name.

    Args:
      text: The folder, file or Hub id.
      config: a file, or the name of a recipe, that takes the place of `all_config.yaml`.

    Raises:
      ValueError: If a file is missing, several could be meant, or the Hub cannot be reached.
      OSError: If the disk fails.
    """
    given = None if config is None else find_recipe(config)
    path = Path(text)
    if path.exists():
        return _source_in(path, _folder_of(path).resolve().parent, given)
    match = _HUB_ID.fullmatch(text)
    # `runs/modle`, where a folder `runs` exists, is a typo rather than a repository.
    if match is None or (match[1] is None and Path(text.split("/")[0]).exists()):
        raise ValueError(
            f"there is no folder or file {text!r}; "
            "a repository of the Hugging Face Hub is written hf://user/repo/folder"
        )
    return _hub_source(match[2], match[3].strip("/"), given)


def _folder_of(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _source_in(path: Path, repository: Path, config: Path | None) -> Source:
    """Returns the checkpoint at `path`, with meta files from the repository's `data` folder."""
    folder = _folder_of(path)
    weights = path if path.is_file() else folder / _choose_weights(_listing(folder), str(folder))
    config = config or _find_config(dict.fromkeys((weights.parent, folder)))
    own_metas = [place / "meta.json" for place in dict.fromkeys((weights.parent, folder))]
    shared_metas = sorted(repository.glob("data/*_meta.json"))
    metas = [meta for meta in own_metas if meta.is_file()][:1] or shared_metas
    return Source(weights, config, tuple(metas))


def _listing(folder: Path) -> list[str]:
    """Returns the files of a folder and of the folders in it."""
    paths = [*folder.glob("*"), *folder.glob("*/*")]
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]


def _choose_weights(names: list[str], place: str, inside: str = "") -> str:
    """Returns the only weights file of a folder's listing.

    Raises:
      ValueError: If there is none, or there are several.
    """
    files = torch_files(names, inside)
    if not files:
        raise ValueError(f"{place} has no file of weights; found {_names(names)}")
    if len(files) > 1:
        raise ValueError(
            f"{place} has several weights files; name one of {_names(files)}, such as "
            f"{place.removesuffix(inside).rstrip('/')}/{files[-1]}"
        )
    return files[0]


def _find_config(folders: Iterable[Path]) -> Path:
    folders = list(folders)
    for path in (folder / name for folder in folders for name in _CONFIGS):
        if path.is_file():
            return path
    raise ValueError(
        f"{folders[0]} has no {_CONFIGS[0]}; found "
        f"{_names(path.name for path in folders[0].iterdir())}. Give --config FILE, the "
        "configuration that it was trained with, or --config NAME, a recipe of rrjax that has the "
        "same network (trm_mlp_sudoku_extreme, hrm_arc1)"
    )


def _names(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:12] + ["…"] * (len(names) > 12)) or "nothing"


def _hub_source(repo: str, inside: str, config: Path | None) -> Source:
    hub_id = f"hf://{repo}/{inside}".rstrip("/")
    try:
        names = list_files(repo)
        there = [name for name in names if PurePosixPath(name).is_relative_to(inside)]
        if not there:
            raise ValueError(f"the repository {repo} has no checkpoint at {inside!r}")
        weights = inside if inside in names else _choose_weights(there, hub_id, inside)
        # the configuration may lie beside the weights, in the folder named, or at the root
        folders = dict.fromkeys(
            (PurePosixPath(weights).parent, PurePosixPath(inside), PurePosixPath())
        )
        beside = [str(folder / name) for folder in folders for name in (*_CONFIGS, "meta.json")]
        root = download_files(repo, [weights, *beside, "data/*_meta.json"])
    except HubError as error:
        raise ValueError(_offline_message(repo, inside, error)) from error
    config = config or _find_config(root / folder for folder in folders)
    return replace(_source_in(root / weights, root, config), hub_id=hub_id)


def _offline_message(repo: str, inside: str, error: Exception) -> str:
    folder, _, last = inside.rpartition("/")
    names_file = PurePosixPath(last).suffix or last.startswith("step_")
    folder, file = (folder, last) if names_file else (inside, "weights.pt")
    at = f"{folder}/" if folder else ""
    return (
        f"cannot download {at}{file} of the Hub repository {repo}: {error}\n"
        "Without a network, put these files of that repository into a new folder FOLDER:\n"
        f"  {at}{_CONFIGS[0]} as FOLDER/{_CONFIGS[0]}\n"
        f"  {at}{file} as FOLDER/{file}, or the weights under another name\n"
        f"  {at}meta.json, or else the fitting data/…_meta.json, as FOLDER/meta.json\n"
        "and run: rrjax convert FOLDER DESTINATION"
    )
