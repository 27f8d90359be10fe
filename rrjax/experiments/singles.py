"""Circuits of naked singles: what is ablated at and around the cells that the clues decide."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rrjax.analysis.circuits import CircuitSummary, summarize_circuits
from rrjax.checks import check_count
from rrjax.choices import AskedChunkSize
from rrjax.contract import Dynamics, updates
from rrjax.experiments.controlled import stacked, with_control
from rrjax.experiments.experiment import Experiment, Job, fold_keys, own_settings
from rrjax.experiments.mixings import sudoku_size
from rrjax.experiments.reasoner import Puzzles, Reasoner, bind, read_answer, take
from rrjax.inside.ablation import Ablation, mean_values, run_ablated
from rrjax.inside.interventions import num_cells
from rrjax.inside.mixing import mixing_names, strengths_into
from rrjax.keys import make_key
from rrjax.page.circuits import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.circuits import margins_by_ablation
from rrjax.puzzles import from_tokens, naked_singles, peer_graphs
from rrjax.puzzles.batch import Batch
from rrjax.reports import circuits as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

METHODS = ("mean", "resampled")
"""What takes the place of a value: the mean over reference puzzles, or another puzzle's value."""

ABLATIONS = ("rows into", "columns out of", "channel MLP", "rows and MLP", "peers' clues")
"""What is ablated: what the mixing adds to a cell, what it reads of the cell, what the channel MLP
adds to it, both that are added; and what the mixing reads of all given peers of the cell."""

PLACES = ("target", "control")
"""Where: at the naked single (or its given peers), or at random cells, as many, that are no peers.
The effect is that on the naked single in both cases."""

_BY = ("run", "single", "method", "ablation", "place")
ARRAYS = {
    "puzzle": ArraySpec(("single",), "number of the puzzle", "i"),
    "cell": ArraySpec(("single",), "cell of the naked single", "i"),
    "num_sources": ArraySpec(("single",), "given peers", "i"),
    "margin": ArraySpec(_BY, "logit of the label less the largest other, at the single"),
    "right": ArraySpec(_BY, "whether the single is right", "b"),
    "clean_margin": ArraySpec(("run", "single"), "the margin without an ablation"),
    "clean_right": ArraySpec(("run", "single"), "whether it is right without an ablation", "b"),
    "peer_share": ArraySpec(
        ("run", "single", "place", "stage"), "p / (p + o), mean strengths from peers and others"
    ),
}
_CONTROLS, _DONORS = 2**32 - 4, 2**32 - 5
"""Branches off the seed where no puzzle's number can be."""


class Single(NamedTuple):
    """A puzzle with one naked single, another puzzle, and what is ablated.

    Attributes:
      puzzle: The puzzle.
      donor: The puzzle whose values are put in.
      cell: The naked single.
      other: The control cell.
      masks: (ablations · places, cells) of each field of an `Ablation`.
      key: Draws signs.
    """

    puzzle: Batch
    donor: Batch
    cell: Any
    other: Any
    masks: Ablation
    key: Any


