"""Every system of the table has the exponents that it is known for, for every k, in float64."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.contract import Dynamics
from rrjax.systems import SYSTEMS, System, flows, networks
from rrjax.systems.networks import coupling, mean_field_exponent, without_diagonal
from rrjax.systems.toy import search_and_capture

# chaos carries the last bits into the numbers, whose tolerances were judged with all passes
pytestmark = pytest.mark.optimized


def sizes(system: System) -> list[int]:
    """Every k of a small system; of a large one those at which something is known."""
    if system.size <= 4:
        return list(range(1, system.size + 1))
    return [*system.exponents, *([] if system.total is None else [system.size])]


SLOW = pytest.mark.slow
LONG = {name for name, system in SYSTEMS.items() if system.num_updates * system.size**2 > 20_000}
# by the numbers of all frames; the largest k holds all that is known, and one long run is not slow
CASES = [
    pytest.param(
        *(name, k),
        marks=() if k == max(sizes(system)) and name in {*SYSTEMS} - LONG | {"henon"} else SLOW,
    )
    for name, system in SYSTEMS.items()
    for k in sizes(system)
]


def one_fast(first: str, *others: str):
    """Parametrises a test by names, all but the first of them slow."""
    slow = (pytest.param(name, marks=SLOW) for name in others)
    return pytest.mark.parametrize("name", [first, *slow])


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def frame(k: int, size: int) -> jax.Array:
    return jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(size, k)))[0].T)


@cache
def growth_of(name: str, k: int) -> np.ndarray:
    """ln R of every update after the transient, (updates, k)."""
    system = SYSTEMS[name]
    dynamics = system.dynamics("float64")
    directions = frame(k, system.size).reshape(k, *dynamics.initial.shape)
    num_segments = system.transient + system.num_segments
    result = rrjax.spectrum(dynamics, num_segments=num_segments, frame=directions)
    assert bool(result.finite)
    return np.asarray(result.log_growth)[system.transient * system.segment_updates :]


def kaplan_yorke(exponents: np.ndarray) -> float:
    """Where the sum of the largest exponents crosses 0, interpolated."""
    sums = np.concatenate([[0.0], np.cumsum(exponents)])
    last = int(np.flatnonzero(sums >= 0)[-1])
    return last + sums[last] / abs(exponents[last])


@pytest.mark.parametrize(("name", "k"), CASES)
def test_exponents_are_those_known(name, k):
    system = SYSTEMS[name]
    found = growth_of(name, k).mean(0) / system.time_step
    known = {i: value for i, value in system.exponents.items() if i <= k}
    assert known or k == system.size
    for i, value in known.items():
        assert found[i - 1] == pytest.approx(value, abs=system.tolerance), f"λ{i}"
    if k < system.size:
        return
    if system.total is not None:
        assert found.sum() == pytest.approx(system.total, abs=system.total_tolerance)
    if system.dimension is not None:
        assert kaplan_yorke(found) == pytest.approx(system.dimension, rel=0.01)


@one_fast("lorenz63", "non-normal", "logistic", "henon", "rossler")
def test_the_sum_is_the_logarithm_of_the_determinant_at_every_update(name):
    system, few = SYSTEMS[name], 20  # beyond, round-off parts two programs' orbits
    start = jnp.asarray(system.initial, jnp.float64)
    directions = frame(system.size, system.size).reshape(system.size, *start.shape)
    growth = rrjax.spectrum(
        Dynamics.from_map(system.step, start), num_segments=few, frame=directions
    ).log_growth

    @jax.jit
    def linearised(z):
        jacobian = jax.jacfwd(system.step)(z).reshape(system.size, system.size)
        return system.step(z), jnp.linalg.slogdet(jacobian)[1]

    expected = np.zeros(few)
    for index in range(few):
        start, expected[index] = linearised(start)
    np.testing.assert_allclose(growth.sum(1), expected, rtol=0, atol=1e-8)


@one_fast("cat", "standard", "baker", "skew baker")
def test_area_preserving_maps_pair_their_exponents_at_every_update(name):
    growth = growth_of(name, 2)
    np.testing.assert_allclose(growth[:, 0], -growth[:, 1], atol=1e-11)
    assert (np.abs(growth[:, 0]) > 1e-3).any()


def test_the_standard_map_is_symplectic():
    step, omega = SYSTEMS["standard"].step, np.array([[0.0, 1.0], [-1.0, 0.0]])
    for z in np.random.default_rng(0).uniform(0, 2 * np.pi, (5, 2)):
        jacobian = np.asarray(jax.jacfwd(step)(jnp.asarray(z)))
        np.testing.assert_allclose(jacobian.T @ omega @ jacobian, omega, atol=1e-12)


@pytest.mark.parametrize(("dtype", "digits"), [("float32", 24), ("float64", 53)])
def test_the_bakers_orbit_collapses_and_the_skew_bakers_does_not(dtype, digits):
    orbits = {}
    for name in ("baker", "skew baker"):
        state = SYSTEMS[name].dynamics(dtype).initial
        step = jax.jit(SYSTEMS[name].step)
        # a start of 0.12 has three leading zeros beyond its mantissa
        for _ in range(digits + 3):
            state = step(state)
        assert state.dtype == dtype
        orbits[name] = state
    assert orbits["baker"][0] == 0
    assert orbits["skew baker"][0] > 0


def test_the_logistic_orbit_is_chaotic_and_stays_inside():
    step = jax.jit(SYSTEMS["logistic"].step)
    orbit = jax.lax.scan(lambda x, _: (step(x), x), jnp.asarray(0.4), length=2000)[1]
    assert len(set(orbit.tolist())) == 2000
    # the invariant density has mean ½ and variance 1/8
    assert float(orbit.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(orbit.var()) == pytest.approx(0.125, abs=0.01)


@one_fast("lorenz63", "rossler", "lorenz96", "rate network")
def test_a_step_of_a_flow_is_of_fourth_order(name):
    system = SYSTEMS[name]
    field = {
        "lorenz63": flows.lorenz63,
        "rossler": flows.rossler,
        "lorenz96": flows.lorenz96,
        "rate network": networks.rate_field(without_diagonal(coupling(40, 4.0, seed=2))),
    }[name]
    start = jnp.asarray(system.initial, jnp.float64)
    fine = jax.jit(lambda z: jax.lax.fori_loop(0, 200, lambda _, z: step(z), z))

    def step(z):
        return flows.rk4(field, system.time_step / 200)(z)

    truth, step_size = fine(start), system.time_step / 4
    errors = [
        float(jnp.abs(flows.rk4(field, step_size / n, 4 * n)(start) - truth).max()) for n in (1, 2)
    ]
    # halving the step divides the error by 16, up to the next order
    assert 10 < errors[0] / errors[1] < 25
    assert float(jnp.abs(system.step(start) - truth).max()) < 1e-3 * float(jnp.abs(truth).max())


@pytest.mark.parametrize(("gain", "measured"), [(1.5, 0.0650), (3.0, 0.3096)])
def test_mean_field_theory_meets_the_large_network(gain, measured):
    # Clark's exponents at N = 4096
    assert mean_field_exponent(gain) == pytest.approx(measured, abs=1e-3)
    weak = mean_field_exponent(0.5)
    assert weak == pytest.approx(np.log(0.5), abs=1e-6)


@pytest.mark.parametrize("name", SYSTEMS)
def test_entries_say_what_they_are(name):
    system = SYSTEMS[name]
    assert system.name == name
    assert len(system.reference) > 10
    assert set(system.exponents) <= set(range(1, system.size + 1))
    assert system.exponents or system.total is not None
    assert system.num_updates == system.num_segments * system.segment_updates
    known = [system.exponents[i] for i in sorted(system.exponents)]
    assert known == sorted(known, reverse=True)
    assert system.dynamics("float32").initial.dtype == np.float32


def test_float64_without_64_bit_types_is_refused():
    with jax.enable_x64(False), pytest.raises(ValueError, match="dtype float64 of henon needs"):
        SYSTEMS["henon"].dynamics("float64")


def toy_run(start: float, solution: float, num_updates: int) -> tuple[np.ndarray, np.ndarray]:
    """Growth of every update and whether it ended captured."""
    dynamics = search_and_capture(jnp.asarray(start), jnp.asarray(solution), num_updates)
    result = rrjax.spectrum(dynamics, num_segments=num_updates, frame=jnp.ones(1))
    return np.asarray(result.log_growth[:, 0]), np.asarray(
        rrjax.rollout(dynamics, num_updates).readout
    )


def test_the_toys_exponent_is_that_of_its_closed_form():
    # x = sin²θ doubles the angle: Σ ln|f'| = t ln 2 + ln|sin(2^(t+1) θ) / sin(2θ)| while searching
    rng, times = np.random.default_rng(1), 20
    ended = []
    for start, solution in zip(rng.uniform(size=12), rng.uniform(0.15, 0.85, 12), strict=True):
        growth, captured = toy_run(start, solution, times)
        searched = int(captured.argmax()) + 1 if captured.any() else times
        theta = np.arcsin(np.sqrt(start))
        boundary = np.log(abs(np.sin(2 ** (searched + 1) * theta) / np.sin(2 * theta)))
        expected = (2 * searched - times) * np.log(2) + boundary
        assert growth.sum() == pytest.approx(expected, abs=1e-6)
        np.testing.assert_allclose(growth[searched:], -np.log(2.0), atol=1e-12)
        assert captured[searched - 1 :].all() or not captured.any()
        ended.append(captured.any())
    assert 0 < sum(ended) < len(ended)


def test_the_toy_searches_first_even_where_it_starts_at_the_solution():
    growth, captured = toy_run(0.3, 0.3, 1)
    assert growth[0] == pytest.approx(np.log(4 * 0.4))
    assert not captured[0]
