"""What single channels follow, and what a mean over puzzles hides of them."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from rrjax.analysis.jackknife import groups, jackknife_interval
from rrjax.analysis.neuron_tables import NeuronSummary, summarize_neurons
from rrjax.analysis.neurons import channel_scores, random_rotation, turns
from rrjax.experiments.experiment import Experiment
from rrjax.experiments.recording import Recording, make_analysis, recordings
from rrjax.page.neurons import panels
from rrjax.plots.canvas import Draw
from rrjax.plots.neurons import channel_shares, temporal_profiles
from rrjax.reports import neurons as report
from rrjax.results.axes import ArraySpec
from rrjax.results.results import Results
from rrjax.store import Arrays

_BY = ("segment", "channel")
ARRAYS = {
    "mean_": ArraySpec(_BY, "mean of a channel over the blank cells of all puzzles"),
    "deviation_": ArraySpec(_BY, "standard deviation over puzzles of a puzzle's mean"),
    "position_": ArraySpec(_BY, "share of the variance that the place of a cell explains"),
    "answer_": ArraySpec(_BY, "share of the variance that the label of a cell explains"),
    "rotated_": ArraySpec(
        ("share", "channel"), "position and answer at the end, in a random basis"
    ),
    "turn_": ArraySpec(
        ("kind", "channel"), "cosine of the first with the last segment, averaged first and not"
    ),
    "summary_": ArraySpec(
        ("quantity", "basis", "interval"), "a quantity over channels at the end, with its ends"
    ),
    "solved": ArraySpec(("puzzle",), "whether the last answer is right", "b"),
}
QUANTITIES = ("position, median", "answer, median", "answer, largest", "turn", "turn of the mean")
BASES = ("channels", "random basis")
LEAST = 4
_GROUPS = 8
"""Groups of puzzles that are left out one by one."""


def neurons(states: Results, *, seed: int = 0, folder: str | Path | None = None) -> Results:
    """Scores single channels: what explains their variance, and how they turn over the segments.

    Scores that average states over puzzles first see of a channel only what the place of a cell
    explains. Every score stands beside that of a random basis: channels are special only where the
    two differ.

    Args:
      states: What `rrjax.experiments.states` recorded, of at least 4 puzzles.
      seed: Draws the random basis.
      folder: Where the result goes, if anywhere.

    Returns:
      For each model m (`trained`, `untrained`) and field f: `mean_m_f`, `deviation_m_f`,
      `position_m_f` and `answer_m_f` (segments, channels); `rotated_m_f` (2, channels);
      `turn_m_f` (2, channels); `summary_m_f` (quantities, bases, 3) with the ends of jackknife
      intervals over puzzles. `solved` (N,).

    Raises:
      ValueError: There are too few puzzles.

    Example:
      >>> model = rrjax.load_model("models/tiny")  # or "trm-sudoku6"
      >>> puzzles = rrjax.puzzles.read("data/tiny", max_puzzles=6)
      >>> run = rrjax.experiments.states(model, puzzles, num_segments=2, progress=False)
      >>> rrjax.experiments.neurons(run)["answer_trained_z_H"].shape
      (2, 8)
    """
    number = len(states["solved"])
    if number < LEAST:
        raise ValueError(f"neurons: expected at least {LEAST} puzzles, found {number}")
    arrays: Arrays = {"solved": states["solved"]}
    for name, recording in recordings(states).items():
        for field in recording.fields:
            arrays |= _score(recording, field, f"{name}_{field}", seed)
    facts = {"quantities": list(QUANTITIES), "bases": list(BASES)}
    return make_analysis(NEURONS, states, arrays, {"basis_seed": seed}, folder, **facts)


def _score(recording: Recording, field: str, name: str, seed: int) -> Arrays:
    """Returns the arrays of one field of one model."""
    blank, labels, cells = recording.blank, recording.labels, recording.fields[field]
    scores = [
        channel_scores(np.asarray(cells[:, segment]), blank, labels)
        for segment in range(cells.shape[1])
    ]
    early, late = np.asarray(cells[:, 0]), np.asarray(cells[:, -1])
    basis = random_rotation(cells.shape[-1], seed).astype(late.dtype)
    rotated = channel_scores(late @ basis, blank, labels)
    measures = [_quantities(early, late), _quantities(early @ basis, late @ basis)]
    kept = groups(len(blank), _GROUPS)
    every = np.ones(len(blank), bool)
    summary = [
        jackknife_interval(
            measure(blank, labels, every),
            np.stack([measure(blank, labels, kept != g) for g in range(kept.max() + 1)]),
        )
        for measure in measures
    ]
    return {
        f"mean_{name}": np.stack([s.mean for s in scores]),
        f"deviation_{name}": np.stack([s.puzzle_deviation for s in scores]),
        f"position_{name}": np.stack([s.position_share for s in scores]),
        f"answer_{name}": np.stack([s.answer_share for s in scores]),
        f"rotated_{name}": np.stack([rotated.position_share, rotated.answer_share]),
        f"turn_{name}": np.stack(turns(early, late, blank)),
        f"summary_{name}": np.stack([np.stack(each.ends, axis=1) for each in summary], axis=1),
    }


def _quantities(early: np.ndarray, late: np.ndarray) -> Callable[..., np.ndarray]:
    """Returns a function of blank cells, labels and puzzles that returns the `QUANTITIES`."""

    def measure(blank: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        scores = channel_scores(late[chosen], blank[chosen], labels[chosen])
        averaged, own = turns(early[chosen], late[chosen], blank[chosen])
        return np.array(
            [
                np.median(scores.position_share),
                np.median(scores.answer_share),
                np.max(scores.answer_share),
                np.median(own),
                np.median(averaged),
            ]
        )

    return measure


def numbers(results: Results) -> NeuronSummary:
    """Returns the quantities over channels at the end, in both bases."""
    return summarize_neurons(results, results.record)


def figures(results: Results) -> Mapping[str, Draw]:
    """Returns the shares of all channels beside those of a random basis, and time courses."""
    return {
        "channel_shares": partial(channel_shares, results, results.record),
        "temporal_profiles": partial(temporal_profiles, results, results.record),
    }


NEURONS = Experiment(
    "neurons", ARRAYS, numbers, report.tables, figures, findings=report.findings, panels=panels
)
