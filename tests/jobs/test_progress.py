"""Progress without a terminal: few lines, the last one always; with one, or a notebook: a bar."""

import re
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from rrjax.jobs import progress as module
from rrjax.jobs.progress import duration, progress


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.now))
    return now


def test_lines_come_half_a_minute_apart_and_at_the_end(clock, capsys):
    with progress("training", 10) as bar:
        for done, clock.now in ((1, 20.0), (2, 101.0), (3, 130.9), (4, 131.1), (10, 132.0)):
            bar.report(done, {"loss": 0.5, "accuracy": 1 / 3})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "training: 2/10  11 min left  loss 0.5  accuracy 0.3333",
        "training: 4/10  4 min left  loss 0.5  accuracy 0.3333",
        "training: 10/10  in 2 min  loss 0.5  accuracy 0.3333",
    ]


def test_lines_of_a_long_job_come_further_apart(clock, capsys):
    with progress("training", 10000) as bar:
        for hour in range(100):
            for minute in range(60):
                clock.now = 3600.0 * hour + 60.0 * minute
                bar.report(60 * hour + minute)
    assert 70 < len(capsys.readouterr().err.splitlines()) < 150


def test_a_line_says_what_is_done_while_nothing_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.01)
    with progress("sweep", 10) as bar:
        bar.say_doing("compiling")
        deadline = time.monotonic() + 10
        lines = []
        while len(lines) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
            lines += capsys.readouterr().err.splitlines()
    assert lines[0] == "sweep: compiling…"
    assert re.fullmatch(r"sweep: 0/10  after [\d.]+ s  compiling", lines[1])


def test_the_time_left_is_that_of_the_units_since_the_start(clock, capsys):
    with progress("sweep", 100) as bar:
        bar.start(40)
        clock.now = 60.0
        bar.report(50)
        assert bar.status == "5 min left"
        bar.start(50)
        assert bar.status == ""


def test_a_long_line_is_not_wrapped(capsys):
    with progress("training", 1) as bar:
        bar.report(1, {f"number_{i}": float(i) for i in range(40)})
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_terminal_shows_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("training", 10) as bar:
        bar.say_doing("compiling")
        bar.report(10, {"loss": 0.5})
    error = capsys.readouterr().err
    assert "10/10" in error
    assert "training: " not in error


def test_a_terminal_without_columns_is_none(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "0")
    with progress("training", 10) as bar:
        bar.report(10, {"loss": 0.5})
    assert "training: 10/10" in capsys.readouterr().err


def test_a_notebook_has_one_bar_that_is_drawn_anew(monkeypatch, capsys, clock):
    drawn = []

    def draw(bars, display_id=False):
        drawn.append(bars.tasks[0].completed)
        return SimpleNamespace(update=draw)

    module_of_ipython = ModuleType("IPython.display")
    module_of_ipython.__dict__["display"] = draw
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module_of_ipython)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with progress("training", 10) as bar:
        for done, clock.now in ((1, 1.0), (2, 1.1), (3, 1.6), (10, 1.7)):
            bar.report(done)
    assert drawn == [0, 1, 3, 10]
    assert capsys.readouterr().err == ""


def test_a_job_that_fails_leaves_the_bar_and_raises():
    with pytest.raises(ZeroDivisionError), progress("training", 10) as bar:
        bar.report(1 // 0, {})


def test_numbers_stay_until_others_come_and_lines_are_said_beside_them(capsys):
    with progress("training", 3) as bar:
        bar.start(1)
        bar.tell("[compiling] the step…")
        bar.report(2, {"loss": 0.5})
        bar.report(3, {})
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "[compiling] the step…"
    assert re.fullmatch(r"training: 3/3  in \S+ s  loss 0.5", last)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "0.012 s"),
        (48, "48 s"),
        (720, "12 min"),
        (7500, "2 h 5 min"),
        (864000, "10.0 days"),
    ],
)
def test_durations_have_a_unit_that_fits(seconds, words):
    assert duration(seconds) == words
