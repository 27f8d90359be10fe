"""The sampler: epochs over groups, a puzzle of each, reproducible by step, valid when augmented."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from rrjax.puzzles import PuzzleSet, from_tokens, is_solved
from rrjax.puzzles.batch import IGNORE_LABEL, Batch
from rrjax.puzzles.dataset import Metadata
from rrjax.puzzles.sudoku import respects_givens
from rrjax.training.data import Sampler
from tests.tools import tiny_training as tiny

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
    meta = Metadata(
        vocab_size=EXAMPLES + 1,
        seq_len=3,
        num_puzzle_identifiers=EXAMPLES,
        total_groups=5,
        mean_puzzle_examples=1.0,
        total_puzzles=5,
    )
    ids = np.arange(EXAMPLES, dtype=np.int32)
    return PuzzleSet(tokens, labels, ids, PUZZLES, GROUPS, meta)


def examples_of(batch: Batch) -> np.ndarray:
    return np.asarray(batch.inputs)[:, 0] - 1


def visited(rows: np.ndarray) -> list[int]:
    """The puzzles of a batch, each with all its examples or as many as find room."""
    puzzles, start = [], 0
    while start < len(rows):
        puzzle = int(PUZZLE_OF[rows[start]])
        part = rows[start : start + int(np.diff(PUZZLES)[puzzle])]
        assert set(PUZZLE_OF[part]) == {puzzle}
        assert len(set(part.tolist())) == len(part)
        puzzles.append(puzzle)
        start += len(part)
    return puzzles


@limits(max_examples=30)
@given(st.integers(1, 13), st.integers(0, 2**32 - 1))
def test_every_epoch_visits_every_group_once_and_a_puzzle_gives_all_that_fits(batch_size, seed):
    sampler, groups = Sampler(numbered(), batch_size, seed), []
    for step in range(25):
        rows = examples_of(sampler.batch(step))
        assert len(rows) == batch_size
        groups += [int(GROUP_OF[PUZZLES[puzzle]]) for puzzle in visited(rows)]
    for start in range(0, len(groups) - 4, 5):
        assert sorted(groups[start : start + 5]) == [0, 1, 2, 3, 4]


def test_epochs_are_shuffled_differently():
    singles, many = np.arange(13, dtype=np.int32), numbered()
    meta = replace(many.metadata, total_groups=12)
    puzzles = replace(many, puzzle_indices=singles, group_indices=singles, metadata=meta)
    sampler = Sampler(puzzles, 12, 0)
    orders = {tuple(examples_of(sampler.batch(step)).tolist()) for step in range(20)}
    assert len(orders) == 20
    assert all(sorted(order) == list(range(12)) for order in orders)


def test_a_group_gives_one_puzzle_and_a_cut_puzzle_some_examples_at_random():
    """A batch of one: each draw is one example of one puzzle of the next group."""
    sampler = Sampler(numbered(), 1, 3)
    drawn = np.concatenate([examples_of(sampler.batch(step)) for step in range(3000)])
    counts = Counter(drawn.tolist())  # 600 draws of every group
    for example in range(EXAMPLES):
        puzzle = PUZZLE_OF[example]
        share = 1 / (np.diff(GROUPS)[GROUP_OF[example]] * np.diff(PUZZLES)[puzzle])
        # five standard errors of a binomial of 600
        assert abs(counts[example] / 600 - share) <= 5 * (share * (1 - share) / 600) ** 0.5


def test_the_examples_of_a_puzzle_come_in_every_order():
    sampler, orders = Sampler(numbered(), 3, 5), Counter()
    for step in range(600):
        rows = examples_of(sampler.batch(step))
        if PUZZLE_OF[rows].tolist() == [1, 1, 1]:  # its examples are 1, 2 and 3
            orders[tuple(rows.tolist())] += 1
    number = sum(orders.values())
    assert number > 40
    assert sorted(orders) == sorted(itertools.permutations((1, 2, 3)))
    # five standard errors of a binomial
    assert all(abs(n / number - 1 / 6) <= 5 * (5 / 36 / number) ** 0.5 for n in orders.values())


def test_a_resumed_sampler_gives_the_rows_of_one_that_ran_through():
    whole = Sampler(numbered(), 4, 7)
    rows = [examples_of(whole.batch(step)).tolist() for step in range(40)]
    for step in (39, 0, 17, 18):
        assert examples_of(Sampler(numbered(), 4, 7).batch(step)).tolist() == rows[step]


def test_single_examples_give_the_rows_they_always_gave():
    """Bits of trained Sudoku models hang on these."""
    batch = Sampler(tiny.sets()[0], 8, 1, augment=True).batch(3)
    assert (np.asarray(batch.inputs).sum(0).tolist(), np.asarray(batch.labels)[:, 0].tolist()) == (
        [12, 14, 11, 14, 11, 22, 12, 16, 17, 10, 11, 10, 16, 8, 12, 12],
        [2, 5, 5, 5, 5, 2, 2, 2],
    )


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
    with pytest.raises(ValueError, match="augment moves only Sudokus: puzzles has 3 tokens"):
        Sampler(numbered(), 5, 0, augment=True)


def test_streams_of_a_seed_draw_independently():
    """As flossing's batches of a run beside those of its steps."""
    samplers = (Sampler(numbered(), 8, 7, stream=stream) for stream in (0, 1))
    first, other = ([examples_of(s.batch(i)).tolist() for i in range(20)] for s in samplers)
    assert not [rows for rows in other if rows in first]
