"""Perturbed starts: which components move, by how much, and which stay to the bit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrjax.cells import bind, unflatten
from rrjax.dynamics.starts import perturb, start_scale
from tests.tools.tiny import CONFIG, puzzles, weights


class Two(NamedTuple):
    """A state of two fields."""

    z_H: Any
    z_L: Any


KEY = jax.random.key(0)
ZERO = Two(jnp.zeros((60, 50)), jnp.zeros((60, 50)))
UNEVEN = Two(jnp.array([[-0.0, 1.0], [2.0, -3.0]]), jnp.array([[0.1, 0.2], [0.3, 1e30]]))


def bits(state: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def test_the_noise_is_normal_and_independent_in_every_component():
    moved = perturb(KEY, ZERO, 0.5)
    flat = np.concatenate([np.ravel(leaf) for leaf in moved]) / 0.5
    n = flat.size
    assert abs(flat.mean()) < 4 / np.sqrt(n)
    assert abs(flat.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((flat**4).mean() - 3) < 4 * np.sqrt(96 / n)
    # between tokens, between components of a token, between fields: no correlation
    pairs = ((moved.z_H[1:], moved.z_H[:-1]), (moved.z_H[:, 1:], moved.z_H[:, :-1]), moved)
    for a, b in pairs:
        assert abs(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]) < 0.1


@pytest.mark.parametrize("scale", [0, 0.0, -0.0, jnp.zeros(())])
def test_without_noise_it_is_the_state_to_the_bit(scale):
    assert bits(perturb(KEY, UNEVEN, scale)) == bits(UNEVEN)
    assert bits(jax.jit(perturb)(KEY, UNEVEN, scale)) == bits(UNEVEN)


@given(st.floats(1e-3, 1e3))
def test_the_direction_does_not_depend_on_the_scale(scale):
    once, scaled = perturb(KEY, ZERO, 1.0), perturb(KEY, ZERO, scale)
    for a, b in zip(once, scaled, strict=True):
        np.testing.assert_allclose(np.float32(scale) * a, b, rtol=1e-6)


@pytest.mark.parametrize("name", ["z_H", "z_L"])
def test_only_named_fields_move_and_as_they_do_among_all(name):
    some, both = perturb(KEY, UNEVEN, 1.0, [name]), perturb(KEY, UNEVEN, 1.0)
    for field in Two._fields:
        expected = both if field == name else UNEVEN
        assert bits(getattr(some, field)) == bits(getattr(expected, field))
    assert bits(perturb(KEY, UNEVEN, 1.0, Two._fields)) == bits(both)


def test_another_key_draws_other_noise():
    assert bits(perturb(KEY, ZERO, 1.0)) != bits(perturb(jax.random.key(1), ZERO, 1.0))


def test_coarser_states_get_the_same_noise_rounded_once():
    coarse = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), ZERO)
    moved = perturb(KEY, coarse, 1.0)
    assert {leaf.dtype for leaf in moved} == {jnp.dtype(jnp.bfloat16)}
    assert bits(moved) == bits(
        jax.tree.map(lambda z: z.astype(jnp.bfloat16), perturb(KEY, ZERO, 1))
    )


def test_fields_of_dictionaries_have_names_too():
    start = {"x": jnp.ones(3), "y": jnp.ones((2, 2))}
    moved = perturb(KEY, start, 0.1)
    assert all((leaf != 1).all() for leaf in jax.tree.leaves(moved))
    one = perturb(KEY, start, 0.1, ["x"])
    np.testing.assert_array_equal(one["x"], moved["x"])
    np.testing.assert_array_equal(one["y"], start["y"])
    with pytest.raises(ValueError, match=r"the state's fields \(x, y\)"):
        perturb(KEY, start, 0.1, ["z"])


@pytest.mark.parametrize("fields", [["z_M"], ["z_H", "z_M"], [], "z_H"])
def test_fields_that_are_none_are_refused(fields):
    with pytest.raises(
        ValueError, match=r"fields must be a list of the state's fields \(z_H, z_L\)"
    ):
        perturb(KEY, UNEVEN, 1.0, fields)


def test_the_scale_is_the_spread_of_the_models_initial_vector():
    flat = weights()
    params = unflatten({name: jnp.asarray(leaf) for name, leaf in flat.items()})
    dynamics = bind(params, CONFIG, jnp.asarray(puzzles(1).inputs[0]))
    expected = np.std(flat["H_init"].astype(np.float64), ddof=1)
    assert float(start_scale(dynamics.initial)) == pytest.approx(expected, rel=1e-5)
    coarse = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), dynamics.initial)
    assert float(start_scale(coarse)) == pytest.approx(expected, rel=1e-2)
    assert start_scale(coarse).dtype == jnp.float32
