"""The code that users write, block by block, at tiny sizes."""

import shlex
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rrjax
from tests.tools.commandline import parsed

GOLDEN = Path(__file__).parent / "golden"
SIZES: dict[str, Any] = {"num_exponents": 2, "num_segments": 2}


@pytest.fixture(scope="module")
def model() -> rrjax.Model:
    return rrjax.load_model("trm-sudoku6")


def test_a_model_many_puzzles_and_what_came_of_it(model, tmp_path):
    puzzles = model.test_puzzles()[:4]
    run = rrjax.experiments.spectrum(model, puzzles, **SIZES, folder=tmp_path / "first")
    assert run.exponents.shape == (4, 2)
    assert run.solved.dtype == bool
    assert "λ₁" in repr(run.summary())
    assert "_repr_html_" in dir(run.plot())
    assert run.to_xarray()["exponents"].dims == ("puzzle", "exponent")
    again = rrjax.load_results(tmp_path / "first")
    np.testing.assert_array_equal(again.exponents, run.exponents)
    assert repr(again.summary()) == repr(run.summary())


def test_two_runs_are_compared(model, tmp_path):
    puzzles = model.test_puzzles()[:4]
    for name, seed in (("a", 0), ("b", 1)):
        rrjax.experiments.spectrum(model, puzzles, **SIZES, seed=seed, folder=tmp_path / name)
    before, after = rrjax.load_results(tmp_path / "a"), rrjax.load_results(tmp_path / "b")
    comparison = rrjax.analysis.compare(before, after)
    assert comparison.num_puzzles == 4
    assert (comparison.gained, comparison.lost) == ([], [])  # other frames, the same trajectories
    change = np.median(after.exponents[:, 0] - before.exponents[:, 0])
    assert comparison.lambda1_change is not None
    np.testing.assert_allclose(comparison.lambda1_change.value, change)


def test_one_puzzle_by_hand_under_jit_vmap_and_grad(model):
    puzzles = model.test_puzzles()[:3]
    keys = jax.random.split(jax.random.key(0), len(puzzles))
    spectra = jax.vmap(
        lambda tokens, key: rrjax.spectrum(
            model.bind(tokens), num_exponents=1, num_segments=2, key=key
        )
    )(puzzles.inputs, keys)
    assert spectra.exponents.shape == (3, 1)
    trajectory = rrjax.rollout(model.bind(puzzles.inputs[2]), num_segments=2)
    assert trajectory.answers.shape == (2, 36)

    @jax.jit
    def by_hand(tokens, state):
        dynamics = model.bind(tokens)
        one = rrjax.spectrum(dynamics, 1, 2, key=keys[2], initial=state)
        return rrjax.rollout(dynamics, 2, initial=state).q_halt[-1], one.exponents

    start = model.bind(puzzles.inputs[2]).initial
    (q_halt, exponents), slope = jax.value_and_grad(by_hand, argnums=1, has_aux=True)(
        puzzles.inputs[2], start
    )
    np.testing.assert_allclose(exponents, spectra.exponents[2], atol=1e-4)
    np.testing.assert_allclose(q_halt, trajectory.q_halt[-1], atol=1e-3)
    assert all(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(slope))


def test_a_map_of_ones_own():
    henon = rrjax.Dynamics.from_map(
        lambda z: jnp.array([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]]), jnp.array([0.1, 0.1])
    )
    key = jax.random.key(0)
    exponents = rrjax.spectrum(henon, num_exponents=2, num_segments=20_000, key=key).exponents
    np.testing.assert_allclose(exponents, [0.419, -1.623], atol=0.01)
    np.testing.assert_allclose(exponents.sum(), np.log(0.3), atol=1e-4)


def think(context, state, drive):
    mixed = context["W"] @ state["fast"] + state["slow"] + context["puzzle"]
    return {**state, "fast": jnp.tanh(mixed)}


def answer(context, state, drive):
    return {**state, "slow": 0.5 * state["slow"] + 0.1 * state["fast"]}


