"""The host ahead of the device: batches in order and early, waits that can end."""

import signal
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from rrjax.training.ahead import Pace, made_ahead, wait_for


def test_items_come_in_order_and_the_next_are_made_before_they_are_asked_for():
    made = {number: threading.Event() for number in range(9)}

    def make(number: int) -> int:
        made[number].set()
        return number * number

    with closing(made_ahead(make, range(9))) as squares:
        assert next(squares) == 0
        assert made[1].wait(10)
        assert made[2].wait(10)
        time.sleep(0.05)
        assert not made[3].is_set()  # nor more than that, which would fill the memory
        assert [*squares] == [number * number for number in range(1, 9)]


def test_an_error_of_the_thread_comes_where_its_item_would():
    def make(number: int) -> int:
        if number == 2:
            raise OSError("the disk is gone")
        return number

    items = made_ahead(make, range(9))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_closing_ends_the_thread():
    with closing(made_ahead(lambda number: number, range(1000))) as items:
        next(items)
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("batches") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_wait_can_be_interrupted():
    never = SimpleNamespace(is_ready=lambda: False)
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wait_for(never)


def test_two_steps_are_on_the_device_and_the_first_two_are_timed_alone():
    events = []

    class Result:
        def __init__(self, step: int):
            self.step = step

        def is_ready(self) -> bool:
            events.append(f"wait for {self.step}")
            return True

    pace = Pace(lambda step, seconds: events.append(f"{step} done"), 8)
    for step in (9, 10, 11, 12):
        events.append(f"start {step}")
        pace.keep(step, Result(step))
    assert events == [
        "8 done",
        *("start 9", "wait for 9", "9 done"),
        *("start 10", "wait for 10", "10 done"),
        *("start 11", "start 12", "wait for 11", "11 done"),
    ]
