"""The checks of settings and the reading of blocks."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from rrjax import checks
from rrjax.checks import (
    brief,
    check_choice,
    check_count,
    check_number,
    check_seed,
    coerce,
    read_block,
)


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5


@dataclass(frozen=True)
class Block:
    name: Literal["left", "right"] = "left"
    number: int = 1
    pair: tuple[float, float] = (0.0, 1.0)
    maybe: int | None = None
    inner: Inner = Inner()


def test_a_block_is_read_by_its_types():
    block = {"number": 3, "pair": ["1e-4", 2], "maybe": None, "inner": {"rate": "1e-3"}}
    assert read_block(Block, "block", block) == Block("left", 3, (1e-4, 2.0), None, Inner(1e-3))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ([], "block must be a mapping, got []"),
        ({"numbre": 1}, "block has no key 'numbre'; did you mean 'number'?"),
        ({"number": 1.0}, "block.number must be an integer, got 1.0"),
        ({"number": True}, "block.number must be an integer, got True"),
        (
            {"name": "lefd"},
            "name must be one of left, right; got 'lefd'; did you mean 'left'?",
        ),
        ({"pair": [1]}, "block.pair must be a list of 2 numbers, got [1]"),
        ({"inner": {"rate": "x"}}, "block.inner.rate must be a number, got 'x'"),
    ],
)
def test_what_does_not_fit_a_block_is_refused_by_name(block: Any, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_block(Block, "block", block)


def test_true_is_no_number_and_one_is_not_true():
    assert coerce("flag", False, bool) is False
    with pytest.raises(ValueError, match="flag must be true or false, got 1"):
        coerce("flag", 1, bool)
    with pytest.raises(ValueError, match="rate must be a number, got True"):
        coerce("rate", True, float)


@pytest.mark.parametrize("value", [-1, 5, 2.5, True, "3"])
def test_a_count_out_of_bounds_is_refused(value: Any):
    for fine in (0, 4, None):
        check_count("steps", fine, most=4)
    with pytest.raises(ValueError, match="steps must be"):
        check_count("steps", value, most=4)


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (float("nan"), {"least": 0}, "rate must be finite and at least 0, got nan"),
        (float("inf"), {"least": 0}, "rate must be finite and at least 0, got inf"),
        (-0.1, {"least": 0, "most": 1}, "rate must be at least 0 and at most 1, got -0.1"),
        (1.1, {"least": 0, "most": 1}, "rate must be at least 0 and at most 1, got 1.1"),
        (0, {"above": 0, "below": 1}, "rate must be above 0 and below 1, got 0"),
        (1, {"above": 0, "below": 1}, "rate must be above 0 and below 1, got 1"),
        ("1", {}, "rate must be finite, got '1'"),
    ],
)
def test_a_number_out_of_bounds_is_refused(value: Any, bounds: dict, message: str):
    check_number("rate", 0.5, **bounds)
    with pytest.raises(ValueError, match=re.escape(message)):
        check_number("rate", value, **bounds)


def test_a_seed_is_32_bits_wide():
    check_seed("seed", 2**32 - 1)
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match="seed must be at"):
            check_seed("seed", seed)


def test_a_choice_that_is_like_none_is_refused_with_all():
    with pytest.raises(ValueError, match=r"side must be one of left, right; got 'up'$"):
        check_choice("side", "up", Literal["left", "right"])


def test_a_value_is_shown_in_few_characters():
    assert brief("x") == "'x'"
    assert brief(np.float64(0.5)) == "0.5"
    assert brief(np.int64(3)) == "3"
    assert len(brief(list(range(10**4)))) < 110
    assert brief(10**5000) == "an integer of thousands of digits"


def test_a_number_beyond_float32_is_refused():
    check_number("rate", 3e38)
    with pytest.raises(
        ValueError, match=r"rate must be a number that float32 can hold, got 1e\+300"
    ):
        check_number("rate", 1e300)
    with pytest.raises(ValueError, match="rate must be finite"):
        check_number("rate", 10**400)


def test_what_needs_more_memory_than_the_machine_has_is_refused(monkeypatch):
    monkeypatch.setattr(checks, "machine_memory", lambda: 8 * 10**9)
    checks.check_memory("it", 8e9, "ask for less")
    words = "it would take 9,000 GB of memory, of which this machine has 8; ask for less"
    with pytest.raises(ValueError, match=f"^{words}$"):
        checks.check_memory("it", 9e12, "ask for less")
    monkeypatch.setattr(checks, "machine_memory", lambda: None)
    checks.check_memory("it", 9e12, "ask for less")


def test_the_memory_of_this_machine_is_known_or_not():
    total = checks.machine_memory()
    assert total is None or 2**28 < total < 2**50
