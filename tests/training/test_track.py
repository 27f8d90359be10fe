"""Trackers get what is logged, are opened by the first number, and are asked for by name."""

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from rrjax.cli import main
from rrjax.puzzles import write_folder
from rrjax.training.track import tracking
from tests.tools import tiny_training as tiny


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """What stand-ins for both packages are told."""
    found = []

    def writer(folder, purge_step):
        found.append(("open", folder, purge_step))
        return SimpleNamespace(
            add_scalar=lambda *arguments: found.append(arguments),
            close=lambda: found.append(("close",)),
        )

    def init(**options):
        found.append(("open", options["name"], options["id"], options["resume"]))
        return SimpleNamespace(
            log=lambda numbers, step: found.append((numbers, step)),
            finish=lambda: found.append(("close",)),
        )

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=writer))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    return found


def test_tensorboard_gets_every_number_and_forgets_what_a_resumed_run_repeats(tmp_path, calls):
    with tracking("tensorboard", tmp_path, {}) as write:
        assert calls == []
        write(20, {"loss": 0.5, "accuracy": 1.0})
    assert calls == [
        ("open", str(tmp_path / "tensorboard"), 20),
        ("loss", 0.5, 20),
        ("accuracy", 1.0, 20),
        ("close",),
    ]


def test_wandb_gets_rows_of_a_run_that_is_known_again_by_its_record(tmp_path, calls):
    for name, began in (("a", "noon"), ("b", "one o'clock")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(f'{{"time_utc": "{began}"}}')
    for folder in ("a", "a", "b"):
        with tracking("wandb", tmp_path / folder, {"seed": 1}) as write:
            write(20, {"loss": 0.5})
    opened, rows, closed = calls[::3], calls[1::3], calls[2::3]
    assert [call[1] for call in opened] == ["a", "a", "b"]
    first, again, other = (call[2] for call in opened)
    assert first == again != other
    assert all(call[3] == "allow" for call in opened)
    assert (rows, closed) == ([({"loss": 0.5}, 20)] * 3, [("close",)] * 3)


def test_a_run_that_fails_closes_its_tracker(tmp_path, calls):
    with pytest.raises(ZeroDivisionError), _failing(tmp_path):
        raise ZeroDivisionError
    assert calls[-1] == ("close",)


@contextmanager
def _failing(folder):
    with tracking("tensorboard", folder, {}) as write:
        write(1, {"loss": 0.5})
        yield


def test_nothing_is_opened_for_nothing(tmp_path, calls):
    with tracking("none", tmp_path, {}) as write:
        write(1, {"loss": 0.5})
    with tracking("wandb", tmp_path, {}):
        pass
    assert calls == []


@pytest.mark.parametrize(("kind", "package"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_missing_package_is_named_before_anything_is_written(
    tmp_path, monkeypatch, kind, package
):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"track {kind} needs {package}, which is missing: pip install {package}"
    with (
        pytest.raises(ValueError, match=message),
        tracking(kind, tmp_path / "run", {}),
    ):
        pass
    assert not (tmp_path / "run").exists()


def test_a_run_reports_to_the_tracker(tmp_path, calls):
    train, test = tiny.sets()
    write_folder(tmp_path / "data", {"train": train, "test": test})
    parts = (
        tiny.options(tiny.ARCH, "arch."),
        tiny.options(tiny.task(steps=10).recipe),
        tiny.options(tiny.LOOP),
    )
    options = [option for part in parts for option in part]
    where = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    assert main(["train", *where, *options, "--track", "wandb"]) == 0
    kinds = [call[1] for call in calls[1:-1]]
    assert kinds == [5, 10]
    assert "test/exact_accuracy" in calls[2][0]
