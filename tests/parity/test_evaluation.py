"""Evaluation runs every puzzle to the last segment, halted or not."""

import numpy as np
import pytest

from rrjax.cells import flatten
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.puzzles.dataset import Metadata
from rrjax.training.evaluate import evaluate
from tests.parity import golden
from tests.parity.golden import SEGMENTS


def puzzle_set(case: golden.Case) -> PuzzleSet:
    """The golden puzzles, one a group."""
    size, config = len(case.batch.inputs), case.config
    labels = np.asarray(case.batch.labels)
    assert not (labels == 0).any()
    return PuzzleSet(
        inputs=np.asarray(case.batch.inputs),
        labels=np.where(labels == IGNORE_LABEL, 0, labels).astype(np.int32),
        puzzle_ids=np.asarray(case.batch.puzzle_ids),
        puzzle_indices=np.arange(size + 1, dtype=np.int32),
        group_indices=np.arange(size + 1, dtype=np.int32),
        metadata=Metadata(
            vocab_size=config.vocab_size,
            seq_len=config.seq_len,
            num_puzzle_identifiers=config.num_puzzle_identifiers,
            total_groups=size,
            mean_puzzle_examples=1.0,
            total_puzzles=size,
        ),
    )


@pytest.mark.parametrize("name", ["hrm", "transformer"])
def test_evaluation_never_halts_early(name: str):
    """Their slots would halt in training at the first segment, with other answers than the last."""
    arrays = golden.arrays(name, "golden")
    with golden.precision("float32"):
        case = golden.load_case(name)
        found = evaluate(flatten(case.params), case.config, puzzle_set(case), 2, 3)
    last = {key: arrays[f"eval/{SEGMENTS - 1}/metrics/{key}"] for key in found}
    assert found.pop("count") == last["count"] == 3
    for key, value in found.items():
        np.testing.assert_allclose(value, last[key] / 3, rtol=1e-6, err_msg=key)
    assert arrays["train/halted"].any()
    assert abs(arrays["train/metrics/accuracy"] - last["accuracy"]) > 0.1
