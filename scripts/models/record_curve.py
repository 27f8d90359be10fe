"""Records what a second training of a bundled model achieved along the way.

    python -m scripts.models.record_curve RUN STEP NAME

The first trainings of some models were not recorded. RUN is a folder of `rrjax train` with the
recipe and the data of the model NAME, and STEP the evaluation that stands where the first training
ended. The curve goes into the model's `config.json`, and says there that it is of a second
training; the weights stay.
"""

import json
import sys
from pathlib import Path

from rrjax.models import CONFIG
from rrjax.store import write_json
from rrjax.training.history import load_run
from scripts.models.bundle_model import BUNDLED, curve


def main(run: Path, step: int, name: str) -> None:
    """Writes the curve into the record of the model.

    Raises:
      ValueError: The two trainings had other puzzles.
    """
    again, path = load_run(run), BUNDLED / name / CONFIG
    record = json.loads(path.read_text(encoding="utf-8"))
    trained = record["provenance"]["trained"]
    for split in ("train_set", "test_set"):
        if again.config["identity"][split] != trained[split]:
            raise ValueError(f"{run}: expected the {split} of {name}, found another one")
    record["provenance"]["curve"] = curve([again], step) | {"training": "a second one"}
    write_json(path, record)
    print(f"{name}: {record['provenance']['curve']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
