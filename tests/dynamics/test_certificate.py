"""The certificate sees the rounding of tangents, and nothing else."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.cells import bind, unflatten
from rrjax.contract import Update
from rrjax.dynamics.certificate import certify
from tests.tools import tiny

RNG = np.random.default_rng(0)
TURN = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
FACTORS = np.array([1.25, 0.9, 0.5, 0.4, 0.3, 0.2])


def linear_map(context, z, drive):
    return z @ context


def known():
    """A linear map with exponents ln FACTORS along any trajectory."""
    matrix = jnp.asarray(TURN * FACTORS @ TURN.T, jnp.float32)
    start = jnp.ones(6, jnp.float32)
    return rrjax.Dynamics.from_updates(start, linear_map, lambda _, z: z, matrix)


def test_the_reference_is_right_where_the_exponents_are_known():
    frame = jnp.asarray(TURN.T[:3], jnp.float32)
    certificate = certify(known(), 3, 40, frame=frame)
    np.testing.assert_allclose(certificate.reference, np.log(FACTORS[:3]), atol=2e-7)
    assert 0 < certificate.error.max() < 3e-6


def test_a_planted_error_of_the_derivative_is_seen_and_nothing_else_is():
    scale = 1.001

    @jax.custom_jvp
    def planted(z):
        return z

    @planted.defjvp
    def rule(primals, tangents):  # wrong in float32 alone
        wrong = scale if primals[0].dtype == jnp.float32 else 1.0
        return primals[0], wrong * tangents[0]

    def update(context, z, drive):
        return linear_map(context, planted(z), drive)

    dynamics = known()
    certificate = certify(replace(dynamics, schedule=(Update("planted", update),)), 3, 40, key=KEY)
    np.testing.assert_allclose(certificate.error, np.log(scale), rtol=0.01)


KEY = jax.random.key(0)


def tiny_dynamics():
    tokens = jnp.asarray(tiny.puzzles(1).inputs[0])
    return bind(unflatten(tiny.weights()), tiny.CONFIG, tokens)


@pytest.fixture(scope="module")
def certificates():
    dynamics = tiny_dynamics()
    return {name: certify(dynamics, 4, 8, key=KEY, precision=name) for name in ("exact", "bf16")}


def test_float32_is_off_by_little_and_bfloat16_by_more(certificates):
    exact, short = certificates["exact"].error, certificates["bf16"].error
    assert exact.max() < 5e-6
    assert 5e-5 < short.max() < 2e-2
    expected = rrjax.spectrum(tiny_dynamics(), 4, 8, key=KEY, precision="bf16").exponents
    np.testing.assert_allclose(certificates["bf16"].exponents, expected, atol=1e-6)


def test_the_states_precision_is_judged_apart(certificates):
    exact, short = certificates["exact"], certificates["bf16"]
    assert exact.leading == exact.leading_exact == short.leading_exact
    assert 0 < abs(short.leading - short.leading_exact) < 1e-5


def test_many_puzzles_under_vmap():
    starts = jnp.stack([tiny_dynamics().initial.z_H + 0.1 * i for i in range(2)])
    keys = jax.random.split(KEY, 2)

    def one(z_H, key):
        dynamics = tiny_dynamics()
        initial = dynamics.initial._replace(z_H=z_H)
        return certify(dynamics, 2, 2, key=key, initial=initial, precision="tf32")

    together = jax.vmap(one)(starts, keys)
    alone = one(starts[1], keys[1])
    np.testing.assert_allclose(together.reference[1], alone.reference, atol=1e-6)
    assert not jax.config.read("jax_enable_x64")


def test_states_of_float64_need_no_certificate():
    with jax.enable_x64(True):
        wide = rrjax.Dynamics.from_map(jnp.sin, jnp.zeros(3, jnp.float64))
        with pytest.raises(ValueError, match="states of float32, got float64"):
            certify(wide, 1, 1, key=KEY)
