"""What a page shows of results, as JSON holds it."""

from collections.abc import Mapping
from typing import Any

from rrjax.page.overview import overview
from rrjax.page.puzzle import MOST_GROWTH_ROWS, puzzle
from rrjax.page.restarts import restarts
from rrjax.page.shown import MOST_CELLS, MOST_PUZZLES, MOST_RUNS, Shown, as_typed, show
from rrjax.page.slices import plane
from rrjax.page.trajectory import trajectory
from rrjax.results.results import Results

EXPLORED = {
    "spectrum": "Lyapunov spectra",
    "rollout": "rollouts",
    "basin": "restarts from perturbed starts",
    "ptrm": "rollouts with noise",
    "slice": "a plane of starts",
}
"""The experiments whose puzzles a page explores, and what their results are in words. Results of
others have the panels that their experiment brings (`rrjax.page.panels`)."""

_AGAIN = "A run made by this version of rrjax has"


def gather(results: Results, name: str, num_runs: int = 1) -> dict[str, Any]:
    """Returns what a page shows of one result.

    Args:
      results: The result.
      name: The name of the run in the page.
      num_runs: Number of runs in the page, which share its limits.

    Raises:
      ValueError: The result is of an experiment that has no panel.
    """
    kind = results.record["experiment"]
    own = [] if results.experiment is None else results.experiment.report_panels(results)
    if kind not in EXPLORED and not own:
        raise ValueError(
            f"{results.path or name} holds results of rrjax {kind}, which have no panel in a "
            f"report; those of {', '.join(EXPLORED)} have, and training runs"
        )
    return {
        "name": name,
        "title": _title(results),
        "words": _findings(results),
        "made": results.how_made,
        "command": command(results.record),
        "panels": own,
        **(_explored(results, num_runs) if kind in EXPLORED else _UNEXPLORED),
    }


def _explored(results: Results, num_runs: int) -> dict[str, Any]:
    shown = show(results, max(1, MOST_PUZZLES // num_runs))
    views = _slice(shown) if shown.kind == "slice" else _puzzles(shown, num_runs)
    return {**views, "missing": [*_missing(views), *_thinned(shown, views)]}


VIEWS = ("overview", "slice", "puzzle", "restarts", "trajectory")
_UNEXPLORED = {**dict.fromkeys(VIEWS), "missing": []}
"""What a page has of a result whose puzzles it does not explore."""


def _findings(results: Results) -> list[str]:
    """Returns what a result says in sentences; nothing where its experiment has none."""
    if results.experiment is None or results.record["experiment"] == "slice":
        return []
    try:
        return results.summary().findings()
    except ValueError as error:
        return [f"This result has no summary: {error}."]


def _puzzles(shown: Shown, num_runs: int) -> dict[str, Any]:
    points = overview(shown)
    names = [quantity["key"] for quantity in points["quantities"]]
    points["vertical"] = next(
        (names.index(n) for n in ("late_drift", "clues") if n in names[1:]), 0
    )
    return {
        "overview": points,
        "puzzle": puzzle(shown, MOST_CELLS // num_runs),
        "restarts": restarts(shown, MOST_CELLS // num_runs // 2, MOST_RUNS // num_runs),
        "trajectory": trajectory(shown),
        "slice": None,
    }


def _slice(shown: Shown) -> dict[str, Any]:
    starts = plane(shown)
    board = {**starts["board"], "kept": [0], "answers": [starts["answers"][:1]]}
    board |= {"inputs": None, "labels": None, "top_share": 0.0}
    last = shown.num_segments
    single = {"segments": [last], "series": [{}], "names": [], "rows_per_segment": None}
    single |= {"board": board, "overlay": None}
    panels = dict.fromkeys(("overview", "restarts", "trajectory"))
    return {**panels, "puzzle": single, "slice": starts}


def _title(results: Results) -> str:
    record = results.record
    model = f" of {record['model']['name']}" if "model" in record else ""
    kind = record["experiment"]
    words = EXPLORED.get(kind) or kind.replace("_", " ")
    return f"{words.capitalize()}{model}, made {record['made_by']['time_utc']}."


def command(record: Mapping[str, Any]) -> str:
    """Returns the command that makes a result again, or the call where it was made in Python."""
    if words := as_typed(record["made_by"].get("command", [])):
        return words
    options = ", ".join(f"{name}={value!r}" for name, value in record["options"].items())
    return f"rrjax.experiments.{record['experiment']}(model, puzzles, {options})"


def _missing(panels: Mapping[str, Any]) -> list[str]:
    """Returns what the result lacks for a panel, and how to come by it."""
    one, notes = panels["puzzle"], []
    if panels["slice"]:
        return []
    if one["board"] is None:
        notes.append(
            "This result holds no answers, or more token values than a board shows, so that no "
            f"board is shown. {_AGAIN} the answers."
        )
    elif len(one["board"]["answers"][0]) == 1 < len(one["segments"]):
        notes.append(
            "This result holds the last answers alone, so that the board is the same after every "
            f"segment. {_AGAIN} the answer of each segment."
        )
    if one["board"] is not None and one["board"]["labels"] is None:
        notes.append(
            f"This result holds no labels, so that no cell is marked as wrong. {_AGAIN} them."
        )
    if panels["trajectory"] is None:
        notes.append(
            "This result holds no projected states (or none that are finite), so that no "
            f"trajectory is shown. {_AGAIN} them."
        )
    if "lambda" not in one["names"]:
        notes.append("This result holds no growth of tangent vectors; rrjax spectrum measures it.")
    outcomes = {point["outcome"] for point in panels["overview"]["points"]}
    if "failed" not in outcomes:
        notes.append(
            "There are no failures in this run, so that nothing can be compared with them."
        )
    if "solved" not in outcomes:
        notes.append("No puzzle is solved in this run, so that nothing can be compared with them.")
    return notes


def _thinned(shown: Shown, panels: Mapping[str, Any]) -> list[str]:
    """Returns what is left out of the page, and by which rule."""
    notes = []
    if panels["slice"]:
        grid, places = len(shown.results["a"]), panels["slice"]["num_places"]
        if places < grid:
            notes.append(f"{places} of {grid} starts along each axis are shown, evenly spread.")
        return notes
    total, number = panels["overview"]["num_puzzles"], len(shown.puzzles)
    if number < total:
        notes.append(
            f"{number} of {total} puzzles are shown, evenly spread over the run; the runs of a "
            f"page share {MOST_PUZZLES}. Statistics with an interval are of all puzzles."
        )
    last = shown.num_segments
    if len(shown.segments) < last:
        why = "after which answers were kept" if "snapshot" in shown.results else "evenly spread"
        notes.append(f"{len(shown.segments)} of {last} segments are shown, {why}.")
    growth = shown.results.get("log_growth")
    if growth is not None and growth.shape[1] > MOST_GROWTH_ROWS:
        notes.append(
            f"The growth is a mean over neighbours, at {MOST_GROWTH_ROWS} times of the run."
        )
    runs = panels["restarts"]
    if runs is not None and runs["num_kept"] < number:
        notes.append(
            f"The runs of {runs['num_kept']} of the {number} puzzles are in the page, evenly "
            f"spread: a page has at most {MOST_RUNS:,} runs."
        )
    board = panels["puzzle"]["board"]
    if board is not None and len(board["kept"]) < number:
        notes.append(
            f"The boards of {len(board['kept'])} of the {number} puzzles are in the page, evenly "
            f"spread: the boards of a page have at most {MOST_CELLS:,} cells."
        )
    return notes
