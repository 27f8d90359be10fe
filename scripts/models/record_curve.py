"""Records what a second training of a bundled model achieved along the way.

    python -m scripts.models.record_curve RUN STEP NAME

The first trainings of some models were not recorded. RUN is a folder of `rrjax train` with the
recipe and the data of the model NAME, and STEP the evaluation that stands where the first training
ended. The curve goes into the model's `config.json`, and says there that it is of a second
training; the weights stay.
"""

import sys
from pathlib import Path

from rrjax.models import CONFIG, load_model
from rrjax.store import read_json, write_json
from rrjax.training.history import load_run
from scripts.models.bundle_model import BUNDLED, curve


def main(run: Path, step: int, name: str) -> None:
    """Writes the curve into the record of the model.

    Raises:
      ValueError: The run has other test puzzles than the model.
    """
    again, path = load_run(run), BUNDLED / name / CONFIG
    # not the recorded digest: that of the oldest model is of another definition
    if again.config["identity"]["test_set"] != load_model(BUNDLED / name).test_puzzles().digest():
        raise ValueError(f"{run}: expected the test puzzles of {name}, found others")
    record = read_json(path)
    record["provenance"]["curve"] = curve([again], step) | {"training": "a second one"}
    write_json(path, record)
    print(f"{name}: {record['provenance']['curve']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
