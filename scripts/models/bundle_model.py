"""Bundles a trained model with its config, its held-out puzzles and what it achieves.

    python -m scripts.models.bundle_model RUN STEP DATA NAME [DTYPE]

RUN is a folder of `rrjax train`, STEP one of its evaluations, DATA its data-set folder, DTYPE the
type of the weights in the file, float32 or bfloat16. The model appears as `rrjax/bundled/NAME`;
what it achieves on all held-out puzzles, with the weights as they are stored, is in its
`config.json`, with what it achieved along its training.
"""

import sys
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


def curve(training: Run, last: int) -> dict[str, Any]:
    """Returns the solved share of the test puzzles at each evaluation up to a step."""
    metrics = training.metrics
    evaluated = ~np.isnan(metrics[f"{EVALUATED}exact_accuracy"]) & (metrics["step"] <= last)
    counts = metrics[f"{EVALUATED}count"][evaluated]
    return {
        "steps": metrics["step"][evaluated].astype(int).tolist(),
        "solved": metrics[f"{EVALUATED}exact_accuracy"][evaluated].tolist(),
        "num_puzzles": int(counts[0]),
    }


def main(run: Path, step: int, data: Path, name: str, dtype: str = "float32") -> None:
    """Evaluates the model on all test puzzles and writes the folder."""
    exact, config, provenance = read_model(run / "models" / f"step_{step:06d}")
    flat = {key: leaf.astype(jax_dtype(dtype)) for key, leaf in exact.items()}
    puzzles = read_folder(data, "test")
    rounded = {key: leaf.astype(np.float32) for key, leaf in flat.items()}
    outcome = evaluate(rounded, config, puzzles, 64, len(puzzles))
    training = load_run(run)
    seconds = training.seconds()[training.metrics["step"] <= step][-1]
    provenance |= {
        "test": outcome,
        "training_seconds": round(seconds),
        "curve": curve(training, step),
    }
    save_model(BUNDLED / name, flat, config, provenance)
    write_folder(BUNDLED / name / "puzzles", {"test": puzzles})
    print(f"{name}: {outcome}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
