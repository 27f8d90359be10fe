"""What all experiments share: sweeping a model over puzzles, the record, tables and figures."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rrjax.analysis.table import Table
from rrjax.checks import MOST_SEGMENTS, check_count, check_memory, check_seed, refuse
from rrjax.choices import AskedChunkSize
from rrjax.contract import Dynamics, count_updates
from rrjax.dynamics.precision import (
    check_precision,
    default_precision,
    exact_products,
    state_precision,
)
from rrjax.experiments import reasoner
from rrjax.experiments.chunks import ChunkSize, choose_chunk_size, chunk_advice
from rrjax.experiments.judging import choose_judge, outcome_notes
from rrjax.experiments.reasoner import Puzzles, Reasoner
from rrjax.experiments.shown import Figures, Summary
from rrjax.jobs.devices import ChunkProgram, Compute, Keep, use_cpu_devices
from rrjax.jobs.forecast import Forecast
from rrjax.jobs.memory import memory_advice
from rrjax.jobs.numerics import numeric_settings
from rrjax.jobs.progress import progress
from rrjax.jobs.shares import parse_share
from rrjax.jobs.sweep import Sweep, Unfinished, claim, run
from rrjax.keys import fixed_generator, make_key
from rrjax.page.assemble import Report, make_report
from rrjax.page.panels import Panel
from rrjax.plots.canvas import Draw
from rrjax.puzzles.batch import Batch
from rrjax.results.axes import ArraySpec, describe_arrays
from rrjax.results.results import Results
from rrjax.store import Arrays, describe_run, version


def precision_notes(results: Results) -> list[str]:
    """Returns what a table says of a run's matrix products; nothing for a run that has none."""
    options = results.record["options"]
    precision = options.get("precision")
    if precision is None:
        return []
    if precision == "exact":
        return [f"Matrix products are exact {options['dtype']}."]
    if options.get("num_exponents"):
        state = state_precision(precision)
        return [f"Matrix products are {precision} in tangents and {state} in states."]
    return [f"Matrix products are {precision}."]


@dataclass(frozen=True)
class Experiment:
    """What an experiment is called, what its arrays are, and how its results are shown.

    Attributes:
      name: The name in records, in the identity of a sweep and in the default folder.
      arrays: The axes and unit of each array.
      numbers: `numbers(results, **view)` returns a dataclass of all numbers of the tables.
      tables: `tables(numbers)` returns the tables of these numbers.
      figures: `figures(results, **view)` returns by name functions that draw.
      check: `check(options, **view)` refuses a view that runs of these options do not have; the
        view is the keywords of `numbers` and `figures`. A command asks before it runs anything.
      notes: `notes(results)` returns what the first table says of how the numbers were computed.
      closing: `closing(numbers, folder)` returns the last words of the command: what was seen, and
        a command that says more.
      findings: `findings(results, numbers)` returns the main results in at most five sentences.
      panels: `panels(results, numbers)` returns the charts that stand in the HTML report, beside
        what a report shows of spectra and rollouts anyway; `rrjax.page.panels` tells how they are
        made.
    """

    name: str
    arrays: Mapping[str, ArraySpec]
    numbers: Callable[..., Any]
    tables: Callable[[Any], list[Table]]
    figures: Callable[..., Mapping[str, Draw]]
    check: Callable[..., None] = lambda options: None
    notes: Callable[[Results], list[str]] = precision_notes
    closing: Callable[[Any, Path], list[str]] = lambda numbers, folder: []
    findings: Callable[[Results, Any], list[str]] = lambda results, numbers: []
    panels: Callable[[Results, Any], list[Panel]] | None = None

    def results(self, arrays: Arrays, record: Mapping[str, Any]) -> Results:
        """Returns arrays with their axes, units and record, and how they came to be."""
        facts = {"experiment": self.name, **record, **describe_arrays(arrays, self.arrays)}
        return Results(arrays, {**facts, "made_by": describe_run()}, self)

    def summarize(self, results: Results, **view: Any) -> Summary:
        """Returns the numbers of a result, and the tables that show them."""
        self.check(results.record["options"], **view)
        numbers = self.numbers(results, **view)
        first, *rest = self.tables(numbers)
        notes = *outcome_notes(results), *self.notes(results)
        first = first._replace(notes=[*first.notes, *notes])
        return Summary(numbers, [first, *rest], partial(self.findings, results, numbers))

    def draw(self, results: Results, **view: Any) -> Figures:
        """Returns the figures of a result."""
        self.check(results.record["options"], **view)
        return Figures({name: draw() for name, draw in self.figures(results, **view).items()})

    def report_panels(self, results: Results) -> list[Panel]:
        """Returns the charts of a result that stand in the HTML report."""
        return self.panels(results, self.numbers(results)) if self.panels else []

    def report(self, results: Results) -> Report:
        """Returns the interactive report of a result."""
        name = results.path.parent.name if results.path else ""
        return make_report({name or f"rrjax {self.name}": results})


