"""Weights between tokens against the graph of constraints, beside an untrained control."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.mixing import (
    MixingSummary,
    edge_ratio,
    graph_correlation,
    permuted_correlations,
    summarize_mixing,
)
from rrjax.checks import check_count, refuse
from rrjax.choices import AskedChunkSize
from rrjax.contract import Dynamics, State, count_updates, run_updates, split_last, updates
from rrjax.experiments.continued import states_after
from rrjax.experiments.controlled import with_control
from rrjax.experiments.donors import board_size
from rrjax.experiments.experiment import Experiment, Job
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind
from rrjax.inside.interventions import num_cells
from rrjax.inside.mixing import gates_at, mixing_at, mixing_layers, mixing_matrix, mixing_names
from rrjax.models import Model
from rrjax.page.mixing import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.mixing import correlations_by_matrix, matrices
from rrjax.puzzles.batch import Batch
from rrjax.puzzles.sudoku_graph import peer_graphs
from rrjax.reports import mixing as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

_AT = ("run", "matrix", "stage")
ARRAYS = {
    "weights": ArraySpec((*_AT, "cell", "source"), "from a source to a cell"),
    "correlation": ArraySpec((*_AT, "graph"), "Pearson's r of |weight| off the diagonal"),
    "permuted": ArraySpec((*_AT, "permutation", "graph"), "the same with the cells relabelled"),
    "ratio": ArraySpec(_AT, "mean |weight| of peers / of other pairs"),
    "by_puzzle": ArraySpec(("run", "puzzle", "stage"), "r of the puzzle's own strengths"),
}
PERMUTATIONS = 999


def mixing(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    segments: Sequence[int] = (1, 16),
    num_sampled: int = 16,
    untrained: bool = True,
    seed: int = 0,
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Compares how tokens are mixed with the Sudoku's graph of peers, beside fresh weights.

    Every sub-layer that mixes tokens has several matrices from a source to a cell: the product
    W_down W_up of a mixing SwiGLU, the same with the mean gate of the data between them, the mean
    attention weights of an attention, and of any sub-layer the mean of its exact Jacobian (`gain`)
    and the root mean square (`strength`), over channels, puzzles and segments
    (`rrjax.inside.Mixing`). The products ignore what the gate does; `strength` is what counts.

    Args:
      model: A model, or any `Reasoner` whose updates name sub-layers that mix tokens.
      puzzles: Sudokus, N of them.
      segments: Numbers of segments after which the data are taken, in the segment that follows.
      num_sampled: Number of puzzles, from the first, on which gates and Jacobians are taken.
      untrained: Whether the same cell with fresh weights is measured too, as a control.

    The other arguments are those of `spectrum`.

    Returns:
      By run (`trained` and `untrained`), matrix and stage (update and number of the layer):
      `weights` (…, cells, sources), `correlation` (…, graphs) and `permuted` (…, 999, graphs) of
      |weights| with the peers of all units, rows, columns and boxes, `ratio` (…); `by_puzzle`
      (runs, puzzles, stages) the correlation with all peers of single puzzles' strengths, which is
      smaller where channels are mixed and a single random vector estimates them.

    Raises:
      ValueError: The puzzles are no Sudokus, the cell has no sub-layer that mixes tokens, a number
        is out of range, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=2)
      >>> run = rrjax.experiments.mixing(
      ...     model, puzzles, segments=[1], untrained=False, progress=False
      ... )
      >>> run.weights.shape  # runs, matrices, stages, cells, sources
      (1, 4, 2, 16, 16)
    """
    if not segments or min(segments) < 0 or len(set(segments)) < len(segments):
        refuse("segments", "be one or more different numbers from 0", " ".join(map(str, segments)))
    check_count("num_sampled", num_sampled, least=1)
    size = sudoku_size(puzzles)
    puzzles = puzzles[:num_sampled]  # pyright: ignore[reportIndexIssue]
    place = folder, chunk_size, shard
    asked = Job(MIXING, model, puzzles, max(1, *segments), seed, "exact", *place, progress)
    names = mixing_names(asked.dynamics)
    options = {"segments": sorted(segments), "num_sampled": len(puzzles.inputs)}

    def sweep(job: Job) -> tuple[dict[str, np.ndarray], np.ndarray]:
        arrays = _sweep(job, options)
        return _matrices(job, names, arrays), _by_puzzle(arrays["strength"], size)

    runs = with_control(asked, untrained, sweep)
    matrices, by_puzzle = zip(*runs.values(), strict=True)
    arrays = _compared(np.stack([np.stack(list(run.values())) for run in matrices]), size, seed)
    arrays["by_puzzle"] = np.stack(by_puzzle)
    return asked.results(
        arrays,
        options,
        runs=list(runs),
        matrices=list(matrices[0]),
        stages=[f"{update} {i + 1}" for update in names for i in range(len(names[update]))],
        graphs=list(peer_graphs(size)),
    )


