"""ACT streaming: which slots halt, which are refilled, and the bootstrap target by hand."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import Arch, Config, Readout, bind, init_params, initial_state, param_shapes
from rrjax.contract import run_segment
from rrjax.puzzles.batch import Batch
from rrjax.training.act import (
    Slots,
    _halts,
    _slot_keys,
    empty_slots,
    refill,
    run_slots,
    segment_with_gradient,
    stagger,
)
from rrjax.training.data import Sampler
from rrjax.training.settings import Augmentation
from rrjax.training.state import init_train_state
from tests.tools import tiny_training as tiny
from tests.tools.tiny_training import compiled_step, one_segment

PARTS = ("mlp_t", "mlp")
PLAIN = Arch(halt_max_steps=4, halt_exploration_prob=0.0)
ON_SIGN = Config(PLAIN)
COMPARING = (
    Config(dataclasses.replace(PLAIN, no_ACT_continue=False)),
    Config(dataclasses.replace(PLAIN, name="hrm", H_layers=1)),
)


def halts(config: Config, q_halt, q_continue, steps, seed: int = 0) -> np.ndarray:
    readout = Readout(jnp.zeros(0), jnp.asarray(q_halt, float), jnp.asarray(q_continue, float))
    return np.asarray(_halts(readout, jnp.asarray(steps), config, jax.random.key(seed)))


def exploring(halt_max_steps: int, prob: float) -> Config:
    arch = dataclasses.replace(PLAIN, halt_max_steps=halt_max_steps, halt_exploration_prob=prob)
    return Config(arch)


Q_HALT, Q_CONTINUE = [0.1, 0.0, -1.0, -1.0, -1.0], [0.2, 0.0, -2.0, -1.0, 5.0]


def test_trm_halts_on_a_positive_q_halt():
    found = halts(ON_SIGN, Q_HALT, Q_CONTINUE, [1, 1, 1, 3, 4])
    np.testing.assert_array_equal(found, [True, False, False, False, True])


@pytest.mark.parametrize("config", COMPARING, ids=["trm", "hrm"])
def test_others_halt_when_q_halt_exceeds_q_continue(config):
    found = halts(config, Q_HALT, Q_CONTINUE, [1, 1, 1, 3, 4])
    np.testing.assert_array_equal(found, [False, False, True, False, True])


def test_exploration_draws_a_minimum_between_two_and_the_maximum():
    number, config = 4000, exploring(4, prob=1.0)
    rates = [
        halts(config, [9.0] * number, [0.0] * number, [t] * number).mean() for t in (1, 2, 3, 4)
    ]
    assert rates[0] == 0
    assert rates[3] == 1
    # the minimum is 2, 3 or 4 with equal odds; five standard errors
    assert abs(rates[1] - 1 / 3) < 0.04
    assert abs(rates[2] - 2 / 3) < 0.04


def test_exploration_is_as_frequent_as_asked():
    number = 4000
    rate = halts(exploring(4, prob=0.25), [9.0] * number, [0.0] * number, [1] * number).mean()
    assert abs(rate - 0.75) < 0.035


def test_exploration_depends_on_the_key_and_not_on_anything_else():
    config, many = exploring(4, prob=1.0), [9.0] * 64
    first, again = (halts(config, many, many[::-1], [2] * 64, seed=5) for _ in range(2))
    other = halts(config, many, many[::-1], [2] * 64, seed=6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_two_segments_at_most_leave_no_choice_to_exploration():
    config = exploring(2, prob=1.0)
    assert not halts(config, [9.0], [0.0], [1]).any()
    assert halts(config, [9.0], [0.0], [2]).all()


def test_a_single_segment_always_halts_and_has_no_target():
    config = exploring(1, prob=1.0)
    assert halts(config, [-9.0, 9.0], [9.0, -9.0], [1, 1]).all()
    arch = dataclasses.replace(tiny.ARCH, no_ACT_continue=False, halt_max_steps=1)
    config = dataclasses.replace(tiny.CONFIG, arch=arch)
    params = init_params(jax.random.key(0), config)
    slots = init_train_state(config, tiny.RECIPE, params).slots
    vectors = jnp.zeros((8, 32))
    segment = jax.eval_shape(lambda: run_slots(params, vectors, config, slots, jax.random.key(0)))
    assert segment.target_q_continue is None


HALTED = np.array([True, False] * 4)


def mixed_slots(params, config: Config) -> tuple[Slots, Batch]:
    """Slots of random states of which every second has halted, and the rows offered to them."""
    rng = np.random.default_rng(0)
    start = initial_state(params, config)
    state = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=(8, *leaf.shape)), jnp.float32), start
    )
    old, new = (
        Batch(*jnp.asarray(rng.integers(1, 6, (2, 8, 16)), jnp.int32), jnp.zeros(8, jnp.int32))
        for _ in range(2)
    )
    return Slots(state, old, jnp.array([4, 1, 2, 2, 3, 1, 4, 2]), jnp.asarray(HALTED)), new


def test_halted_slots_are_refilled_and_the_others_keep_their_bits():
    params = init_params(jax.random.key(0), tiny.CONFIG)
    slots, offered = mixed_slots(params, tiny.CONFIG)
    start = initial_state(params, tiny.CONFIG)
    found = refill(slots, offered, start)
    for row in range(8):
        source = offered if HALTED[row] else slots.batch
        for name in Batch._fields:
            np.testing.assert_array_equal(
                getattr(found.batch, name)[row], getattr(source, name)[row]
            )
        for name in start._fields:
            old, new = getattr(slots.state, name)[row], getattr(start, name)
            np.testing.assert_array_equal(
                getattr(found.state, name)[row], new if HALTED[row] else old
            )
    np.testing.assert_array_equal(found.steps, [0, 1, 0, 2, 0, 1, 0, 2])


def test_a_training_step_goes_on_with_running_slots_and_starts_halted_ones():
    params = init_params(jax.random.key(0), tiny.CONFIG)
    slots, offered = mixed_slots(params, tiny.CONFIG)
    state = init_train_state(tiny.CONFIG, tiny.RECIPE, params)
    # a step donates its state
    after, _ = compiled_step(
        tiny.CONFIG, tiny.RECIPE, state._replace(slots=jax.tree.map(jnp.copy, slots)), offered
    )
    np.testing.assert_array_equal(after.slots.steps, [1, 2, 1, 3, 1, 2, 1, 3])
    expected = np.where(HALTED[:, None], offered.inputs, slots.batch.inputs)
    np.testing.assert_array_equal(after.slots.batch.inputs, expected)
    expected = np.where(HALTED[:, None], offered.labels, slots.batch.labels)
    np.testing.assert_array_equal(after.slots.batch.labels, expected)
    filled = refill(slots, offered, initial_state(params, tiny.CONFIG))
    run, _ = one_segment(
        tiny.CONFIG, params, filled.batch.inputs, filled.batch.puzzle_ids, filled.state
    )
    for name in run._fields:
        found, wanted = getattr(after.slots.state, name), getattr(run, name)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("trajectories", "limits"), [(1, [1, 1, 2, 2, 3, 3, 4, 4]), (2, [1] * 2 + [2] * 2 + [3] * 2)]
)
def test_first_puzzles_are_given_up_one_after_the_other(trajectories, limits):
    number = len(limits)
    config = exploring(4 if trajectories == 1 else 3, prob=0.0)
    blank = jnp.zeros(number, int)
    slots = Slots((), Batch(blank, blank, blank), blank, blank > 0)
    for step in range(1, 6):
        slots = slots._replace(steps=jnp.full(number, step), halted=jnp.zeros(number, bool))
        halted = stagger(slots, jnp.array(step), config, trajectories).halted
        np.testing.assert_array_equal(halted, np.array(limits) == step)
        # a slot that has halted before is at another puzzle
        assert not stagger(slots, jnp.array(step + 1), config, trajectories).halted.any()


def test_staggered_slots_take_new_puzzles_in_every_step_and_count_those_that_halt():
    """The q head learns that nothing is solved: nothing halts before the fourth segment."""
    recipe = dataclasses.replace(tiny.RECIPE, steps=12, seed=0, stagger_slots=True)
    sampler = Sampler(tiny.sets()[0], recipe.global_batch_size, seed=1)
    state, halted, counts, steps = init_train_state(tiny.CONFIG, recipe), [], [], []
    for step in range(8):
        state, metrics = compiled_step(tiny.CONFIG, recipe, state, sampler.batch(step))
        halted.append(int(state.slots.halted.sum()))
        counts.append(int(metrics["count"]))
        steps.append(int(metrics["steps"]))
    assert halted == [2] * 8
    assert counts == [0] * 3 + [2] * 5
    assert steps == [0] * 3 + [8] * 5


def test_staggered_slots_need_slots_that_stream():
    augmentation = Augmentation(rollout="masked_act")
    with pytest.raises(ValueError, match=r"stagger_slots must stay off .*rollout .*masked_act"):
        dataclasses.replace(tiny.RECIPE, stagger_slots=True, augmentation=augmentation)


def test_bootstrap_target_by_hand():
    """σ(q_halt) of the next segment where this is the last, σ(max of both q) elsewhere.

    Upstream's TRM stops with an error when q_continue is to be trained; HRM defines the target.
    """
    arch = dataclasses.replace(tiny.ARCH, no_ACT_continue=False)
    config = dataclasses.replace(tiny.CONFIG, arch=arch)
    params = init_params(jax.random.key(0), config)
    head = {"weight": jax.random.normal(jax.random.key(1), (2, 32)), "bias": jnp.zeros(2)}
    params = params | {"q_head": head}
    slots, _ = mixed_slots(params, config)
    slots = slots._replace(steps=jnp.array([0, 1, 2, 3, 3, 3, 0, 3]))
    vectors = jnp.zeros((8, 32))

    def target(params):
        return run_slots(params, vectors, config, slots, jax.random.key(0)).target_q_continue

    inputs, ids = slots.batch.inputs, slots.batch.puzzle_ids
    state, _ = one_segment(config, params, inputs, ids, slots.state)
    _, ahead = one_segment(config, params, inputs, ids, state)
    q_halt, q_continue = np.asarray(ahead.q_halt, float), np.asarray(ahead.q_continue, float)
    last = np.asarray(slots.steps) == 3
    assert (q_continue > q_halt)[last].any()  # else the two formulas agree
    best = np.where(last, q_halt, np.maximum(q_halt, q_continue))
    np.testing.assert_allclose(jax.jit(target)(params), 1 / (1 + np.exp(-best)), rtol=1e-4)
    slopes = jax.jit(jax.grad(lambda params: target(params).sum()))(params)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(slopes))


def test_an_update_stores_its_products_and_gated_units_alone():
    """The cell has one block, whose two SwiGLU store 3·inner + outer numbers for each row."""
    config, params = tiny.CONFIG, init_params(jax.random.key(0), tiny.CONFIG)
    dynamics = bind(params, config, jnp.ones(config.seq_len, jnp.int32))

    def stored(context):
        run = functools.partial(segment_with_gradient, state=dynamics.initial)
        pulled = jax.vjp(lambda c: run(dataclasses.replace(dynamics, context=c)), context)[1]
        return [leaf for leaf in jax.tree.leaves(pulled) if hasattr(leaf, "shape")]

    sizes = [leaf.size for leaf in jax.eval_shape(stored, dynamics.context)]
    width, tokens = config.arch.hidden_size, config.num_tokens
    shapes = param_shapes(config)
    inner = {part: shapes[f"L_level.layers.0.{part}.down_proj.weight"][1] for part in PARTS}
    of_update = width * 3 * inner["mlp_t"] + tokens * (3 * inner["mlp"] + 2 * width)
    weights = sum(leaf.size for leaf in jax.tree.leaves(dynamics.context))
    expected = weights + (config.arch.L_cycles + 1) * of_update
    assert expected <= sum(sizes) <= 1.05 * expected


def test_the_noise_of_training_is_that_of_the_dynamics_in_every_slot():
    params, key = init_params(jax.random.key(0), tiny.CONFIG), jax.random.key(2)
    batch = Batch(*map(jnp.asarray, Sampler(tiny.sets()[0], 3, seed=1).batch(0)))
    slots = empty_slots(params, tiny.CONFIG, batch)
    vectors = jnp.asarray(params["puzzle_emb"]["weights"])[batch.puzzle_ids]
    noisy = run_slots(params, vectors, tiny.CONFIG, slots, key, 0.1).slots.state
    plain = run_slots(params, vectors, tiny.CONFIG, slots, key).slots.state
    for slot, own in enumerate(_slot_keys(key, jnp.arange(3))):
        dynamics = bind(params, tiny.CONFIG, batch.inputs[slot], batch.puzzle_ids[slot])
        dynamics = rrjax.with_update_noise(dynamics, 1, key=own, sigma=0.1)
        drive = jax.tree.map(lambda leaf: leaf[0], dynamics.drive)
        state = run_segment(dynamics, dynamics.initial, drive)
        np.testing.assert_allclose(noisy.z_H[slot], state.z_H, atol=1e-4)
        assert not np.allclose(plain.z_H[slot], state.z_H, atol=1e-2)
