"""`rrjax analyse` on spectra made up by hand: files, several runs, and requests it must refuse."""

import functools
import sys
from pathlib import Path

import pytest

from rrjax.commands.analyse import main
from rrjax.store import read_json
from tests.tools.jobs import printed_by
from tests.tools.made_up import spectrum_arrays, spectrum_results
from tests.tools.tiny import snapshot

FIGURES = {"late_drift.png", "auc_within_bins.png", "early_window.png", "lambda1_by_horizon.png"}

run = functools.partial(printed_by, main)


def write(folder: Path, seed: int = 0) -> Path:
    spectrum_results(spectrum_arrays(seed)).save(folder)
    return folder


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrjax.reports.terminal.draw_results", lambda *_: None)


def test_the_files_and_the_tables(tmp_path):
    folder = write(tmp_path / "one")
    printed = run(str(folder))
    assert snapshot(folder).keys() == {"results.npz", "results.json", "analysis.json", *FIGURES}
    assert "Settled: log10 late drift up to" in printed
    assert "beside each other" not in printed
    assert printed.endswith(f"figures are in {folder}")
    record = read_json(folder / "analysis.json")["runs"]["one"]
    assert record["results_sha256"] == read_json(folder / "results.json")["sha256"]
    assert 0 < record["analysis"]["lambda1_auc"]["value"] < 1
    assert record["not_analysed"] == []


@pytest.mark.usefixtures("_no_figures")
def test_several_runs_stand_beside_each_other(tmp_path):
    one, two = write(tmp_path / "one"), write(tmp_path / "two", seed=1)
    printed = run(str(one), str(two / "results.npz"), "--out", str(tmp_path / "out"))
    assert "Runs beside each other" in printed
    joint = read_json(tmp_path / "out" / "analysis.json")["runs"]
    assert list(joint) == ["one", "two"]
    for name in joint:
        alone = read_json(tmp_path / "out" / name / "analysis.json")["runs"]
        assert alone == {name: joint[name]}
    assert snapshot(one).keys() == {"results.npz", "results.json"}


def test_runs_of_one_name_are_refused(tmp_path):
    for place in ("a", "b"):
        write(tmp_path / place / "run")
    with pytest.raises(ValueError, match="have the same name, run: rename a folder"):
        run(str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"))
    assert not list(tmp_path.rglob("analysis.json"))


def test_other_requests_that_cannot_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        run(str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="there is nothing to analyse"):
        run()


def test_without_matplotlib_the_numbers_are_there_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    folder = write(tmp_path / "run")
    run(str(folder))
    assert "figures need matplotlib: pip install matplotlib" in capsys.readouterr().err
    assert (folder / "analysis.json").exists()
    assert list(folder.glob("*.png")) == []