def circuits(
    model: Reasoner,
    puzzles: Puzzles,
    *,
    num_segments: int = 1,
    num_sampled: int = 48,
    num_targets: int = 1,
    num_reference: int = 32,
    untrained: bool = True,
    seed: int = 0,
    folder: str | Path | None = None,
    chunk_size: AskedChunkSize = "auto",
    shard: str | None = None,
    progress: bool = True,
) -> Results:
    """Ablates sub-layers at naked singles and at the clues that decide them, with controls.

    A naked single is a blank cell of which the given peers leave one digit. In every update of a
    run the mixing into the cell (its rows), out of it (its columns), the channel MLP at it, or the
    mixing out of its given peers is replaced by the mean over reference puzzles at that update and
    token, or by the value in another puzzle's run. The control does the same at as many random
    cells that are no peers of the single, and the effect on the single is compared.

    Args:
      model: A model, or any `Reasoner` whose updates name sub-layers that mix tokens.
      puzzles: Sudokus with labels, N of them.
      num_segments: Number of segments from the start; all their updates are ablated.
      num_sampled: Number of puzzles, from the first, among those that have naked singles.
      num_targets: Largest number of naked singles of one puzzle, each ablated alone.
      num_reference: Number of puzzles, from the first, over which means are taken.
      untrained: Whether the same cell with fresh weights is measured too, as a control.

    The other arguments are those of `spectrum`.

    Returns:
      Of n singles by run (`trained` and `untrained`), `clean_margin` and `clean_right` (runs, n);
      `margin` and `right` (runs, n, methods, ablations, places), whose names are in the record;
      `peer_share` (runs, n, places, stages) p / (p + o) of the mean strengths from peers and from
      other cells, into the single and into the control cell; `puzzle`, `cell` and `num_sources`
      (n,).

    Raises:
      ValueError: The puzzles are no Sudokus with labels, none has a naked single, the cell has no
        sub-layer that mixes tokens, a number is out of range, or the folder holds another run.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny")
      >>> run = rrjax.experiments.circuits(
      ...     model, puzzles, num_sampled=2, num_reference=2, untrained=False, progress=False
      ... )
      >>> run.margin.shape  # runs, singles, methods, ablations, places
      (1, 2, 2, 5, 2)
    """
    for name, value in (("num_sampled", num_sampled), ("num_targets", num_targets)):
        check_count(name, value, least=1)
    check_count("num_reference", num_reference, least=1)
    size = sudoku_size(puzzles)
    place = folder, chunk_size, shard
    asked = Job(CIRCUITS, model, puzzles, num_segments, seed, "exact", *place, progress)
    stages = next(iter(mixing_names(asked.dynamics).values()))
    targets = choose_singles(from_tokens(puzzles.inputs), num_sampled, num_targets, seed)
    every = _Ablations(puzzles, size, seed)
    options = {
        "num_sampled": len(np.unique(targets[:, 0])),
        "num_targets": num_targets,
        "num_reference": min(num_reference, len(puzzles.inputs)),
    }
    sweep = partial(_sweep, targets=targets, every=every, options=options)
    runs = with_control(asked, untrained, sweep)
    arrays = stacked(runs)
    arrays |= {"puzzle": targets[:, 0], "cell": targets[:, 1]}
    arrays["num_sources"] = np.array([len(every.sources(*pair)) for pair in targets.tolist()])
    return asked.results(
        arrays,
        options,
        runs=list(runs),
        methods=list(METHODS),
        ablations=list(ABLATIONS),
        places=list(PLACES),
        stages=[f"{name} {i + 1}" for i, name in enumerate(stages)],
    )


def choose_singles(boards: np.ndarray, num_puzzles: int, num_targets: int, seed: int) -> np.ndarray:
    """Returns (n, 2) puzzles and cells of naked singles, at most some random ones of each puzzle.

    Raises:
      ValueError: No puzzle has a naked single.
    """
    singles = naked_singles(boards)
    with_some = np.flatnonzero(singles.any(1))[:num_puzzles]
    if not len(with_some):
        raise ValueError(
            f"none of {len(boards)} puzzles has a naked single (a blank cell of which the given "
            "peers leave one digit); take more or easier puzzles"
        )
    pairs = []
    for puzzle in with_some.tolist():
        rng = np.random.default_rng((seed, _CONTROLS, puzzle))
        chosen = rng.permutation(np.flatnonzero(singles[puzzle]))[:num_targets]
        pairs += [(puzzle, cell) for cell in np.sort(chosen).tolist()]
    return np.array(pairs)


class _Ablations:
    """The cells that are ablated for a naked single, and their controls."""

    def __init__(self, puzzles: Puzzles, size: int, seed: int):
        self.given = np.asarray(puzzles.inputs) > 1
        self.peers = peer_graphs(size)["all"]
        self.seed = seed

    def sources(self, puzzle: int, cell: int) -> np.ndarray:
        """Returns the given peers of a cell."""
        return np.flatnonzero(self.given[puzzle] & self.peers[cell])

    def controls(self, puzzle: int, cell: int) -> tuple[int, np.ndarray]:
        """Returns a random blank cell and as many random givens as there are given peers.

        None is a peer of the cell. Where there are too few such givens, blanks fill up.
        """
        rng = np.random.default_rng((self.seed, _CONTROLS, puzzle, cell))
        others = rng.permutation(len(self.peers))
        others = others[~self.peers[cell, others] & (others != cell)]
        given = self.given[puzzle, others]
        ordered = np.concatenate([others[given], others[~given]])
        blank = others[~given] if not given.all() else others
        return int(blank[-1]), ordered[: len(self.sources(puzzle, cell))]

    def masks(self, puzzle: int, cell: int) -> Ablation:
        """Returns the masks (ablations · places, cells) in the order of `ABLATIONS`."""
        other, far = self.controls(puzzle, cell)
        masks = np.zeros((3, len(ABLATIONS), len(PLACES), len(self.peers)), bool)
        for place, (at, sources) in enumerate(((cell, self.sources(puzzle, cell)), (other, far))):
            for ablation, fields in enumerate(((1,), (0,), (2,), (1, 2))):
                masks[list(fields), ablation, place, at] = True
            masks[0, len(ABLATIONS) - 1, place, sources] = True
        return Ablation(*masks.reshape(3, -1, len(self.peers)))


