"""Errors of memory, which only their text tells apart."""

EXHAUSTED = "RESOURCE_EXHAUSTED"


def is_out_of_memory(error: Exception) -> bool:
    """Returns whether a device or the machine ran out of memory."""
    # XLA's error is a RuntimeError, on every device, that only its text tells apart
    return isinstance(error, MemoryError) or EXHAUSTED in str(error)
