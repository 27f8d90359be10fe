"""Does training from perturbed starts raise the accuracy? Baseline against trajectory augmentation.

Every arm trains the same small TRM on the same 4x4 Sudokus with the same seeds; an optimizer step
is a whole rollout of new puzzles (`parallel_fixed`). Arms differ as follows:

- `baseline`: one clean trajectory of each puzzle;
- `multi4`: the clean one and three perturbed ones, σ log-uniform in `--sigma`, ramped from 0 over
  the first tenth of the steps;
- `batch4`: one clean trajectory of four times as many puzzles.

`multi4` is compared at equal optimizer steps and equal puzzles seen, as in the notes it comes from,
and so at four times the baseline's compute; `batch4` has the compute of `multi4`. Best accuracies
are the highest over the evaluations, chosen on the very puzzles they are reported on: higher than
what new puzzles would show, for all arms alike.

Runs are folders of `rrjax train`: the same command goes on where a killed one stopped.

Usage: python scripts/compare_augmentation.py OUT [--num-seeds 3] [--arms baseline multi4 batch4]
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from rrjax.cells import Arch, Config
from rrjax.commands import sudoku
from rrjax.plots.canvas import new_figure, save_figure
from rrjax.progress import progress
from rrjax.puzzles import PuzzleSet
from rrjax.runs import student_interval
from rrjax.store import describe_run, write_json
from rrjax.training.augment import Augmentation
from rrjax.training.logs import METRICS, Table
from rrjax.training.loop import Rhythm, Task, train
from rrjax.training.recipe import Recipe

if TYPE_CHECKING:
    import matplotlib.axes

Arm = Literal["baseline", "multi4", "batch4"]
MARKERS = {"baseline": "o", "multi4": "s", "batch4": "^"}
CLEAN = "exact_accuracy"


@dataclass(frozen=True)
class Options:
    """What is compared.

    Attributes:
      out: folder of the runs, comparison.json and comparison.png.
      arms: the first one is what the others are compared with.
      num_seeds: runs of each arm, with the seeds 0, 1, …
      steps: optimizer steps of a run.
      sigma: lowest and highest σ of the perturbed starts.
      eval_every: optimizer steps between evaluations.
      eval_sigmas: evaluate from starts perturbed by these σ, too.
      num_train: training puzzles.
      num_test: test puzzles.
      batch_size: puzzles of an optimizer step.
      hidden_size: width.
      segments: of a rollout.
      lr: learning rate, constant after a hundredth of the steps.
    """

    out: Annotated[Path, tyro.conf.Positional]
    arms: tuple[Arm, ...] = ("baseline", "multi4")
    num_seeds: int = 3
    steps: int = 3000
    sigma: tuple[float, float] = (3e-5, 3e-3)
    eval_every: int = 250
    eval_sigmas: tuple[float, ...] = (0.3, 1.0)
    num_train: int = 64
    num_test: int = 512
    batch_size: int = 8
    hidden_size: int = 32
    segments: int = 6
    lr: float = 1e-3

    def __post_init__(self):
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds must be at least 1, got {self.num_seeds}")
        if len(set(self.arms)) < 2:
            raise ValueError(f"arms must name two arms or more, got {self.arms}")


def augmentation_of(arm: Arm, options: Options) -> Augmentation:
    """What an arm starts from."""
    plain = Augmentation(rollout="parallel_fixed")
    if arm != "multi4":
        return plain
    ramp_steps = options.steps // 10
    return replace(
        plain, objective="multi_perturbed_ce", sigma=options.sigma, ramp_steps=ramp_steps
    )


def task_of(
    arm: Arm, seed: int, options: Options, sets: tuple[PuzzleSet, PuzzleSet]
) -> tuple[Task, Rhythm]:
    """One run."""
    arch = Arch(
        hidden_size=options.hidden_size,
        H_cycles=2,
        L_cycles=2,
        L_layers=1,
        pos_encodings="none",
        mlp_t=True,
        halt_max_steps=options.segments,
    )
    recipe = Recipe(
        global_batch_size=options.batch_size * (4 if arm == "batch4" else 1),
        steps=options.steps,
        lr=options.lr,
        lr_warmup_steps=options.steps // 100,
        ema_rate=0.99,
        seed=seed,
        augmentation=augmentation_of(arm, options),
    )
    every = options.eval_every
    rhythm = Rhythm(every, every, every, eval_sigmas=options.eval_sigmas)
    meta = sets[0].metadata
    config = Config(arch, meta.seq_len, meta.vocab_size)
    return Task(config, recipe, *sets, augment=False), rhythm


def run_all(options: Options) -> dict[Arm, list[list[dict[str, float]]]]:
    """The evaluations of every arm and seed, in order of the steps."""
    numbers = sudoku.Options(Path(), 4, options.num_train, options.num_test)
    sets = sudoku.make_sets(numbers)
    found: dict[Arm, list[list[dict[str, float]]]] = {arm: [] for arm in options.arms}
    for seed in range(options.num_seeds):
        for arm in options.arms:
            task, rhythm = task_of(arm, seed, options, sets)
            folder = options.out / f"{arm}_seed{seed}"
            with progress(folder.name, options.steps) as bar:
                train(task, rhythm, folder, bar.report)
            found[arm].append(evaluations(folder))
    return found


def evaluations(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's log that hold test metrics."""
    return [row for row in Table(folder / METRICS).rows() if f"test/{CLEAN}" in row]


