"""What makes failures chaotic? Small trainings that differ in one thing, on the same test puzzles.

Every arm trains a model on 6x6 Sudokus for equally many steps, with the same seeds. The first arm
is a recipe, with `hidden_size` as its width. The others change one thing:

- `fast`: Muon, the norm inside the SwiGLU and a learning rate that falls, as in the fast recipe;
- `falling`: only the learning rate falls;
- `cycles`: 3 cycles of 6 latent updates, as in the official model, instead of 2 of 3;
- `width`: twice the width;
- `longer`: three times as many steps;
- `easy`: the training puzzles have further clues, up to 14 to 30 of the 36 cells.

Each is then measured on the same minimal puzzles: λ₁ by outcome, the share of failures with λ₁ > 0
and the share at rest, and the AUC of −λ₁. Intervals of a training are those of 95 % over puzzles;
differences from the first arm are paired by seed, with Student's interval. Writes `chaos.csv`,
`chaos.json`, `chaos.png` and a folder for each training and spectrum; a killed study goes on.

Usage: python -m scripts.studies.what_makes_chaos OUT [--arms base fast cycles] [--num-seeds 3]
(some 4 minutes of one core for each seed of the arms base, fast and easy, 6 for cycles and width,
and 9 for longer)
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from rrjax.analysis.intervals import Interval
from rrjax.checks import check_count
from rrjax.plots.canvas import FAILED, SOLVED, UNIT, Look, draw_intervals, new_panels, save_figure
from rrjax.puzzles import PuzzleSet
from rrjax.puzzles.folders import read_folder, write_folder
from rrjax.puzzles.sudoku import BLANK_TOKEN
from rrjax.store import describe_run, write_json
from scripts.studies.along_training import Row, row_of, write_table
from scripts.studies.comparison import MARKERS, check_arms, gains_over
from scripts.studies.markdown import print_markdown
from scripts.studies.runs import call, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arm = Literal["base", "fast", "falling", "cycles", "width", "longer", "easy"]
FALLING = {"--lr-min-ratio": 0.01}
FAST = {
    "--optimizer": "muon",
    "--arch.swiglu": "normed",
    "--gradient-clip": 1.0,
    "--lr": 3e-4,
}
EASY_CLUES = 14, 30
COMPARED = ("solved", "failed_lambda1", "chaotic", "settled", "auc")
"""What is compared between arms, by its name in a row."""


@dataclass(frozen=True)
class Options:
    """Settings of the study.

    Attributes:
      out: The folder of data, trainings, spectra, table and figure.
      arms: The arms; the others are compared with the first one.
      num_seeds: The number of trainings of each arm, with the seeds 0, 1, …
      recipe: The recipe of the first arm, for 6x6 Sudokus.
      steps: The number of optimizer steps of a training.
      hidden_size: The width of the cell.
      num_train: The number of training puzzles.
      num_puzzles: The number of test puzzles.
      num_segments: The number of segments along which λ₁ is measured.
    """

    out: Annotated[Path, tyro.conf.Positional]
    arms: tuple[Arm, ...] = ("base", "fast", "easy", "longer")
    num_seeds: int = 3
    recipe: str = "cpu_trm_sudoku6"
    steps: int = 500
    hidden_size: int = 64
    num_train: int = 10_000
    num_puzzles: int = 256
    num_segments: int = 16

    def __post_init__(self):
        check_arms(self.arms)
        check_count("num_seeds", self.num_seeds, least=1)


def changes(arm: Arm, options: Options) -> dict[str, object]:
    """Returns the options of `rrjax train` by which an arm differs from the first one."""
    return {
        "base": {},
        "fast": {**FAST, **FALLING},
        "falling": FALLING,
        "cycles": {"--arch.H-cycles": 3, "--arch.L-cycles": 6},
        "width": {"--arch.hidden-size": 2 * options.hidden_size},
        "longer": {},
        "easy": {},
    }[arm]


def steps_of(arm: Arm, options: Options) -> int:
    """Returns the number of optimizer steps of an arm's trainings."""
    return options.steps * (3 if arm == "longer" else 1)


def make_data(options: Options) -> dict[str, Path]:
    """Returns the data sets by their kinds, made where they are missing."""
    folders = {kind: options.out / f"data-{kind}" for kind in ("minimal", "easy")}
    sizes = ("--size", 6, "--num-train", options.num_train, "--num-test", options.num_puzzles)
    if not folders["minimal"].is_dir():
        call("sudoku", folders["minimal"], *sizes)
    if not folders["easy"].is_dir():
        sets = {split: read_folder(folders["minimal"], split) for split in ("train", "test")}
        write_folder(folders["easy"], {**sets, "train": with_more_clues(sets["train"])})
    return folders


def with_more_clues(puzzles: PuzzleSet, seed: int = 0) -> PuzzleSet:
    """Returns the same boards with random further clues, up to a number drawn from EASY_CLUES."""
    rng = np.random.default_rng(seed)
    fewest, most = EASY_CLUES
    wanted = rng.integers(fewest, most, len(puzzles), endpoint=True)
    # clues come first in every row of ranks, the other cells behind them in random order
    order = rng.random(puzzles.inputs.shape) - (puzzles.inputs != BLANK_TOKEN)
    ranks = order.argsort(axis=1).argsort(axis=1)
    shown = (ranks < wanted[:, None]) | (puzzles.inputs != BLANK_TOKEN)
    return replace(puzzles, inputs=np.where(shown, puzzles.labels, BLANK_TOKEN))


