"""Probes, erasers and overlaps against planted codes, closed forms and scikit-learn."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

import rrjax
from rrjax import inside

NUMBER, CELLS, D, K = 60, 20, 12, 4


@pytest.fixture
def planted():
    """States of 60 puzzles that hold one of 4 digits in 3 known directions among 12, and noise."""
    rng = np.random.default_rng(0)
    digits = rng.integers(0, K, NUMBER * CELLS)
    code = np.linalg.qr(rng.normal(size=(D, D)))[0][:, : K - 1]
    corners = np.eye(K)[:, : K - 1] - 0.25
    mixed = rng.normal(size=(len(digits), D)) @ rng.normal(size=(D, D)) * 0.2
    states = (corners[digits] @ code.T * 2 + mixed + 3).astype(np.float32)
    puzzles = np.repeat(np.arange(NUMBER), CELLS)
    return SimpleNamespace(states=states, digits=digits, code=code, puzzles=puzzles)


def halves(planted, values, states=None):
    """The share of held-out cells that a probe of some values gets right."""
    states = planted.states if states is None else states
    train = planted.puzzles < NUMBER // 2
    whiten = inside.whitening(states[train])
    probe = inside.discriminant(whiten(states[train]), values[train], K)
    return np.mean(probe.predict(whiten(states[~train])) == values[~train])


def test_a_planted_code_is_found_and_permuted_labels_are_not(planted):
    assert halves(planted, planted.digits) > 0.95
    rng = np.random.default_rng(1)
    shuffled = [
        halves(planted, inside.shuffled_within(rng, planted.digits, planted.puzzles))
        for _ in range(20)
    ]
    assert abs(np.mean(shuffled) - 1 / K) < 0.02
    types = np.tile(np.arange(CELLS), NUMBER)  # the states say nothing of the cell
    control = halves(planted, inside.control_values(rng, planted.digits, types))
    assert control < 0.45
    whiten = inside.whitening(planted.states)
    probe = inside.discriminant(whiten(planted.states), planted.digits, K)
    # back in the states: the directions in which they differ between classes
    read = inside.orthonormal(np.linalg.inv(whiten.root) @ probe.directions)
    overlap = inside.overlap(planted.code.T[None], read, np.ones((1, K - 1), bool))
    assert overlap[0] > 0.98


def test_the_discriminant_and_the_regression_are_those_of_scikit_learn(planted):
    x, y = planted.states.astype(float), planted.digits
    whiten = inside.whitening(x)
    covariance, shrinkage = ledoit_wolf(x)
    assert whiten.shrinkage == pytest.approx(shrinkage, rel=1e-6)
    total = np.linalg.inv(whiten.root @ whiten.root) * (1 - shrinkage)
    np.testing.assert_allclose(total, covariance, rtol=1e-6)
    plain = whiten._replace(root=_root(np.cov(x.T, bias=True)))
    probe = inside.discriminant(plain(x), y, K)
    uniform = np.full(K, 1 / K)
    other = LinearDiscriminantAnalysis(solver="eigen", priors=uniform).fit(x, y)
    scores = plain(x) @ probe.weights + probe.offsets
    expected = other.decision_function(x)
    # scikit-learn centres classes by the priors and divides by n: equal up to what all share
    centred = [a - a.mean(1, keepdims=True) for a in (scores, expected)]
    np.testing.assert_allclose(*centred, rtol=2e-2, atol=0.1)
    assert np.mean(probe.predict(plain(x)) == other.predict(x)) > 0.999
    alpha = shrinkage * np.trace(np.cov(x.T, bias=True)) / D / (1 - shrinkage)
    ridge = Ridge(alpha=alpha * len(x)).fit(x, y)
    shrunk = inside.regression(whiten(x), y).predict(whiten(x)) - y.mean()
    np.testing.assert_allclose(shrunk, ridge.predict(x) - y.mean(), atol=1e-6)


def _root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(values) @ vectors.T


def test_low_rank_reads_fewer_directions(planted):
    whiten = inside.whitening(planted.states)
    x = whiten(planted.states)
    accuracy = []
    for rank in (1, 2, 3):
        probe = inside.discriminant(x, planted.digits, K, rank)
        assert np.linalg.matrix_rank(probe.weights, tol=1e-6) == rank
        accuracy.append(np.mean(probe.predict(x) == planted.digits))
    assert accuracy[0] < accuracy[1] < accuracy[2]
    full = inside.discriminant(x, planted.digits, K)
    np.testing.assert_allclose(probe.weights, full.weights)


def test_leace_is_the_least_change_that_leaves_no_covariance(planted):
    x, y = planted.states.astype(float), planted.digits
    erase = inside.leace(x, y)
    z = np.eye(K)[y] - np.eye(K)[y].mean(0)
    erased = erase(x)
    assert np.abs((erased - erased.mean(0)).T @ z / len(x)).max() < 1e-12
    np.testing.assert_allclose(erase(erased), erased, atol=1e-10)
    # the optimum by Lagrange's multipliers, row by row: A = 1 − C (CᵀΣ⁻¹C)⁻¹ CᵀΣ⁻¹
    sigma = np.cov(x.T, bias=True)
    C = ((x - x.mean(0)).T @ z / len(x))[:, : K - 1]
    inverse = np.linalg.inv(sigma)
    A = np.eye(D) - C @ np.linalg.inv(C.T @ inverse @ C) @ C.T @ inverse
    np.testing.assert_allclose(np.eye(D) - erase.out @ erase.into, A, atol=1e-10)
    assert abs(halves(planted, y, erased.astype(np.float32)) - 1 / K) < 0.05
    assert halves(planted, y) > 0.95
    other = inside.random_eraser(x, K - 1, np.random.default_rng(2))
    assert other.out.shape == erase.out.shape
    np.testing.assert_allclose(other(other(x)), other(x), atol=1e-10)
    assert halves(planted, y, other(x).astype(np.float32)) > 0.8


def test_a_toy_model_is_erased_while_it_runs(planted):
    states = jnp.asarray(planted.states[:CELLS])
    stay = rrjax.Dynamics.from_updates(
        initial=states,
        schedule=(rrjax.contract.Update("stay", lambda context, z, drive: z),),
        readout=lambda context, z: z @ planted.code,
    )
    eraser = inside.leace(planted.states, planted.digits)
    cells = np.arange(CELLS) < CELLS // 2
    read = rrjax.rollout(inside.erase(stay, {"state": eraser}, [1, 2], cells), 3).readout
    np.testing.assert_array_equal(read[0], states @ planted.code)
    np.testing.assert_array_equal(read[1][~cells], read[0][~cells])
    expected = eraser(planted.states[:CELLS])[cells] @ planted.code
    np.testing.assert_allclose(read[1][cells], expected, atol=1e-5)
    np.testing.assert_allclose(read[2], read[1], atol=1e-5)
    growth = rrjax.spectrum(
        inside.erase(stay, {"state": eraser}, [0], np.ones(CELLS, bool)),
        CELLS * D,
        1,
        frame=jnp.eye(CELLS * D).reshape(-1, CELLS, D),
    ).log_growth
    assert np.sum(growth < -5) == CELLS * (K - 1)  # tangents lose the directions too


def test_overlaps_of_a_linear_map_are_known():
    scales = np.ones((4, 6))
    scales[1, 2] = 3.0
    linear = rrjax.Dynamics.from_map(lambda z: scales * z, jnp.ones((4, 6)))
    frame = rrjax.forward_vectors(linear, 1, 4, key=jax.random.key(0)).frame
    every = np.ones(4, bool)
    basis = np.eye(6)[:, [2, 4]]
    assert inside.overlap(frame[0], basis, every) == pytest.approx(1, abs=1e-3)
    assert inside.overlap(frame[0], np.eye(6)[:, [0]], every) == pytest.approx(0, abs=1e-3)
    random = np.random.default_rng(0).normal(size=(2000, 4, 6))
    assert inside.overlap(random, basis, every).mean() == pytest.approx(2 / 6, abs=0.01)
    assert np.isnan(inside.overlap(random[0], basis, ~every))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: inside.whitening(x[:5]), "more than their 12 features"),
        (lambda x: inside.leace(x[:12], np.arange(12) % 2), "more than their 12 features"),
        (lambda x: inside.whitening(np.where(x == x[0, 0], np.nan, x)), "must be finite"),
        (lambda x: inside.discriminant(x, np.zeros(len(x), int), 3), "two classes or more"),
        (lambda x: inside.regression(x, np.full(len(x), 2.0)), "must differ"),
        (lambda x: inside.leace(x, np.zeros(len(x), int)), "something to erase"),
        (lambda x: inside.random_eraser(x, 13, np.random.default_rng(0)), r"lie in 1\.\.12"),
        (
            lambda x: inside.erase(
                rrjax.Dynamics.from_map(lambda z: z, jnp.ones((2, 3))),
                {"state": inside.leace(x, x[:, :1])},
                [0],
            ),
            "the field state has 3 channels",
        ),
    ],
)
def test_what_cannot_be_probed_is_refused(planted, call, message):
    with pytest.raises(ValueError, match=message):
        call(planted.states)
