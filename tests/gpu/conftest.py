"""Every test of this folder runs on a processor, and marked `gpu` on a card where there is one."""

from collections.abc import Iterator
from typing import Any

import jax
import pytest

GPU = pytest.param("gpu", marks=pytest.mark.gpu)


@pytest.fixture(params=["cpu", GPU])
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The device on which a test computes."""
    try:
        first = jax.devices(request.param)[0]
    except RuntimeError:
        pytest.skip("no GPU that JAX can use is here")
    before = jax.config.read("jax_disable_most_optimizations")
    # a card's programs are compiled as users' are
    jax.config.update("jax_disable_most_optimizations", before and request.param == "cpu")
    with jax.default_device(first):
        yield first
    jax.config.update("jax_disable_most_optimizations", before)