def sudoku_size(puzzles: Puzzles) -> int:
    """Returns n of Sudokus.

    Raises:
      ValueError: The puzzles are no Sudokus.
    """
    size = board_size(puzzles)
    if size is None:
        raise ValueError("this question is about the units of Sudokus; these puzzles are none")
    return size


def _sweep(job: Job, options: dict[str, Any]) -> Arrays:
    cells = num_cells(job.dynamics)
    identity = {"puzzles": job.described_puzzles["sha256"], **options}
    compute = partial(_measure, job, tuple(options["segments"]))
    return job.sweep(compute, job.with_keys, len(job.puzzles.inputs), cells, identity)


def _gated(model: Reasoner) -> bool:
    return isinstance(model, Model) and model.config.arch.mixes_along_tokens


def _measure(
    job: Job, segments: tuple[int, ...], params: Any, chunk: tuple[Batch, jax.Array]
) -> dict[str, Array]:
    def one(puzzle: Batch, key: jax.Array) -> dict[str, Array]:
        dynamics = bind(job.model, params, puzzle)
        states = states_after(dynamics, segments)
        values = jax.lax.map(partial(_mixing, job, dynamics, key), states)
        means = jax.tree.map(lambda leaf: leaf.mean(0), values)
        cells = num_cells(dynamics)
        kept = {name: value[:, -cells:, -cells:] for name, value in means.items() if name != "gate"}
        kept["strength"] = jnp.sqrt(kept.pop("square"))
        return kept | ({"gate": means["gate"]} if "gate" in means else {})

    return jax.vmap(one)(*chunk)


def _mixing(job: Job, dynamics: Dynamics, key: jax.Array, state: State) -> dict[str, Array]:
    """Returns the Jacobians of the sub-layers of the first update of each name, side by side."""
    order = list(updates(dynamics.schedule))
    layers, gates = [], []
    for update in dict.fromkeys(order):
        head, _ = split_last(
            dynamics.schedule, count_updates(dynamics.schedule) - order.index(update)
        )
        before = run_updates(head, dynamics, state, None)
        layers += mixing_at(update, dynamics.context, before, key)
        if _gated(job.model):
            gates += gates_at(job.model.config, update, dynamics.context, before)  # pyright: ignore[reportAttributeAccessIssue]
    kept = {
        "gain": jnp.stack([layer.gain for layer in layers]),
        "square": jnp.square(jnp.stack([layer.strength for layer in layers])),
    }
    if gates:
        kept["gate"] = jnp.stack(gates)
    if layers[0].attention is not None:
        kept["attention"] = jnp.stack([layer.attention for layer in layers])
    return kept


def _matrices(job: Job, names: Mapping[str, list[str]], arrays: Arrays) -> dict[str, np.ndarray]:
    """Returns by name the matrices (stages, cells, cells) of one run."""
    means = {name: array.mean(0) for name, array in arrays.items()}
    gate = means.pop("gate", None)
    means["strength"] = np.sqrt(np.square(arrays["strength"]).mean(0))
    if gate is None:
        return means
    cells, context = num_cells(job.dynamics), job.dynamics.context
    layers = [
        layer
        for update in dict.fromkeys(updates(job.dynamics.schedule))
        for layer in mixing_layers(context, update)
    ]
    pairs = list(zip(layers, gate, strict=True))
    products = {
        "W_down W_up": [mixing_matrix(layer) for layer, _ in pairs],
        "with gates": [mixing_matrix(layer, jnp.asarray(mean)) for layer, mean in pairs],
    }
    cut = {name: np.stack(each)[:, -cells:, -cells:] for name, each in products.items()}
    return cut | means


def _by_puzzle(strength: np.ndarray, size: int) -> np.ndarray:
    return graph_correlation(strength, peer_graphs(size)["all"])


def _compared(weights: np.ndarray, size: int, seed: int) -> Arrays:
    graphs = peer_graphs(size)
    every = np.stack(list(graphs.values()))
    at = weights.shape[:3]
    permuted = np.empty((*at, PERMUTATIONS, len(every)), np.float32)
    for place in np.ndindex(at):
        permuted[place] = permuted_correlations(weights[place], every, PERMUTATIONS, seed)
    return {
        "weights": weights,
        "correlation": np.stack([graph_correlation(weights, graph) for graph in every], -1),
        "permuted": permuted,
        "ratio": edge_ratio(weights, graphs["all"]),
    }


def numbers(results: Results) -> MixingSummary:
    """Returns the agreement of all matrices with the graph of peers."""
    return summarize_mixing(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figures of the correlations, and of the matrices themselves."""
    return {
        "correlations_by_matrix": partial(correlations_by_matrix, numbers(results)),
        "mixing_matrices": partial(matrices, results, results.record),
    }


MIXING = Experiment(
    "mixing", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
