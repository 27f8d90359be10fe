"""Chooses the puzzles that an earlier run of a model has failed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rrjax.puzzles import PuzzleSet

_AXES = (["puzzle"], ["puzzle", "segment"])
"""Of outcomes that say of every puzzle whether it is solved."""


def failed_puzzles(puzzles: "PuzzleSet", path: Path) -> "PuzzleSet":
    """Returns the puzzles that a model failed in earlier results: in a rollout after segment 16.

    Raises:
      FileNotFoundError: There are no results.
      ValueError: They have no outcome for each puzzle, are of other puzzles, or hold no failure.
    """
    from rrjax.experiments.experiment import chosen_readout
    from rrjax.experiments.loading import load_results

    results = load_results(path)
    experiment = results.record["experiment"]
    if results.record["axes"].get("solved") not in _AXES:
        raise ValueError(
            "failures_of must be results that say which puzzles are solved, such as a spectrum or "
            f"a rollout; {path} is a {experiment}"
        )
    solved = results["solved"]
    measured = puzzles[: len(solved)]
    if results.record["puzzles"]["sha256"] != measured.digest():
        raise ValueError(
            f"failures_of: the {len(solved)} puzzles of {path} are not the first of "
            f"{puzzles.source}; give the --puzzles that it was measured on"
        )
    if solved.ndim == 2:
        solved = solved[:, chosen_readout(results, None) - 1]
    if solved.all():
        raise ValueError(f"failures_of: all {len(solved)} puzzles of {path} are solved")
    return replace(measured[~solved], source=f"{path} (failures)")