def test_a_reasoner_with_two_states_and_its_own_schedule():
    key_w, key_puzzle, key_head = jax.random.split(jax.random.key(0), 3)
    params = {
        "W": 0.5 * jax.random.normal(key_w, (6, 6)),
        "puzzle": jax.random.normal(key_puzzle, (6,)),
        "head": jax.random.normal(key_head, (6, 3)),
    }
    cell = rrjax.Dynamics.from_updates(
        initial={"fast": jnp.zeros(6), "slow": jnp.zeros(6)},
        schedule=(rrjax.Repeat(3, (rrjax.Repeat(6, think), answer)),),
        readout=lambda context, state: state["slow"] @ context["head"],
        context=params,
    )
    vectors = rrjax.covariant_vectors(cell, num_vectors=4, num_segments=8, key=jax.random.key(0))
    assert vectors.vectors["fast"].shape == (4, 4, 6)  # segments without the transients
    spectrum = rrjax.full_spectrum(cell, num_segments=8)
    assert spectrum.exponents.shape == (12,)
    window = spectrum.log_growth[42:126, 0]  # the same segments: 2 to 5, of 21 updates each
    np.testing.assert_allclose(vectors.exponents[0], window.mean(), atol=0.01)
    assert rrjax.rollout(cell, num_segments=2).readout.shape == (2, 3)


def test_an_official_checkpoint(tmp_path):
    rrjax.convert(GOLDEN / "trm_mlp", tmp_path / "trm-official")
    official = rrjax.load_model(tmp_path / "trm-official")
    golden = np.load(GOLDEN / "trm_mlp" / "golden.npz")
    puzzle = int(golden["puzzle_identifiers"][0])
    trajectory = rrjax.rollout(official.bind(golden["inputs"][0], puzzle), num_segments=2)
    expected = [golden[f"eval/{segment}/preds"][0] for segment in range(2)]
    np.testing.assert_array_equal(trajectory.answers, expected)


def test_restarts_planes_of_starts_and_noise(model):
    puzzles = model.test_puzzles()[:3]
    sizes: dict[str, Any] = {"num_segments": 2, "progress": False}
    basin = rrjax.experiments.basin(model, puzzles, sigmas=[0.1, 1.0], num_restarts=1, **sizes)
    assert basin.solved.shape == (3, 3, 2)
    plane = rrjax.experiments.slice(model, puzzles[2], grid=2, rest_segments=1, **sizes)
    assert plane.answer_index.shape == (2, 2)
    noisy = rrjax.experiments.ptrm(model, puzzles, sigma=0.1, num_runs=2, **sizes)
    assert noisy.exponents.shape == (3, 3, 1)


def test_flossing_in_a_loop_of_ones_own():
    key = jax.random.key(0)
    params = {"W": 0.5 * jax.random.normal(key, (6, 6))}

    def think(context, state, drive):
        return jnp.tanh(context["W"] @ state + 0.1)

    def dynamics_of(params):
        return rrjax.Dynamics.from_updates(jnp.zeros(6), think, lambda c, z: z, params)

    dynamics = dynamics_of(params)
    exponents = rrjax.flossing.exponents(dynamics, num_exponents=4, num_segments=4, key=key)
    assert exponents.resolved.all()
    penalty = rrjax.flossing.two_sided(exponents, target=0.0)
    np.testing.assert_allclose(penalty, jnp.mean(exponents.values**2), rtol=1e-5)

    def task_loss(params, batch):
        return jnp.sum((rrjax.rollout(dynamics_of(params), 2).state - batch) ** 2)

    def measure(params, batch):
        return rrjax.flossing.exponents(dynamics_of(params), 4, 4, key=key)

    loss = rrjax.flossing.penalized_loss(task_loss, measure, weight=0.1, every=50)
    optimizer = rrjax.flossing.penalized(optax.sgd(1.0), measure, weight=0.1, every=50)
    batch, state = jnp.ones(6), optimizer.init(params)
    plain = jax.grad(task_loss)(params, batch)
    for step in range(2):  # the penalty counts at step 0 alone
        (_, parts), slope = jax.value_and_grad(loss, has_aux=True)(params, batch, step)
        updates, state = optimizer.update(plain, state, params, batch=batch)
        np.testing.assert_allclose(updates["W"], -slope["W"], rtol=1e-4, atol=1e-5)
        assert jnp.isfinite(parts.penalty) == (step == 0)
    np.testing.assert_allclose(parts.loss, task_loss(params, batch), rtol=1e-6)
    np.testing.assert_allclose(updates["W"], -plain["W"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "line",
    [
        "rrjax spectrum trm-sudoku9",
        "rrjax spectrum runs/my-training --num-puzzles 512",
        "rrjax convert downloads/trm-sudoku-extreme models/trm-official",
        "rrjax train --config cpu_sudoku4 --data data/hard --out runs/mine",
    ],
)
def test_the_lines_of_the_shell_are_understood(line):
    _, name, *words = shlex.split(line)
    options = parsed(name, words)
    if name == "spectrum":
        assert options["load"]["model"] == words[0]
    else:
        assert getattr(options, "out", None) or options.destination == Path(words[-1])
