"""Patches on a tiny model: which pairs are taken, and what becomes of them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.analysis.intervals import Interval
from rrjax.analysis.patches import summarize_patches
from rrjax.experiments import patching
from rrjax.experiments.answers import unit_shares
from rrjax.experiments.donors import Donors, as_seen, choose_pairs
from rrjax.experiments.experiment import Job
from rrjax.experiments.patches import PATCHING
from rrjax.puzzles.batch import Batch
from rrjax.reports.patches import findings
from tests.experiments.conftest import relabelled
from tests.tools.charts import rows_of_panels

SEGMENTS = 3


def test_a_pair_joins_runs_of_different_outcome():
    solved = np.array([[0, 0, 1, 1], [1, 1, 0, 1], [0, 0, 0, 0]], bool)
    kinds = np.array([-1, 0, 0, 1])
    pairs = choose_pairs(solved, kinds, seed=0)
    assert pairs[:2].tolist() == [[0, 0, 2, 0], [0, 0, 3, 1]]
    assert [1, 1, 2, 0] in pairs.tolist()
    assert [row for row in pairs.tolist() if row[0] == 2] == [[2, 1, 0, 2]]
    recipient, donor, run, _ = pairs.T
    assert (solved[recipient, 0] != solved[donor, run]).all()


@pytest.fixture(scope="module")
def run(model, plain):
    labels = np.stack([run.answers[SEGMENTS - 1] for run in plain])
    labels[3:] = labels[3:, ::-1]  # the second half is failed
    puzzles = relabelled(np.where(labels == 0, 1, labels))
    sizes = {"segments": [1, 2], "num_segments": SEGMENTS, "num_starts": 1, "num_copies": 1}
    options = {**sizes, "num_exponents": 1, "num_mapped": 1, "chunk_size": 4, "progress": False}
    return puzzles, patching(model, puzzles, **options)


def test_what_is_not_patched_goes_on_and_a_whole_state_is_the_donors(run, model):
    puzzles, results = run
    kinds, parts = results.record["kinds"], results.record["parts"]
    assert parts == ["z_H", "z_L", "all"]
    assert results.solved.shape == (len(results.recipient), 2, 3, 4)
    nothing = kinds.index("nothing")
    for pair, puzzle in enumerate(results.recipient[:3]):
        dynamics = model.bind(puzzles.inputs[puzzle])
        answers = rrjax.rollout(dynamics, 1 + SEGMENTS).answers[1:]
        right = (answers == puzzles.labels[puzzle]).all(1)
        assert results.solved[pair, 0, 0, nothing] == right[-1]
    same = results.donor == 0
    assert same.any()
    donor = kinds.index("donor")
    for name, tolerance in (("margin", 1e-2), ("lambda1", 1e-3)):
        both = results[name][same, :, 2]
        np.testing.assert_allclose(both[..., 0], both[..., donor], atol=tolerance)
    assert np.isfinite(results.lambda1).all()
    assert (results.distance[:, :, 2] >= results.distance[:, :, 0] - 1e-4).all()
    assert results.map_margin.shape == (1, 2, 16)
    assert results.map_answers.shape == (1, 2, 16)
    dynamics = model.bind(puzzles.inputs[results.recipient[results.map_pair[0]]])
    answers = rrjax.rollout(dynamics, 1).answers[0]
    np.testing.assert_array_equal(results.map_answers[0, 0], answers)
    text = " ".join(repr(results.summary()).split())
    assert "Solved states into failures" in text
    assert set(results.plot()) == {"patches_by_segment", "changes_by_segment", "margins_by_cell"}
    assert "cells and units" in text
    *effects, cells = rows_of_panels(results)
    effect = results.summary().denoising[0]
    row = next(row for row in effects[0] if row["group"] == "patched")
    assert row["value"] == pytest.approx(effect.solved["patch"].value, rel=1e-3)
    change = results.map_margin[0, 0] - results.map_nothing[0]
    values = [row["value"] for row in cells if "cell" in row]
    np.testing.assert_allclose(values[:16], change, rtol=1e-3)


def test_effects_are_parts_of_the_way_to_the_donor(run):
    _, results = run
    arrays = dict(results)
    number = 8
    kinds = {"patch": 3, "control": 1, "nothing": 0, "donor": 4}
    margin = np.broadcast_to(np.array([*kinds.values()], float), (number, 1, 1, 4))
    planted = {
        "recipient_solved": np.zeros(number, bool),
        "donor": np.zeros(number, int),
        "patched_after": np.array([2]),
        "solved": margin >= 3,
        "first_solved": (margin >= 3).astype(int),
        "margin": margin,
        "cells_right": margin / 4,
        "lambda1": margin,
        "distance": np.ones((number, 1, 1)),
        "base_solved": arrays["base_solved"],
    }
    record = {**results.record, "parts": ["all"]}
    (effect,) = summarize_patches(planted, record).denoising
    assert effect.margin_effect.value == pytest.approx(0.75)
    assert effect.margin_control.value == pytest.approx(0.25)
    assert effect.effect.value == pytest.approx(1)
    assert effect.against_control.value == 1
    assert effect.against_control.low > 0.3
    assert effect.lambda1["patch"].value == 3
    assert effect.changes["cells"]["patch"].value == pytest.approx(0.75)
    assert list(effect.changes) == ["cells"]
    summary = replace(results.summary().numbers, denoising=[effect])
    sentence, *_ = findings(results, summary)
    assert sentence.startswith("Of the patches into failures the whole state of another start,")
    assert "it leaves 100 % of 8 failures solved, +100 (" in sentence
    unsure = replace(effect, against_control=Interval(0.1, -0.1, 0.3))
    sentence, *_ = findings(results, replace(summary, denoising=[unsure]))
    assert sentence == (
        "Of the patches into failures none surely differs from a random step as long."
    )


def test_units_count_where_a_cell_is_to_be_found():
    labels = rrjax.puzzles.to_tokens(rrjax.puzzles.parse_board("1234341221434321"))
    inputs = np.where(np.arange(16) < 5, 1, labels)  # the first row and one cell are blank
    answer = jnp.asarray(labels).at[4].set(labels[5])  # a digit twice in row 2
    batch = Batch(jnp.asarray(inputs), jnp.asarray(labels), 0)
    shares = unit_shares(4, batch, answer)
    assert shares == {"rows_right": 0.5, "columns_right": 0.75, "boxes_right": 0.5}
    assert unit_shares(None, batch, answer) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"segments": []}, "segments must be one or more different numbers"),
        ({"segments": [9], "num_segments": 4}, "segments must be at most 4"),
        ({"sigma": 0.0}, "sigma must be finite and above 0"),
        ({"num_exponents": 2}, "num_exponents must be at most 1"),
    ],
)
def test_what_makes_no_experiment_is_refused(options, words, model):
    puzzles = relabelled(np.ones((6, 16), int))
    with pytest.raises(ValueError, match=words):
        patching(model, puzzles, **options)


def test_runs_of_one_outcome_make_no_pairs(model):
    puzzles = relabelled(np.full((2, 16), 2), 2)
    small = {"num_segments": 2, "num_starts": 0, "num_copies": 0, "segments": [1]}
    with pytest.raises(ValueError, match="no two runs of different outcome: all of 2 runs are f"):
        patching(model, replace(puzzles), **small, progress=False)


def test_a_map_says_which_kind_of_cell_frees_a_failure():
    number, kinds = 3, ["patch", "control", "nothing", "donor"]
    is_open = np.array([[False, True, True, True]] * number)
    answers = np.array([[[2, 3, 4, 5], [2, 3, 4, 2]]] * number)  # the last cell differs
    margin = np.array([[[0, 0, 0, 2.0], [0, 0, 0, 1.0]]] * number)
    solved = np.zeros((number, 1, 1, 4), bool)
    solved[2, ..., 2] = True  # the last failure is solved without a patch, and cells prove nothing
    turned = margin == 2
    turned[2] = True
    arrays = {
        "base_solved": np.zeros((number, 1), bool),
        "recipient_solved": np.zeros(number, bool),
        "donor": np.full(number, 9),  # no effect of whole states is planted
        "patched_after": np.array([1]),
        "solved": solved,
        "map_pair": np.arange(number),
        "map_margin": margin,
        "map_nothing": np.zeros(number),
        "map_solved": turned,
        "map_open": is_open,
        "map_answers": answers,
    }
    record = {"options": {"num_segments": 1}, "donors": ["start"], "parts": ["all"], "kinds": kinds}
    cells = summarize_patches(arrays, record).cells
    assert cells is not None
    assert (cells.num_pairs, cells.num_kept) == (3, 2)
    assert (cells.any_turns.value, cells.any_control.value) == (1, 0)
    given, same, other = cells.classes
    assert (given.num_pairs, other.num_pairs) == (2, 2)
    assert (given.num_cells, same.num_cells, other.num_cells) == (1, 2, 1)
    assert (other.change.value, other.control.value, other.against_control.value) == (2, 1, 1)
    assert (given.change.value, same.change.value, same.turns.value) == (0, 0, 0)
    assert (other.turns.value, other.control_turns.value) == (1, 0)


def test_a_copy_with_exchanged_digits_is_the_same_puzzle(model, plain):
    puzzles = relabelled(np.stack([run.answers[0] for run in plain]) % 4 + 2)
    job = Job(PATCHING, model, puzzles, 1, 0, "exact", None, 1, None, False)
    donors = Donors(job, 1, 0, 2, sigma=1.0)
    assert donors.kinds.tolist() == [-1, 0, 3, 3]
    plain_run, _, first, second = (donors.runs(np.array([2]), np.array([i])) for i in range(4))
    seen = [as_seen(jax.tree.map(lambda leaf: leaf[0], run)) for run in (plain_run, first, second)]
    np.testing.assert_array_equal(seen[0].labels, puzzles.labels[2])
    for copy in seen[1:]:
        for own, other in ((seen[0].inputs, copy.inputs), (seen[0].labels, copy.labels)):
            names = dict(zip(np.asarray(own).tolist(), np.asarray(other).tolist(), strict=True))
            assert [names[token] for token in own.tolist()] == other.tolist()
            assert len(set(names.values())) == len(names)
        np.testing.assert_array_equal(copy.inputs == 1, seen[0].inputs == 1)  # blanks stay
    assert any((copy.labels != seen[0].labels).any() for copy in seen[1:])
