"""Damped updates: every cell keeps a part of the field that an update rewrites, and no other."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import Arch, Config, bind, init_params
from rrjax.contract import updates

ARCH = Arch(hidden_size=8, num_heads=1, H_cycles=1, L_cycles=2, H_layers=1, L_layers=1, mlp_t=True)


@pytest.mark.parametrize("name", ["trm", "trm_singlez", "trm_hier6", "hrm"])
def test_an_update_keeps_a_part_of_the_field_that_it_rewrites(name):
    config = Config(replace(ARCH, name=name), seq_len=4, vocab_size=5)
    params = init_params(jax.random.key(0), config)
    tokens = jnp.array([1, 2, 3, 4])
    plain = bind(params, config, tokens)
    damped = bind(params, replace(config, arch=replace(config.arch, damping=0.25)), tokens)
    z = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.arange(8.0), plain.initial)
    pairs = zip(updates(plain.schedule), updates(damped.schedule), strict=True)
    for update, slow in pairs:
        new, mixed = (f(plain.context, z, None) for f in (update, slow))
        number = 0
        for old, full, part in zip(z, new, mixed, strict=True):
            if full is old:
                assert part is old
                continue
            number += 1
            np.testing.assert_allclose(part, 0.25 * old + 0.75 * full, atol=1e-6)
            assert not np.allclose(part, full, atol=1e-3)
        assert number == 1
        z = mixed
