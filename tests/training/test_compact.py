"""Runs made compact: what is kept to the bit, what is rounded, and states that are run again."""

import dataclasses
import functools
from contextlib import closing
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rrjax.cells import Arch, Config, init_params
from rrjax.cli import main
from rrjax.training.checkpoints import Checkpoints
from rrjax.training.compact import COMPACT, _reduced, compact_run, restore_compact, run_again
from rrjax.training.data import Sampler
from rrjax.training.history import load_run
from rrjax.training.loop import _naming_the_last, train
from rrjax.training.placement import Placement
from rrjax.training.settings import Augmentation, LoopSettings, Recipe
from rrjax.training.state import init_train_state
from tests.tools import tiny_training as tiny
from tests.tools.tiny_training import compiled_step

LOOP = LoopSettings(log_every=1, eval_every=12, checkpoint_every=12)
TASK = tiny.task(steps=12, stagger_slots=True)


def quietly(*_) -> None:
    pass


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that was stopped after six of twelve steps."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = dataclasses.replace(LOOP, log_every=6)
    train(TASK, settings, folder, quietly, max_minutes=1e-9)
    return folder


@pytest.mark.parametrize(
    "augmentation",
    [
        pytest.param(Augmentation(), marks=pytest.mark.slow),
        pytest.param(
            Augmentation("multi_perturbed_ce", num_trajectories=2, sigma=(0.1, 1.0), ramp_steps=9),
            marks=pytest.mark.slow,
        ),
        Augmentation("winner_takes_all", num_trajectories=2, sigma=(0.5, 1.0)),
    ],
    ids=["clean", "perturbed", "rivals"],
)
def test_slots_run_again_are_the_slots_where_the_weights_have_not_moved(augmentation):
    still = {"lr": 0.0, "puzzle_emb_lr": 0.0, "stagger_slots": True, "augmentation": augmentation}
    recipe = dataclasses.replace(tiny.RECIPE, **still)
    params = init_params(jax.random.key(0), tiny.CONFIG)
    head = {"weight": jax.random.normal(jax.random.key(4), (2, 32)), "bias": jnp.zeros(2)}
    state = init_train_state(tiny.CONFIG, recipe, params | {"q_head": head})
    sampler = Sampler(tiny.sets()[0], recipe.global_batch_size, seed=1)
    for step in range(6):
        state, _ = compiled_step(tiny.CONFIG, recipe, state, sampler.batch(step))
    slots = state.slots
    assert len(set(slots.steps.tolist())) > 2
    nines = jax.tree.map(lambda leaf: jnp.full_like(leaf, 9), slots.state)
    again, _ = jax.jit(run_again, static_argnums=(0, 1))(
        tiny.CONFIG, recipe, state._replace(slots=slots._replace(state=nines))
    )
    for found, expected in zip(again.slots.state, slots.state, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_compact_run_keeps_weights_and_rounds_moments(run, tmp_path):
    like = init_train_state(TASK.config, TASK.recipe)
    with closing(Checkpoints(run / "checkpoints")) as checkpoints:
        restored = checkpoints.restore(like)
    assert restored is not None
    whole, record = restored
    assert compact_run(run, tmp_path / "small")[0] == 6
    placement = Placement(jax.devices()[:1], 8)
    compact = restore_compact(tmp_path / "small", like, TASK, placement)
    assert compact is not None
    state, same = compact
    assert same == record
    for part in ("trained", "fixed", "step", "seed"):
        jax.tree.map(np.testing.assert_array_equal, getattr(state, part), getattr(whole, part))
    for name in ("batch", "steps", "halted"):
        jax.tree.map(
            np.testing.assert_array_equal, getattr(state.slots, name), getattr(whole.slots, name)
        )
    close = functools.partial(np.testing.assert_allclose, rtol=2**-8)
    jax.tree.map(close, state.optimizer, whole.optimizer)
    for name, average in whole.average.items():
        trained = whole.trained[name]
        close(state.average[name] - trained, average - trained, atol=1e-6)
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (state, whole)]
    assert kinds[0] == kinds[1]


def test_a_compact_run_goes_on_elsewhere(run, tmp_path, capsys):
    small = tmp_path / "small"
    assert main(["compact", str(run), str(small)]) == 0
    assert f"{small}: step 6 in 0." in capsys.readouterr().out
    for folder in (run, small):
        train(TASK, LOOP, folder, quietly)
    long, short = (load_run(folder).metrics for folder in (run, small))
    np.testing.assert_array_equal(long["step"], short["step"])
    np.testing.assert_array_equal(long["loss"][:1], short["loss"][:1])
    # the weights move fast so early, and the states that are run again have today's
    np.testing.assert_allclose(long["loss"][1], short["loss"][1], rtol=0.1)
    np.testing.assert_allclose(long["loss"][2:], short["loss"][2:], rtol=0.02)
    assert (long["loss"] != short["loss"]).any()
    assert (small / "models" / "best" / "model.safetensors").is_file()


def test_a_run_that_fails_at_once_names_its_compact_checkpoint(run, tmp_path):
    compact_run(run, tmp_path / "small")
    with (
        closing(Checkpoints(tmp_path / "small" / "checkpoints")) as checkpoints,
        pytest.raises(FloatingPointError, match=rf"NaN; .*: it is {tmp_path / 'small' / COMPACT};"),
        _naming_the_last(checkpoints, tmp_path / "small"),
    ):
        raise FloatingPointError("NaN")


def test_a_damaged_compact_run_is_refused(run, tmp_path):
    compact_run(run, tmp_path / "small")
    path = tmp_path / "small" / COMPACT
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"made by `rrjax compact` and cannot be read: .*again"):
        train(TASK, LOOP, tmp_path / "small", quietly)


def test_a_run_without_a_checkpoint_cannot_be_made_compact(run, tmp_path, capsys):
    young = tmp_path / "young"
    young.mkdir()
    for name in ("config.json", "metrics.csv"):
        (young / name).write_bytes((run / name).read_bytes())
    assert main(["compact", str(young), str(tmp_path / "small")]) == 2
    assert f"{young} has no checkpoint yet" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


def test_the_official_shape_at_width_256_fits_into_16_mebibytes():
    arch = Arch(
        hidden_size=256, mlp_t=True, pos_encodings="none", puzzle_emb_ndim=512, puzzle_emb_len=16
    )
    for optimizer in ("adam_atan2", "muon"):
        recipe = Recipe(optimizer=optimizer)
        state = jax.eval_shape(functools.partial(init_train_state, Config(arch), recipe))
        leaves = jax.tree.leaves(jax.eval_shape(_reduced, state))
        assert sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) < 16 * 2**20
