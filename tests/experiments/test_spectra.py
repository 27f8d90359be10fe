"""Spectra of many puzzles on a tiny random model: numbers, table, folders."""

import jax
import numpy as np
import pytest

import rrjax
from rrjax.experiments import spectrum
from rrjax.puzzles import PuzzleSet
from rrjax.results.results import Results
from tests.experiments.conftest import NUMBER, PUZZLES, make_model, relabelled

EXPONENTS, SEGMENTS, CHUNK, UPDATES = 2, 2, 4, 2
SIZES = {"num_exponents": EXPONENTS, "num_segments": SEGMENTS, "chunk_size": CHUNK}


@pytest.fixture(scope="module")
def labelled(plain) -> PuzzleSet:
    """What the model says after the first or second segment, or never, is declared to be right."""
    labels = np.stack([run.logits[i % 2].argmax(-1) for i, run in enumerate(plain)])
    labels[3, 0] = 1 + labels[3, 0] % 4
    labels[4, 2:] = 0  # nothing is known of these cells
    (wrong, *_) = set(range(1, 6)) - {int(run[0].argmax()) for run in plain[5].logits[:2]}
    labels[5] = wrong * (np.arange(16) == 0)  # nothing is known of the other cells
    return relabelled(labels)


@pytest.fixture(scope="module")
def run(model, labelled) -> Results:
    return spectrum(model, labelled, **SIZES, progress=False)


def test_the_arrays_have_axes_and_units(run):
    total = SEGMENTS * UPDATES
    assert {name: (array.shape, array.dtype.name) for name, array in run.items()} == {
        "exponents": ((NUMBER, EXPONENTS), "float32"),
        "log_growth": ((NUMBER, total, EXPONENTS), "float32"),
        "drift_z_H": ((NUMBER, SEGMENTS), "float32"),
        "drift_z_L": ((NUMBER, SEGMENTS), "float32"),
        "answers": ((NUMBER, 16), "int32"),
        "q_halt": ((NUMBER,), "float32"),
        "finite": ((NUMBER,), "bool"),
        "failed_at": ((NUMBER,), "int32"),
        "solved": ((NUMBER,), "bool"),
        "solved_by_segment": ((NUMBER, SEGMENTS), "bool"),
        "q_halt_by_segment": ((NUMBER, SEGMENTS), "float32"),
        "residual": ((NUMBER, SEGMENTS), "float32"),
        "inputs": ((NUMBER, 16), "uint8"),
        "labels": ((NUMBER, 16), "int16"),
        "puzzle_ids": ((NUMBER,), "int32"),
        "snapshot": ((SEGMENTS,), "int64"),
        "answers_by_segment": ((NUMBER, SEGMENTS, 16), "uint8"),
        "projection": ((NUMBER, SEGMENTS, 32), "float32"),
        "projection_variance": ((32,), "float32"),
        "distance_to_end": ((NUMBER, SEGMENTS), "float32"),
    }
    assert run.axes["log_growth"] == ("puzzle", "update", "exponent")
    assert run.units["exponents"] == "nats per update"
    np.testing.assert_array_equal(run.inputs, PUZZLES.inputs)
    assert run.finite.all()
    np.testing.assert_allclose(run.exponents, run.log_growth.mean(1), atol=1e-6)


def test_the_record_says_how_it_was_made(run, model, labelled):
    assert run.record["model"]["sha256"] == model.digest
    assert run.record["puzzles"] == {"sha256": labelled.digest(), "vocab_size": 6}
    assert run.record["options"] == {
        "num_exponents": EXPONENTS,
        "segments_per_qr": None,
        "attribution": False,
        "num_puzzles": NUMBER,
        "num_segments": SEGMENTS,
        "seed": 0,
        "dtype": "float32",
        "precision": "exact",
        "chunk_size": CHUNK,
    }
    assert (run.record["clock"], run.answer_drift) == ("update", "drift_z_H")
    assert run.how_made.startswith("rrjax spectrum, ")


def test_solved_segments_are_those_of_a_rollout(run, labelled, plain):
    answers = np.array([trajectory.logits[:SEGMENTS].argmax(-1) for trajectory in plain])
    known = labelled.labels != 0
    right = (answers == labelled.labels[:, None]) | ~known[:, None]
    right = right.all(-1) & known.any(-1)[:, None]
    np.testing.assert_array_equal(run.solved_by_segment, right)
    np.testing.assert_array_equal(run.solved, right[:, -1])
    np.testing.assert_array_equal(run.answers, answers[:, -1])
    assert 0 < right.sum() < right.size


@pytest.mark.parametrize("index", [0, 4])
def test_a_puzzle_has_the_exponents_that_the_library_gives(run, model, index):
    key = jax.random.fold_in(jax.random.key(0), index)
    dynamics = model.bind(PUZZLES.inputs[index])
    expected = rrjax.spectrum(dynamics, EXPONENTS, SEGMENTS, key=key)
    np.testing.assert_allclose(run.exponents[index], expected.exponents, atol=1e-5)
    np.testing.assert_allclose(run.log_growth[index], expected.log_growth, atol=1e-4)
    np.testing.assert_allclose(run.drift_z_H[index], expected.drift.z_H, rtol=1e-4)


