"""The type checker of the tests checks what it compiled once as often as it is called."""

from collections.abc import Callable

import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float, TypeCheckError, jaxtyped

from tests.tools.checked import checked


def adder(scale: float) -> Callable[[Array, Array], Array]:
    @jaxtyped(typechecker=checked)
    def add(a: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
        return (a + scale * b)[: int(scale)]

    return add


def test_an_inner_function_is_checked_each_time_that_it_is_made():
    a, b = jnp.zeros(2), jnp.zeros(3)
    for _ in range(2):
        assert adder(2.0)(a, a).shape == (2,)
        with pytest.raises(TypeCheckError, match="whilst checking the parameters"):
            adder(2.0)(a, b)
        with pytest.raises(TypeCheckError, match="whilst checking the return value"):
            adder(1.0)(a, a)


def test_inner_functions_of_one_name_keep_their_own_checks():
    def identity(kind: type) -> Callable[..., object]:
        @jaxtyped(typechecker=checked)
        def same(value: kind) -> kind:
            return value

        return same

    for kind, value, other in ((int, 1, "a"), (str, "a", 1)) * 2:
        assert identity(kind)(value) == value
        with pytest.raises(TypeCheckError):
            identity(kind)(other)
