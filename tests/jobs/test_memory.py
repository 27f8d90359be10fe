"""How much memory is free, and what an error of memory says."""

from types import SimpleNamespace

import jax
import pytest

from rrjax.jobs.memory import OutOfMemory, free_memory, memory_advice


def device(platform="gpu", **stats):
    return SimpleNamespace(platform=platform, memory_stats=lambda: stats or None)


def test_a_tenth_of_what_a_device_has_free_is_left():
    assert free_memory(device(bytes_limit=1000)) == 900
    assert free_memory(device(bytes_limit=1000, bytes_in_use=200)) == 720
    assert free_memory(device()) is None


def test_a_processor_has_what_the_machine_has_free():
    free = free_memory(jax.devices("cpu")[0])
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory; use less"),
        (MemoryError("Unable to allocate 8.00 PiB"), "memory: Unable to allocate 8.00 PiB; use"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.\n buffers: 1"),
            "out of memory: allocating 8 bytes; use less",
        ),
        (RuntimeError("RESOURCE_EXHAUSTED: Ran out of hbm."), "memory: Ran out of hbm; use less"),
    ],
)
def test_an_error_of_memory_is_one_line_with_advice(error, words):
    with pytest.raises(OutOfMemory) as caught, memory_advice(lambda: "use less"):
        raise error
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_inner_advice_counts_and_other_errors_pass():
    with (
        pytest.raises(OutOfMemory, match=r"^out of memory; inner$"),
        memory_advice(lambda: "outer"),
        memory_advice(lambda: "inner"),
    ):
        raise MemoryError
    with pytest.raises(RuntimeError, match="a defect"), memory_advice(lambda: "outer"):
        raise RuntimeError("a defect")
