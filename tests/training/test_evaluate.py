"""Evaluation against a plain loop over puzzles and segments."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, flatten, init_params, initial_state
from rrjax.dynamics.starts import perturb
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import Batch
from rrjax.training import evaluate as evaluation
from rrjax.training.augment import Chance, draw
from rrjax.training.evaluate import StartNoise, evaluate, evaluation_size, segment_statistics
from tests.tools import tiny_training as tiny
from tests.tools.tiny_training import CONFIG, one_segment

BATCH = 8


@functools.cache
def params():
    """Random weights whose q head says yes to some puzzles and no to others."""
    head = {"weight": jax.random.normal(jax.random.key(1), (2, 32)), "bias": jnp.zeros(2)}
    return init_params(jax.random.key(0), CONFIG) | {"q_head": head}


@functools.cache
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Tokens and q_halt after four segments, none of which halts."""
    test = tiny.sets()[1]
    start = initial_state(params(), CONFIG)
    answer, q_halt = [], []
    for rows in (np.arange(8), np.arange(4, 12)):
        state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (8, *leaf.shape)), start)
        for _ in range(CONFIG.arch.halt_max_steps):
            state, readout = one_segment(
                CONFIG, params(), test.inputs[rows], test.puzzle_ids[rows], state
            )
        answer.append(np.asarray(readout.logits).argmax(-1))
        q_halt.append(np.asarray(readout.q_halt))
    return np.concatenate([answer[0], answer[1][4:]]), np.concatenate([q_halt[0], q_halt[1][4:]])


def puzzles() -> PuzzleSet:
    """Puzzles of which rows 0, 3, 6, 9 are labelled with the cell's answer and row 4 not at all.

    Token 0 of an answer becomes an ignored label.
    """
    test = tiny.sets()[1]
    labels = test.labels.copy()
    labels[::3] = answers()[0][::3]
    labels[4] = 0
    assert (labels[::3] > 0).any(-1).all()
    return dataclasses.replace(test, labels=labels)


def plain_loop(number: int) -> dict[str, float]:
    labels, (answer, q_halt) = puzzles().labels, answers()
    rows = [row for row in range(number) if (labels[row] > 0).any()]
    right = [(answer[row] == labels[row])[labels[row] > 0] for row in rows]
    solved = np.array([part.all() for part in right])
    return {
        "count": len(rows),
        "exact_accuracy": solved.mean(),
        "accuracy": np.mean([part.mean() for part in right]),
        "q_halt_accuracy": np.mean((q_halt[rows] >= 0) == solved),
    }


@pytest.mark.parametrize("number", [1, 5, 8, 12, 1000])
def test_evaluation_is_the_plain_loop(number):
    """Twelve puzzles in batches of eight: the last batch is padded, and one row has no label."""
    found = evaluate(flatten(params()), CONFIG, puzzles(), BATCH, number)
    expected = plain_loop(min(number, 12))
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize(
    ("number", "saturating", "free", "size"),
    [
        (1000, 100, None, 64),  # powers of two times the batch of training, up to what is of use
        (63, 100, None, 32),
        (15, 100, None, 8),
        (1000, 1, None, 8),
        (1000, 100, 10**12, 64),
        (1000, 100, 0, 8),
        (1000, 100, "of 16", 16),
    ],
)
def test_an_accelerator_evaluates_as_many_as_it_holds(monkeypatch, number, saturating, free, size):
    flat = flatten(params())
    assert evaluation_size(flat, CONFIG, BATCH, number) == BATCH  # a processor
    if free == "of 16":
        blank = np.zeros((16, CONFIG.seq_len), np.int32)
        batch = Batch(blank, blank, blank[:, 0])
        program = evaluation._outcomes.lower(
            CONFIG, Chance(), flat, batch, np.arange(16), None, 0
        ).compile()
        free = program.memory_analysis().temp_size_in_bytes
    values = CONFIG.num_tokens * CONFIG.arch.hidden_size
    monkeypatch.setattr(evaluation, "SATURATING_VALUES", saturating * values)
    monkeypatch.setattr(evaluation, "free_memory", lambda device: free)
    monkeypatch.setattr(evaluation.jax, "default_backend", lambda: "gpu")
    assert evaluation_size(flat, CONFIG, BATCH, number) == size