def test_the_path_is_that_of_a_rollout(run, labelled, plain):
    np.testing.assert_array_equal(run.snapshot, [1, 2])
    np.testing.assert_array_equal(run.labels, np.where(labelled.labels == 0, -100, labelled.labels))
    for index, trajectory in enumerate(plain):
        answers = trajectory.answers[:SEGMENTS]
        np.testing.assert_array_equal(run.answers_by_segment[index], answers)
        q_halt = trajectory.q_halt[:SEGMENTS]
        np.testing.assert_allclose(run.q_halt_by_segment[index], q_halt, rtol=1e-4, atol=1e-5)
    # of two segments the first is one step from the end
    distance = run.drift_z_H[:, 1] / np.sqrt(16 * 8)
    np.testing.assert_allclose(run.distance_to_end[:, 0], distance, rtol=0.35)
    np.testing.assert_array_equal(run.distance_to_end[:, 1], 0)
    steps = np.linalg.norm(np.diff(run.projection, axis=1)[:, 0], axis=-1)
    np.testing.assert_allclose(steps, run.drift_z_H[:, 1], rtol=0.5)
    moved = np.hypot(run.drift_z_H, run.drift_z_L)
    # norms of the model give each state the length of its number of components
    np.testing.assert_allclose(run.residual, moved / np.sqrt(2 * 16 * 8), rtol=1e-3)
    np.testing.assert_array_equal(run.q_halt_by_segment[:, -1], run.q_halt)


def test_a_qr_after_each_segment_gives_the_same_exponents_and_says_how_close(run, model, labelled):
    coarse = spectrum(model, labelled, **SIZES, segments_per_qr=1, progress=False)
    assert coarse.axes["log_growth"] == ("puzzle", "segment", "exponent")
    assert coarse.record["clock"] == "segment"
    np.testing.assert_allclose(coarse.exponents, run.exponents, atol=1e-5)
    by_segment = run.log_growth.reshape(NUMBER, SEGMENTS, UPDATES, EXPONENTS).sum(2)
    np.testing.assert_allclose(coarse.log_growth, by_segment, atol=2e-5)
    assert ((coarse.least_sine > 0.002) & (coarse.least_sine < 1)).all()
    assert coarse.tangent_error.max() < 1e-5
    words = " ".join(repr(coarse.summary()).split())
    assert "in 0 of 6 finite puzzles they came too close for some exponent" in words
    assert "The tangents' rounding, with its growth between QRs, changes exponents" in words
    with pytest.raises(ValueError, match="segments_per_qr must be 1 or None: results are kept"):
        spectrum(model, labelled, **SIZES, segments_per_qr=2, progress=False)


def test_a_folder_holds_the_same_bits_and_is_continued(run, model, labelled, tmp_path, chunk_sizes):
    kept = spectrum(model, labelled, **SIZES, folder=tmp_path, progress=False)
    assert chunk_sizes == [CHUNK, CHUNK]
    (tmp_path / "chunks" / "000001.npz").unlink()
    again = spectrum(model, labelled, **SIZES, folder=tmp_path, progress=False)
    assert chunk_sizes == [CHUNK] * 3
    loaded = rrjax.load_results(tmp_path)
    for other in (kept, again, loaded):
        assert other.keys() == run.keys()
        for name, array in run.items():
            assert other[name].tobytes() == array.tobytes(), name
    assert repr(loaded.summary()) == repr(run.summary())
    with pytest.raises(ValueError, match="holds another run: its seed is 0, asked for 1"):
        spectrum(model, labelled, **SIZES, seed=1, folder=tmp_path)


def test_the_chunk_size_changes_nothing_beyond_round_off_and_fewer_are_the_first(model, run):
    first = PUZZLES[:2]
    other = spectrum(model, first, **SIZES | {"chunk_size": 5}, progress=False)
    np.testing.assert_allclose(other.exponents, run.exponents[:2], atol=1e-5)
    np.testing.assert_array_equal(other.answers, run.answers[:2])


@pytest.mark.parametrize(
    ("num_solved", "words"),
    [
        (0, "0.0 %"),
        (3, "50.0 %"),
        (NUMBER, "100.0 %"),
    ],
)
def test_whatever_is_solved_there_is_a_table_and_a_figure(model, run, num_solved, words):
    labels = run.answers.copy()
    labels[num_solved:, 0] = 1 + labels[num_solved:, 0] % 4  # one wrong token fails a puzzle
    results = spectrum(model, relabelled(labels), **SIZES, progress=False)
    assert results.solved.tolist() == [index < num_solved for index in range(NUMBER)]
    np.testing.assert_array_equal(results.exponents, run.exponents)
    summary = results.summary()
    assert words in " ".join(repr(summary).split())
    assert summary.num_solved == num_solved
    figures = results.plot()
    assert figures.keys() == {"lambda1_by_outcome", "spectrum_by_outcome"}
    assert figures._repr_html_().count("data:image/png;base64,iVBOR") == 2


def test_a_model_that_blows_up_still_gets_a_table(tmp_path):
    broken = make_model(tmp_path, H_init=np.full(8, np.nan, np.float32))
    results = spectrum(broken, PUZZLES, **SIZES, progress=False)
    assert not results.finite.any()
    assert f"{NUMBER} of {NUMBER} runs were not finite" in " ".join(repr(results.summary()).split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_exponents": 0}, "num_exponents must be at least 1, got 0"),
        ({"num_exponents": 257}, r"num_exponents must lie in 1\.\.256"),
        ({"num_segments": 0}, "num_segments must be at least 1, got 0"),
        ({"chunk_size": 0}, "chunk_size must be at least 1, got 0"),
        ({"seed": 2**32}, "seed must be at most 4294967295"),
        ({"shard": "0/2", "folder": None}, "shard 0/2 needs a folder"),
    ],
)
def test_bad_requests_are_one_message_and_write_nothing(model, tmp_path, options, message):
    with pytest.raises(ValueError, match=message) as error:
        spectrum(model, PUZZLES, **SIZES | {"folder": tmp_path / "out"} | options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
