"""Logged rows for TensorBoard or W&B, beside the run's own tables."""

import hashlib
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

Tracker = Literal["none", "tensorboard", "wandb"]

Write = Callable[[int, dict[str, float]], None]


@contextmanager
def tracking(kind: Tracker, folder: Path, config: dict[str, Any]) -> Iterator[Write]:
    """What writes a step's numbers by name; it is opened by the first of them.

    A run that resumes goes on in the same folder, and in the same W&B run, whose id follows from
    its `config.json`; what was written after its checkpoint is written again. W&B without a
    network: `WANDB_MODE=offline`.

    Args:
      kind: `none` writes nothing.
      folder: of the run, with its `config.json` when the first numbers come; `tensorboard/` or
        `wandb/` appears in it.
      config: what makes the run the same run; W&B keeps it.

    Raises:
      ValueError: without the package, saying how to install it.
    """
    if kind == "none":
        yield lambda step, numbers: None
        return
    package = _import(kind)
    opened: list[tuple[Write, Callable[[], Any]]] = []

    def write(step: int, numbers: dict[str, float]) -> None:
        if not opened:  # only now is the folder the run's, and the step known that it goes on from
            opened.append(_OPEN[kind](package, folder, config, step))
        opened[0][0](step, numbers)

    try:
        yield write
    finally:
        for _, close in opened:
            close()


def _tensorboard(package: Any, folder: Path, config: dict[str, Any], step: int) -> Any:
    writer = package.SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(step: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    return write, writer.close


def _wandb(package: Any, folder: Path, config: dict[str, Any], step: int) -> Any:
    # it has the time at which the run began: another run of the same settings is not this one
    name = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()[:16]
    run = package.init(
        project="rrjax", name=folder.name, id=name, dir=folder, config=config, resume="allow"
    )
    return (lambda step, numbers: run.log(numbers, step=step)), run.finish


_OPEN = {"tensorboard": _tensorboard, "wandb": _wandb}
_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}


def _import(kind: str) -> Any:
    try:
        return importlib.import_module(_PACKAGES[kind])
    except ModuleNotFoundError as error:
        raise ValueError(
            f"track {kind} needs {error.name}, which is missing: pip install 'rrjax[track]'"
        ) from error
