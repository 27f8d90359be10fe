"""ARC's pass@K in evaluations: a cell that answers its input solves the tasks that ask for that."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from rrjax.cells import Arch, Config, param_shapes
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.arc import SIDE, VOCAB_SIZE, Pair, Task
from rrjax.puzzles.arc_build import ArcRequest, write_arc
from rrjax.puzzles.arc_evaluate import PASS_KS
from rrjax.puzzles.folders import read_folder
from rrjax.training.evaluate import evaluate
from rrjax.training.loop import train
from rrjax.training.settings import LoopSettings, Recipe
from rrjax.training.task import TrainingTask

ARCH = Arch(
    "trm",
    hidden_size=16,
    num_heads=1,
    H_cycles=1,
    L_cycles=1,
    L_layers=1,
    halt_max_steps=1,
    mlp_t=True,
    pos_encodings="none",
)


def grid(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


KEEP = Task(
    "keep",
    [Pair(grid([1, 2]), grid([1, 2]))],
    [Pair(grid([1, 2], [3, 4]), grid([1, 2], [3, 4])), Pair(grid([5, 1, 2]), grid([5, 1, 2]))],
)
HALF = Task(
    "half",
    [Pair(grid([1, 2]), grid([2, 1]))],
    [Pair(grid([6, 6, 6]), grid([6, 6, 6])), Pair(grid([5, 1, 2]), grid([2, 1, 5]))],
)
TURN = Task("turn", [Pair(grid([1, 2]), grid([2, 1]))], [Pair(grid([4, 2]), grid([2, 4]))])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_arc(tmp_path / "data", ArcRequest([], [KEEP, HALF, TURN], num_aug=3, seed=0))
    return tmp_path / "data"


def evaluated(puzzles: PuzzleSet, number: int = 1000) -> dict[str, float]:
    """The metrics of a cell that answers what it is asked, in batches of six."""
    meta = puzzles.metadata
    config = Config(ARCH, meta.seq_len, meta.vocab_size, meta.num_puzzle_identifiers)
    flat = {name: np.zeros(shape, np.float32) for name, shape in param_shapes(config).items()}
    for name in ("embed_tokens.embedding_weight", "lm_head.weight"):
        flat[name] = np.eye(*flat[name].shape, dtype=np.float32)
    return evaluate(flat, config, puzzles, 6, number)


def test_the_tasks_that_ask_for_their_input_are_passed(folder):
    puzzles = read_folder(folder, "test")
    assert (puzzles.metadata.seq_len, puzzles.metadata.vocab_size) == (SIDE * SIDE, VOCAB_SIZE)
    found = evaluated(puzzles)
    # four copies of each: the second task's first input, and not its other
    assert found["count"] == 4 * 5
    assert {name: value for name, value in found.items() if "pass" in name} == {
        f"pass@{k}": 0.5 for k in PASS_KS
    }


@pytest.mark.parametrize(("number", "expected"), [(1, 0.5), (8, 1.0), (9, 0.75), (16, 0.75)])
def test_tasks_that_were_not_reached_do_not_count(folder, number, expected):
    """Copy after copy, input after input; an input without votes is wrong."""
    found = evaluated(read_folder(folder, "test"), number)
    assert found["pass@1"] == expected


def test_only_the_test_split_of_an_arc_folder_is_voted_on(folder):
    test = read_folder(folder, "test")
    whole = evaluated(test)
    assert evaluated(read_folder(folder / "test")) == whole
    plain = {name: value for name, value in whole.items() if "pass" not in name}
    assert evaluated(dataclasses.replace(test, folder=None)) == plain
    assert "pass@1" not in evaluated(read_folder(folder, "train"))
    (folder / "test_puzzles.json").unlink()
    assert evaluated(test) == plain


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("identifiers.json", lambda names: names[:-1], "data: expected 13 names in identifiers"),
        ("identifiers.json", lambda names: [names[0], "x|||t9", *names[2:]], "found 'x|||t9'"),
        ("test_puzzles.json", lambda tasks: {"turn": tasks["turn"]}, "expected answers to the"),
        ("test_puzzles.json", lambda tasks: tasks | {"turn": tasks["keep"]}, "found another input"),
    ],
)
def test_files_that_do_not_fit_the_test_split_are_refused(folder, file, change, message):
    path = folder / file
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match="expected") as caught:
        evaluated(read_folder(folder, "test"))
    assert message in str(caught.value)


@pytest.mark.slow
def test_a_training_leaves_a_submission_with_each_model(folder, tmp_path):
    train_set, test_set = (read_folder(folder, split) for split in ("train", "test"))
    meta = test_set.metadata
    config = Config(ARCH, meta.seq_len, meta.vocab_size, meta.num_puzzle_identifiers)
    recipe = Recipe(global_batch_size=2, steps=1, lr_warmup_steps=0)
    task = TrainingTask(config, recipe, train_set, test_set, augment=False)
    outcome = train(task, LoopSettings(1, 1, 1, eval_puzzles=4), tmp_path / "run", lambda *_: None)
    assert "pass@1" in outcome
    for model in ("step_000001", "best"):
        made = json.loads((tmp_path / "run" / "models" / model / "submission.json").read_text())
        assert {name: len(answers) for name, answers in made.items()} == {
            "keep": 2,
            "half": 2,
            "turn": 1,
        }
        assert made["keep"][0].keys() == {"attempt_1", "attempt_2"}
