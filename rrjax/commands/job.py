"""What the jobs over many puzzles share: options, the model, the puzzles, the sweep, the record."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import tyro

from rrjax.checks import check_count, check_positive, check_seed
from rrjax.jobs.devices import ChunkProgram, use_cpu_devices
from rrjax.jobs.progress import progress
from rrjax.jobs.shares import parse_share
from rrjax.jobs.sweep import Sweep, Unfinished, run
from rrjax.models import Model, check_tokens, load_model
from rrjax.puzzles import PuzzleSet, read
from rrjax.store import Arrays, describe_run, version

DEFAULT_PUZZLES = 64
# Numbers of state and tangents that a chunk may hold. On a processor more fall out of a core's
# cache (measured); on an accelerator fewer leave it idle (by its memory, not measured).
_CHUNK_VALUES = {"cpu": 100_000, "accelerator": 40_000_000}
_WHERE = ("model", "puzzles", "out", "shard", "cpu_devices")
"""Options that say where a result is made or kept, and are no part of how it came about."""


@dataclass(frozen=True)
class RunOptions:
    """Which model and puzzles, and how they are run.

    Attributes:
      model: a bundled name, a model folder, or hf://user/repo/sub/folder.
      puzzles: a data-set folder, Sudoku-Extreme's CSV or a list of puzzles; without it the
        held-out puzzles that come with a bundled model.
      num_segments: segments each puzzle runs.
      out: folder for results and figures; without it runs/COMMAND-MODEL.
      seed: of everything that is drawn.
      dtype: of states and tangents.
      chunk_size: puzzles that run together; without it chosen by the size of what they hold.
      shard: i/n, the i-th (from 0) of n jobs that share the folder; in a Slurm array its task.
      cpu_devices: chunks that run at once on a processor; without it one for each core.
    """

    model: Annotated[str, tyro.conf.Positional] = "trm-sudoku9"
    puzzles: Path | None = None
    num_segments: int = 16
    out: Path | None = None
    seed: int = 0
    dtype: Literal["float32", "float64"] = "float32"
    chunk_size: int | None = None
    shard: str | None = None
    cpu_devices: int | None = None


@dataclass(frozen=True)
class Options(RunOptions):
    """Many puzzles.

    Attributes:
      num_puzzles: how many, from the first; without it 64, or all if there are fewer.
    """

    num_puzzles: int | None = None


def start(options: RunOptions) -> Model:
    """Set up JAX as asked, and load the model.

    Raises:
      ValueError: for numbers out of range, or a model that cannot be loaded.
    """
    check_count("num_segments", options.num_segments, least=1)
    check_positive(options, ("chunk_size", "cpu_devices"))
    check_seed("seed", options.seed)
    use_cpu_devices(options.cpu_devices)
    if options.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    return load_model(options.model, options.dtype)


def check_readout(segment: int, num_segments: int) -> None:
    """Refuse a readout at a segment that is not run."""
    if not 1 <= segment <= num_segments:
        raise ValueError(
            f"readout_segment must lie in 1..{num_segments}, the segments of the run; got {segment}"
        )


def choose_puzzles(options: Options, model: Model) -> PuzzleSet:
    """The puzzles that are asked for, checked against the model.

    Raises:
      ValueError: for files that cannot be read, too few puzzles, or such that do not fit.
    """
    check_positive(options, ("num_puzzles",))
    number = options.num_puzzles
    found = read(options.puzzles) if options.puzzles else model.test_puzzles()
    if number is not None and number > len(found):
        raise ValueError(f"{found.source} has {len(found)} puzzles, {number} were asked for")
    chosen = found[: number or min(DEFAULT_PUZZLES, len(found))]
    check_tokens(model.config, chosen.inputs, chosen.puzzle_ids, (len(chosen),))
    return chosen


def default_chunk(model: Model, num_tangents: int) -> int:
    """Items that run together: as many as keep state and tangents where they are fast to reach."""
    values = model.config.num_tokens * model.config.arch.hidden_size * (1 + num_tangents)
    platform = "cpu" if jax.default_backend() == "cpu" else "accelerator"
    return max(1, min(64, _CHUNK_VALUES[platform] // values))


def sweep(
    command: str,
    options: RunOptions,
    model: Model,
    work: ChunkProgram,
    num_items: int,
    chunk_size: int,
    identity: dict[str, Any],
) -> Arrays:
    """All items of a job, chunk by chunk in its folder, with a progress bar.

    Args:
      command: the job's name.
      options: of the command line.
      model: what is run.
      work: computes chunks.
      num_items: items of the sweep.
      chunk_size: where the options name none.
      identity: what results depend on beside model, seed, dtype and versions.

    Raises:
      ValueError: for a request that cannot work, or a folder of another run.
      Unfinished: if only this job's shard is done.
    """
    whole = {
        "job": command,
        "model": model.digest,
        "seed": options.seed,
        "dtype": options.dtype,
        "num_segments": options.num_segments,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "rrjax": version(),
        **identity,
    }
    folder = output_folder(command, options, model)
    job = Sweep(folder, num_items, options.chunk_size or chunk_size, whole)
    share = parse_share(options.shard)
    work.check()
    with progress(f"{command} of {model.name}", job.num_items_of(share)) as bar:
        results = run(job, work, bar.report, share, work.parallel)
    if not results:
        raise Unfinished(job)
    return results


def output_folder(command: str, options: RunOptions, model: Model) -> Path:
    """Where results go: as asked, else runs/COMMAND-MODEL."""
    return options.out or Path("runs") / f"{command}-{model.name}"


def record(options: RunOptions, model: Model, **more: Any) -> dict[str, Any]:
    """How a result was made, for the JSON beside it."""
    return {
        "model": {"name": model.name, "sha256": model.digest, "provenance": model.provenance},
        "options": {k: v for k, v in asdict(options).items() if k not in _WHERE},
        **more,
        "made_by": describe_run(),
    }
