"""Several runs of every puzzle on a tiny random model: perturbed starts, noise, what is kept."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.analysis.noisy import rank_correlation
from rrjax.dynamics.noise import with_noise
from rrjax.dynamics.starts import perturb
from rrjax.experiments import basin, ptrm
from rrjax.models import Model
from rrjax.puzzles import PuzzleSet
from rrjax.results.results import Results
from tests.experiments.conftest import PUZZLES, make_model, relabelled
from tests.tools.tiny import weights

NUMBER, SEGMENTS, READOUT = 4, 6, 2
SIGMA, REPEAT = (0.0, 0.5, 0.5, 2.0, 2.0), (0, 0, 1, 0, 1)
RUNS = len(SIGMA)
STARTS = {"sigmas": [0.0, 2.0, 0.5], "num_restarts": 2, "num_segments": SEGMENTS, "chunk_size": 4}
NOISE = {"sigma": 1.5, "num_runs": 4, "num_segments": 5, "chunk_size": 4}
BRANCH = 2**32 - 1


def noise_key(puzzle: int, repeat: int) -> jax.Array:
    """The key of a run's noise, by its definition."""
    branch = jax.random.fold_in(jax.random.key(0), BRANCH)
    return jax.random.fold_in(jax.random.fold_in(branch, puzzle), repeat)


def restarted(model: Model, fields: tuple[str, ...] | None = None) -> list[rrjax.Trajectory]:
    """Returns of each puzzle its runs, stacked, from starts by their definition."""
    spread = np.std(np.asarray(model.params["H_init"], np.float64), ddof=1)

    def one(puzzle: int, sigma: float, repeat: int) -> rrjax.Trajectory:
        dynamics = model.bind(PUZZLES.inputs[puzzle])
        start = perturb(noise_key(puzzle, repeat), dynamics.initial, sigma * spread, fields)
        with jax.default_matmul_precision("highest"):
            return rrjax.rollout(dynamics, SEGMENTS, initial=start)

    pairs = list(zip(SIGMA, REPEAT, strict=True))
    return [
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *(one(puzzle, *pair) for pair in pairs))
        for puzzle in range(NUMBER)
    ]


def noisy(model: Model, puzzle: int, repeat: int) -> rrjax.Dynamics:
    """Returns the dynamics of one noisy rollout, by their definition."""
    quiet = model.bind(PUZZLES.inputs[puzzle])
    return with_noise(quiet, 5, key=noise_key(puzzle, repeat), sigma=1.5, fields=["z_L"])


@pytest.fixture(scope="module")
def trajectories(model) -> list[rrjax.Trajectory]:
    return restarted(model)


@pytest.fixture(scope="module")
def start_puzzles(trajectories) -> PuzzleSet:
    """What one run says at some segment is declared to be right; of the last puzzle nothing is."""
    answers = np.array([run.logits.argmax(-1) for run in trajectories])
    chosen = ((0, 5), (1, 4), (3, 5))
    labels = [answers[puzzle, run, segment] for puzzle, (run, segment) in enumerate(chosen)]
    return relabelled(np.array([*labels, 7 - PUZZLES.labels[NUMBER - 1]]), NUMBER)


@pytest.fixture(scope="module")
def starts(model, start_puzzles) -> Results:
    return basin(model, start_puzzles, **STARTS, progress=False)


@pytest.fixture(scope="module")
def noise_puzzles(model) -> PuzzleSet:
    """What one rollout ends with is declared to be right."""
    labels = [
        rrjax.rollout(noisy(model, puzzle, puzzle), 5).logits[-1].argmax(-1) for puzzle in range(3)
    ]
    return relabelled(np.array([*labels, PUZZLES.labels[3]]), NUMBER)


@pytest.fixture(scope="module")
def noises(model, noise_puzzles) -> Results:
    return ptrm(model, noise_puzzles, **NOISE, progress=False)


