"""The converters' command, an official checkpoint to give it, and a place for a torch file."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from converters.__main__ import main

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(*arguments: str | Path) -> None:
        monkeypatch.setattr(sys, "argv", ["converters", *map(str, arguments)])
        main()

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of an official checkpoint's folder, to be spoilt."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("weights.pt", "all_config.yaml", "meta.json"):
        shutil.copy(GOLDEN / "trm_mlp" / name, folder / name)
    return folder
