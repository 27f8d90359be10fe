"""Runs commands in forked copies of this process, which has imported all of rrjax already."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from rrjax import cli

_ADDRESS_SPACE = 12 * 2**30
"""Bytes that a command may ask for: enough for XLA's, and not enough to harm the machine."""


@dataclass(frozen=True)
class Task:
    """A command to run.

    Attributes:
      arguments: its words.
      folder: where it runs; its output goes to a file `.output` there.
      prepare: what the process does first.
      patience: seconds after which it is killed.
    """

    arguments: Sequence[str]
    folder: Path
    prepare: Callable[[], None]
    patience: float = 40.0


@dataclass(frozen=True)
class Outcome:
    """What came of a command.

    Attributes:
      code: its exit code; None where it was killed because it did not end, or by a signal.
      text: what it printed, on either stream.
      seconds: the processor's time.
      memory: bytes by which it grew.
    """

    code: int | None
    text: str
    seconds: float
    memory: int


def run_all(tasks: Iterable[Task], number: int) -> Iterator[tuple[Task, Outcome]]:
    """Yields tasks with their outcomes, of which so many run at once."""
    waiting, running = iter(tasks), {}
    while True:
        while len(running) < number and (task := next(waiting, None)) is not None:
            running[_start(task)] = task, time.monotonic() + task.patience
        if not running:
            return
        for pid, (task, deadline) in list(running.items()):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                del running[pid]
                yield task, _outcome(task, status, usage)
        time.sleep(0.002)


def _outcome(task: Task, status: int, usage: resource.struct_rusage) -> Outcome:
    code = os.waitstatus_to_exitcode(status)
    text = (task.folder / ".output").read_text(encoding="utf-8", errors="replace")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = usage.ru_utime + usage.ru_stime
    return Outcome(code if code >= 0 else None, text, seconds, 1024 * (usage.ru_maxrss - before))


def _start(task: Task) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        end_with(partial(_run, task), task.folder / ".output")
    return pid


def _run(task: Task) -> int:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    os.chdir(task.folder)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    task.prepare()
    return cli.main(list(task.arguments))


def end_with(work: Callable[[], int], output: Path) -> NoReturn:
    """Ends this forked process with the exit code of some work, whose output goes to a file."""
    code = 99
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
