"""The page as a file: one file, escaped, from the command, from results and in a notebook."""

import html
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from rrjax.cli import main
from rrjax.commands.report import PAGE_MARK
from rrjax.page import assemble
from rrjax.page.assemble import Report, as_json, as_script, make_report
from rrjax.page.comparison import introduction
from rrjax.page.gather import gather
from rrjax.page.trainings import trainings
from rrjax.results.results import Results
from tests.tools import shown as made

EVIL = '</script><img src="x" onerror="hacked()"><!-- runs -->'


CHARTS = assemble.charts


@pytest.fixture(autouse=True)
def _without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what takes most of the time, the charts and their libraries."""
    monkeypatch.setattr(assemble, "libraries", lambda: "var vegaEmbed;")
    monkeypatch.setattr(assemble, "charts", lambda view: {})
    monkeypatch.setattr(assemble, "scatter", lambda outcomes: {})


def test_every_panel_has_its_chart():
    spectrum = CHARTS(gather(made.spectrum(), "run"))
    assert [*spectrum] == ["histogram", "spectrum", "board", "curves", "trajectory"]
    assert spectrum["board"]["datasets"]["cells"] == []
    assert "restarts" in CHARTS(gather(made.basin(), "run"))
    assert [*CHARTS(gather(made.plane(), "run"))] == ["board", "slice"]
    json.dumps(spectrum, allow_nan=False)


def test_no_word_of_a_result_ends_a_script_or_begins_a_tag():
    record = {"experiment": EVIL, "model": EVIL, "number": 1.5}
    assert "<" not in as_json(record)
    assert json.loads(as_json(record)) == record
    assert "</script" not in as_script("'</script>'")
    results = made.spectrum()
    results.record["model"]["name"] = EVIL
    results.record["made_by"]["command"] = ["rrjax", EVIL]
    page = make_report({EVIL: results}).html
    assert EVIL not in page
    assert "<img" not in page
    assert html.escape(EVIL) in page
    assert page.count("</script>") == 3


def test_the_script_is_glue():
    script = (Path(assemble.__file__).parent / "page.js").read_text()
    assert sum(bool(line.strip()) for line in script.splitlines()) <= 150
    assert "innerHTML" not in script


def test_nothing_is_asked_for_elsewhere():
    page = make_report({"run": made.spectrum()}).html
    assert re.findall(r"(?:src|href)\s*=\s*[\"']?(?!data:)", page) == []
    assert "default-src 'none'" in page


def test_results_write_and_show_their_report(tmp_path):
    page = made.basin().report(tmp_path / "new" / "x.html")
    assert (tmp_path / "new" / "x.html").read_text() == page.html
    assert "x.html" in repr(page)
    inline = made.basin().report()._repr_html_()
    assert inline.startswith("<iframe")
    assert html.unescape(re.findall(r'srcdoc="([^"]*)"', inline)[0]) == made.basin().report().html


def test_the_command_writes_one_page_of_several_runs(tmp_path, capsys):
    for name in ("one", "two"):
        made.spectrum().save(tmp_path / name)
    out = tmp_path / "both.html"
    code = main(["report", *(str(tmp_path / name) for name in ("one", "two")), "--out", str(out)])
    assert code == 0
    assert f"in {out}; open it in a browser: {out.as_uri()}" in capsys.readouterr().out
    page = out.read_text()
    assert page.count("<article>") == 2
    assert PAGE_MARK in out.read_bytes()[:1000]
    assert main(["report", str(tmp_path / "one"), "--out", str(out)]) == 0  # replaces it
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])
    assert data["linked"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such file or folder"),
        (lambda folder: folder.mkdir(), "holds no results.npz"),
        (lambda folder: _unfinished(folder), "holds an unfinished run"),
        (lambda folder: _damaged(folder), "damaged|not that of its record|is no"),
    ],
)
def test_what_is_no_result_is_told_in_one_message(tmp_path, capsys, make, message):
    make(tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "x.html")]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not (tmp_path / "x.html").exists()


def _unfinished(folder: Path) -> None:
    folder.mkdir()
    (folder / "sweep.json").write_text("{}")


def _damaged(folder: Path) -> None:
    made.spectrum().save(folder)
    data = (folder / "results.npz").read_bytes()
    (folder / "results.npz").write_bytes(data[: len(data) // 2])


def test_other_requests_that_cannot_work(tmp_path, capsys, monkeypatch):
    assert main(["report"]) == 2
    assert "a report needs a run" in capsys.readouterr().err
    made.spectrum().save(tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "x.pdf")]) == 2
    assert "out must end in .html" in capsys.readouterr().err
    (tmp_path / "own.html").write_text("<p>mine</p>")
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "own.html")]) == 2
    assert "exists and is not a report" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.setattr(assemble, "charts", CHARTS)
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "x.html")]) == 2
    assert "needs altair: pip install altair vl-convert-python" in capsys.readouterr().err


def test_runs_beside_each_other_are_compared_or_it_is_said_why_not():
    one = made.spectrum()
    better = made.spectrum(solved=np.ones(24, bool))
    first, second = introduction({"before": one, "after": better})
    assert "Of 24 shared puzzles before solves 66.7 %" in first
    assert "(8 gained, 0 lost" in first
    assert "λ₁ changes by 0.000 (95 % interval 0.000 to 0.000)" in second
    other = made.spectrum(inputs=made.INPUTS[::-1] % 5 + 1)
    other.record["puzzles"]["sha256"] = "ef" * 32
    (note,) = introduction({"one": one, "other": other})
    assert note.startswith("one and other are not compared: ")
    assert introduction({"one": one}) == []


def test_a_report_of_no_run_is_refused():
    with pytest.raises(ValueError, match="a report needs a run"):
        make_report({})
    assert "MB" in repr(Report("x"))


def test_results_without_an_experiment_have_no_report():
    bare = Results(made.spectrum().arrays, made.spectrum().record)
    with pytest.raises(ValueError, match="do not know their experiment"):
        bare.report()


def test_training_runs_have_curves_for_their_metrics(tmp_path):
    one, two = made.training("test/accuracy"), made.training(steps=40)
    data = trainings({"one": one, "two": two})
    assert data["metrics"] == ["test/accuracy", "loss"]
    rows = [row for row in data["rows"] if row["metric"] == "test/accuracy"]
    assert [(row["run"], row["step"], row["value"]) for row in rows] == [
        ("one", 20, 0.5),
        ("one", 30, 0.25),
    ]
    assert data["notes"] == [
        "one has done its 30 steps. It was made by: rrjax train --out mine",
        "two is at step 30 of 40. It was made by: rrjax train --out mine",
    ]
    page = one.report(tmp_path / "x.html").html
    assert (tmp_path / "x.html").exists()
    assert "mine has done its 30 steps" in page
    assert page.count("<article>") == 0
