"""Strict settings of JAX, which users turn on to find defects of their own, find none of ours."""

import sys

from tests.tools.processes import begin, finish

STRICT = {
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DEBUG_NANS": "true",
}

_CORE = """
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from rrjax.experiments import basin, rollout, spectrum
from rrjax.models import load_model, save_model
from rrjax.training.data import Sampler
from rrjax.training.state import init_train_state
from tests.tools import tiny_training
from tests.tools.jobs import SMALL
from tests.tools.tiny import puzzles, weights

folder, puzzles, sizes = Path(sys.argv[1]), puzzles(2), {"num_segments": 2, "progress": False}
save_model(folder, weights(SMALL), SMALL, {})
model = load_model(folder)
unlabelled = replace(puzzles, labels=np.zeros_like(puzzles.labels))
assert spectrum(model, puzzles, num_exponents=2, **sizes).finite.all()
assert np.isnan(rollout(model, unlabelled, **sizes).token_accuracy).all()  # as documented
assert basin(model, puzzles, sigmas=[1.0], num_restarts=1, **sizes).solved.shape == (2, 2, 2)

task = tiny_training.task()
state = init_train_state(task.config, task.recipe)
batch = Sampler(task.train, task.recipe.global_batch_size, 0, True).batch(0)
_, metrics = tiny_training.compiled_step(task.config, task.recipe, state, batch)
assert np.isfinite(metrics["loss"])
"""


def test_the_core_runs_under_strict_settings(tmp_path):
    finish(begin([sys.executable, "-c", _CORE, str(tmp_path / "model")], **STRICT))
