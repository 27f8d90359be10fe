"""rrjax measures the dynamics of recursive reasoning models in JAX.

Each public name is imported when it is first used, so that `import rrjax` itself loads nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from rrjax.lazy import lazy_names

__version__ = "0.3.0"

if TYPE_CHECKING:
    from rrjax import analysis as analysis
    from rrjax import cells as cells
    from rrjax import experiments as experiments
    from rrjax import flossing as flossing
    from rrjax import inside as inside
    from rrjax import plots as plots
    from rrjax import puzzles as puzzles
    from rrjax import systems as systems
    from rrjax.contract import Dynamics as Dynamics
    from rrjax.contract import Repeat as Repeat
    from rrjax.contract import Update as Update
    from rrjax.converters.convert import (  # pyright: ignore[reportMissingImports]
        convert as convert,  # `converters/` in a checkout, where this path does not exist
    )
    from rrjax.dynamics import horizons as horizons
    from rrjax.dynamics.covariant import CovariantVectors as CovariantVectors
    from rrjax.dynamics.covariant import covariant_vectors as covariant_vectors
    from rrjax.dynamics.distinct_points import FixedPoints as FixedPoints
    from rrjax.dynamics.distinct_points import fixed_points as fixed_points
    from rrjax.dynamics.divergence import Divergence as Divergence
    from rrjax.dynamics.divergence import divergence as divergence
    from rrjax.dynamics.fixed_points import FixedPoint as FixedPoint
    from rrjax.dynamics.fixed_points import fixed_point as fixed_point
    from rrjax.dynamics.fixed_points import leading_eigenvalues as leading_eigenvalues
    from rrjax.dynamics.forward_vectors import ForwardVectors as ForwardVectors
    from rrjax.dynamics.forward_vectors import forward_vectors as forward_vectors
    from rrjax.dynamics.full import FullSpectrum as FullSpectrum
    from rrjax.dynamics.full import full_spectrum as full_spectrum
    from rrjax.dynamics.local import LocalGrowth as LocalGrowth
    from rrjax.dynamics.local import local_growth as local_growth
    from rrjax.dynamics.noise import with_noise as with_noise
    from rrjax.dynamics.noise import with_update_noise as with_update_noise
    from rrjax.dynamics.participation import participation as participation
    from rrjax.dynamics.rollout import Trajectory as Trajectory
    from rrjax.dynamics.rollout import observe_segments as observe_segments
    from rrjax.dynamics.rollout import rollout as rollout
    from rrjax.dynamics.slices import SettlingTime as SettlingTime
    from rrjax.dynamics.slices import settling_time as settling_time
    from rrjax.dynamics.spectrum import Spectrum as Spectrum
    from rrjax.dynamics.spectrum import spectrum as spectrum
    from rrjax.dynamics.starts import perturb as perturb
    from rrjax.experiments.loading import load_results as load_results
    from rrjax.experiments.reasoner import Reasoner as Reasoner
    from rrjax.experiments.solving import SolvedPuzzle as SolvedPuzzle
    from rrjax.experiments.solving import solve as solve
    from rrjax.models import Model as Model
    from rrjax.models import bundled_names as bundled_names
    from rrjax.models import load_model as load_model
    from rrjax.results.results import Results as Results
    from rrjax.training.history import aggregate_runs as aggregate_runs
    from rrjax.training.history import load_run as load_run

_MODULES = {
    **{name: f"rrjax.{name}" for name in ("analysis", "cells", "experiments", "flossing")},
    **{name: f"rrjax.{name}" for name in ("inside", "plots", "puzzles", "systems")},
    "horizons": "rrjax.dynamics.horizons",
}
_object, _, _objects = lazy_names(
    __name__,
    {
        "contract": ("Dynamics", "Repeat", "Update"),
        "converters.convert": ("convert",),
        "dynamics.covariant": ("CovariantVectors", "covariant_vectors"),
        "dynamics.distinct_points": ("FixedPoints", "fixed_points"),
        "dynamics.divergence": ("Divergence", "divergence"),
        "dynamics.fixed_points": ("FixedPoint", "fixed_point", "leading_eigenvalues"),
        "dynamics.forward_vectors": ("ForwardVectors", "forward_vectors"),
        "dynamics.full": ("FullSpectrum", "full_spectrum"),
        "dynamics.local": ("LocalGrowth", "local_growth"),
        "dynamics.noise": ("with_noise", "with_update_noise"),
        "dynamics.participation": ("participation",),
        "dynamics.rollout": ("Trajectory", "observe_segments", "rollout"),
        "dynamics.slices": ("SettlingTime", "settling_time"),
        "dynamics.spectrum": ("Spectrum", "spectrum"),
        "dynamics.starts": ("perturb",),
        "experiments.loading": ("load_results",),
        "experiments.reasoner": ("Reasoner",),
        "experiments.solving": ("SolvedPuzzle", "solve"),
        "models": ("Model", "bundled_names", "load_model"),
        "results.results": ("Results",),
        "training.history": ("aggregate_runs", "load_run"),
    },
)
__all__ = sorted([*_objects, *_MODULES])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    return importlib.import_module(_MODULES[name]) if name in _MODULES else _object(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
