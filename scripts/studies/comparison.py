"""Runs and compares arms of training on the same 4x4 Sudokus with the same seeds.

An arm is a function from the plain task to the arm's task. Runs are folders of `rrjax train`, and
the same command continues where a killed one stopped. A best accuracy is the highest of the
evaluations, chosen on the puzzles it is reported on. It is therefore higher than on new puzzles,
in all arms.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from rrjax.analysis.intervals import student_interval
from rrjax.cells import Arch, Config
from rrjax.checks import check_count
from rrjax.jobs.progress import progress
from rrjax.plots.canvas import new_figure, save_figure
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.sudoku_build import sudoku_sets
from rrjax.store import describe_run, write_json
from rrjax.training.logs import METRICS, CsvLog
from rrjax.training.loop import train
from rrjax.training.settings import Augmentation, LoopSettings, Recipe
from rrjax.training.task import TrainingTask
from scripts.studies.markdown import print_markdown

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

CLEAN = "exact_accuracy"
WHICH = ("best", "final")
MARKERS = "os^DvPX*<>ph"
Change = Callable[[TrainingTask], TrainingTask]
Found = dict[str, list[list[dict[str, float]]]]
"""The evaluations of every arm and seed, in order of the steps."""


@dataclass(frozen=True)
class Sizes:
    """Settings that all arms share.

    Attributes:
      out: The folder of the runs, comparison.json and the figures.
      num_seeds: The number of runs of each arm, with the seeds 0, 1, …
      steps: The number of optimizer steps of a run.
      eval_every: The number of optimizer steps between evaluations.
      eval_sigmas: Sizes σ of perturbed starts that are evaluated as well.
      num_train: The number of training puzzles.
      num_test: The number of test puzzles.
      batch_size: The number of puzzles of an optimizer step.
      hidden_size: The width of the network.
      segments: The number of segments of a rollout.
      lr: The learning rate, constant after a hundredth of the steps.
    """

    out: Annotated[Path, tyro.conf.Positional]
    num_seeds: int = 3
    steps: int = 3000
    eval_every: int = 250
    eval_sigmas: tuple[float, ...] = (0.3, 1.0)
    num_train: int = 64
    num_test: int = 512
    batch_size: int = 8
    hidden_size: int = 32
    segments: int = 6
    lr: float = 1e-3

    def __post_init__(self):
        check_count("num_seeds", self.num_seeds, least=1)


def check_arms(arms: tuple[str, ...]) -> None:
    """Checks that there is something to compare.

    Raises:
      ValueError: For fewer than two arms.
    """
    if len(set(arms)) < 2:
        raise ValueError(f"arms must name two arms or more, got {arms}")


@functools.cache
def make_sets(sizes: Sizes) -> tuple[PuzzleSet, PuzzleSet]:
    """Returns the training and the test puzzles."""
    return sudoku_sets(4, sizes.num_train, sizes.num_test)


def small_arch(sizes: Sizes) -> Arch:
    """Returns the TRM that all arms start from."""
    return Arch(
        hidden_size=sizes.hidden_size,
        H_cycles=2,
        L_cycles=2,
        L_layers=1,
        pos_encodings="none",
        mlp_t=True,
        halt_max_steps=sizes.segments,
    )


def plain_task(sizes: Sizes, seed: int, sets: tuple[PuzzleSet, PuzzleSet]) -> TrainingTask:
    """Returns the task that the arms change: whole rollouts from clean starts."""
    recipe = Recipe(
        global_batch_size=sizes.batch_size,
        steps=sizes.steps,
        lr=sizes.lr,
        lr_warmup_steps=sizes.steps // 100,
        ema_rate=0.99,
        seed=seed,
        augmentation=Augmentation(rollout="parallel_fixed"),
    )
    meta = sets[0].metadata
    config = Config(small_arch(sizes), meta.seq_len, meta.vocab_size)
    return TrainingTask(config, recipe, *sets, augment=False)


def run_folder(sizes: Sizes, arm: str, seed: int) -> Path:
    """Returns the folder of a run."""
    return sizes.out / f"{arm}_seed{seed}"


def run_all(sizes: Sizes, arms: Mapping[str, Change]) -> Found:
    """Runs what is not finished yet, seed by seed, and returns the evaluations of all runs."""
    every, sets = sizes.eval_every, make_sets(sizes)
    settings = LoopSettings(every, every, every, eval_sigmas=sizes.eval_sigmas)
    found: Found = {arm: [] for arm in arms}
    for seed in range(sizes.num_seeds):
        for arm, change in arms.items():
            task, folder = change(plain_task(sizes, seed, sets)), run_folder(sizes, arm, seed)
            with progress(folder.name, sizes.steps) as bar:
                train(task, settings, folder, bar.report)
            found[arm].append(evaluations(folder))
    return found


def finish(sizes: Sizes, arms: Mapping[str, Change]) -> None:
    """Runs what is missing, prints the tables, and writes comparison.json and comparison.png.

    The other arms are compared with the first one.
    """
    found = run_all(sizes, arms)
    record = compare(sizes, found)
    print_tables(next(iter(arms)), record)
    write_record(sizes, record, found)
    words = {"best": "Peak accuracy", "final": "Final accuracy"}
    figure = paired_figure(record[CLEAN], words, accuracy_label(sizes))
    save_figure(figure, sizes.out / "comparison.png")


def write_record(sizes: Sizes, results: Mapping[str, Any], found: Found) -> None:
    """Writes settings, results and the evaluations behind them to comparison.json."""
    settings = {**asdict(sizes), "out": sizes.out.name}
    write_json(
        sizes.out / "comparison.json",
        {"options": settings, "run": describe_run(), "results": results, "evaluations": found},
    )


def accuracy_label(sizes: Sizes) -> str:
    """Returns the label of an accuracy axis."""
    return f"exact accuracy (share of {sizes.num_test} test puzzles)"


def evaluations(folder: Path) -> list[dict[str, float]]:
    """Returns the rows of a run's log that hold test metrics."""
    return [row for row in CsvLog(folder / METRICS).rows() if f"test/{CLEAN}" in row]


