"""What results keep of the way of each run: its puzzle, its answers and a projection of its state.

A run keeps n + 132 bytes of every snapshot, for n tokens of at most 256 values: 1.7 MB for 512
Sudokus of 9 × 9 over 16 segments, 6.1 MB over 256 and 9.6 MB over 4,096. The chunks of a folder
hold sketches in place of projections, which are twice as large. Of restarts and noisy runs, which
are many, there are fewer snapshots, and none where a sweep has more than 8,192 runs: 38 MB for as
many runs of 48 segments.
"""

import numpy as np
from jax import Array

from rrjax.analysis.projection import distance_to_last, principal_projection
from rrjax.contract import Dynamics, State, named_fields
from rrjax.dynamics.sketch import sketch, sketch_matrix
from rrjax.experiments import reasoner
from rrjax.experiments.experiment import Job
from rrjax.experiments.reasoner import Puzzles, read_answer, take
from rrjax.keys import fixed_generator, make_key
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.batch import IGNORE_LABEL
from rrjax.results.axes import ArraySpec
from rrjax.store import Arrays

MOST_RUNS = 8192
"""Restarts and noisy runs of a sweep up to which their paths are kept."""

SKETCH = "sketch"
TAKEN = ("answers_by_segment", SKETCH)
"""Names of what `take_snapshot` returns."""

IDENTITY = {"kept_by_segment": "answers, q_halt, projection"}
"""What a sweep that keeps paths adds to its identity: chunks of earlier versions lack them."""

PUZZLE_ARRAYS = {
    "inputs": ArraySpec(("puzzle", "cell"), "token", "i"),
    "labels": ArraySpec(("puzzle", "cell"), f"token; {IGNORE_LABEL}: not known", "i"),
    "puzzle_ids": ArraySpec(("puzzle",), "row of the puzzle-embedding table", "i"),
}


def path_arrays(*axes: str) -> dict[str, ArraySpec]:
    """Returns the axes and units of the arrays of this module, for runs along some axes."""
    return PUZZLE_ARRAYS | {
        "snapshot": ArraySpec(
            ("snapshot",), "segment, from 1, after which answers and projections are kept", "i"
        ),
        "answers_by_segment": ArraySpec((*axes, "snapshot", "cell"), "token", "i"),
        "projection": ArraySpec(
            (*axes, "snapshot", "component"),
            "coordinate of the answer's state along a principal direction of random sketches",
        ),
        "projection_variance": ArraySpec(
            ("component",), "share of the variance of the answer's state that it explains"
        ),
        "distance_to_end": ArraySpec(
            (*axes, "snapshot"),
            "distance of the answer's state to that after the last segment, root mean square",
        ),
    }


def snapshots(num_segments: int) -> np.ndarray:
    """Returns the segments, from 1, after which answers and projections of a puzzle are kept.

    These are all up to the 32nd, then 8 in each octave, and the last: 16 of 16, 56 of 256 and 88
    of 4,096 segments.
    """
    return _thinned(num_segments, 32, 8)


def snapshots_of_runs(num_segments: int, num_runs: int) -> np.ndarray:
    """Returns the same for restarts and noisy runs, of which a sweep has `num_runs`.

    These are all up to the 8th, then 4 in each octave, and the last: 12 of 16 and 19 of 48
    segments; none for more than 8,192 runs.
    """
    return _thinned(num_segments, 8, 4) if num_runs <= MOST_RUNS else np.zeros(0, int)


def _thinned(num_segments: int, dense: int, per_octave: int) -> np.ndarray:
    octaves = np.log2(max(num_segments, dense) / dense)
    later = dense * 2.0 ** (np.arange(1, int(per_octave * octaves) + 1) / per_octave)
    every = np.arange(1, min(num_segments, dense) + 1)
    return np.unique(np.concatenate([every, np.round(later).astype(int), [num_segments]]))


def matrix_of(dynamics: Dynamics) -> Array:
    """Returns the matrix that sketches the field of the state that answers are read from.

    Its seed is fixed, so that the sketches of all runs of a model can be compared.
    """
    with fixed_generator():
        return sketch_matrix(make_key(0), _answer_state(dynamics, dynamics.initial).size)


def take_snapshot(matrix: Array, dynamics: Dynamics, state: State) -> dict[str, Array]:
    """Returns the answer that is read out of a state, and the state's sketch."""
    answer = read_answer(dynamics, state)
    tokens = answer.logits.argmax(-1).astype(reasoner.token_type(answer))
    return {"answers_by_segment": tokens, SKETCH: sketch(matrix, _answer_state(dynamics, state))}


def _answer_state(dynamics: Dynamics, state: State) -> Array:
    return named_fields(state)[reasoner.answer_field(dynamics)]


def puzzle_arrays(puzzles: Puzzles) -> Arrays:
    """Returns the inputs and labels, as narrow as their tokens allow, and the puzzle ids."""
    batch = take(puzzles, np.arange(len(puzzles.inputs)))
    if not isinstance(puzzles, PuzzleSet):
        return {"inputs": batch.inputs, "labels": batch.labels}
    narrow = np.min_scalar_type(puzzles.metadata.vocab_size)
    return {
        "inputs": batch.inputs.astype(narrow),
        "labels": batch.labels.astype(np.promote_types(narrow, np.int8)),
        "puzzle_ids": batch.puzzle_ids,
    }


def with_projection(arrays: Arrays, job: Job, kept: np.ndarray) -> Arrays:
    """Returns the arrays of runs with projections in place of sketches, after the segments kept."""
    arrays = dict(arrays)
    sketches = arrays.pop(SKETCH)
    size = _answer_state(job.dynamics, job.dynamics.initial).size
    coordinates, share = principal_projection(sketches)
    return arrays | {
        "snapshot": kept,
        "projection": coordinates,
        "projection_variance": share.astype(np.float32),
        "distance_to_end": distance_to_last(sketches, size),
    }
