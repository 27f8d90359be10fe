"""What does the recursion of TRM do for it? TRM beside the baselines of the original notebook.

Every arm trains on the same 4x4 Sudokus with the same seeds and optimizer steps; a step is a whole
rollout of new puzzles (`parallel_fixed`). The baselines refine an answer by one update a segment:
a transformer block, a bidirectional LSTM, an MLP-mixer block. All have about as many weights as the
TRM (37,378; see `WIDTHS`), which evaluates its block six times a segment.

Usage: python -m scripts.studies.compare_baselines OUT [--arms trm transformer lstm mixer]
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import tyro

from rrjax.training.task import TrainingTask
from scripts.studies import comparison
from scripts.studies.comparison import Change, Sizes

Arm = Literal["trm", "transformer", "lstm", "mixer"]
WIDTHS = {"transformer": 5 / 4, "lstm": 39 / 16, "mixer": 1}
"""Over the TRM's, for about its number of weights: 37,722, 37,988 and 37,346 beside width 32."""


@dataclass(frozen=True)
class Options(Sizes):
    """Settings of the comparison.

    Attributes:
      arms: The arms; the others are compared with the first one.
    """

    arms: tuple[Arm, ...] = ("trm", "transformer", "lstm", "mixer")

    def __post_init__(self):
        super().__post_init__()
        comparison.check_arms(self.arms)


def changed(arm: Arm, task: TrainingTask) -> TrainingTask:
    """Returns the task of an arm."""
    arch = task.config.arch
    if arm != "trm":
        size = {"H_layers": 1, "hidden_size": round(WIDTHS[arm] * arch.hidden_size)}
        arch = replace(arch, name=arm, mlp_t=arm == "mixer", **size)
    if arm == "transformer":
        arch = replace(arch, num_heads=4, pos_encodings="rope")
    return replace(task, config=replace(task.config, arch=arch))


def main(options: Options) -> None:
    """Runs what is missing, prints the tables, and writes comparison.json and comparison.png."""
    arms: dict[str, Change] = {arm: partial(changed, arm) for arm in options.arms}
    comparison.finish(options, arms)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
