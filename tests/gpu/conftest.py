"""Every test of this folder runs on a processor, and marked `gpu` on a card where there is one."""

from collections.abc import Iterator
from typing import Any

import jax
import pytest


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The device on which a test computes."""
    try:
        first = jax.devices(request.param)[0]
    except RuntimeError:
        pytest.skip("no GPU that JAX can use is here")
    with jax.default_device(first):
        yield first
