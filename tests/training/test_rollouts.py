"""Steps of several trajectories or whole rollouts, against loops over single segments."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import Config, init_params, initial_state, unflatten
from rrjax.puzzles.batch import Batch
from rrjax.training import step as step_module
from rrjax.training.act import Slots, empty_slots, refill, run_slots
from rrjax.training.data import Sampler
from rrjax.training.objective import (
    Gradients,
    Weights,
    rollout_gradients,
    score,
    segment_gradients,
)
from rrjax.training.settings import Augmentation
from rrjax.training.state import init_train_state, partition
from tests.tools import tiny_training as tiny
from tests.tools.tiny_training import compiled_step

CALM = dataclasses.replace(tiny.ARCH, halt_exploration_prob=0.0)
TRM = Config(CALM, 16, 6)
HRM = Config(dataclasses.replace(CALM, name="hrm", H_layers=1), 16, 6)
KEY = jax.random.key(5)


@functools.cache
def example(config: Config, bias: float = 0.0) -> tuple[Weights, dict, Slots]:
    """Weights whose q head halts some slots early, and eight slots at their start."""
    params = init_params(jax.random.key(0), config)
    head = {"weight": jax.random.normal(jax.random.key(1), (2, 32)), "bias": jnp.array([bias, 0.0])}
    trained, fixed = partition(params | {"q_head": head})
    batch = Batch(*map(jnp.asarray, Sampler(tiny.sets()[0], 8, seed=1).batch(0)))
    slots = refill(empty_slots(params, config, batch), batch, initial_state(params, config))
    return Weights(trained, fixed["puzzle_emb.weights"][batch.puzzle_ids]), fixed, slots


def row_of(slots: Slots, row: int) -> Slots:
    return jax.tree.map(lambda leaf: leaf[row : row + 1], slots)


@functools.partial(jax.jit, static_argnums=0)
def one_row(config: Config, trained, vector, fixed, slots: Slots, key):
    """Loss, gradients and slots of one slot's next segment, whatever ACT says of it."""

    def loss(trained, vector):
        segment = run_slots(unflatten(trained | fixed), vector, config, slots, key)
        scores = score(
            segment.readout,
            slots.batch.labels,
            segment.slots.halted,
            segment.slots.steps,
            segment.target_q_continue,
            config.arch.loss_type,
        )
        return scores.loss, (segment.slots, segment.readout)

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(trained, vector)


def loop(
    config: Config, lengths: list[int], bias: float = 0.0
) -> tuple[float, Weights, list[list[float]]]:
    """Mean loss and gradient over the first `lengths` segments of each row, and all q_halt."""
    weights, fixed, slots = example(config, bias)
    assert weights.vectors is not None
    total, trained = 0.0, jax.tree.map(jnp.zeros_like, weights.trained)
    vectors, q_halt = jnp.zeros_like(weights.vectors), [[] for _ in lengths]
    for row, length in enumerate(lengths):
        mine, vector = row_of(slots, row), weights.vectors[row : row + 1]
        for segment in range(length):
            key = jax.random.fold_in(KEY, segment)
            (loss, (mine, readout)), grads = one_row(
                config, weights.trained, vector, fixed, mine, key
            )
            total += float(loss)
            trained = jax.tree.map(jnp.add, trained, grads[0])
            vectors = vectors.at[row].add(grads[1][0])
            q_halt[row].append(float(readout.q_halt[0]))
    number = sum(lengths)
    return total / number, jax.tree.map(lambda g: g / number, Weights(trained, vectors)), q_halt


def run(of, config: Config, bias: float = 0.0) -> Gradients:
    weights, fixed, slots = example(config, bias)
    return jax.jit(of, static_argnums=(2, 5))(weights, fixed, config, slots, KEY, tiny.RECIPE)


def assert_close(found: Weights, expected: Weights):
    for name, leaf in expected.trained.items():
        scale = float(jnp.abs(leaf).max())
        np.testing.assert_allclose(
            found.trained[name], leaf, rtol=1e-3, atol=1e-4 * scale, err_msg=name
        )
    assert found.vectors is not None
    assert expected.vectors is not None
    np.testing.assert_allclose(found.vectors, expected.vectors, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "config", [TRM, pytest.param(HRM, marks=pytest.mark.slow)], ids=["trm", "hrm"]
)
def test_a_fixed_rollout_is_the_loop_over_rows_and_segments(config):
    """Mean over 8 rows × 4 segments of what single segments give, with the weights unmoved."""
    loss, grads, _ = loop(config, [4] * 8)
    found = run(functools.partial(rollout_gradients, stop_at_halt=False), config)
    assert_close(found.weights, grads)
    assert float(found.metrics["loss"]) == pytest.approx(8 * loss, rel=1e-4)
    assert float(found.metrics["count"]) == 8
    assert float(found.metrics["steps"]) == 32
    np.testing.assert_array_equal(found.slots.steps, [4] * 8)
    assert found.slots.halted.all()


