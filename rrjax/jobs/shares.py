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
    """Returns the share `i/n` of this job, and within it that of this `jax.distributed` process.

    Without a text, a task of a Slurm array takes the share of its number (SLURM_ARRAY_TASK_ID,
    _MIN, _MAX and _COUNT), and any other job takes all chunks. Returns None where there is no
    other worker.

    Raises:
      ValueError: The text has another form, i is not in 0..n−1, or the array has gaps.
    """
    import jax

    job = _from_text(text) if text is not None else _from_slurm(os.environ)
    share = Share(job.index, job.count, jax.process_index(), jax.process_count())
    return share if share.count * share.processes > 1 else None


def _from_text(text: str) -> Share:
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ValueError(f"shard must be i/n, such as 0/4 for the first of four; got {text!r}")
    share = Share(*map(int, parts))
    if not share.index < share.count:
        raise ValueError(f"shard i/n needs i in 0..n−1, the first is 0/n; got {text!r}")
    return share


def _from_slurm(environment: Mapping[str, str]) -> Share:
    if "SLURM_ARRAY_TASK_COUNT" not in environment:
        return Share()
    names = (f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT"))
    task, first, last, count = (int(environment[name]) for name in names)
    # every task refuses the array, also one whose own number would do
    if last - first + 1 != count:
        raise ValueError(
            f"the Slurm array must number its tasks without gaps; it has {count} tasks in "
            f"{first}..{last}; number them 0-{count - 1}, or pass --shard i/n"
        )
    return Share(task - first, count)
