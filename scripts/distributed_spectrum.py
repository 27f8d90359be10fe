"""`rrjax spectrum` with all processes of a `jax.distributed` job; process 0 prints the table.

Every process computes chunks into the one folder, which all must see. Nothing passes between
them; killed and started again, with as many processes or others, the job goes on.

Usage: srun python scripts/distributed_spectrum.py MODEL --out FOLDER [options of rrjax spectrum]
where JAX knows the cluster (Slurm, Open MPI, a TPU slice, Kubernetes); anywhere else once on each
host, i from 0:
  python scripts/distributed_spectrum.py --coordinator HOST:PORT --num-processes N --process-id I \
      MODEL --out FOLDER [options of rrjax spectrum]
"""

import argparse
import sys

import jax

from rrjax import cli


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Where the processes meet, and the options of `rrjax spectrum`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--coordinator", help="host:port of process 0, without a known cluster")
    parser.add_argument("--num-processes", type=int, help="of the job")
    parser.add_argument("--process-id", type=int, help="of this process, from 0")
    where, options = parser.parse_known_args(arguments)
    given = [value is not None for value in vars(where).values()]
    if any(given) and not all(given):
        parser.error("--coordinator, --num-processes and --process-id go together")
    return where, options


def main(arguments: list[str]) -> int:
    """Join the other processes, then run the command; returns the exit code."""
    where, options = parse(arguments)
    try:
        jax.distributed.initialize(where.coordinator, where.num_processes, where.process_id)
    except (RuntimeError, ValueError) as error:
        print(f"the processes of the job did not find each other: {error}", file=sys.stderr)
        return 2
    return cli.main(["spectrum", *options])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
