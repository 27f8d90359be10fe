"""Which chunks of a sweep one worker computes: jobs that share a folder, processes of one job."""

import os
from collections.abc import Mapping
from typing import NamedTuple


class Share(NamedTuple):
    """The chunks of one worker: those of its job, beginning with those of its process.

    Attributes:
      index: Number of the job, from 0; it computes every `count`-th chunk from `index` on.
      count: Number of jobs.
      process: Number of this process within the job, from 0.
      processes: Number of processes of the job; each begins with every `processes`-th chunk.
    """

    index: int = 0
    count: int = 1
    process: int = 0
    processes: int = 1

    def chunks(self, number: int) -> list[int]:
        """Returns which of `number` chunks are the job's, in the order of this process."""
        mine = range(self.index, number, self.count)
        turns = [(self.process + turn) % self.processes for turn in range(self.processes)]
        return [chunk for turn in turns for chunk in mine[turn :: self.processes]]


def parse_share(text: str | None) -> Share | None:
    """Returns the share of this job, and within it that of this `jax.distributed` process.

    Args:
      text: `i/n` for the i-th (from 0) of n jobs; `slurm` for the share of this task of a Slurm
        array; None for a job that takes all chunks.

    Returns:
      The share; None where there is no other worker.

    Raises:
      ValueError: The text has another form, i is not in 0..n−1, or this is no task of a Slurm array
        whose numbers have no gaps.
    """
    import jax

    if text is None:
        job = Share()
    elif text == "slurm":
        job = _from_slurm(os.environ)
    else:
        job = _from_text(text)
    share = Share(job.index, job.count, jax.process_index(), jax.process_count())
    return share if share.count * share.processes > 1 else None


def _from_text(text: str) -> Share:
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ValueError(
            f"shard must be i/n, such as 0/4 for the first of four, or slurm; got {text!r}"
        )
    share = Share(*map(int, parts))
    if not share.index < share.count:
        raise ValueError(f"shard i/n needs i in 0..n−1, the first is 0/n; got {text!r}")
    return share


_SLURM = tuple(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT"))


def _from_slurm(environment: Mapping[str, str]) -> Share:
    values = {name: environment.get(name, "") for name in _SLURM}
    wrong = [f"{name}={value}" for name, value in values.items() if not value.isdecimal()]
    if wrong:
        raise ValueError(
            f"shard slurm needs the numbers that Slurm gives the task of an array; got "
            f"{', '.join(wrong)}: submit the job with sbatch --array, or pass --shard i/n"
        )
    task, first, last, count = map(int, values.values())
    # every task refuses the array, also one whose own number would do
    if last - first + 1 != count or not first <= task <= last:
        raise ValueError(
            f"shard slurm needs an array that numbers its tasks without gaps; this is task {task} "
            f"of {count} in {first}..{last}: number them 0-{count - 1}, or pass --shard i/n"
        )
    return Share(task - first, count)
