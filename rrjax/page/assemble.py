"""One HTML file with everything inside: data, charts, styles and scripts."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rrjax.page.charts import libraries, specification
from rrjax.page.comparison import introduction
from rrjax.page.gather import EXPLORED, VIEWS, gather
from rrjax.page.overview import histogram, scatter, spectrum
from rrjax.page.panels import Panel
from rrjax.page.puzzle import board_chart, curves_chart
from rrjax.page.restarts import restarts_chart
from rrjax.page.slices import slice_chart
from rrjax.page.trainings import trainings, trainings_chart
from rrjax.page.trajectory import trajectory_chart
from rrjax.results.results import Results
from rrjax.store import write_bytes_atomically


@dataclass(frozen=True, repr=False)
class Report:
    """An HTML report; a notebook shows it.

    Attributes:
      html: The whole page.
      path: The file that it was written to, or None.
    """

    html: str
    path: Path | None = None

    def save(self, path: str | Path) -> "Report":
        """Writes the page, whole or not at all, and returns it with its path.

        Raises:
          OSError: The file cannot be written.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(path, self.html.encode())
        return Report(self.html, Path(path))

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"HTML report of {len(self.html.encode()) / 1e6:.1f} MB{where}"

    def _repr_html_(self) -> str:
        source = html.escape(self.html, quote=True)
        frame = 'style="width: 100%; height: 900px; border: 0"'
        return f'<iframe {frame} title="rrjax report" srcdoc="{source}"></iframe>'


def make_report(runs: Mapping[str, Any]) -> Report:
    """Returns the report of some runs, by their names.

    Args:
      runs: `Results` of spectra, rollouts, restarts, noisy rollouts, slices or of experiments that
        bring panels, and `rrjax.training.history.Run`s, in any mixture.

    Raises:
      ModuleNotFoundError: Altair or vl-convert is missing; the message says how to install them.
      ValueError: There is no run, or one of an experiment that has no panel.
    """
    if not runs:
        raise ValueError("a report needs a run: give the folders that commands of rrjax wrote")
    results = {name: run for name, run in runs.items() if isinstance(run, Results)}
    trained = {name: run for name, run in runs.items() if not isinstance(run, Results)}
    views = [gather(run, name, len(results)) for name, run in results.items()]
    explored = {n: run for n, run in results.items() if run.record["experiment"] in EXPLORED}
    digests = {run.record.get("puzzles", {}).get("sha256") for run in explored.values()}
    training = trainings(trained) if trained else None
    data = {
        "runs": [_for_script(view) for view in views],
        "linked": len(explored) > 1 and len(digests) == 1 and None not in digests,
        "training": trainings_chart(training) if training else None,
    }
    parts = {
        "title": html.escape(f"rrjax report: {', '.join(runs)}"),
        "introduction": tags("p", introduction(explored)),
        "runs": "\n".join(map(article, views)),
        "training": training_section(training["notes"]) if training else "",
        "data": as_json(data),
    }
    return Report(write_page(parts))