def test_the_arrays_are_compact_and_say_what_they_are(starts):
    assert {name: (array.dtype.name, starts.axes[name]) for name, array in starts.items()} == {
        "solved": ("bool", ("puzzle", "run", "segment")),
        "answers": ("uint8", ("puzzle", "run", "cell")),
        "q_halt": ("float32", ("puzzle", "run")),
        "residual": ("float32", ("puzzle", "run")),
        "late_drift": ("float32", ("puzzle", "run")),
        "sigma": ("float64", ("run",)),
        "repeat": ("int64", ("run",)),
        "q_halt_by_segment": ("float32", ("puzzle", "run", "segment")),
        "residual_by_segment": ("float32", ("puzzle", "run", "segment")),
        "drift_z_H": ("float32", ("puzzle", "run", "segment")),
        "inputs": ("uint8", ("puzzle", "cell")),
        "labels": ("int16", ("puzzle", "cell")),
        "puzzle_ids": ("int32", ("puzzle",)),
        "snapshot": ("int64", ("snapshot",)),
        "answers_by_segment": ("uint8", ("puzzle", "run", "snapshot", "cell")),
        "projection": ("float32", ("puzzle", "run", "snapshot", "component")),
        "projection_variance": ("float32", ("component",)),
        "distance_to_end": ("float32", ("puzzle", "run", "snapshot")),
    }
    assert starts.solved.shape == (NUMBER, RUNS, SEGMENTS)
    record = starts.record
    assert (record["clock"], record["updates_per_segment"]) == ("segment", 2)
    assert record["start_scale"] == pytest.approx(np.std(weights()["H_init"], ddof=1), rel=1e-5)


def test_the_runs_are_plain_rollouts_from_perturbed_starts(starts, trajectories, start_puzzles):
    np.testing.assert_array_equal(starts.sigma, SIGMA)
    np.testing.assert_array_equal(starts.repeat, REPEAT)
    for index, trajectory in enumerate(trajectories):
        answers = trajectory.logits.argmax(-1)
        right = (answers == start_puzzles.labels[index]).all(-1)
        np.testing.assert_array_equal(starts.answers[index], answers[:, -1])
        np.testing.assert_array_equal(starts.answers_by_segment[index], answers)
        np.testing.assert_array_equal(starts.solved[index], right)
        by_segment = starts.q_halt_by_segment[index]
        np.testing.assert_allclose(by_segment, trajectory.q_halt, rtol=1e-3, atol=1e-4)
        q_halt = trajectory.q_halt[:, -1]
        np.testing.assert_allclose(starts.q_halt[index], q_halt, rtol=1e-3, atol=1e-4)
        late = trajectory.drift.z_H[:, -4:].mean(axis=1)
        np.testing.assert_allclose(starts.late_drift[index], late, rtol=1e-2)
    # what all this is worth: starts lead to different answers, and all kinds of puzzles are there
    assert (starts.answers != starts.answers[:, :1]).any()
    assert starts.solved.any()
    assert not starts.solved[-1].any()


def test_the_residual_is_the_mean_of_the_last_four(starts, model):
    dynamics = model.bind(PUZZLES.inputs[0])
    states = [rrjax.rollout(dynamics, SEGMENTS - 4).state]
    for _ in range(4):
        states.append(rrjax.rollout(dynamics, 1, initial=states[-1]).state)
    flat = [np.concatenate([np.ravel(leaf) for leaf in state]) for state in states]
    shares = [np.linalg.norm(z - z0) / np.linalg.norm(z) for z0, z in itertools.pairwise(flat)]
    np.testing.assert_allclose(starts.residual[0, 0], np.mean(shares), rtol=1e-2)
    np.testing.assert_allclose(starts.residual_by_segment[0, 0, -4:], shares, rtol=1e-2)


def test_the_summary_counts_puzzles_by_what_starts_do(starts, tmp_path):
    summary, some = starts.summary(readout_segment=READOUT), starts.solved.any(axis=2)
    ever, always = some.any(axis=1), some.all(axis=1)
    assert summary.never_solved == np.flatnonzero(~ever).tolist()
    assert summary.always_solved == np.flatnonzero(always).tolist()
    assert summary.start_determined == np.flatnonzero(ever & ~always).tolist() != []
    failed = ~starts.solved[:, 0, READOUT - 1]
    assert summary.failures == np.flatnonzero(failed).tolist()
    assert [row.sigma for row in summary.by_sigma] == [0, 0.5, 2]
    assert [row.num_runs for row in summary.by_sigma] == [1, 2, 2]
    starts.plot(readout_segment=READOUT).save(tmp_path)
    assert (tmp_path / "restarts_of_failures.png").read_bytes().startswith(b"\x89PNG\r\n")
    with pytest.raises(ValueError, match=r"readout_segment must lie in 1\.\.6"):
        starts.summary(readout_segment=7)


