"""Training on a device repeats its bits, also when it is killed and resumed."""

import json
import sys

import jax
import numpy as np
import pytest

from rrjax.training.data import Sampler
from rrjax.training.state import init_train_state
from rrjax.training.step import train_step
from tests.tools import tiny_training as tiny
from tests.tools.processes import begin, finish

# a processor's ordinary tests say the same in more detail
RARELY_ON_CPU = pytest.mark.parametrize(
    "device",
    [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("gpu", marks=pytest.mark.gpu)],
    indirect=True,
)
DETERMINISTIC = {"xla_gpu_deterministic_ops": True}
"""Makes the operations of a GPU repeat their bits; a processor's always do."""

# Trains in a folder, prints the step of each row, and is killed at one of them.
RUN = """
import json, os, signal, sys, time
from pathlib import Path

from rrjax.training.loop import train
from rrjax.training.settings import LoopSettings
from tests.tools import tiny_training as tiny

folder = Path(sys.argv[1])

def report(step, metrics):
    print(json.dumps(step), flush=True)
    if step == int(sys.argv[2]):
        while not (folder / "checkpoints" / "3").is_dir():  # it is written beside the steps
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)

settings = LoopSettings(log_every=1, eval_every=8, checkpoint_every=3)
train(tiny.task(steps=8), settings, folder, report)
"""


@RARELY_ON_CPU
def test_steps_repeat_their_bits(device):
    task = tiny.task()
    step = jax.jit(train_step, static_argnums=(0, 1), compiler_options=DETERMINISTIC)
    sampler = Sampler(task.train, task.recipe.global_batch_size, seed=0, augment=True)

    def run():
        state = init_train_state(task.config, task.recipe)
        for index in range(3):
            state, metrics = step(task.config, task.recipe, state, sampler.batch(index))
        return state, metrics

    start = init_train_state(task.config, task.recipe)
    first, second = run(), run()
    assert {leaf.device for leaf in jax.tree.leaves(first)} == {device}
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other)
    for name, before in start.trained.items():
        assert np.any(np.asarray(before) != np.asarray(first[0].trained[name])), name


@RARELY_ON_CPU
def test_a_killed_run_ends_with_the_bits_of_an_unbroken_one(device, tmp_path):
    def start(name, kill_at):
        platform = "cuda" if device.platform == "gpu" else "cpu"
        words = [sys.executable, "-c", RUN, str(tmp_path / name), str(kill_at)]
        flags = "--xla_gpu_deterministic_ops=true"
        return begin(words, flags, JAX_PLATFORMS=platform)

    assert steps(finish(start("whole", 0))) == [1, 2, 3, 4, 5, 6, 7, 8]
    killed = start("broken", 5)
    assert steps(killed.communicate(timeout=500)[0]) == [1, 2, 3, 4, 5]
    assert steps(finish(start("broken", 0))) == [4, 5, 6, 7, 8]
    whole, broken = (
        (tmp_path / name / "models" / "step_000008" / "model.safetensors").read_bytes()
        for name in ("whole", "broken")
    )
    assert whole == broken


def steps(printed):
    return [json.loads(line) for line in printed.splitlines() if line.strip().isdigit()]