def summarize(runs: list[list[dict[str, float]]], metric: str) -> dict[str, list[float]]:
    """Per seed the highest and the last value of a metric, and the step of the highest."""
    curves = [[line[f"test/{metric}"] for line in run] for run in runs]
    steps = [run[int(np.argmax(c))]["step"] for run, c in zip(runs, curves, strict=True)]
    return {"best": [max(c) for c in curves], "final": [c[-1] for c in curves], "best_step": steps}


def paired_interval(differences: list[float], level: float = 0.95) -> dict[str, Any]:
    """Mean of differences of runs with the same seed, with Student's interval; NaN ends for one."""
    low, high = student_interval(differences, level)
    return {"mean": float(np.mean(differences)), "low": low, "high": high, "each": differences}


def compare(options: Options, found: dict[Arm, list[list[dict[str, float]]]]) -> dict[str, Any]:
    """Per metric every arm's accuracies, and what each arm gains over the first."""
    metrics = [CLEAN, *(f"{CLEAN}@sigma={sigma:g}" for sigma in options.eval_sigmas)]
    first, *others = options.arms
    record: dict[str, Any] = {}
    for metric in metrics:
        arms = {arm: summarize(runs, metric) for arm, runs in found.items()}
        gains = {
            arm: {
                which: paired_interval(
                    [b - a for a, b in zip(arms[first][which], arms[arm][which], strict=True)]
                )
                for which in ("best", "final")
            }
            for arm in others
        }
        record[metric] = {"arms": arms, f"minus_{first}": gains}
    return record


def print_tables(options: Options, record: dict[str, Any]) -> None:
    """As Markdown: accuracies per seed, then the paired differences."""
    seeds = range(options.num_seeds)
    print("| metric | arm | which | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean |")
    print("|" + "---|" * (options.num_seeds + 4))
    for metric, part in record.items():
        for arm, values in part["arms"].items():
            for which in ("best", "final"):
                cells = [f"{v:.3f}" for v in (*values[which], np.mean(values[which]))]
                print(f"| {metric} | {arm} | {which} | " + " | ".join(cells) + " |")
    first = options.arms[0]
    print(f"\n| metric | arm | which | minus {first}: mean | 95 % (Student's t over seeds) |")
    print("|---|---|---|---|---|")
    for metric, part in record.items():
        for arm, gains in part[f"minus_{first}"].items():
            for which, gain in gains.items():
                ends = f"{gain['low']:+.3f} to {gain['high']:+.3f}"
                print(f"| {metric} | {arm} | {which} | {gain['mean']:+.3f} | {ends} |")


def draw(options: Options, record: dict[str, Any], path: Path) -> None:
    """Best and final accuracy of every arm, the runs of a seed joined."""
    figure = new_figure(10.5, 4.2)
    left, right = figure.subplots(1, 2, sharey=True)
    gains = record[CLEAN][f"minus_{options.arms[0]}"]
    for ax, which, word in ((left, "best", "Peak"), (right, "final", "Final")):
        _draw_pairs(ax, options, {a: v[which] for a, v in record[CLEAN]["arms"].items()})
        title = f"{word} accuracy; minus {options.arms[0]}:\n{_message(gains, which)}"
        ax.set_title(title, loc="left", fontsize="medium")
    left.set_ylabel(f"exact accuracy (share of {options.num_test} test puzzles)")
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, frameon=False, title="one line per seed", loc="outside right center")
    save_figure(figure, path)


def _draw_pairs(
    ax: "matplotlib.axes.Axes", options: Options, values: dict[str, list[float]]
) -> None:
    places = np.arange(len(options.arms))
    for seed in range(options.num_seeds):
        ax.plot(places, [values[arm][seed] for arm in options.arms], color="0.6", zorder=1)
    for place, arm in zip(places, options.arms, strict=True):
        label = f"{arm} (n = {options.num_seeds})"
        x = np.full(options.num_seeds, place)
        ax.scatter(x, values[arm], marker=MARKERS[arm], color="black", zorder=2, label=label)
    ax.set_xticks(places, options.arms)
    ax.set_xlim(-0.4, len(places) - 0.6)
    ax.set_xlabel("training")
    ax.spines[["top", "right"]].set_visible(False)


def _message(gains: dict[str, Any], which: str) -> str:
    parts = (
        f"{arm}: {gain[which]['mean']:+.3f} [{gain[which]['low']:+.3f}, {gain[which]['high']:+.3f}]"
        for arm, gain in gains.items()
    )
    return "\n".join(parts)


def main(options: Options) -> None:
    """Run what is missing, print the tables, write comparison.json and comparison.png."""
    found = run_all(options)
    record = compare(options, found)
    print_tables(options, record)
    settings = {**asdict(options), "out": options.out.name}
    write_json(
        options.out / "comparison.json",
        {"options": settings, "run": describe_run(), "results": record, "evaluations": found},
    )
    draw(options, record, options.out / "comparison.png")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
