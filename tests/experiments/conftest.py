"""One small model and its puzzles, on which the tests of all experiments run."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import rrjax
from rrjax.jobs.devices import ChunkProgram
from rrjax.models import Model, load_model, save_model
from rrjax.puzzles import PuzzleSet
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights

NUMBER = 6
PUZZLES = puzzles(NUMBER)


def relabelled(labels: np.ndarray, number: int = NUMBER) -> PuzzleSet:
    """Returns the puzzles with other answers: a random model solves nothing else."""
    first = PUZZLES[:number]
    return dataclasses.replace(first, labels=labels.astype(np.int32))


def make_model(folder: Path, **changed: np.ndarray) -> Model:
    """Returns a model of two updates a segment, with some of its arrays changed."""
    save_model(folder / "model", weights(SMALL) | changed, SMALL, {})
    return load_model(folder / "model")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return make_model(tmp_path_factory.mktemp("experiments"))


@pytest.fixture(scope="session")
def plain(model: Model) -> list[rrjax.Trajectory]:
    """Six segments of every puzzle."""
    with jax.default_matmul_precision("highest"):
        return [rrjax.rollout(model.bind(tokens), 6) for tokens in PUZZLES.inputs]


@pytest.fixture
def chunk_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the chunks that are computed from now on."""
    sizes: list[int] = []
    compute = ChunkProgram.__call__

    def counted(self: ChunkProgram, items: np.ndarray):
        sizes.extend(len(chunk) for chunk in items)
        return compute(self, items)

    monkeypatch.setattr(ChunkProgram, "__call__", counted)
    return sizes
