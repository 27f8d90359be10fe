"""Winner-take-all: the gradient of the best trajectories by a loop, and what they share."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import init_params, initial_state, unflatten
from rrjax.puzzles.batch import Batch
from rrjax.training.act import Slots, empty_slots, refill, run_slots
from rrjax.training.augment import starts
from rrjax.training.data import Sampler
from rrjax.training.objective import Weights, score_each, segment_gradients
from rrjax.training.settings import Augmentation
from rrjax.training.state import init_train_state, partition
from rrjax.training.winners import winner_gradients
from tests.tools import tiny_training as tiny
from tests.tools.tiny_training import compiled_step

PUZZLES, K = 4, 3
CONFIG = dataclasses.replace(
    tiny.CONFIG, arch=dataclasses.replace(tiny.ARCH, halt_exploration_prob=0.0)
)
RIVALS = Augmentation("winner_takes_all", num_trajectories=K, sigma=(1.0, 1.0), latents="z_L")
RECIPE = dataclasses.replace(tiny.RECIPE, augmentation=RIVALS)
SAMPLER = Sampler(tiny.sets()[0], tiny.RECIPE.global_batch_size, seed=1)
SINGLE, FEW = (dataclasses.replace(RECIPE, global_batch_size=number) for number in (1, PUZZLES))
KEY = jax.random.key(5)


def example() -> tuple[Weights, dict, Slots]:
    """Weights whose q head halts some slots, and K slots at different starts of each puzzle."""
    params = init_params(jax.random.key(0), CONFIG)
    head = {"weight": jax.random.normal(jax.random.key(4), (2, 32)), "bias": jnp.zeros(2)}
    trained, fixed = partition(params | {"q_head": head})
    rows = Sampler(tiny.sets()[0], PUZZLES, seed=1).batch(0)
    batch = Batch(*(jnp.repeat(jnp.asarray(leaf), K, axis=0) for leaf in rows))
    start = starts(KEY, initial_state(params, CONFIG), RIVALS, jnp.array(0), PUZZLES)
    slots = refill(empty_slots(params, CONFIG, batch), batch, start)
    return Weights(trained, fixed["puzzle_emb.weights"][batch.puzzle_ids]), fixed, slots


def rows(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def test_only_the_best_trajectory_of_each_puzzle_gives_a_gradient():
    weights, fixed, slots = example()
    assert weights.vectors is not None
    segment = jax.jit(segment_gradients, static_argnums=(2, 5))
    alone = []
    for row in range(PUZZLES * K):
        mine, vector = rows((slots, weights.vectors), slice(row, row + 1))
        alone.append(segment(Weights(weights.trained, vector), fixed, CONFIG, mine, KEY, SINGLE))
    losses = np.array([float(result.metrics["lm_loss"]) for result in alone]).reshape(PUZZLES, K)
    winners = losses.argmin(1)
    assert len(set(winners)) > 1  # else one trajectory wins everywhere, by its place
    best = [alone[K * puzzle + winner] for puzzle, winner in enumerate(winners)]

    found = jax.jit(winner_gradients, static_argnums=(2, 5))(
        weights, fixed, CONFIG, slots, KEY, FEW
    )
    for name, leaf in found.weights.trained.items():
        expected = sum(result.weights.trained[name] for result in best) / PUZZLES
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(leaf, expected, rtol=1e-3, atol=1e-4 * scale, err_msg=name)
    vectors = np.zeros((PUZZLES, K, 32))
    for puzzle, winner in enumerate(winners):
        vectors[puzzle, winner] = best[puzzle].weights.vectors[0] / PUZZLES
    np.testing.assert_allclose(found.weights.vectors, vectors.reshape(-1, 32), rtol=1e-3, atol=1e-6)
    assert float(found.metrics["lm_loss"]) == pytest.approx(losses.min(1).sum(), rel=1e-4)

    # z_H and the halting are the winner's; z_L is each one's own
    halted = np.repeat([bool(result.slots.halted[0]) for result in best], K)
    assert 0 < halted.sum() < PUZZLES * K  # else nothing tells whose halting it is
    assert any(bool(result.slots.halted[0]) != h for result, h in zip(alone, halted, strict=True))
    np.testing.assert_array_equal(found.slots.halted, halted)
    np.testing.assert_array_equal(found.slots.steps, 1)
    for row, result in enumerate(alone):
        state = rows(found.slots.state, row)
        np.testing.assert_allclose(state.z_L, result.slots.state.z_L[0], rtol=1e-4, atol=1e-5)
        z_H = best[row // K].slots.state.z_H[0]
        np.testing.assert_allclose(state.z_H, z_H, rtol=1e-4, atol=1e-5)
    first_won = [result.slots.halted[0] and w == 0 for w, result in zip(winners, best, strict=True)]
    assert int(found.metrics["clean_wins"]) == sum(map(bool, first_won))


def test_the_trajectories_of_a_puzzle_stay_together_and_apart():
    """They share puzzle, age and answer in every step, and each has a z_L of its own."""
    state, counted = init_train_state(tiny.CONFIG, RECIPE), 0
    for step in range(6):
        state, metrics = compiled_step(tiny.CONFIG, RECIPE, state, SAMPLER.batch(step))
        counted += int(metrics["count"])
        grouped = jax.tree.map(lambda x: np.asarray(x).reshape(8, K, *x.shape[1:]), state.slots)
        z_H, z_L = grouped.state
        for leaf in (*grouped.batch, grouped.steps, grouped.halted, z_H):
            np.testing.assert_array_equal(leaf, np.repeat(leaf[:, :1], K, axis=1))
        assert np.abs(z_L[:, 1:] - z_L[:, :1]).max(axis=(2, 3)).min() > 1e-3
    assert counted == 8  # every puzzle halted once in six steps of at most four segments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rollout": "masked_act"}, "rollout must be serial_act .*; got masked_act"),
        ({"num_trajectories": 1}, "num_trajectories must be at least 2 .*; got 1"),
        ({"sigma": (0.0, 0.0)}, "sigma must be above 0 with"),
        ({"p_clean": 1.0}, "p_clean must be below 1 with"),
        ({"latents": "z_H"}, "latents must be both or z_L, .* got z_H"),
    ],
)
def test_trajectories_that_would_not_differ_are_refused(changes, message):
    with pytest.raises(ValueError, match=rf"augmentation\.{message}"):
        dataclasses.replace(RIVALS, **changes)


def test_winners_run_again_with_the_noise_that_made_them_win():
    weights, fixed, slots = example()
    noisy = dataclasses.replace(FEW, update_noise=0.3)

    @jax.jit
    def both(weights, slots):
        params = unflatten(weights.trained | fixed)
        once = run_slots(params, weights.vectors, CONFIG, slots, KEY, noisy.update_noise)
        losses = score_each(once, once.slots.halted, CONFIG, noisy).metrics["lm_loss"]
        again = winner_gradients(weights, fixed, CONFIG, slots, KEY, noisy)
        return losses, again.metrics["lm_loss"]

    losses, loss = both(weights, slots)
    best = np.asarray(losses).reshape(PUZZLES, K)
    assert (best.argmin(1) > 0).any()  # whose number among the winners is not that of its slot
    assert float(loss) == pytest.approx(best.min(1).sum(), rel=1e-5)


def test_a_cell_without_latents_beside_its_answer_is_refused():
    arch = dataclasses.replace(tiny.ARCH, name="trm_singlez")
    config = dataclasses.replace(tiny.CONFIG, arch=arch)
    with pytest.raises(ValueError, match=r"latents beside the answer .*trm_singlez has not"):
        dataclasses.replace(tiny.task(augmentation=RIVALS), config=config)
