"""Policies: what is seen of a run is that of a rollout, budgets are shared, copies come back."""

import dataclasses

import jax
import numpy as np
import pytest

import rrjax
from rrjax import experiments
from rrjax.dynamics.starts import random_start
from rrjax.experiments.reasoner import read_answer
from rrjax.experiments.restarts import RunGrid, prepare_runs
from tests.experiments.conftest import PUZZLES, relabelled
from tests.tools.charts import data_of

WAYS = ("starts", "random_starts", "noise_z_L", "particles", "copies")
RUNS, DEPTH = 2, 3
UPDATES = 2
BUDGET = RUNS * DEPTH * UPDATES


@pytest.fixture(scope="module")
def seen(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies") / "out"
    options = {"max_evaluations": BUDGET + 1, "num_runs": RUNS, "progress": False}
    return experiments.policies(model, PUZZLES[:3], ways=WAYS, folder=folder, **options)


def test_the_long_rollout_is_the_plain_one(seen, plain):
    assert seen.plain_q_halt.shape == (3, RUNS * DEPTH)
    for puzzle in range(3):
        np.testing.assert_allclose(seen.plain_q_halt[puzzle], plain[puzzle].q_halt, atol=1e-4)
        logits = np.asarray(plain[puzzle].logits)
        change = np.linalg.norm(np.diff(logits, axis=0), axis=-1).mean(axis=-1)
        np.testing.assert_allclose(seen.plain_logit_change[puzzle, 1:], change, atol=1e-3)


def test_every_way_has_the_plain_run_first_where_it_can(seen):
    for place, way in enumerate(WAYS):
        assert seen.q_halt[:, place].shape == (3, RUNS, DEPTH)
        first = seen.q_halt[:, place, 0]
        is_plain = way in ("starts", "noise_z_L", "copies")
        close = np.allclose(first, seen.plain_q_halt[:, :DEPTH], atol=1e-4)
        assert close == is_plain, way
        assert not np.allclose(first, seen.q_halt[:, place, 1], atol=1e-4), way


def test_noise_of_updates_is_that_of_the_dynamics(model):
    results = experiments.policies(
        model,
        PUZZLES[:1],
        ways=["random_starts"],
        max_evaluations=BUDGET,
        num_runs=RUNS,
        update_noise=0.3,
        progress=False,
    )
    key = prepare_runs(PUZZLES[:1], RunGrid(np.ones(RUNS), np.arange(RUNS)), 0, np.arange(RUNS))
    for run in range(RUNS):
        own = key.key_noise[run]
        dynamics = model.bind(PUZZLES.inputs[0])
        start = random_start(own, dynamics.initial)
        own = jax.random.fold_in(own, 2**31 + 1)
        noisy = rrjax.with_update_noise(dynamics, DEPTH, key=own, sigma=0.3)
        expected = rrjax.rollout(noisy, DEPTH, initial=start).q_halt
        np.testing.assert_allclose(results.q_halt[0, 0, run], expected, atol=1e-3)
    headlines = [table.headline for table in results.summary(num_tuning=0).tables]
    assert "random_starts: depth × breadth, pass@k" in headlines


def test_what_is_right_is_told_of_copies_as_of_puzzles(model, plain):
    labels = np.stack([run.answers[DEPTH - 1] for run in plain[:3]])
    results = experiments.policies(
        model,
        relabelled(labels, 3),
        ways=["copies", "starts"],
        max_evaluations=BUDGET,
        num_runs=RUNS,
        sigma=1e-6,
        progress=False,
    )
    assert results.plain_solved[:, DEPTH - 1].all()
    assert results.solved[:, :, 0, -1].all()
    assert results.solved[:, 1, 1, -1].all()  # a start that hardly differs
    assert results.pooled_solved[:, 1, :, -1].all()
    assert "valid" in results
    numbers = results.summary(num_tuning=0).numbers
    at_end = [
        point.accuracy.value
        for point in numbers.ways[1].points
        if point.num_segments == DEPTH and point.policy in ("vote", "largest q", "mean probability")
    ]
    assert at_end == [1.0] * 6  # of one run and of two


def test_probabilities_of_copies_are_moved_as_answers_are(model):
    from rrjax.puzzles.symmetric_copies import symmetric_copies

    copies = symmetric_copies(PUZZLES[:3], 4, seed=0)
    rng = np.random.default_rng(0)
    probabilities = rng.random((12, 2, 16, 6))
    probabilities[..., 0] = 0  # the padding token stays itself
    moved = copies.map_probabilities_back(probabilities)
    expected = copies.map_back(probabilities.argmax(axis=-1))
    np.testing.assert_array_equal(moved.argmax(axis=-1), expected)


def test_a_folder_goes_on_and_holds_one_run(model, seen):
    folder, options = seen.path.parent, {"num_runs": RUNS, "progress": False}
    again = experiments.policies(
        model, PUZZLES[:3], ways=WAYS, max_evaluations=BUDGET + 1, folder=folder, **options
    )
    for name in seen:
        np.testing.assert_array_equal(again[name], seen[name])
    with pytest.raises(ValueError, match="holds another run"):
        experiments.policies(
            model, PUZZLES[:3], ways=["starts"], max_evaluations=BUDGET, folder=folder, **options
        )
    loaded = rrjax.load_results(folder)
    assert "starts: 2 runs of 3 segments" in str(loaded.summary())
    with pytest.raises(ValueError, match="luby_unit must be at least 1, got 0"):
        loaded.summary(luby_unit=0)
    with pytest.raises(ValueError, match="luby_unit must be at most 3, the segments of each run"):
        loaded.summary(luby_unit=4)
    assert set(loaded.plot()) == {"policies"}
    frontier, rules = map(data_of, loaded.experiment.report_panels(loaded)[:2])
    whole = [row for row in frontier if row["group"] == "one rollout" and row["x"] == BUDGET]
    assert whole[0]["value"] == 100 * loaded.plain_solved[:, -1].mean()
    assert {row["group"] for row in rules} == set(WAYS)


@pytest.mark.slow
def test_lambda1_is_that_of_a_spectrum(model):
    results = experiments.policies(
        model,
        PUZZLES[:1],
        ways=["noise"],
        max_evaluations=BUDGET,
        num_runs=RUNS,
        num_exponents=1,
        progress=False,
    )
    spectrum = experiments.spectrum(
        model, PUZZLES[:1], num_exponents=1, num_segments=DEPTH, progress=False
    )
    assert results.plain_lambda1[0, DEPTH - 1] == pytest.approx(spectrum.exponents[0, 0], abs=1e-4)
    assert results.lambda1[0, 0, 0, -1] == pytest.approx(spectrum.exponents[0, 0], abs=1e-4)
    assert np.isfinite(results.lambda1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_evaluations": 3}, "max_evaluations must be at least 4, a segment of 2 evaluations"),
        ({"num_runs": 1}, "num_runs must be at least 2"),
        ({"ways": ["luck"]}, "ways must be different ones of starts, random_starts"),
        ({"ways": []}, "ways must be different ones"),
        ({"ways": ["noise_z_X"]}, "ways must be different ones"),
        ({"sigma": 0.0}, "sigma must be finite and above 0"),
        ({"beta": -1.0}, "beta must be"),
        ({"update_noise": -0.1}, "update_noise must be"),
        ({"ways": ["noise"], "update_noise": 0.1}, "with update_noise, which is noise already"),
        ({"num_exponents": 2}, "num_exponents must be at most 1"),
    ],
)
def test_requests_that_make_no_sense_are_refused(model, options, message):
    usual = {"max_evaluations": BUDGET, "num_runs": RUNS, "progress": False}
    with pytest.raises(ValueError, match=message):
        experiments.policies(model, PUZZLES[:1], **(usual | options))


def test_a_model_without_q_votes(model):
    @dataclasses.dataclass
    class Plain:
        model: rrjax.Model

        def bind(self, tokens, puzzle_id=0):
            dynamics = self.model.bind(tokens)
            return dataclasses.replace(
                dynamics,
                readout=lambda context, state: (
                    read_answer(dataclasses.replace(dynamics, context=context), state).logits
                ),
            )

    results = experiments.policies(
        Plain(model),
        PUZZLES[:1],
        ways=["starts"],
        max_evaluations=BUDGET,
        num_runs=RUNS,
        progress=False,
    )
    assert np.isnan(results.q_halt).all()
    text = str(results.summary())
    assert "vote" in text
    assert "largest q" not in text
    with pytest.raises(ValueError, match="luby_unit must be left out, since the model has no q"):
        results.summary(luby_unit=1)
