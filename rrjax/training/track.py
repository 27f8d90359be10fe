"""Sends logged rows to TensorBoard or W&B, beside the run's own tables."""

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
    """Yields a function that writes a step's numbers, which it takes by name.

    A run that resumes goes on in the same folder and in the same W&B run, whose id follows from
    `config.json`. Numbers from after its checkpoint are written again. W&B works without a network
    if `WANDB_MODE=offline` is set.

    Args:
      kind: the tracker; `none` writes nothing.
      folder: the run folder. The tracker makes `tensorboard/` or `wandb/` in it when the first
        numbers come; `config.json` must exist by then.
      config: the identity of the run, which W&B keeps.

    Raises:
      ValueError: if the package is missing; the message says how to install it.
    """
    if kind == "none":
        yield lambda step, numbers: None
        return
    try:
        package = importlib.import_module(_PACKAGES[kind])
    except ModuleNotFoundError as error:
        raise ValueError(
            f"track {kind} needs {error.name}, which is missing: pip install {error.name}"
        ) from error
    opened: list[tuple[Write, Callable[[], Any]]] = []

    def write(step: int, numbers: dict[str, float]) -> None:
        if not opened:  # the run has its folder now, and knows the step at which it goes on
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
    # the file has the time at which the run began, by which equal settings are told apart
    name = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()[:16]
    run = package.init(
        project="rrjax", name=folder.name, id=name, dir=folder, config=config, resume="allow"
    )
    return (lambda step, numbers: run.log(numbers, step=step)), run.finish


_OPEN = {"tensorboard": _tensorboard, "wandb": _wandb}
_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}
