"""The sampler: epochs over groups, one member each, reproducible by step, valid when augmented."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from rrjax.puzzles import Metadata, PuzzleSet, from_tokens, is_solved, respects_givens
from rrjax.training.losses import IGNORE_LABEL
from rrjax.training.sampler import Sampler
from tests.training import tiny

# group 0: puzzles 0, 1; group 1: puzzle 2; group 2: puzzles 3, 4, 5; and so on
GROUPS = np.array([0, 2, 3, 6, 7, 8], np.int32)
PUZZLES = np.array([0, 1, 4, 5, 6, 7, 9, 10, 12], np.int32)
EXAMPLES = 12
PUZZLE_OF = np.repeat(np.arange(8), np.diff(PUZZLES))
GROUP_OF = np.repeat(np.arange(5), np.diff(GROUPS))[PUZZLE_OF]


def numbered() -> PuzzleSet:
    """Examples that carry their own index in every token; the third label is ignored."""
    tokens = np.repeat(np.arange(1, EXAMPLES + 1, dtype=np.int32)[:, None], 3, axis=1)
    labels = tokens * np.array([1, 1, 0], np.int32)
    meta = Metadata(0, 0, 0, EXAMPLES + 1, 3, EXAMPLES, 5, 1.0, 5, ["all"])
    ids = np.arange(EXAMPLES, dtype=np.int32)
    return PuzzleSet(tokens, labels, ids, PUZZLES, GROUPS, meta)


def examples(sampler: Sampler, steps: int) -> np.ndarray:
    return np.concatenate([np.asarray(sampler.batch(t).inputs)[:, 0] - 1 for t in range(steps)])


@limits(max_examples=30)
@given(st.integers(1, 13), st.integers(0, 2**32 - 1))
def test_every_epoch_visits_every_group_once(batch_size, seed):
    steps = -(-15 // batch_size)  # three epochs of five groups
    groups = GROUP_OF[examples(Sampler(numbered(), batch_size, seed), steps)]
    for epoch in range(3):
        assert sorted(groups[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]


def test_epochs_are_shuffled_differently():
    groups = GROUP_OF[examples(Sampler(numbered(), 5, 0), 20)].reshape(20, 5)
    assert len({tuple(order) for order in groups.tolist()}) > 10


def test_a_group_gives_one_puzzle_and_a_puzzle_one_example_at_random():
    drawn = examples(Sampler(numbered(), 50, 3), 60)  # 600 draws of every group
    counts = Counter(drawn.tolist())
    for example in range(EXAMPLES):
        puzzle = PUZZLE_OF[example]
        share = 1 / (np.diff(GROUPS)[GROUP_OF[example]] * np.diff(PUZZLES)[puzzle])
        # five standard errors of a binomial of 600
        assert abs(counts[example] / 600 - share) <= 5 * (share * (1 - share) / 600) ** 0.5


def test_a_batch_depends_on_seed_and_step_alone():
    forwards, backwards = Sampler(tiny.sets()[0], 8, 1, True), Sampler(tiny.sets()[0], 8, 1, True)
    first = [forwards.batch(step) for step in range(6)]
    second = [backwards.batch(step) for step in reversed(range(6))][::-1]
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0].inputs, first[3].inputs)
    assert not np.array_equal(first[0].inputs, Sampler(tiny.sets()[0], 8, 2, True).batch(0).inputs)


def test_rows_of_a_batch_belong_together():
    batch = Sampler(numbered(), 5, 0).batch(0)
    rows = np.asarray(batch.inputs)[:, 0]
    np.testing.assert_array_equal(batch.puzzle_ids, rows - 1)
    expected = np.stack([rows, rows, np.full(5, IGNORE_LABEL)], axis=1)
    np.testing.assert_array_equal(batch.labels, expected)


def test_augmented_puzzles_are_valid_and_new():
    train = tiny.sets()[0]
    known = {row.tobytes() for row in train.inputs}
    new = 0
    for step in range(6):
        batch = Sampler(train, 8, 1, augment=True).batch(step)
        boards, solutions = from_tokens(batch.inputs), from_tokens(batch.labels)
        assert is_solved(solutions).all()
        assert respects_givens(boards, solutions).all()
        new += sum(row.tobytes() not in known for row in np.asarray(batch.inputs))
    assert new > 24


def test_augmentation_moves_ignored_labels_with_their_cells():
    train = tiny.sets()[0]
    train = replace(train, labels=np.where(train.inputs > 1, 0, train.labels))
    batch = Sampler(train, 8, 1, augment=True).batch(0)
    given_cells = np.asarray(batch.inputs) > 1
    np.testing.assert_array_equal(np.asarray(batch.labels) == IGNORE_LABEL, given_cells)
    filled = np.where(given_cells, batch.inputs, batch.labels)
    assert is_solved(from_tokens(filled)).all()


def test_only_sudokus_can_be_augmented():
    with pytest.raises(ValueError, match="augment moves Sudokus alone: puzzles has 3 tokens"):
        Sampler(numbered(), 5, 0, augment=True)
