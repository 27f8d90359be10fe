"""Measures when chaos appears: λ₁ by outcome at checkpoints along one training.

Every checkpoint runs the same puzzles. For each it says what share is solved, λ₁ of solved and of
failed runs, the share of failed runs with λ₁ > 0, the AUC of −λ₁ for "solved", and how many failed
runs move as little as nine tenths of the solved ones do. Intervals are those of 95 % over puzzles.
Writes `along_training.csv`, `along_training.png`, and a folder with the spectrum of each
checkpoint; a killed study goes on.

Usage: python -m scripts.studies.along_training RUN [--puzzles FOLDER] [--num-puzzles 512]
RUN is a training run, or any folder whose subfolders step_N are models.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import tyro

from rrjax import Results
from rrjax.analysis.intervals import UNDEFINED, Interval, fraction_interval, median_interval
from rrjax.analysis.outcome import usable_runs
from rrjax.analysis.separation import auc_interval
from rrjax.analysis.settling import late_drift, settling
from rrjax.plots.canvas import FAILED, SOLVED, UNIT, Look, draw_intervals, new_panels, save_figure
from rrjax.store import write_csv
from scripts.studies.runs import run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALL = Look("all", "black", "", ":", "D")
STEP = re.compile(r"step_0*(\d+)")


@dataclass(frozen=True)
class Options:
    """Settings of the study.

    Attributes:
      models: A training run, or a folder whose subfolders step_N are models.
      puzzles: The puzzles, as `rrjax spectrum --puzzles` takes them; without it the run's own.
      num_puzzles: The number of puzzles, the same for every checkpoint.
      num_segments: The number of segments of each run.
      out: The folder for the spectra, the table and the figure.
    """

    models: Annotated[Path, tyro.conf.Positional]
    puzzles: Path | None = None
    num_puzzles: int = 512
    num_segments: int = 16
    out: Path = Path("runs/along_training")


class Row(NamedTuple):
    """What is known of one checkpoint.

    Attributes:
      num_solved, num_failed: Numbers of runs, without those that were not finite.
      solved: Share of runs that are solved.
      solved_lambda1, failed_lambda1: Median λ₁ in nats per update.
      chaotic: Share of the failed runs with λ₁ > 0.
      auc: AUC of −λ₁ for "solved".
      solved_drift, failed_drift: Median late drift of the answer state.
      settled: Share of the failed runs that move no more than nine tenths of the solved ones do.
    """

    num_solved: int
    num_failed: int
    solved: Interval
    solved_lambda1: Interval
    failed_lambda1: Interval
    chaotic: Interval
    auc: Interval
    solved_drift: Interval
    failed_drift: Interval
    settled: Interval


def checkpoints(folder: Path) -> dict[int, Path]:
    """Returns the models step_N of a folder by their steps, in order.

    Raises:
      SystemExit: There is none.
    """
    places = folder / "models" if (folder / "models").is_dir() else folder
    steps = {path: STEP.fullmatch(path.name) for path in places.glob("step_*")}
    models = {int(match[1]): path for path, match in steps.items() if match}
    if not models:
        raise SystemExit(f"{folder}: expected models step_N in it, or a run's models/; found none")
    return dict(sorted(models.items()))


def row_of(results: Results) -> Row:
    """Returns what the spectra of one checkpoint say; what needs an empty group is undefined."""
    drift = results[results.answer_drift]
    keep = usable_runs(results["exponents"], drift, results["finite"])
    lambda1, moves = results["exponents"][keep, 0], late_drift(drift[keep])
    solved = results["solved"][keep]
    failed = ~solved
    is_mixed = solved.any() and failed.any()
    return Row(
        num_solved=int(solved.sum()),
        num_failed=int(failed.sum()),
        solved=_share(solved),
        solved_lambda1=median_interval(lambda1[solved]),
        failed_lambda1=median_interval(lambda1[failed]),
        chaotic=_share(lambda1[failed] > 0),
        auc=auc_interval(-lambda1, solved),
        solved_drift=median_interval(moves[solved]),
        failed_drift=median_interval(moves[failed]),
        settled=settling(moves, solved).failed_below[90] if is_mixed else UNDEFINED,
    )


def _share(events: np.ndarray) -> Interval:
    return fraction_interval(int(events.sum()), len(events))


def write_table(rows: Mapping[Any, Row], path: Path, key: str = "step") -> None:
    """Writes a line for each model, named in the column `key`; an interval takes three columns."""
    intervals = [name for name, kind in Row.__annotations__.items() if kind is Interval]
    ends = [f"{name}{end}" for name in intervals for end in ("", "_low", "_high")]
    lines: list[list[object]] = [[key, "num_solved", "num_failed", *ends]]
    for name_of_row, row in rows.items():
        numbers = [f"{end:.6g}" for name in intervals for end in getattr(row, name).ends]
        lines.append([name_of_row, row.num_solved, row.num_failed, *numbers])
    write_csv(path, lines)


def figure(rows: Mapping[int, Row]) -> "Figure":
    """Draws what each row says against training steps, a panel for each subject."""
    steps, values = np.array(list(rows)), list(rows.values())
    panels = new_panels(7.2, 10.5, 5, 1, sharex=True)[:, 0]
    groups: Sequence[tuple[Axes, str, Sequence[tuple[str, Look]]]] = (
        (panels[0], "solved puzzles", [("solved", ALL)]),
        (
            panels[1],
            f"median λ₁\n({UNIT})",
            [("solved_lambda1", SOLVED), ("failed_lambda1", FAILED)],
        ),
        (
            panels[2],
            "share of the failed runs",
            [
                ("chaotic", FAILED._replace(name="λ₁ > 0")),
                ("settled", ALL._replace(name="as still as solved")),
            ],
        ),
        (panels[3], "AUC of −λ₁\nfor solved", [("auc", ALL)]),
        (
            panels[4],
            "median late drift ‖Δz‖\n(per segment)",
            [("solved_drift", SOLVED), ("failed_drift", FAILED)],
        ),
    )
    for ax, label, lines in groups:
        for name, look in lines:
            draw_intervals(ax, steps, [getattr(row, name) for row in values], look)
        ax.set_ylabel(label)
        if len(lines) > 1:
            ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    panels[1].axhline(0, color="gray", linewidth=0.8)
    panels[3].axhline(0.5, color="gray", linewidth=0.8)
    panels[4].set_yscale("log")
    panels[-1].set_xlabel("training step")
    number = values[0].num_solved + values[0].num_failed
    panels[0].set_title(
        f"Chaos along training ({number} puzzles, 95 % intervals)", loc="left", fontsize="medium"
    )
    return panels[0].figure


def main(options: Options) -> None:
    """Measures every checkpoint that has not been measured, then writes the table and figure."""
    shared = ["--num-puzzles", options.num_puzzles, "--num-exponents", 1]
    shared += ["--num-segments", options.num_segments]
    if options.puzzles is not None:
        shared += ["--puzzles", options.puzzles]
    rows = {
        step: row_of(run(options.out / f"step_{step:06d}", "spectrum", model, *shared))
        for step, model in checkpoints(options.models).items()
    }
    write_table(rows, options.out / "along_training.csv")
    save_figure(figure(rows), options.out / "along_training.png")
    print(f"written: {options.out / 'along_training.csv'} and along_training.png")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