def _sweep(job: Job, targets: np.ndarray, every: _Ablations, options: dict[str, Any]) -> Arrays:
    key = make_key(job.seed)
    number = len(job.puzzles.inputs)
    rng = np.random.default_rng((job.seed, _DONORS))
    donors = (targets[:, 0] + rng.integers(1, max(number, 2), len(targets))) % number

    def prepare(items: np.ndarray) -> Single:
        puzzle, cell = targets[items].T
        pairs = targets[items].tolist()
        masks = [every.masks(*pair) for pair in pairs]
        return Single(
            take(job.puzzles, puzzle),
            take(job.puzzles, donors[items]),
            cell,
            np.array([every.controls(*pair)[0] for pair in pairs]),
            Ablation(*map(np.stack, zip(*masks, strict=True))),
            fold_keys(key, puzzle),
        )

    identity = {"puzzles": job.described_puzzles["sha256"], **options, "targets": targets}
    compute = partial(_measure, job, every.peers)
    tangents = 2 * len(METHODS) * len(ABLATIONS) * len(PLACES)
    params = getattr(job.model, "params", ())
    with own_settings():
        means = _means(job, params, options["num_reference"])
    arrays = job.sweep(compute, prepare, len(targets), tangents, identity, (params, means))
    shape = len(METHODS), len(ABLATIONS), len(PLACES)
    for name in ("margin", "right"):
        arrays[name] = arrays[name].reshape(len(targets), *shape)
    return arrays


def _means(job: Job, params: Any, number: int) -> Array:
    reference = take(job.puzzles, np.arange(number))

    def program(params: Any, reference: Batch) -> Array:
        return mean_values(partial(bind, job.model, params), reference, job.num_segments)

    return jax.jit(program)(params, reference)


def _measure(
    job: Job, peers: np.ndarray, shared: tuple[Any, Array], singles: Single
) -> dict[str, Array]:
    params, means = shared

    def one(single: Single) -> dict[str, Array]:
        own, donor = (bind(job.model, params, puzzle) for puzzle in (single.puzzle, single.donor))
        leading = jax.tree.leaves(own.initial)[0].shape[0] - num_cells(own)
        masks = jax.tree.map(lambda mask: jnp.pad(mask, ((0, 0), (leading, 0))), single.masks)
        ends = run_ablated(own, donor, means, masks)

        def margin(state: Any) -> Array:
            return _margin(own, state, single.cell, single.puzzle.labels)

        margins = jnp.stack([jax.vmap(margin)(ends.mean), jax.vmap(margin)(ends.resampled)])
        clean = margin(ends.clean)
        first = next(updates(own.schedule))

        def share(cell: Array) -> Array:
            context, token = own.context, cell + leading
            rows = strengths_into(first, context, ends.clean, token, single.key)[:, leading:]
            near = jnp.asarray(peers)[cell]
            far = ~near & (jnp.arange(len(peers)) != cell)
            peer, other = rows @ near / near.sum(), rows @ far / far.sum()
            return peer / (peer + other)

        return {
            "margin": margins,
            "right": margins > 0,
            "clean_margin": clean,
            "clean_right": clean > 0,
            "peer_share": jnp.stack([share(single.cell), share(single.other)]),
        }

    return jax.vmap(one)(singles)


def _margin(dynamics: Dynamics, state: Any, cell: Array, labels: Array) -> Array:
    """Returns the logit of a cell's label less the largest other."""
    logits = read_answer(dynamics, state).logits[cell]
    is_label = jnp.arange(len(logits)) == labels[cell]
    return jnp.sum(jnp.where(is_label, logits, 0)) - jnp.max(jnp.where(is_label, -jnp.inf, logits))


def numbers(results: Results) -> CircuitSummary:
    """Returns the effects of all ablations on naked singles, beside their controls."""
    return summarize_circuits(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the figure of the margins under each ablation."""
    return {"margins_by_ablation": partial(margins_by_ablation, numbers(results))}


CIRCUITS = Experiment(
    "circuits", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
