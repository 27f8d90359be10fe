"""Sequential Monte Carlo: noisy trajectories, of which good ones are copied, bad ones dropped."""

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from rrjax.checks import check_count
from rrjax.contract import Dynamics, State, check_key, run_segment
from rrjax.dynamics.noise import NoiseDrive, with_noise
from rrjax.dynamics.precision import exact_products, in_precision
from rrjax.dynamics.rollout import Observe, as_partial

Weigh = Callable[[Any], Array]
"""`weigh(observed)` returns the logarithm of a particle's weight from what was observed of it."""


def run_particles(
    dynamics: Dynamics,
    num_particles: int,
    num_segments: int,
    *,
    key: jax.Array,
    sigma: Any,
    weigh: Weigh,
    observe: Observe,
    fields: Collection[str] | None = None,
    precision: str = "exact",
) -> Any:
    """Runs particles with noise before every segment, and draws them anew after each by weight.

    After a segment the particles are replaced by copies of themselves, in numbers that have the
    weights as means and differ from these by less than one (systematic resampling): a particle of
    the weight w is copied ⌊Kw⌋ or ⌈Kw⌉ times. Equal weights change nothing.

    Args:
      dynamics: Without a drive.
      num_particles: K.
      num_segments: Number of segments.
      key: Draws noise and copies.
      sigma: Standard deviation of the noise, in the unit of the state.
      weigh: From what was observed of a particle to the logarithm of its weight. Particles whose
        weight is NaN are dropped; where all are, none is replaced.
      observe: `(dynamics, before, after, None)`, as in `rrjax.dynamics.rollout.observe_segments`.
      fields: The fields of the state that are disturbed; None: all.
      precision: As in `rrjax.rollout`.

    Returns:
      What was observed of the particles (segments, K, ...), before they were drawn anew.

    Source: guided stochastic exploration (arXiv 2605.25230), with log w = q/β.
    """
    check_count("num_particles", num_particles, least=1)
    check_key(key)
    noisy = with_noise(dynamics, num_segments, key=key, sigma=sigma, fields=fields)
    running = in_precision(noisy, precision)
    look = as_partial(observe)
    initial = dynamics.start(None)

    def step(states: State, key: jax.Array) -> tuple[State, Any]:
        key_noise, key_copies = jax.random.split(key)

        def one(state: State, key: jax.Array) -> tuple[State, Any]:
            drive = NoiseDrive(key, jnp.asarray(sigma, jnp.float32))
            after = run_segment(running, state, drive)
            return after, look(dynamics, state, after, None)

        after, observed = jax.vmap(one)(states, jax.random.split(key_noise, num_particles))
        sources = resample(key_copies, jax.vmap(Partial(weigh))(observed))
        return jax.tree.map(lambda leaf: leaf[sources], after), observed

    start = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_particles, *leaf.shape)), initial)
    keys = jax.vmap(lambda segment: jax.random.fold_in(key, segment))(jnp.arange(num_segments))
    with exact_products():
        return jax.lax.scan(step, start, keys)[1]


def resample(key: jax.Array, log_weights: Float[Array, " K"]) -> Int[Array, " K"]:
    """Returns which particle each one is replaced by, in ascending order.

    References:
      Kitagawa 1996, J. Comput. Graph. Stat. 5, 1 (systematic resampling).
    """
    number = log_weights.shape[0]
    known = jnp.where(jnp.isnan(log_weights), -jnp.inf, log_weights)
    usable = known.max() > -jnp.inf
    weights = jax.nn.softmax(jnp.where(usable, known, 0.0))
    # the sum of K weights ends within round-off of 1, and the last place is below
    places = (jnp.arange(number) + jax.random.uniform(key)) / number
    sources = jnp.searchsorted(jnp.cumsum(weights), places)
    equal = known.max() == known.min()
    return jnp.where(equal | ~usable, jnp.arange(number), jnp.minimum(sources, number - 1))
