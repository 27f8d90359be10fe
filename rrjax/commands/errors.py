"""Errors that only their text tells apart."""

from rrjax.jobs.memory import EXHAUSTED


def memory_message(error: Exception) -> str:
    """Returns a message with the first line of the error; XLA may append a list of its buffers."""
    line = str(error).partition("\n")[0].rstrip(".")
    cause = line.removeprefix(f"{EXHAUSTED}: ").removeprefix("Out of memory ")
    return (
        f"out of memory{': ' if cause else ''}{cause}; a smaller --chunk-size or --num-exponents "
        "(of a sweep) or --global-batch-size (rrjax train) needs less; it is another "
        "run, for a new --out"
    )
