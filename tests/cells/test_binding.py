"""What stands before the recurrence, at the precision of PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.cells import Arch, Config
from rrjax.cells.binding import embed, input_embeddings


def test_a_bfloat16_embedding_is_scaled_with_one_rounding():
    """√512 is no bfloat16 number: rounded first, 22.625, other numbers come out."""
    config = Config(Arch(hidden_size=512, forward_dtype="bfloat16"), seq_len=4, vocab_size=4)
    weights = np.random.default_rng(0).normal(size=(4, 512)).astype(np.float32)
    params = {"embed_tokens": {"embedding_weight": jnp.asarray(weights)}}
    found = input_embeddings(params, config, jnp.arange(4), None)
    rounded = jnp.asarray(weights).astype(jnp.bfloat16)
    exact = np.asarray(rounded, np.float64) * np.sqrt(512)
    np.testing.assert_array_equal(found, jnp.asarray(exact, jnp.float32).astype(jnp.bfloat16))
    assert np.any(found != jnp.bfloat16(np.sqrt(512)) * rounded)


WEIGHTS = jnp.asarray(np.random.default_rng(1).normal(size=(4, 8)), jnp.float32)
TOKENS = jnp.array([[2, 0, 2, 2, 3], [2, 2, 2, 0, 2]])


def test_the_gradient_of_a_bfloat16_embedding_is_summed_in_float32():
    """Sums of bfloat16 rows would be wrong by up to a part in 256."""
    weights = np.random.default_rng(2).normal(size=(2, 5, 8)).astype(jnp.bfloat16)

    def loss(table):
        rows = jax.vmap(lambda tokens: embed(table, tokens, jnp.dtype("bfloat16")))(TOKENS)
        return (rows * weights).astype(jnp.float32).sum()

    gradient = jax.jit(jax.grad(loss))(WEIGHTS)
    expected = np.zeros((4, 8))
    np.add.at(expected, TOKENS, weights.astype(np.float64))
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
    assert not np.asarray(gradient[1]).any()  # no puzzle has the token 1


def test_an_embedding_has_the_derivatives_of_a_gather():
    tangent, dtype = WEIGHTS[::-1], jnp.dtype("float32")

    def plain(table):
        return jnp.sin(table[TOKENS[0]]).sum()

    def ours(table):
        return jnp.sin(embed(table, TOKENS[0], dtype)).sum()

    for derivative in (jax.grad, jax.jacfwd, lambda f: jax.linearize(f, WEIGHTS)[1]):
        found, expected = (derivative(f)(tangent) for f in (ours, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    found, expected = (
        jax.grad(lambda table, f=f: jax.jvp(f, (table,), (tangent,))[1])(WEIGHTS)
        for f in (ours, plain)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
