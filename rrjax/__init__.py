"""rrjax: the dynamics of recursive reasoning models, measured in JAX."""

from rrjax.contract import Dynamics
from rrjax.dynamics.rollout import Trajectory, rollout
from rrjax.dynamics.spectrum import Spectrum, spectrum
from rrjax.experiments.loading import load_results
from rrjax.models import Model, bundled_names, load_model
from rrjax.results.results import Results
from rrjax.training.history import aggregate_runs, load_run

__all__ = [
    "Dynamics",
    "Model",
    "Results",
    "Spectrum",
    "Trajectory",
    "aggregate_runs",
    "bundled_names",
    "load_model",
    "load_results",
    "load_run",
    "rollout",
    "spectrum",
]
