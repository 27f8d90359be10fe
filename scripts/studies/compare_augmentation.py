"""Does training from perturbed starts raise the accuracy? Baseline against trajectory augmentation.

Every arm trains the same small TRM on the same 4x4 Sudokus with the same seeds; an optimizer step
is a whole rollout of new puzzles (`parallel_fixed`). Arms differ as follows:

- `baseline`: one clean trajectory of each puzzle;
- `multi4`: the clean one and three perturbed ones, σ log-uniform in `--sigma`, ramped from 0 over
  the first tenth of the steps;
- `batch4`: one clean trajectory of four times as many puzzles.

`multi4` is compared at equal optimizer steps and equal puzzles seen, as in the notes it comes from,
and so at four times the baseline's compute; `batch4` has the compute of `multi4`.

Usage: python -m scripts.studies.compare_augmentation OUT [--arms baseline multi4 batch4]
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import tyro

from rrjax.training.settings import Augmentation
from rrjax.training.task import TrainingTask
from scripts.studies import comparison
from scripts.studies.comparison import Change, Sizes

Arm = Literal["baseline", "multi4", "batch4"]


@dataclass(frozen=True)
class Options(Sizes):
    """Settings of the comparison.

    Attributes:
      arms: The arms; the others are compared with the first one.
      sigma: The lowest and highest σ of the perturbed starts.
    """

    arms: tuple[Arm, ...] = ("baseline", "multi4")
    sigma: tuple[float, float] = (3e-5, 3e-3)

    def __post_init__(self):
        super().__post_init__()
        comparison.check_arms(self.arms)


def changed(arm: Arm, options: Options, task: TrainingTask) -> TrainingTask:
    """Returns the task of an arm."""
    recipe = task.recipe
    if arm == "batch4":
        recipe = replace(recipe, global_batch_size=4 * recipe.global_batch_size)
    elif arm == "multi4":
        recipe = replace(recipe, augmentation=multi4(options.sigma, task))
    return replace(task, recipe=recipe)


def multi4(sigma: tuple[float, float], task: TrainingTask) -> Augmentation:
    """Returns a task's augmentation with one clean and three perturbed trajectories of a puzzle."""
    return replace(
        task.recipe.augmentation,
        objective="multi_perturbed_ce",
        sigma=sigma,
        ramp_steps=task.recipe.steps // 10,
    )


def main(options: Options) -> None:
    """Runs what is missing, prints the tables, and writes comparison.json and comparison.png."""
    arms: dict[str, Change] = {arm: partial(changed, arm, options) for arm in options.arms}
    comparison.finish(options, arms)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