def test_a_masked_rollout_counts_a_trajectory_until_it_halts():
    """TRM without exploration halts with the first q_halt > 0, or at the fourth segment."""
    q_halt = np.array(loop(TRM, [4] * 8)[2])
    bias = -float(np.median(q_halt))
    lengths = [next((t for t, q in enumerate(row, 1) if q > 0), 4) for row in q_halt + bias]
    assert len(set(lengths)) > 1  # else the mask is not put to the test
    loss, grads, _ = loop(TRM, lengths, bias)
    found = run(functools.partial(rollout_gradients, stop_at_halt=True), TRM, bias)
    assert_close(found.weights, grads)
    assert float(found.metrics["loss"]) == pytest.approx(8 * loss, rel=1e-4)
    assert float(found.metrics["count"]) == 8
    assert float(found.metrics["steps"]) == sum(lengths)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_segments():
    def used(segments: int) -> int:
        weights, fixed, slots = example(TRM)
        arch = dataclasses.replace(CALM, halt_max_steps=segments)
        config = dataclasses.replace(TRM, arch=arch)
        step = jax.jit(rollout_gradients, static_argnums=(2, 5, 6))
        lowered = step.lower(weights, fixed, config, slots, KEY, tiny.RECIPE, False)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert used(32) < 1.05 * used(4)


@pytest.mark.parametrize(
    "of",
    [
        segment_gradients,
        pytest.param(
            functools.partial(rollout_gradients, stop_at_halt=False), marks=pytest.mark.slow
        ),
    ],
    ids=["segment", "rollout"],
)
def test_copies_of_a_trajectory_give_its_gradient_and_loss(of):
    weights, fixed, slots = example(TRM)
    slots, vectors = jax.tree.map(
        lambda leaf: jnp.repeat(leaf, 2, axis=0), (slots, weights.vectors)
    )
    twice = jax.jit(of, static_argnums=(2, 5))(
        Weights(weights.trained, vectors), fixed, TRM, slots, KEY, tiny.RECIPE
    )
    once = run(of, TRM)
    summed = twice.weights.vectors.reshape(8, 2, -1).sum(1)
    assert_close(Weights(twice.weights.trained, summed), once.weights)
    for name in ("loss", "lm_loss", "q_halt_loss"):
        assert float(twice.metrics[name]) == pytest.approx(float(once.metrics[name]), rel=1e-4)
    for name in ("count", "steps", "exact_accuracy"):
        assert float(twice.metrics[name]) == 2 * float(once.metrics[name])


SAMPLER = Sampler(tiny.sets()[0], 8, seed=1)


def refilled(augmentation: Augmentation, halted=True, step: int = 0) -> Slots:
    """What a step runs, from slots whose states are all 9."""
    recipe = dataclasses.replace(tiny.RECIPE, augmentation=augmentation)
    state = init_train_state(TRM, recipe)
    nines = jax.tree.map(lambda leaf: jnp.full_like(leaf, 9), state.slots.state)
    flags = jnp.broadcast_to(jnp.asarray(halted), state.slots.halted.shape)
    slots = state.slots._replace(state=nines, halted=flags)
    state = state._replace(slots=slots, step=jnp.asarray(step))

    def take_slots(weights, fixed, config, slots, key, recipe):
        raise _TakenError(slots)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_module, "segment_gradients", take_slots)
        with pytest.raises(_TakenError) as taken:
            step_module.train_step(TRM, recipe, state, SAMPLER.batch(0))
    return taken.value.args[0]


class _TakenError(Exception):
    """Carries the slots that a step would run."""


@pytest.mark.slow
def test_one_trajectory_without_noise_is_the_clean_one_to_the_bit():
    clean = refilled(Augmentation())
    chex.assert_trees_all_equal(
        clean, refilled(Augmentation("single_perturbed_ce", sigma=(0.0, 0.0)))
    )
    many = refilled(Augmentation("multi_perturbed_ce", num_trajectories=3, sigma=(0.0, 0.0)))
    expected = jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf), 3, axis=0), clean)
    chex.assert_trees_all_equal(many, expected)


def test_only_trajectories_that_start_are_perturbed():
    noisy = Augmentation("multi_perturbed_ce", num_trajectories=2, sigma=(0.5, 0.5))
    clean = refilled(Augmentation()).state.z_L
    found = refilled(noisy, halted=[True, True, True, False] + [False] * 12).state.z_L
    np.testing.assert_array_equal(found[3:], jnp.full_like(found[3:], 9))
    np.testing.assert_array_equal(found[::2][:2], clean[:2])
    assert 0.4 < float((found[1] - clean[0]).std()) < 0.6


def test_a_step_applies_the_gradient_of_its_rollout():
    """AdamATan2's first step moves every weight with a gradient by lr·atan2(1, 1)·sign, decayed."""
    augmentation = Augmentation("multi_perturbed_ce", "parallel_fixed", 2, sigma=(0.1, 0.1))
    recipe = dataclasses.replace(
        tiny.RECIPE, augmentation=augmentation, weight_decay=0.0, lr_warmup_steps=0
    )
    state = init_train_state(TRM, recipe)
    before = jax.tree.map(jnp.copy, state)
    after, metrics = compiled_step(TRM, recipe, state, SAMPLER.batch(0))
    assert int(metrics["count"]) == 16
    assert after.slots.halted.all()
    np.testing.assert_array_equal(
        after.slots.batch.inputs, np.repeat(SAMPLER.batch(0).inputs, 2, axis=0)
    )
    moved = before.trained["lm_head.weight"] - after.trained["lm_head.weight"]
    # m/(1 - b1) = g and v/(1 - b2) = g²: atan2((1 - b1) g, |g|) / (1 - b1)
    expected = recipe.lr * np.arctan(0.1) / 0.1
    np.testing.assert_allclose(np.abs(moved), expected, rtol=1e-2)
