"""Progress without a terminal: few lines, the last one always; with one: a bar."""

from types import SimpleNamespace

import pytest

from rrjax.jobs import progress as module
from rrjax.jobs.progress import duration, progress


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_lines_come_half_a_minute_apart_and_at_the_end(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(module, "time", clock)
    with progress("training", 10) as bar:
        for done, clock.now in ((1, 100.0), (2, 101.0), (3, 129.9), (4, 130.1), (10, 131.0)):
            bar.report(done, {"loss": 0.5, "accuracy": 1 / 3})
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [line.split()[1].rstrip(",") for line in lines] == ["1/10", "4/10", "10/10"]
    assert all(line.startswith("training: ") for line in lines)
    assert all(line.endswith("loss 0.5  accuracy 0.3333") for line in lines)


def test_a_long_line_is_not_wrapped(capsys):
    with progress("training", 1) as bar:
        bar.report(1, {f"number_{i}": float(i) for i in range(40)})
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_terminal_shows_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("training", 10) as bar:
        bar.report(10, {"loss": 0.5})
    error = capsys.readouterr().err
    assert "10/10" in error
    assert "training: " not in error


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
    assert last.endswith("3/3  loss 0.5")


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
