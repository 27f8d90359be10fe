"""Finds the models of the story: official ones where the Hub can be reached, else bundled ones."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from huggingface_hub import hf_hub_download

from rrjax.store import write_bytes_atomically

REPOSITORY = "blackhao0426/recursive-reasoning-chaos"
BUNDLED = {"trm": "trm-sudoku9-hard", "hrm": "hrm-sudoku6"}


class Chosen(NamedTuple):
    """A model for the story.

    Attributes:
      name: The name for folders and tables.
      words: The words that name the model to a command, and its puzzles if they are not its own.
    """

    name: str
    words: tuple[str, ...]


def model_and_puzzles(name: str, folder: Path, num_puzzles: int, hub: bool) -> Chosen:
    """Returns the official `trm` or `hrm` for 9×9 Sudoku with its puzzles, or the bundled one."""
    if hub:
        try:
            return _official(name, folder, num_puzzles)
        except (ValueError, OSError) as error:
            print(f"no official {name}: {error}\ntaking {BUNDLED[name]} from the box", flush=True)
    return Chosen(BUNDLED[name], (BUNDLED[name],))


def _official(name: str, folder: Path, num_puzzles: int) -> Chosen:
    model, puzzles = folder / f"official-{name}", folder / f"official-{num_puzzles}.txt"
    if not model.exists():
        convert(f"hf://{REPOSITORY}/{name}_sudoku", model)
    if not puzzles.exists():
        inputs = np.load(hf_hub_download(REPOSITORY, "data/sudoku_test_inputs.npy"))
        write_bytes_atomically(puzzles, sudoku_lines(inputs[:num_puzzles]).encode())
    return Chosen(model.name, (str(model), "--puzzles", str(puzzles)))


def convert(source: str, folder: Path) -> None:
    """`python -m converters`, which is no part of the installed package.

    Raises:
      ValueError: with its message, where it refuses.
    """
    command = [sys.executable, "-m", "converters", source, str(folder.absolute())]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr.strip().removeprefix("error: "))


def sudoku_lines(inputs: np.ndarray) -> str:
    """Writes tokens (N, 81) as a list of puzzles, one a line: blank 1 → 0, digit d + 1 → d."""
    return "".join("".join(map(str, row)) + "\n" for row in (inputs - 1).tolist())
