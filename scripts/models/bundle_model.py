"""Bundles a trained model with its config, its held-out puzzles and what it achieves.

    python -m scripts.models.bundle_model RUN STEP DATA NAME [DTYPE [EARLIER…]]

RUN is a folder of `rrjax train`, STEP one of its evaluations, DATA its data-set folder, DTYPE the
type of the weights in the file, float32 or bfloat16. EARLIER are the trainings that it began with,
the first of them first, whose steps and seconds count as well. The model appears as
`rrjax/bundled/NAME`; what it achieves on all held-out puzzles, with the weights as they are stored,
is in its `config.json`, with what it achieved along its training.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.numpy import dtype as jax_dtype

from rrjax.models import read_model, save_model
from rrjax.puzzles import write_folder
from rrjax.puzzles.folders import read_folder
from rrjax.training.evaluate import evaluate
from rrjax.training.history import Run, load_run
from rrjax.training.logs import EVALUATED

BUNDLED = Path(__file__).parents[2] / "rrjax" / "bundled"


def curve(trainings: Sequence[Run], last: int) -> dict[str, Any]:
    """Returns what trainings that follow each other solved of the last one's test puzzles.

    Each evaluation took the first `num_puzzles` of them.

    Args:
      trainings: The trainings; those with another test set only count by their steps.
      last: The step of the last one that is the end.
    """
    test_set = trainings[-1].config["identity"]["test_set"]
    steps, solved, counts, before = [], [], [], 0
    for training in trainings:
        step, shares = (training.metrics[name] for name in ("step", f"{EVALUATED}exact_accuracy"))
        end = last if training is trainings[-1] else step[-1]
        if training.config["identity"]["test_set"] == test_set:
            shown = training.evaluated & (step <= end)
            steps += (before + step[shown].astype(int)).tolist()
            solved += shares[shown].tolist()
            counts += training.metrics[f"{EVALUATED}count"][shown].astype(int).tolist()
        before += int(end)
    return {"steps": steps, "solved": solved, "num_puzzles": counts}


def seconds_of(trainings: Sequence[Run], last: int) -> int:
    """Returns the seconds of all steps, of the last training those up to a step."""
    *earlier, training = trainings
    own = training.seconds()[training.metrics["step"] <= last][-1]
    return round(own + sum(each.seconds()[-1] for each in earlier))


def main(
    run: Path, step: int, data: Path, name: str, dtype: str = "float32", *earlier: str
) -> None:
    """Evaluates the model on all test puzzles and writes the folder."""
    exact, config, provenance = read_model(run / "models" / f"step_{step:06d}")
    flat = {key: leaf.astype(jax_dtype(dtype)) for key, leaf in exact.items()}
    puzzles = read_folder(data, "test")
    rounded = {key: leaf.astype(np.float32) for key, leaf in flat.items()}
    outcome = evaluate(rounded, config, puzzles, 64, len(puzzles))
    trainings = [load_run(folder) for folder in (*earlier, run)]
    provenance |= {
        "test": outcome,
        "training_seconds": seconds_of(trainings, step),
        "curve": curve(trainings, step),
    }
    save_model(BUNDLED / name, flat, config, provenance)
    write_folder(BUNDLED / name / "puzzles", {"test": puzzles})
    print(f"{name}: {outcome}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