def train(arm: Arm, seed: int, data: Path, options: Options) -> Path:
    """Returns the folder of a training's last model; a finished training is not run again."""
    folder = options.out / f"{arm}-seed{seed}"
    steps = steps_of(arm, options)
    words = {
        "--arch.hidden-size": options.hidden_size,
        "--steps": steps,
        "--log-every": math.gcd(steps, 25),
        "--eval-every": steps,
        "--checkpoint-every": math.gcd(steps, 100),
        "--eval-puzzles": options.num_puzzles,
        "--seed": seed,
        **changes(arm, options),
    }
    given = [word for pair in words.items() for word in pair]
    places = ("--config", options.recipe, "--data", data, "--out", folder, "--augment")
    call("train", *places, *given)
    return folder / "models" / f"step_{steps:06d}"


def measure(model: Path, arm: Arm, seed: int, test: Path, options: Options) -> Row:
    """Returns what the spectra of a trained model say of its solved and failed puzzles."""
    results = run(
        options.out / f"spectrum-{arm}-seed{seed}",
        *("spectrum", model, "--puzzles", test, "--num-puzzles", options.num_puzzles),
        *("--num-exponents", 1, "--num-segments", options.num_segments),
    )
    return row_of(results)


def compare(rows: Mapping[str, list[Row]]) -> dict[str, Any]:
    """Returns for every quantity what the other arms add to the first, paired by seed."""
    first = next(iter(rows))
    return {
        name: gains_over(
            first,
            {arm: {name: [getattr(row, name).value for row in each]} for arm, each in rows.items()},
            (name,),
        )
        for name in COMPARED
    }


def figure(rows: Mapping[str, list[Row]], options: Options) -> "Figure":
    """Draws each training as a point with its interval over puzzles, a panel for each subject."""
    panels = new_panels(1.6 + 1.1 * len(rows), 9.6, 4, 1, sharex=True)[:, 0]
    subjects = (
        ("solved puzzles", (("solved", "black", ""),)),
        (
            f"median λ₁ ({UNIT})\nhollow: of failures",
            (
                ("failed_lambda1", FAILED.color, FAILED.hatch),
                ("solved_lambda1", SOLVED.color, SOLVED.hatch),
            ),
        ),
        ("share of failures\nwith λ₁ > 0", (("chaotic", FAILED.color, FAILED.hatch),)),
        ("AUC of −λ₁\nfor solved", (("auc", "black", ""),)),
    )
    for ax, (label, lines) in zip(panels, subjects, strict=True):
        for name, color, hatch in lines:
            _draw_trainings(ax, rows, name, color, hatch)
        ax.set_ylabel(label)
    panels[1].axhline(0, color="gray", linewidth=0.8)
    panels[3].axhline(0.5, color="gray", linewidth=0.8)
    panels[-1].set_xticks(range(len(rows)), list(rows))
    lengths = f"{options.steps:,} steps" + (
        f"; longer: {steps_of('longer', options):,}" if "longer" in rows else ""
    )
    panels[-1].set_xlabel(f"training ({options.num_seeds} seeds each, {lengths})")
    title = f"What makes failures chaotic ({options.num_puzzles} puzzles, 95 % intervals)"
    panels[0].set_title(title, loc="left", fontsize="medium")
    return panels[0].figure


def _draw_trainings(
    ax: Any, rows: Mapping[str, list[Row]], name: str, color: str, hatch: str
) -> None:
    for place, each in enumerate(rows.values()):
        for seed, row in enumerate(each):
            shift = 0.14 * (seed - (len(each) - 1) / 2)
            look = Look("", color, hatch, "", MARKERS[seed % len(MARKERS)])
            draw_intervals(ax, np.array([place + shift]), [getattr(row, name)], look)


def print_table(rows: Mapping[str, list[Row]], compared: Mapping[str, Any]) -> None:
    """Prints the trainings and the differences between arms as Markdown."""
    trainings = [
        (arm, seed, *(_words(getattr(row, name)) for name in COMPARED))
        for arm, each in rows.items()
        for seed, row in enumerate(each)
    ]
    print_markdown(["arm", "seed", *COMPARED], trainings)
    print()
    heads = ["arm minus the first", "quantity", "mean", "95 % (Student's t over seeds)"]
    differences = [
        (arm, name, *_difference_words(gain[name]))
        for name, arms in compared.items()
        for arm, gain in arms.items()
    ]
    print_markdown(heads, differences)


def _difference_words(difference: Mapping[str, float]) -> tuple[str, str]:
    mean, low, high = (difference[key] for key in ("mean", "low", "high"))
    return ("–", "–") if math.isnan(mean) else (f"{mean:+.3f}", f"{low:+.3f} to {high:+.3f}")


def _words(interval: Interval) -> str:
    if math.isnan(interval.value):  # no failures, or no solved puzzle
        return "–"
    return "{:.3f} [{:.3f}, {:.3f}]".format(*interval.ends)


def main(options: Options) -> None:
    """Trains and measures what is missing, then writes the tables and the figure."""
    data = make_data(options)
    rows: dict[str, list[Row]] = {arm: [] for arm in options.arms}
    for seed in range(options.num_seeds):
        for arm in options.arms:
            source = data["easy" if arm == "easy" else "minimal"]
            model = train(arm, seed, source, options)
            rows[arm].append(measure(model, arm, seed, data["minimal"], options))
    compared = compare(rows)
    print_table(rows, compared)
    named = {f"{arm} {seed}": row for arm, each in rows.items() for seed, row in enumerate(each)}
    write_table(named, options.out / "chaos.csv", "training")
    settings = {**asdict(options), "out": options.out.name}
    write_json(
        options.out / "chaos.json",
        {"options": settings, "differences": compared, "made_by": describe_run()},
    )
    save_figure(figure(rows, options), options.out / "chaos.png")
    print(f"written: chaos.csv, chaos.json and chaos.png in {options.out}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
