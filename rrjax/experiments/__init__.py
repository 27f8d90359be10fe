"""Experiments on a model and many puzzles, in memory or in a folder where they can be resumed.

Every experiment is a function `(model, puzzles, *, …, folder=None) -> Results`. What it needs of a
model and of puzzles is written down in `Reasoner` and `Puzzles`.
"""

from typing import TYPE_CHECKING

from rrjax.lazy import lazy_names

if TYPE_CHECKING:
    from rrjax.experiments.analyses import analyse as analyse
    from rrjax.experiments.basins import basin as basin
    from rrjax.experiments.dimensions import dimension as dimension
    from rrjax.experiments.erasing import erase as erase
    from rrjax.experiments.experiment import Experiment as Experiment
    from rrjax.experiments.fillings import blanks as blanks
    from rrjax.experiments.growths import growth as growth
    from rrjax.experiments.information_plane import information as information
    from rrjax.experiments.kicks import kicking as kicking
    from rrjax.experiments.loading import load_results as load_results
    from rrjax.experiments.logit_terms import logits as logits
    from rrjax.experiments.mixings import mixing as mixing
    from rrjax.experiments.neuron_scores import neurons as neurons
    from rrjax.experiments.noisy import ptrm as ptrm
    from rrjax.experiments.patches import patching as patching
    from rrjax.experiments.points import fixed_points as fixed_points
    from rrjax.experiments.probes import probe as probe
    from rrjax.experiments.reasoner import Puzzles as Puzzles
    from rrjax.experiments.reasoner import Reasoner as Reasoner
    from rrjax.experiments.recording import recordings as recordings
    from rrjax.experiments.recording import states as states
    from rrjax.experiments.rollouts import rollout as rollout
    from rrjax.experiments.similarities import similarity as similarity
    from rrjax.experiments.singles import circuits as circuits
    from rrjax.experiments.slices import slice as slice
    from rrjax.experiments.solving import solve as solve
    from rrjax.experiments.spectra import spectrum as spectrum
    from rrjax.experiments.spending import policies as policies
    from rrjax.experiments.toys import toy as toy
    from rrjax.experiments.vectors import meaning as meaning

__getattr__, __dir__, __all__ = lazy_names(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__,
    {
        "analyses": ("analyse",),
        "basins": ("basin",),
        "erasing": ("erase",),
        "experiment": ("Experiment",),
        "growths": ("growth",),
        "kicks": ("kicking",),
        "loading": ("load_results",),
        "logit_terms": ("logits",),
        "mixings": ("mixing",),
        "vectors": ("meaning",),
        "noisy": ("ptrm",),
        "patches": ("patching",),
        "points": ("fixed_points",),
        "probes": ("probe",),
        "reasoner": ("Puzzles", "Reasoner"),
        "rollouts": ("rollout",),
        "singles": ("circuits",),
        "slices": ("slice",),
        "solving": ("solve",),
        "spectra": ("spectrum",),
        "spending": ("policies",),
        "recording": ("recordings", "states"),
        "dimensions": ("dimension",),
        "similarities": ("similarity",),
        "information_plane": ("information",),
        "neuron_scores": ("neurons",),
        "fillings": ("blanks",),
        "toys": ("toy",),
    },
)
