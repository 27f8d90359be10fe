"""The files that examples in docstrings read: finished runs, made up by hand."""

import json
import shutil
from pathlib import Path

from rrjax.experiments.noisy import PTRM
from rrjax.puzzles import write_folder
from rrjax.training.logs import CsvLog
from tests.tools import made_up, reported, shown, tiny

GOLDEN = Path(__file__).parents[1] / "golden"


def write_files(folder: Path) -> None:
    """Writes a checkpoint, a tiny model with puzzles, and finished runs of several kinds."""
    shutil.copytree(GOLDEN / "trm_mlp", folder / "downloads" / "trm")
    tiny.write_model(folder / "models" / "tiny")
    write_folder(folder / "data" / "tiny", {"test": tiny.puzzles(6)})
    runs = folder / "runs"
    made_up.spectrum_results(updates_per_segment=made_up.PER_SEGMENT).save(runs / "made-up")
    shown.basin().save(runs / "basin")
    PTRM.results(reported.noisy(), {"options": {}}).save(runs / "noisy")
    for seed, accuracy in enumerate([0.5, 0.75]):
        write_training(runs / f"seed_{seed}", seed, accuracy)


def write_training(folder: Path, seed: int, accuracy: float) -> None:
    """Writes the record and the numbers of a training, evaluated once."""
    folder.mkdir()
    identity = {"recipe": {"steps": 10, "seed": seed}}
    record = {"format": "training run 1", "identity": identity, "num_weights": {"trained": 7}}
    (folder / "config.json").write_text(json.dumps(record))
    CsvLog(folder / "metrics.csv").append([{"step": 10, "test/exact_accuracy": accuracy}])
