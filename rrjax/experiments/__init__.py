"""Experiments on a model and many puzzles, in memory or in a folder where they can be resumed.

Every experiment is a function `(model, puzzles, *, …, folder=None) -> Results`. What it needs of a
model and of puzzles is written down in `Reasoner` and `Puzzles`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrjax.experiments.analyses import analyse as analyse
    from rrjax.experiments.basins import basin as basin
    from rrjax.experiments.experiment import Experiment as Experiment
    from rrjax.experiments.loading import load_results as load_results
    from rrjax.experiments.noisy import ptrm as ptrm
    from rrjax.experiments.reasoner import Puzzles as Puzzles
    from rrjax.experiments.reasoner import Reasoner as Reasoner
    from rrjax.experiments.rollouts import rollout as rollout
    from rrjax.experiments.slices import slice as slice
    from rrjax.experiments.spectra import spectrum as spectrum
    from rrjax.experiments.toys import toy as toy

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

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"rrjax.experiments.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
