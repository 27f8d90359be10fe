"""What an optimizer step moves, and what its average covers."""

import dataclasses
import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import param_shapes
from rrjax.training.data import Sampler
from rrjax.training.settings import Augmentation
from rrjax.training.state import TrainState, init_train_state, model_params
from rrjax.training.step import train_step
from tests.tools import tiny_training as tiny
from tests.tools.tiny_training import compiled_step

UNAVERAGED = {"H_init", "L_init", "puzzle_emb.weights"}


@pytest.fixture(scope="module")
def states() -> list[TrainState]:
    """The states after 0 to 3 steps, copied: a step donates its state."""
    sampler = Sampler(tiny.sets()[0], tiny.RECIPE.global_batch_size, seed=1)
    state = init_train_state(tiny.CONFIG, tiny.RECIPE)
    kept = [copied(state)]
    for step in range(3):
        state, _ = compiled_step(tiny.CONFIG, tiny.RECIPE, state, sampler.batch(step))
        kept.append(copied(state))
    return kept


def copied(state: TrainState) -> TrainState:
    return jax.tree.map(jnp.copy, state)


def test_every_parameter_is_trained_or_fixed(states):
    assert set(states[0].fixed) == UNAVERAGED
    assert set(states[0].trained) | UNAVERAGED == set(param_shapes(tiny.CONFIG))
    assert not set(states[0].trained) & UNAVERAGED


def test_initial_vectors_stay_and_everything_else_moves(states):
    first, last = states[0], states[-1]
    for name in ("H_init", "L_init"):
        np.testing.assert_array_equal(first.fixed[name], last.fixed[name])
    assert np.any(first.fixed["puzzle_emb.weights"] != last.fixed["puzzle_emb.weights"])
    for name, leaf in first.trained.items():
        assert np.any(leaf != last.trained[name]), name


def test_average_is_exponential_and_of_trained_weights_alone(states):
    for old, new in itertools.pairwise(states):
        assert set(new.average) == set(new.trained)
        for name, leaf in new.average.items():
            expected = 0.9 * old.average[name] + 0.1 * new.trained[name]
            np.testing.assert_allclose(leaf, expected, rtol=1e-5, atol=1e-7)


def test_the_average_is_what_is_saved_only_where_the_recipe_asks(states):
    last = states[-1]
    averaged = model_params(last, tiny.RECIPE)
    plain = model_params(last, tiny.task(ema=False).recipe)
    name = "lm_head.weight"
    np.testing.assert_array_equal(averaged[name], last.average[name])
    np.testing.assert_array_equal(plain[name], last.trained[name])
    assert np.any(averaged[name] != plain[name])
    for name in UNAVERAGED:
        np.testing.assert_array_equal(averaged[name], last.fixed[name])


def test_a_step_counts_itself_and_donates_its_state(states):
    assert [int(state.step) for state in states] == [0, 1, 2, 3]
    state = init_train_state(tiny.CONFIG, tiny.RECIPE)
    sampler = Sampler(tiny.sets()[0], tiny.RECIPE.global_batch_size, seed=1)
    compiled_step(tiny.CONFIG, tiny.RECIPE, state, sampler.batch(0))
    assert state.trained["lm_head.weight"].is_deleted()


def test_a_program_serves_all_seeds():
    """The state has the seed that counts, whichever recipe the program was compiled for."""
    batch = Sampler(tiny.sets()[0], tiny.RECIPE.global_batch_size, seed=1).batch(0)
    noise = Augmentation("single_perturbed_ce", sigma=(0.5, 0.5))
    recipe = dataclasses.replace(tiny.RECIPE, augmentation=noise)

    def state_of_seed(seed: int, recipe_seed: int) -> TrainState:
        state = init_train_state(tiny.CONFIG, tiny.RECIPE)._replace(seed=jnp.uint32(seed))
        return step(tiny.CONFIG, dataclasses.replace(recipe, seed=recipe_seed), state, batch)[0]

    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(train_step, n=2), static_argnums=(0, 1))
    one, two, again = (state_of_seed(*seeds) for seeds in ((1, 0), (2, 0), (2, 7)))
    chex.assert_trees_all_equal(two, again)
    assert np.any(one.slots.state[0] != two.slots.state[0])


@pytest.mark.slow
def test_memory_of_a_step_does_not_grow_with_the_cycles_without_gradient():
    assert temporaries(3) == temporaries(9)


def temporaries(cycles: int) -> int:
    """Bytes of a compiled step beside its arguments and results."""
    config = dataclasses.replace(tiny.CONFIG, arch=dataclasses.replace(tiny.ARCH, H_cycles=cycles))
    state = jax.eval_shape(functools.partial(init_train_state, config, tiny.RECIPE))
    compiled = compiled_step.lower(config, tiny.RECIPE, state, state.slots.batch).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def test_the_logged_norms_are_of_the_gradients_and_the_new_weights():
    state = init_train_state(tiny.CONFIG, tiny.RECIPE)
    batch = Sampler(tiny.sets()[0], tiny.RECIPE.global_batch_size, seed=1).batch(0)
    after, metrics = compiled_step(tiny.CONFIG, tiny.RECIPE, state, batch)
    # the first moments of the first step are (1 − β1) times the gradients
    moments = jax.tree.leaves(after.optimizer[0].mu)
    norm = np.sqrt(sum(np.sum(np.square(m)) for m in moments)) / (1 - tiny.RECIPE.beta1)
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-5)
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in after.trained.values()))
    np.testing.assert_allclose(metrics["parameter_norm"], norm, rtol=1e-5)


def test_a_step_adds_no_rows_one_after_the_other():
    """Scattered additions collide on a GPU, where those of bfloat16 are retried until they fit."""
    config = dataclasses.replace(
        tiny.CONFIG, arch=dataclasses.replace(tiny.ARCH, forward_dtype="bfloat16")
    )
    state = jax.eval_shape(functools.partial(init_train_state, config, tiny.RECIPE))
    step = functools.partial(train_step, config, tiny.RECIPE)
    assert "scatter-add" not in str(jax.make_jaxpr(step)(state, state.slots.batch))
