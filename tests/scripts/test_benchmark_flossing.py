"""The benchmark of flossing measures what it names, at a tiny size."""

import numpy as np
import pytest

from scripts.benchmarks import flossing as script


@pytest.mark.slow
def test_the_toys_cases_run_and_the_limit_is_of_their_products():
    options = script.Options(size=8, num_exponents=4)
    cases = script.toy_cases(options)
    seconds = script.measure(cases, 1)
    assert set(seconds) - {"toy, PyTorch"} == {
        "toy, QR every 1",
        "toy, QR every 2",
        "toy, its QR alone",
        "product",
    }
    rows = script.summarize(options, seconds)
    assert all(rows[f"{name}, ms"] > 0 for name in seconds)
    limit = script.toy_limit(cases["toy, QR every 1"], seconds | {"product": np.array([1.0])})
    # at one 2048³ product a second; per update J Q forwards, and twice as much backwards
    least = 3 * 55 * 2 * 8 * 8 * 4 / (2 * 2048**3)
    assert 1 < limit["toy, its products at the product rate, ms"] / (1e3 * least) < 20


def test_ratios_are_of_the_same_rounds():
    seconds = {"TRM forward": np.array([1.0, 2.0]), "TRM exponents": np.array([9.0, 36.0])}
    rows = script.summarize(script.Options(k=8), seconds)
    assert rows["TRM exponents / forward / (1 + k)"] == 1.5
