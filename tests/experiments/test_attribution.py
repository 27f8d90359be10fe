"""Spectra with attribution on a tiny model: shares, summary, boards."""

import jax
import numpy as np
import pytest

import rrjax
from rrjax.dynamics.participation import participation
from rrjax.experiments import attribution, spectrum
from rrjax.results.results import Results
from tests.experiments.conftest import NUMBER, PUZZLES

EXPONENTS, SEGMENTS = 2, 2
SIZES = {"num_exponents": EXPONENTS, "num_segments": SEGMENTS, "chunk_size": 4}


@pytest.fixture(scope="module")
def run(model) -> Results:
    return spectrum(model, PUZZLES, **SIZES, attribution=True, progress=False)


def with_arrays(run: Results, **arrays: list) -> Results:
    """The run with some of its arrays replaced."""
    changed = {name: np.array(array) for name, array in arrays.items()}
    return Results(run.arrays | changed, run.record, run.experiment)


def test_shares_and_answers_are_those_of_the_library(run, model, plain):
    shares = [run[f"participation_{name}"] for name in ("z_H", "z_L")]
    assert {share.shape for share in shares} == {(NUMBER, SEGMENTS, EXPONENTS, 16)}
    np.testing.assert_allclose(np.sum(shares, axis=(0, -1)), 1, rtol=1e-5)
    dynamics = model.bind(PUZZLES.inputs[2])
    key = jax.random.fold_in(jax.random.key(0), 2)
    frame = rrjax.spectrum(dynamics, EXPONENTS, 1, key=key).frame
    for name, share in participation(frame)._asdict().items():
        np.testing.assert_allclose(run[f"participation_{name}"][2, 0], share, atol=1e-4)
    answers = plain[2].logits[:SEGMENTS].argmax(-1)
    np.testing.assert_array_equal(run.answers_by_segment[2], answers)
    np.testing.assert_array_equal(run.answers_by_segment[:, -1], run.answers)


def test_the_summary_says_where_the_vectors_lie(run):
    summary = run.summary()
    last = run.participation_z_H[:, -1, 0].sum(-1)
    assert summary.attribution.state_shares["z_H"] == pytest.approx(np.median(last), abs=1e-6)
    assert summary.as_record()["attribution"]["num_puzzles"] == NUMBER
    text = " ".join(repr(summary).split())
    assert f"λ₁'s vector after segment {SEGMENTS} (medians of {NUMBER} puzzles)" in text
    assert " a wrong cell carries " in text
    assert run.to_xarray()["participation_z_H"].dims == ("puzzle", "segment", "exponent", "token")


def test_the_boards_are_the_first_of_each_outcome_or_the_chosen_one(run):
    flags = {"solved": [0, 1, 0, 1, 0, 0], "finite": [0, 1, 1, 1, 1, 1]}
    run = with_arrays(run, **{name: np.array(flag, bool) for name, flag in flags.items()})
    boards = attribution.choose_boards(run, None)
    assert [board.name for board in boards] == ["Puzzle 2 (failed)", "Puzzle 1 (solved)"]
    (chosen,) = attribution.choose_boards(run, 3)
    assert chosen.name == "Puzzle 3 (solved)"
    first = boards[0]
    assert first.box == (2, 2)
    np.testing.assert_array_equal(first.is_open, PUZZLES.inputs[2] == 1)
    given = np.where(first.is_open, "", [str(token - 1) for token in PUZZLES.inputs[2]])
    wrong = run.answers_by_segment[2] != PUZZLES.labels[2]
    np.testing.assert_array_equal(first.wrong, wrong)
    np.testing.assert_array_equal(first.symbols == "", first.is_open & ~wrong)
    np.testing.assert_array_equal(first.symbols[0, ~wrong[0]], given[~wrong[0]])
    assert "unstable_cells" in run.plot(board=1)


def test_runs_that_are_not_finite_are_drawn_on_no_board(run):
    nothing = with_arrays(run, finite=np.zeros(NUMBER, bool))
    assert attribution.choose_boards(nothing, None) == []
    assert attribution.summarize_attribution(nothing).num_puzzles == 0


@pytest.mark.parametrize("board", [NUMBER, -1])
def test_a_board_that_is_not_there_is_refused(run, board):
    with pytest.raises(ValueError, match=rf"board must lie in 0\.\.{NUMBER - 1}, got {board}"):
        run.plot(board=board)
    plain = Results(run.arrays, run.record, run.experiment)
    plain.record["options"] = plain.record["options"] | {"attribution": False}
    with pytest.raises(ValueError, match="with attribution only"):
        plain.plot(board=0)