def summarize(runs: list[list[dict[str, float]]], metric: str) -> dict[str, list[float]]:
    """Returns the highest and the last value of a metric per seed, and the step of the highest."""
    curves = [[line[f"test/{metric}"] for line in run] for run in runs]
    steps = [run[int(np.argmax(c))]["step"] for run, c in zip(runs, curves, strict=True)]
    return {"best": [max(c) for c in curves], "final": [c[-1] for c in curves], "best_step": steps}


def paired_interval(differences: list[float]) -> dict[str, Any]:
    """Mean of differences of runs with the same seed, with Student's interval; NaN ends for one."""
    mean, low, high = student_interval(differences).ends
    return {"mean": mean, "low": low, "high": high, "each": differences}


def gains_over(
    first: str, arms: Mapping[str, Mapping[str, list[float]]], which: tuple[str, ...]
) -> dict[str, Any]:
    """Returns what each of the other arms gains over the first, paired by seed."""
    return {
        arm: {
            w: paired_interval([b - a for a, b in zip(arms[first][w], values[w], strict=True)])
            for w in which
        }
        for arm, values in arms.items()
        if arm != first
    }


def compare(sizes: Sizes, found: Found) -> dict[str, Any]:
    """Returns per metric the accuracies of every arm and what it gains over the first arm."""
    metrics = [CLEAN, *(f"{CLEAN}@sigma={sigma:g}" for sigma in sizes.eval_sigmas)]
    first = next(iter(found))
    record: dict[str, Any] = {}
    for metric in metrics:
        arms = {arm: summarize(runs, metric) for arm, runs in found.items()}
        gains = gains_over(first, arms, WHICH)
        record[metric] = {"which": WHICH, "arms": arms, f"minus_{first}": gains}
    return record


def print_tables(first: str, record: Mapping[str, Any]) -> None:
    """Prints the values per seed and the paired differences from the first arm as Markdown."""
    arms = {metric: part["arms"] for metric, part in record.items()}
    number = len(next(iter(next(iter(arms.values()))[first].values())))
    seeds = [f"seed {seed}" for seed in range(number)]
    each = [
        (metric, arm, which, *(f"{v:.3f}" for v in (*values[which], np.mean(values[which]))))
        for metric, part in record.items()
        for arm, values in part["arms"].items()
        for which in part["which"]
    ]
    print_markdown(["metric", "arm", "which", *seeds, "mean"], each)
    gained = [
        (metric, arm, which, f"{gain['mean']:+.3f}", f"{gain['low']:+.3f} to {gain['high']:+.3f}")
        for metric, part in record.items()
        for arm, gains in part[f"minus_{first}"].items()
        for which, gain in gains.items()
    ]
    print()
    heads = ["metric", "arm", "which", f"minus {first}: mean", "95 % (Student's t over seeds)"]
    print_markdown(heads, gained)


def paired_figure(
    part: Mapping[str, Any], words: Mapping[str, str], label: str
) -> "matplotlib.figure.Figure":
    """Draws a panel for each of `words` with the values of every arm; a line joins each seed.

    Args:
      part: The part of `compare`'s record for one metric.
      words: The titles of the panels by the name of `which`.
      label: The label of the vertical axis.
    """
    arms = list(part["arms"])
    width = 2.6 + len(words) * max(3.5, 0.55 * len(arms))
    figure = new_figure(width, 4.2 + 0.16 * len(arms))
    panels = figure.subplots(1, len(words), sharey=True, squeeze=False)[0]
    for ax, (which, word) in zip(panels, words.items(), strict=True):
        _draw_pairs(ax, {arm: values[which] for arm, values in part["arms"].items()})
        title = f"{word}; minus {arms[0]}:\n{_message(part[f'minus_{arms[0]}'], which)}"
        ax.set_title(title, loc="left", fontsize="small")
    panels[0].set_ylabel(label)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, frameon=False, title="one line per seed", loc="outside right center")
    return figure


def _draw_pairs(ax: "matplotlib.axes.Axes", values: Mapping[str, list[float]]) -> None:
    places, number = np.arange(len(values)), len(next(iter(values.values())))
    for seed in range(number):
        ax.plot(places, [each[seed] for each in values.values()], color="0.6", zorder=1)
    for place, (arm, each) in enumerate(values.items()):
        x, marker = np.full(number, place), MARKERS[place % len(MARKERS)]
        ax.scatter(x, each, marker=marker, color="black", zorder=2, label=f"{arm} (n = {number})")
    if len(values) > 4:
        ax.set_xticks(places, list(values), rotation=30, ha="right")
    else:
        ax.set_xticks(places, list(values))
    ax.set_xlim(-0.4, len(places) - 0.6)
    ax.set_xlabel("training")
    ax.spines[["top", "right"]].set_visible(False)


def _message(gains: Mapping[str, Any], which: str) -> str:
    parts = (
        f"{arm}: {gain[which]['mean']:+.3f} [{gain[which]['low']:+.3f}, {gain[which]['high']:+.3f}]"
        for arm, gain in gains.items()
    )
    return "\n".join(parts)