@dataclass(eq=False)
class Job:
    """One experiment on a model and puzzles: its sweep, in a folder or in memory, and its record.

    Its attributes are the arguments of `rrjax.experiments.spectrum`, with the precision that `auto`
    stands for, `judge`, which says what answers are right, and `chunk`, how many items of the sweep
    ran together and why.
    """

    experiment: Experiment
    model: Reasoner
    puzzles: Puzzles
    num_segments: int
    seed: int
    precision: str
    folder: str | Path | None
    chunk_size: AskedChunkSize
    shard: str | None
    progress: bool
    outcome: str = "auto"
    chunk: ChunkSize = field(init=False)

    def __post_init__(self):
        check_count("num_segments", self.num_segments, least=1, most=MOST_SEGMENTS)
        if self.chunk_size != "auto":
            check_count("chunk_size", self.chunk_size, least=1)
        check_seed("seed", self.seed)
        reasoner.check_puzzles(self.model, self.puzzles)
        self.judge = choose_judge(self.model, self.puzzles, self.outcome)
        if self.shard is not None and self.folder is None:
            raise ValueError(f"shard {self.shard} needs a folder, which the jobs share")
        use_cpu_devices()  # before anything below starts JAX
        if self.precision == "auto":
            self.precision = default_precision() if self.dtype == "float32" else "exact"
        check_precision(self.precision, self.dynamics.initial)

    @cached_property
    def first_puzzle(self) -> Batch:
        """The first puzzle, without an axis of puzzles."""
        return Batch(*(array[0] for array in reasoner.take(self.puzzles, np.zeros(1, np.int64))))

    @cached_property
    def dynamics(self) -> Dynamics:
        """The model on the first puzzle."""
        return self.model.bind(self.first_puzzle.inputs, int(self.first_puzzle.puzzle_ids))

    @cached_property
    def described_model(self) -> dict[str, Any]:
        """The name, digest and provenance of the model."""
        return reasoner.describe_model(self.model, self.dynamics)

    @cached_property
    def described_puzzles(self) -> dict[str, Any]:
        """The digest of the puzzles and their number of tokens."""
        return reasoner.describe_puzzles(self.puzzles)

    @property
    def dtype(self) -> str:
        """The type of the state's numbers."""
        return jnp.result_type(*jax.tree.leaves(self.dynamics.initial)).name

    def with_keys(self, items: np.ndarray) -> tuple[Batch, jax.Array]:
        """Returns some puzzles side by side, with a key for each that its number alone decides."""
        return reasoner.take(self.puzzles, items), fold_keys(make_key(self.seed), items)

    def identity(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all that results depend on: some facts, and what all experiments depend on."""
        return {
            "job": self.experiment.name,
            "model": self.described_model["sha256"],
            "seed": self.seed,
            "dtype": self.dtype,
            "precision": self.precision,
            "num_segments": self.num_segments,
            "device": jax.devices()[0].device_kind,
            "numerics": numeric_settings(),
            "jax": jax.__version__,
            "rrjax": version(),
            **({"outcomes": list(self.judge.stored)} if self.judge.stored else {}),
            **facts,
        }

    def sweep(
        self,
        compute: Compute,
        prepare: Callable[[np.ndarray], Any],
        num_items: int,
        num_tangents: int,
        identity: Mapping[str, Any],
        shared: Any = None,
        keep: Keep | None = None,
    ) -> Arrays:
        """Returns the arrays of all items, computed chunk by chunk.

        Args:
          compute: From `shared` and the arrays of one chunk to arrays by item.
          prepare: From item indices (n,) to the arrays (n, ...) of a chunk.
          num_items: Number of items.
          num_tangents: Number of tangent vectors beside each state, which decides how many items
            run together.
          identity: What the results depend on beside the model, seed, dtype and versions.
          shared: What all chunks share; None stands for the model's parameters.
          keep: Stores large arrays elsewhere and returns what the sweep keeps; None keeps all.

        Raises:
          Unfinished: This job's shard is done, and chunks of other jobs are missing.
        """
        folder = None if self.folder is None else Path(self.folder)
        share = parse_share(self.shard) if folder else None
        params = getattr(self.model, "params", ())
        program = ChunkProgram(compute, params if shared is None else shared, prepare, keep=keep)
        name = f"{self.experiment.name} of {self.described_model['name']}"
        with own_settings():
            self.chunk = choose_chunk_size(
                self.chunk_size, folder, program, self.dynamics, num_tangents, num_items, share
            )
            size, reason = self.chunk
            sweep = Sweep(folder, num_items, size, self.identity(identity))
            program_size = 0 if keep else program.result_size(size)
            check_memory(
                f"{self.experiment.name}: results of {num_items:,} runs of {self.num_segments:,} "
                "segments (num_segments)",
                program_size / size * num_items,
                "run fewer segments or puzzles, or keep fewer exponents",
            )
            number = sweep.num_items_of(share)
            with (
                memory_advice(lambda: chunk_advice(program, size, num_tangents)),
                progress(name, number, self.progress) as bar,
            ):
                claim(sweep)  # a folder that is refused is the only thing to be said
                if self.chunk_size == "auto":
                    bar.tell(f"{name}: chunk size {size}, because {reason}")
                work = Forecast(program, bar)
                arrays = run(sweep, work, bar.report, share, program.parallel)
        if not arrays:
            raise Unfinished(sweep)
        return arrays

    def results(self, arrays: Arrays, options: Mapping[str, Any], **facts: Any) -> Results:
        """Returns the result, and writes it where there is a folder.

        Args:
          arrays: The arrays by name.
          options: The arguments of the experiment, without those that all jobs have.
          facts: Other entries of the record.
        """
        shared_options = {
            "num_puzzles": len(self.puzzles.inputs),
            "num_segments": self.num_segments,
            "seed": self.seed,
            "dtype": self.dtype,
            "precision": self.precision,
            "chunk_size": self.chunk.size,
        }
        record = {
            "model": self.described_model,
            "answer": reasoner.answer_field(self.dynamics),
            "outcome": self.judge.outcome,
            "puzzles": self.described_puzzles,
            "options": {**options, **shared_options},
            "chunk_size_because": self.chunk.reason,
            "updates_per_segment": count_updates(self.dynamics.schedule),
            **facts,
        }
        results = self.experiment.results(arrays, record)
        if self.folder is not None:
            results.save(self.folder)
        return results


@contextmanager
def own_settings() -> Iterator[None]:
    """The settings of JAX under which everything is computed, whatever the user's are.

    The generator and the precision of products belong to a result. NaN is a result too, of a run
    that is not finite or where there is nothing to be known.
    """
    with fixed_generator(), exact_products(), jax.debug_nans(False):
        yield


def fold_keys(key: jax.Array, items: np.ndarray) -> jax.Array:
    """Returns a key for each item, which depends on the item's number alone, not on its chunk."""
    return jax.vmap(partial(jax.random.fold_in, key))(jnp.asarray(items))


def check_readout(options: Mapping[str, Any], readout_segment: int | None = None) -> None:
    """Refuses a readout after a segment that is not run; None stands for the default."""
    last = options["num_segments"]
    if readout_segment is not None and not 1 <= readout_segment <= last:
        refuse("readout_segment", f"lie in 1..{last}, the segments of the run", readout_segment)


def chosen_readout(results: Results, readout_segment: int | None) -> int:
    """Returns the segment whose failures are followed: as asked, else the 16th or the last."""
    return readout_segment or min(16, results.record["options"]["num_segments"])