def _for_script(view: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the script of the page reads of a run."""
    read = {name: view[name] for name in VIEWS}
    if view["slice"]:
        read["slice"] = {"answers": view["slice"]["answers"]}
    if view["overview"]:
        read["overview"] = {**view["overview"], "chart": scatter(view["overview"]["outcomes"])}
    return {**read, "charts": charts(view)}


def charts(view: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the Vega-Lite charts of the panels that a run has, by name."""
    made = {f"panel-{i}": specification(panel.chart) for i, panel in enumerate(view["panels"])}
    if view["puzzle"] is None:
        return made
    if view["overview"]:
        made["histogram"] = histogram()
        if number := view["overview"]["num_exponents"]:
            made["spectrum"] = spectrum(number)
    if view["puzzle"]["board"]:
        made["board"] = board_chart(view["puzzle"]["board"])
    if curves := curves_chart(view["puzzle"]):
        made["curves"] = curves
    if view["trajectory"]:
        made["trajectory"] = trajectory_chart()
    if view["restarts"]:
        made["restarts"] = restarts_chart()
    if view["slice"]:
        made["slice"] = slice_chart(view["slice"])
    return made


_FOOT = (
    "All data and programs are in this file; it asks for nothing elsewhere.",
    "AUC is the probability that a failed puzzle has the larger number. Its interval is that of "
    "rrjax.analysis.auc_interval over all puzzles of the run: the outer ends of DeLong's and of "
    "Newcombe's 95 % interval. Puzzles that are chosen by hand are no sample, so that their AUC "
    "has no interval.",
    "The charts are drawn by Vega-Lite. Colours are those of Okabe and Ito, and shapes and dashes "
    "tell the groups apart without colour.",
)


def article(view: Mapping[str, Any]) -> str:
    """Returns the part of the page that is a run's, in which the script puts the charts."""
    return filled(
        "run.html",
        {
            "name": html.escape(view["name"]),
            "title": html.escape(view["title"]),
            "words": tags("li", view["words"]),
            "explorer": explorer(view) if view["puzzle"] else "",
            "beside": _beside(view) if view["puzzle"] else "",
            "panels": "\n".join(map(_panel, range(len(view["panels"])), view["panels"])),
            "missing": tags("li", view["missing"]),
            "made": html.escape(view["made"]),
            "command": html.escape(view["command"]),
        },
    )


def explorer(view: Mapping[str, Any]) -> str:
    """Returns the part of a run's in which puzzles are chosen and one of them is shown."""
    overview, puzzle, board = view["overview"], view["puzzle"], view["puzzle"]["board"]
    points = overview["points"] if overview else []
    quantities = [each["title"] for each in overview["quantities"]] if overview else []
    boards = {"answers": "answer", "inputs": "question", "labels": "known solution"}
    return filled(
        "explorer.html",
        _hidden(view)
        | {
            "horizontal": choices(quantities),
            "vertical": choices(quantities, overview["vertical"] if overview else 0),
            "single": "" if points else "hidden",
            "several": "" if len(puzzle["segments"]) > 1 else "hidden",
            "puzzles": choices([f"{one['puzzle']} ({one['outcome']})" for one in points]),
            "last": str(len(puzzle["segments"]) - 1),
            "boards": "".join(
                f'<option value="{key}">{word}</option>'
                for key, word in boards.items()
                if board and board[key]
            ),
            "overlay": "" if puzzle["overlay"] else "hidden",
            "directions": choices((puzzle["overlay"] or {"directions": []})["directions"], -1),
            "legend": html.escape(" ".join(_LEGEND)),
        },
    )


def _beside(view: Mapping[str, Any]) -> str:
    planes = choices([*(view["trajectory"] or {})])
    return filled("beside.html", {**_hidden(view), "planes": planes})


def _hidden(view: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if view[name] else "hidden" for name in VIEWS}


def _panel(number: int, panel: Panel) -> str:
    parts = {"title": html.escape(panel.title), "words": html.escape(panel.words)}
    return filled("panel.html", {**parts, "number": str(number)})


_LEGEND = (
    "Bold: clue. Orange frame: wrong. Blue dot: changed in the last segment.",
    "Pink cross: breaks a rule. Orange shade: where the chosen unstable direction lies.",
)


def training_section(notes: list[str]) -> str:
    """Returns the part of the page that training runs share."""
    return (
        f'<section>\n<h2>Training</h2>\n{tags("p", notes)}\n<div id="training"></div>\n</section>'
    )


def tags(name: str, texts: list[str]) -> str:
    """Returns an element for each text, which is escaped."""
    return "\n".join(f"<{name}>{html.escape(text)}</{name}>" for text in texts)


def choices(texts: list[str], chosen: int = 0) -> str:
    """Returns the options of a menu, whose values count from 0."""
    return "".join(
        f'<option value="{place}"{" selected" * (place == chosen)}>{html.escape(text)}</option>'
        for place, text in enumerate(texts)
    )


def write_page(parts: Mapping[str, str]) -> str:
    """Returns the page with these parts, which are HTML, and with its styles and scripts."""
    common = {
        "style": _file("page.css"),
        "foot": tags("p", [*_FOOT]),
        "libraries": as_script(libraries()),
        "script": as_script(_file("page.js")),
    }
    return filled("page.html", {**common, **parts})


def filled(name: str, parts: Mapping[str, str]) -> str:
    """Returns a file of the package with its places, such as `<!-- title -->`, filled."""
    # in one pass, so that nothing that is put in is itself taken for a place
    return re.sub(r"<!-- (\w+) -->", lambda place: parts[place[1]], _file(name))


def as_json(data: Any) -> str:
    """Returns data as JSON in which no character begins a tag or ends a script."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def as_script(code: str) -> str:
    """Returns a script in which no string ends the element that it stands in."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _file(name: str) -> str:
    return (files("rrjax.page") / name).read_text(encoding="utf-8")
