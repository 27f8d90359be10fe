"""Where the time of a program goes: seconds of a call, and the kernels by their total time."""

import gzip
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax


@dataclass(frozen=True)
class Profile:
    """A profile of some calls of a program, which was compiled before.

    Attributes:
      seconds: The wall time of a call.
      kernels: By name, the seconds and the number of runs in a call, the slowest first.
    """

    seconds: float
    kernels: dict[str, tuple[float, float]]

    @property
    def busy(self) -> float:
        """The share of the wall time in which a kernel runs; they run one after another."""
        return sum(seconds for seconds, _ in self.kernels.values()) / self.seconds


def profile(run: Callable[[], Any], calls: int = 2) -> Profile:
    """Returns the profile of a program of the default device."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            start = time.perf_counter()
            for _ in range(calls):
                result = run()
            jax.block_until_ready(result)
            elapsed = time.perf_counter() - start
        (path,) = Path(folder).rglob("*.trace.json.gz")
        with gzip.open(path) as file:
            events = json.load(file)["traceEvents"]
    return Profile(elapsed / calls, kernels(events, calls))


def kernels(events: list[dict[str, Any]], calls: int) -> dict[str, tuple[float, float]]:
    """Returns by name the seconds and runs of a call, from the events of a trace.

    On a GPU the kernels are what its streams ran. A processor has no streams: there they are the
    operations of compiled programs.
    """
    processes, threads = _names(events, "process_name"), _names(events, "thread_name")
    seconds: Counter[str] = Counter()
    number: Counter[str] = Counter()
    on_gpu = any("GPU" in name for name in processes.values())
    for event in events:
        if event.get("ph") != "X":
            continue
        in_stream = "Stream" in threads.get((event["pid"], event["tid"]), "")
        if in_stream if on_gpu else "hlo_op" in event.get("args", {}):
            seconds[event["name"]] += event["dur"] / 1e6  # microseconds
            number[event["name"]] += 1
    slowest = sorted(seconds, key=lambda name: -seconds[name])
    return {name: (seconds[name] / calls, number[name] / calls) for name in slowest}


def _names(events: list[dict[str, Any]], kind: str) -> dict[Any, str]:
    """Returns the names of processes by pid, or of threads by pid and tid."""
    named = [event for event in events if event.get("ph") == "M" and event["name"] == kind]
    if kind == "process_name":
        return {event["pid"]: event["args"]["name"] for event in named}
    return {(event["pid"], event["tid"]): event["args"]["name"] for event in named}