def test_metrics_do_not_depend_on_the_size_of_a_batch():
    expected = evaluate(flatten(params()), CONFIG, puzzles(), BATCH, 12)
    for size in (5, 12, 64):
        found = evaluate(flatten(params()), CONFIG, puzzles(), size, 12)
        assert found == pytest.approx(expected, rel=1e-6), size


def test_the_example_tells_solved_from_failed():
    expected = plain_loop(12)
    assert expected["count"] == 11
    assert expected["exact_accuracy"] == pytest.approx(4 / 11)
    assert 0 < expected["q_halt_accuracy"] < 1


def test_no_puzzles_are_refused():
    with pytest.raises(ValueError, match="number must be at least 1, got 0"):
        evaluate(flatten(params()), CONFIG, puzzles(), BATCH, 0)


def test_perturbed_starts_are_the_plain_loop_from_there():
    """Each puzzle has a draw of its own, whatever the batch it is evaluated in."""
    test, arch = tiny.sets()[1], CONFIG.arch
    noise = StartNoise(0.5, seed=7)
    start = initial_state(params(), CONFIG)
    keys = [jax.random.fold_in(jax.random.key(7), row) for row in range(12)]
    states = [perturb(key, start, 0.5) for key in keys]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    for _ in range(arch.halt_max_steps):
        state, readout = one_segment(CONFIG, params(), test.inputs, test.puzzle_ids, state)
    answer = np.asarray(readout.logits).argmax(-1)
    assert (answer != answers()[0]).any()
    labels = answers()[0].copy()
    labels[::2] = answer[::2]
    judged = dataclasses.replace(test, labels=np.where(labels == 0, 1, labels).astype(np.int32))
    expected = np.mean((answer == judged.labels).all(-1))
    found = [evaluate(flatten(params()), CONFIG, judged, size, 12, noise=noise) for size in (8, 5)]
    assert found[0]["exact_accuracy"] == pytest.approx(expected)
    assert found[1]["exact_accuracy"] == pytest.approx(expected)


def test_random_starts_and_noise_are_those_of_the_dynamics():
    """What is drawn is the same in any batch, and the statistics by segment draw the same."""
    drawn, test = Chance(("z_H",), 0.05), tiny.sets()[1]
    right = 0.0
    for row in range(12):
        dynamics = bind(params(), CONFIG, jnp.asarray(test.inputs[row]), 0)
        key = evaluation._row_key(3, jnp.asarray(row))
        dynamics = draw(dynamics, drawn, key, 4)
        assert np.array_equal(dynamics.initial.z_L, initial_state(params(), CONFIG).z_L)
        answer = np.asarray(rrjax.rollout(dynamics, 4).logits[-1]).argmax(-1)
        right += (answer == test.labels[row]).mean() / 12
    flat = flatten(params())
    arguments = {"drawn": drawn, "seed": 3}
    for size in (8, 5):
        metrics = evaluate(flat, CONFIG, test, size, 12, **arguments)
        assert metrics["accuracy"] == pytest.approx(right, abs=1e-6)
    rows = segment_statistics(flat, CONFIG, test, 8, 12, **arguments).metrics
    assert rows[-1]["accuracy"] == pytest.approx(right, abs=1e-6)
    assert evaluate(flat, CONFIG, test, 8, 12)["accuracy"] != pytest.approx(right, abs=1e-6)


def test_no_noise_is_the_clean_start_and_another_seed_another_one():
    flat = flatten(params())
    run = functools.partial(evaluate, flat, CONFIG, puzzles(), BATCH, 12)
    assert run(noise=StartNoise(0.0, seed=1)) == run()
    one, other = run(noise=StartNoise(1.0, seed=1)), run(noise=StartNoise(1.0, seed=2))
    assert one["accuracy"] != other["accuracy"]
    assert one == run(noise=StartNoise(1.0, seed=1))
