"""Runs an `rrjax` sweep or training run with all processes of a `jax.distributed` job.

In a sweep (spectrum, rollout, basin, slice, ptrm) every process computes chunks into the one
folder, which all must see, and process 0 prints the table; nothing passes between them, and a
killed job goes on with as many processes or others. In `train` they share each batch, and process 0
writes.

Usage: srun python -m scripts.accelerators.distributed COMMAND [options of rrjax COMMAND]
where JAX knows the cluster (Slurm, Open MPI, a TPU slice, Kubernetes); anywhere else once on each
host, i from 0:
  python -m scripts.accelerators.distributed --coordinator HOST:PORT \
      --num-processes N --process-id I COMMAND [options of rrjax COMMAND]
"""

import argparse
import sys

import jax

from rrjax import cli

COMMANDS = ("spectrum", "rollout", "basin", "slice", "ptrm", "train")
"""Those that share their work; of the others every process would write the same files."""


def parse(arguments: list[str]) -> tuple[tuple[str | None, int | None, int | None], list[str]]:
    """Returns where the processes meet, and the command with its options."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--coordinator", help="host:port of process 0, without a known cluster")
    parser.add_argument("--num-processes", type=int, help="of the job")
    parser.add_argument("--process-id", type=int, help="of this process, from 0")
    parser.add_argument("command", choices=COMMANDS, help="of rrjax, then its options")
    parser.add_argument("options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    found = parser.parse_args(arguments)
    where = (found.coordinator, found.num_processes, found.process_id)
    given = [value is not None for value in where]
    if any(given) and not all(given):
        parser.error("--coordinator, --num-processes and --process-id go together")
    return where, [found.command, *found.options]


def main(arguments: list[str]) -> int:
    """Joins the other processes, runs the command and returns the exit code."""
    where, command = parse(arguments)
    try:
        jax.distributed.initialize(*where)
    except (RuntimeError, ValueError) as error:
        print(f"the processes of the job did not find each other: {error}", file=sys.stderr)
        return 2
    return cli.main(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