def test_a_finer_grid_and_fewer_restarts_change_no_run(starts, model, start_puzzles):
    grid = {"sigmas": (0.5, 1.0), "num_restarts": 1}
    finer = basin(model, start_puzzles, **STARTS | grid, progress=False)
    np.testing.assert_array_equal(finer.sigma, [0, 0.5, 1])
    for name in ("answers", "solved"):
        np.testing.assert_array_equal(finer[name][:, :2], starts[name][:, :2])
    np.testing.assert_allclose(finer.q_halt[:, :2], starts.q_halt[:, :2], rtol=1e-3)


def test_states_that_are_not_named_stay_and_exponents_are_those_of_a_spectrum(
    starts, model, start_puzzles
):
    """One program for both: z_L alone is disturbed, and exponents are measured along the runs."""
    options = STARTS | {"states": ["z_L"], "num_exponents": 2}
    run = basin(model, start_puzzles, **options, progress=False)
    for index, trajectory in enumerate(restarted(model, ("z_L",))):
        np.testing.assert_array_equal(run.answers[index], trajectory.logits[:, -1].argmax(-1))
    assert run.exponents.shape == (NUMBER, RUNS, 2)
    key = jax.random.fold_in(jax.random.key(0), 1)
    expected = rrjax.spectrum(model.bind(PUZZLES.inputs[1]), 2, SEGMENTS, key=key).exponents
    np.testing.assert_allclose(run.exponents[1, 0], expected, atol=1e-4)
    # the unperturbed run is the same with and without exponents
    for name in ("residual", "late_drift", "q_halt"):
        np.testing.assert_allclose(run[name][:, 0], starts[name][:, 0], rtol=1e-2, atol=1e-4)
    for name in ("q_halt_by_segment", "residual_by_segment", "drift_z_H", "distance_to_end"):
        np.testing.assert_allclose(run[name][:, 0], starts[name][:, 0], rtol=1e-2, atol=1e-4)
    for name in ("solved", "answers", "answers_by_segment"):
        np.testing.assert_array_equal(run[name][:, 0], starts[name][:, 0])
    assert "smallest_lambda1" in run.summary().by_sigma[-1].selection_of_failures.rules
    assert "smallest_lambda1" not in starts.summary().by_sigma[-1].selection_of_failures.rules


def test_models_that_blow_up_or_have_no_spread(tmp_path):
    broken = make_model(tmp_path / "nan", L_init=np.full(8, np.nan, np.float32))
    run = basin(broken, PUZZLES[:NUMBER], **STARTS, progress=False)
    assert run.summary().num_not_finite == NUMBER * RUNS
    assert not run.solved.any()
    flat = make_model(tmp_path / "flat", H_init=np.full(8, 0.5, np.float32))
    with pytest.raises(ValueError, match="no spread for sigmas to be relative to"):
        basin(flat, PUZZLES, **STARTS)


def test_noisy_runs_are_rollouts_with_the_noise_held_fixed(noises, noise_puzzles, model):
    for puzzle, repeat in ((0, 0), (2, 1), (3, 3)):
        dynamics, place = noisy(model, puzzle, repeat), (puzzle, 1 + repeat)
        run = rrjax.rollout(dynamics, 5)
        answers = np.asarray(run.logits.argmax(-1))
        np.testing.assert_array_equal(noises.answers[place], answers[-1])
        right = (answers == noise_puzzles.labels[puzzle]).all(-1)
        np.testing.assert_array_equal(noises.solved[place], right)
        np.testing.assert_allclose(noises.q_halt[place], run.q_halt[-1], rtol=1e-3, atol=1e-4)
        key = jax.random.fold_in(jax.random.key(0), puzzle)
        expected = rrjax.spectrum(dynamics, 1, 5, key=key).exponents
        np.testing.assert_allclose(noises.exponents[place], expected, atol=1e-4)


