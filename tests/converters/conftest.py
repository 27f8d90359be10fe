"""The converters' command, an official checkpoint to give it, and a place for a torch file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from converters.command import main
from rrjax.cli import run_command

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


@pytest.fixture
def run() -> Callable[..., int]:
    """Runs the command and returns its exit code."""

    def run(*arguments: str | Path) -> int:
        return run_command(main, [*map(str, arguments)])

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of an official checkpoint's folder, to be spoilt."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("weights.pt", "all_config.yaml", "meta.json"):
        shutil.copy(GOLDEN / "trm_mlp" / name, folder / name)
    return folder
