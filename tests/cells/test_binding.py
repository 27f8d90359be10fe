"""What stands before the recurrence, at the precision of PyTorch."""

import jax.numpy as jnp
import numpy as np

from rrjax.cells import Arch, Config
from rrjax.cells.binding import input_embeddings


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
