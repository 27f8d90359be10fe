"""Recorded states: they are those of a rollout, resume, and refuse what is not theirs."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rrjax
from rrjax.commands.recorded import record
from rrjax.experiments import recordings, states
from rrjax.inside import untrained
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.results.results import Results
from tests.experiments.conftest import NUMBER, PUZZLES

SEGMENTS = 3
SIZES = {"num_segments": SEGMENTS, "chunk_size": 4, "progress": False}


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("states") / "run"
    states(model, PUZZLES, folder=folder, **SIZES)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Results:
    return rrjax.load_results(folder)


def test_states_are_those_of_a_rollout_and_the_control_is_another_model(model, run):
    both = recordings(run)
    for name, bound in (("trained", model), ("untrained", untrained(model, 0))):
        recorded = both[name]
        with jax.default_matmul_precision("highest"):
            for segments in (1, SEGMENTS):
                last = rrjax.rollout(bound.bind(PUZZLES.inputs[5]), segments)
                for field in ("z_H", "z_L"):
                    np.testing.assert_allclose(
                        recorded.fields[field][5, segments - 1],
                        getattr(last.state, field),
                        rtol=1e-4,
                        atol=1e-5,
                    )
                np.testing.assert_array_equal(recorded.answers[5, segments - 1], last.answers[-1])
        assert recorded.prefix == {}
    labels = PUZZLES.labels
    expected = (labels != IGNORE_LABEL) & (PUZZLES.inputs == 1)
    np.testing.assert_array_equal(both["trained"].blank, expected)
    sentence, _ = run.summary().findings()
    assert f"are solved after {SEGMENTS} segments, and" in sentence
    assert f"of {len(labels)} puzzles" in sentence
    difference = both["trained"].fields["z_H"][:] - both["untrained"].fields["z_H"][:]
    assert np.abs(difference).mean() > 0.1


def test_a_recording_in_memory_holds_the_same(model, run):
    in_memory = recordings(states(model, PUZZLES, **SIZES))
    for name, recorded in recordings(run).items():
        for field, rows in recorded.fields.items():
            np.testing.assert_array_equal(in_memory[name].fields[field], rows)


def test_a_second_run_computes_nothing_and_another_one_is_refused(model, folder, chunk_sizes):
    states(model, PUZZLES, folder=folder, **SIZES)
    assert chunk_sizes == []
    with pytest.raises(ValueError, match="holds another run: its num_segments"):
        states(model, PUZZLES, folder=folder, **{**SIZES, "num_segments": 2})


def test_a_chunk_that_is_lost_is_recorded_again(model, folder, chunk_sizes):
    (folder / "chunks" / "000001.npz").unlink()
    states(model, PUZZLES, folder=folder, **SIZES)
    assert len(chunk_sizes) == 1
    assert recordings(rrjax.load_results(folder))["trained"].solved.shape == (NUMBER, SEGMENTS)


def test_leading_tokens_are_kept_apart(model, tmp_path):
    config = replace(model.config, arch=replace(model.config.arch, register_tokens=2))
    shapes = untrained(model).params
    drawn = rrjax.cells.init_params(jax.random.key(0), config)
    assert drawn.keys() - shapes.keys() == {"registers"}
    wider = replace(model, config=config, params=drawn)
    recorded = recordings(states(wider, PUZZLES[:2], untrained=False, **SIZES))["trained"]
    assert recorded.fields["z_L"].shape == (2, SEGMENTS, 16, 8)
    assert recorded.prefix["z_L"].shape == (2, SEGMENTS, 2, 8)


def test_a_damaged_file_and_other_results_are_refused(model, folder):
    path = folder / "state_z_H.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + b"\0\1\2\3")
    with pytest.raises(ValueError, match=r"state_z_H\.npy is damaged"):
        recordings(rrjax.load_results(folder))
    path.write_bytes(path.read_bytes()[:-8])  # shorter than its header says
    with pytest.raises(ValueError, match=r"state_z_H\.npy is damaged"):
        recordings(rrjax.load_results(folder))
    path.unlink()
    with pytest.raises(ValueError, match=r"state_z_H\.npy is absent"):
        recordings(rrjax.load_results(folder))
    path.write_bytes(whole)
    run = rrjax.experiments.rollout(model, PUZZLES[:2], num_segments=1, progress=False)
    with pytest.raises(ValueError, match=r"expected the states .* found results of rrjax rollout"):
        recordings(run)


def test_a_state_without_rows_is_refused_and_has_no_control():
    class Shrink:
        def bind(self, tokens, puzzle_id=0):
            return rrjax.Dynamics.from_map(lambda z: 0.5 * z, jnp.ones(16))

    with pytest.raises(ValueError, match=r"fields \(tokens, width\).* found state \(16,\)"):
        states(Shrink(), PUZZLES, **SIZES)

    class Rows(Shrink):
        def bind(self, tokens, puzzle_id=0):
            return rrjax.Dynamics.from_map(lambda z: 0.5 * z, jnp.ones((16, 6)))

    with pytest.raises(ValueError, match="untrained: only a cell of rrjax"):
        states(Rows(), PUZZLES, **SIZES)
    assert "untrained" not in recordings(states(Rows(), PUZZLES, untrained=False, **SIZES))


def test_a_command_reads_recorded_states_and_refuses_other_options(folder):
    assert record(str(folder)).record["experiment"] == "states"
    with pytest.raises(ValueError, match="num_puzzles must be left out with the recorded states"):
        record(str(folder), num_puzzles=2)


def test_tables_tell_outcomes_and_variance(run):
    summary = run.summary()
    assert summary.num_puzzles == NUMBER
    assert 0 < sum(summary.variance_share) <= 1
    assert "with fresh weights 0.0 %" in repr(summary)
    assert list(run.plot()) == ["paths_by_outcome"]
