"""Times cases that take turns, beside a matrix product whose rate is what the machine can do."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MATRIX_SIZE = 2048


def matrix_product() -> Callable[[], Any]:
    """Returns the product of two square float32 matrices as a case."""
    square = np.random.default_rng(0).normal(size=(MATRIX_SIZE, MATRIX_SIZE)).astype(np.float32)
    return functools.partial(jax.jit(jnp.matmul), jnp.asarray(square), jnp.asarray(square))


def product_rate(seconds: np.ndarray) -> np.ndarray:
    """Converts the seconds of each `matrix_product` into its rate in GFLOP per second."""
    return 2 * MATRIX_SIZE**3 / 1e9 / seconds


def measure(
    cases: dict[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, np.ndarray]:
    """Returns the seconds that each case took in each round.

    The cases take turns, so that the noise of a shared machine meets all of them. Each case runs
    once before the first round, which compiles it.
    """
    for case in cases.values():
        jax.block_until_ready(case())
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            start = clock()
            jax.block_until_ready(case())
            seconds[name].append(clock() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def print_row(title: str, row: dict[str, float]) -> None:
    """Prints the measured values under their title."""
    print(title)
    for name, value in row.items():
        print(f"  {name:40}{value:10.3g}", flush=True)
