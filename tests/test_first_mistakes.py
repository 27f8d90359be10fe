"""What is easily mistaken in Python is told in words, and what is printed fits a line."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import rrjax
from tests.tools.tiny import puzzles, write_model

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _types_are_not_checked() -> Iterator[None]:
    """As for users: the checks of types that tests run with would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> rrjax.Model:
    return rrjax.load_model(write_model(tmp_path_factory.mktemp("models") / "tiny"))


HALVING = rrjax.Dynamics.from_map(lambda z: z / 2, jnp.ones(2))


@pytest.mark.parametrize(
    "call",
    [
        lambda model: rrjax.spectrum(model, num_exponents=1, key=KEY),
        lambda model: rrjax.covariant_vectors(model, num_vectors=1, key=KEY),
        lambda model: rrjax.forward_vectors(model, num_vectors=1, key=KEY),
        lambda model: rrjax.flossing.exponents(model, num_exponents=1, key=KEY),
        lambda model: rrjax.divergence(model, key=KEY),
        lambda model: rrjax.with_noise(model, 2, key=KEY, sigma=1.0),
        lambda model: rrjax.settling_time(model, threshold=1e-3),
        rrjax.full_spectrum,
        rrjax.rollout,
    ],
)
def test_a_model_is_bound_first(model, call):
    with pytest.raises(AttributeError, match=r"bind one first, as in rrjax.spectrum\(model\.bind"):
        call(model)


def test_another_absent_attribute_of_a_model_is_an_ordinary_error(model):
    with pytest.raises(AttributeError, match="'Model' object has no attribute 'weights'"):
        _ = model.weights


def test_many_puzzles_are_bound_under_vmap(model):
    with pytest.raises(ValueError, match=r"found \(3, 16\); for many puzzles use jax\.vmap"):
        model.bind(puzzles(3).inputs)
    with pytest.raises(ValueError, match=r"found \(3,\)$"):
        model.bind(np.zeros(3, int))


@pytest.mark.parametrize(
    "call",
    [
        lambda key: rrjax.spectrum(HALVING, 1, 2, key=key),
        lambda key: rrjax.forward_vectors(HALVING, 1, 2, key=key),
        lambda key: rrjax.divergence(HALVING, 2, key=key),
        lambda key: rrjax.local_growth(HALVING, HALVING.initial, key=key),
        lambda key: rrjax.with_noise(HALVING, 2, key=key, sigma=1.0),
        lambda key: rrjax.perturb(key, HALVING.initial, 1.0),
    ],
)
def test_a_seed_is_no_key(call):
    with pytest.raises(ValueError, match=r"such as jax\.random\.key\(7\); got 7"):
        call(7)
    with pytest.raises(ValueError, match=r"got \(3,\) keys; jax\.vmap takes many"):
        call(jax.random.split(KEY, 3))


def test_keys_of_both_forms_are_taken_and_may_be_traced():
    for keys in (jax.random.split(KEY, 2), jax.random.split(jax.random.PRNGKey(0), 2)):
        states = jax.vmap(lambda key: rrjax.perturb(key, HALVING.initial, 1.0))(keys)
        np.testing.assert_array_equal(states[1], rrjax.perturb(keys[1], HALVING.initial, 1.0))


def double(context, state, drive):
    return 2 * state


def test_a_repeat_takes_one_update():
    once = rrjax.Repeat(4, double)
    assert once == rrjax.Repeat(4, (double,))
    dynamics = rrjax.Dynamics.from_updates(jnp.ones(1), once, lambda context, state: state)
    np.testing.assert_array_equal(rrjax.rollout(dynamics, 1).readout, [[16.0]])


@pytest.mark.parametrize("times", [0, -1, 2.5, double, None])
def test_a_repeat_needs_a_number_of_passes(times):
    with pytest.raises(ValueError, match="takes a number of passes of at least 1 and then what is"):
        rrjax.Repeat(times, double)


def test_a_schedule_holds_functions():
    with pytest.raises(ValueError, match=r"a schedule holds updates, repeats and functions .* 5"):
        rrjax.Repeat(2, 5)


def test_a_map_has_a_readout_and_no_logits():
    trajectory = rrjax.rollout(HALVING, 3)
    np.testing.assert_array_equal(trajectory.readout[:, 0], [0.5, 0.25, 0.125])
    for name in ("logits", "answers", "q_halt"):
        with pytest.raises(AttributeError, match=r"trajectory's `readout` is state \(3, 2\)"):
            getattr(trajectory, name)


def test_what_is_printed_is_one_line_of_names_and_sizes(model):
    dynamics = model.bind(puzzles(1).inputs[0])
    state = "z_H (16, 8), z_L (16, 8)"
    assert repr(dynamics) == f"Dynamics({state}; 6 updates a segment: latent, answer)"
    assert repr(HALVING) == "Dynamics(state (2,); 1 update a segment: step)"
    assert repr(rrjax.spectrum(HALVING, 1, 3, key=KEY)) == (
        "Spectrum(exponents (1,), log_growth (3, 1), drift (3,), state (2,), frame (1, 2), "
        "failed_at (), resolved (1,))"
    )
    assert repr(rrjax.rollout(HALVING, 3)) == ("Trajectory(readout (3, 2), drift (3,), state (2,))")
