"""Experiments on a model and many puzzles, in memory or in a folder where they can be resumed.

Every experiment is a function `(model, puzzles, *, …, folder=None) -> Results`. What it needs of a
model and of puzzles is written down in `Reasoner` and `Puzzles`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrjax.experiments.analyses import analyse
    from rrjax.experiments.basins import basin
    from rrjax.experiments.experiment import Experiment
    from rrjax.experiments.loading import load_results
    from rrjax.experiments.noisy import ptrm
    from rrjax.experiments.reasoner import Puzzles, Reasoner
    from rrjax.experiments.rollouts import rollout
    from rrjax.experiments.slices import slice
    from rrjax.experiments.spectra import spectrum
    from rrjax.experiments.toys import toy

_MODULES = {
    "analyse": "analyses",
    "basin": "basins",
    "Experiment": "experiment",
    "load_results": "loading",
    "ptrm": "noisy",
    "Puzzles": "reasoner",
    "Reasoner": "reasoner",
    "rollout": "rollouts",
    "slice": "slices",
    "spectrum": "spectra",
    "toy": "toys",
}

__all__ = [
    "Experiment",
    "Puzzles",
    "Reasoner",
    "analyse",
    "basin",
    "load_results",
    "ptrm",
    "rollout",
    "slice",
    "spectrum",
    "toy",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"rrjax.experiments.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