def test_the_first_run_has_no_noise(noises, model):
    np.testing.assert_array_equal(noises.sigma, [0, *4 * [1.5]])
    np.testing.assert_array_equal(noises.repeat, [0, *range(4)])
    for puzzle, tokens in enumerate(PUZZLES.inputs[:NUMBER]):
        quiet = rrjax.rollout(model.bind(tokens), 5)
        np.testing.assert_array_equal(noises.answers[puzzle, 0], quiet.logits[-1].argmax(-1))
    assert (noises.answers[:, 1:] != noises.answers[:, :1]).any(axis=(1, 2)).all()


def test_the_summary_of_noisy_runs(noises):
    assert noises.units["sigma"].endswith("unit of the state")
    summary, solved = noises.summary(), noises.solved[:, :, -1]
    assert summary.noiseless.value == pytest.approx(solved[:, 0].mean())
    passed = summary.selection.pass_at
    assert [str(number) for number in passed] == ["1", "2", "4"]
    first, _, last = passed.values()
    assert first.value == pytest.approx(solved[:, 1:].mean())
    assert last.value == pytest.approx(solved[:, 1:].any(axis=1).mean()) == 0.75
    best = noises.exponents[:, 1:, 0].argmin(axis=1)
    right = solved[:, 1:][np.arange(NUMBER), best]
    assert summary.selection.rules["smallest_lambda1"].value == right.mean()
    gained = np.sum(solved[:, 1:].any(axis=1) & ~solved[:, 0])
    assert summary.changes["some_run"].gained == gained
    mixed = solved[:, 1:].any(axis=1) & ~solved[:, 1:].all(axis=1)
    assert summary.correlation.num_mixed == mixed.sum() > 0
    rho = [
        rank_correlation(noises.q_halt[i, 1:], noises.exponents[i, 1:, 0])
        for i in np.flatnonzero(mixed)
    ]
    assert summary.correlation.spearman.value == pytest.approx(np.mean(rho))
    assert noises.plot().keys() == {"q_against_lambda1"}


def test_without_exponents_noisy_runs_are_the_same_and_there_is_no_figure(
    noises, noise_puzzles, model
):
    run = ptrm(model, noise_puzzles, **NOISE, num_exponents=0, progress=False)
    assert noises.keys() - run.keys() == {"exponents"}
    np.testing.assert_array_equal(run.solved, noises.solved)
    np.testing.assert_allclose(run.residual, noises.residual, rtol=1e-3)
    assert run.summary().correlation is None
    assert run.plot() == {}


@pytest.mark.parametrize(
    ("experiment", "options", "message"),
    [
        (basin, {"sigmas": (0.0, -0.1)}, "sigmas must be finite and at least 0, got -0.1"),
        (basin, {"sigmas": (float("nan"),)}, "sigmas must be finite and at least 0, got nan"),
        (basin, {"sigmas": (float("inf"),)}, "sigmas must be finite and at least 0, got inf"),
        (basin, {"sigmas": (0.3, 1.0, 0.3)}, "sigmas must differ from each other, got 0.3 1 0.3"),
        (basin, {"sigmas": (0.0,)}, "sigmas must hold one above 0, got 0; without restarts"),
        (basin, {"sigmas": ()}, "sigmas must hold one above 0, got none"),
        (basin, {"num_restarts": 0}, "num_restarts must be at least 1, got 0"),
        (basin, {"num_segments": 0}, "num_segments must be at least 1, got 0"),
        (basin, {"states": ["z_M"]}, r"states must be a list of the state's fields \(z_H, z_L\)"),
        (basin, {"num_exponents": -1}, "num_exponents must be at least 0, got -1"),
        (basin, {"num_exponents": 257}, r"num_exponents must lie in 1\.\.256"),
        (ptrm, {"sigma": -1.0}, "sigma must be finite and above 0, got -1"),
        (ptrm, {"sigma": float("nan")}, "sigma must be finite and above 0, got nan"),
        (ptrm, {"sigma": 0.0}, "sigma must be finite and above 0, got 0"),
        (ptrm, {"num_runs": 0}, "num_runs must be at least 1, got 0"),
        (ptrm, {"states": ["z_H", "z"]}, r"states must be a list of the state's fields"),
    ],
)
def test_bad_requests_are_one_message(model, tmp_path, experiment, options, message):
    with pytest.raises(ValueError, match=message) as error:
        experiment(model, PUZZLES, folder=tmp_path / "out", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
